//! How the program is doing, from all that is known.

use std::time::Duration;

use crate::{
    health::{HealthStatus, Verdict},
    kind::PolicyKind,
    name::PolicyName,
    store::{StoreHealth, StoreStatus},
};

/// How the program is doing, and why.
///
/// From [`Registry::health`](crate::Registry::health), whose table says what leads to which status.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Health {
    /// The worst of all that follows.
    pub status: HealthStatus,
    /// The policies whose state tells something: breakers and bulkheads that have been used, and breakers
    /// that configuration holds open.
    pub policies: Vec<PolicyHealth>,
    /// The store of shared state, where one is set, or should be.
    pub store: Option<Verdict>,
    /// Your own checks, in the order of their registration.
    pub checks: Vec<CheckHealth>,
    /// How long it took to find out. In milliseconds where serialised, as `took_ms`.
    #[cfg_attr(
        feature = "serde",
        serde(rename = "took_ms", serialize_with = "as_millis")
    )]
    pub took: Duration,
}

/// How a policy is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PolicyHealth {
    /// Its kind.
    pub kind: PolicyKind,
    /// Its name.
    pub name: PolicyName,
    /// How well it is.
    pub status: HealthStatus,
    /// The state that it is in.
    pub detail: Option<String>,
}

/// What a check of your own came to.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct CheckHealth {
    /// Its name.
    pub name: String,
    /// How well it is; at worst degraded where the check is optional.
    pub status: HealthStatus,
    /// Why.
    pub detail: Option<String>,
    /// Whether the program cannot do without.
    pub critical: bool,
    /// How long it took. In milliseconds where serialised, as `took_ms`.
    #[cfg_attr(
        feature = "serde",
        serde(rename = "took_ms", serialize_with = "as_millis")
    )]
    pub took: Duration,
}

impl Health {
    pub(super) fn of(
        policies: Vec<PolicyHealth>,
        store: Option<Verdict>,
        checks: Vec<CheckHealth>,
        took: Duration,
    ) -> Self {
        let policy = policies.iter().map(|policy| policy.status);
        let check = checks.iter().map(|check| check.status);
        let stored = store.iter().map(|store| store.status);
        Self {
            status: policy.chain(check).chain(stored).max().unwrap_or_default(),
            policies,
            store,
            checks,
            took,
        }
    }
}

/// Where none is set, and somebody needs it.
pub(super) fn of_no_store() -> Verdict {
    Verdict::degraded("none is set, and `shared` policies need one")
}

/// `on_store_error` says how the policies get on without it, so it is never worse than degraded.
pub(super) fn of_store(health: &StoreHealth) -> Verdict {
    let status = match health.status {
        StoreStatus::Up => HealthStatus::Healthy,
        StoreStatus::Connecting | StoreStatus::Down { .. } => HealthStatus::Degraded,
    };
    let detail = match &health.status {
        StoreStatus::Down { cause, .. } => format!("down: {cause}"),
        status => status.as_str().to_owned(),
    };
    Verdict::new(status, detail)
}

#[cfg(feature = "serde")]
fn as_millis<S: serde::Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    // To the microsecond: digits beyond are noise.
    let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
    serializer.serialize_f64(f64::from(micros) / 1000.0)
}
