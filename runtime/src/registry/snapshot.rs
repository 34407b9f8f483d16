//! What every policy is set to and stands at.

use std::collections::BTreeMap;

use crate::{kind::PolicyKind, name::PolicyName, policy::settings::Value, store::StoreHealth};

/// Every policy of a registry at one moment.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Snapshot {
    /// The policies, by kind and then by name.
    pub policies: Vec<PolicySnapshot>,
    /// The store of shared state, where one is set.
    pub store: Option<StoreHealth>,
}

/// One policy. Values of keys are never part of it.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PolicySnapshot {
    /// Its kind.
    pub kind: PolicyKind,
    /// Its name.
    pub name: PolicyName,
    /// Its settings in force, spelt as in the attribute.
    pub settings: BTreeMap<&'static str, String>,
    /// What it counts and which state it is in; the same figures as its `metrics()`.
    pub state: BTreeMap<&'static str, Value>,
}

impl Snapshot {
    /// One policy of it.
    #[must_use]
    pub fn policy(&self, kind: PolicyKind, name: &str) -> Option<&PolicySnapshot> {
        self.policies
            .iter()
            .find(|policy| policy.kind == kind && policy.name == name)
    }
}
