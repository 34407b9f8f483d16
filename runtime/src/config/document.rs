//! One source of configuration, read: what it says, not yet what that means.

use std::collections::BTreeMap;

use super::ConfigPlace;
use crate::{kind::PolicyKind, policy::spelling::Given};

/// The key of a table: a kind of policy, and the name of a policy or of a preset.
pub(super) type Key = (PolicyKind, String);

/// What one source says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Document {
    /// `[kind.name]`
    pub(super) policies: BTreeMap<Key, Table>,
    /// `[preset.kind.name]`
    pub(super) presets: BTreeMap<Key, Table>,
}

/// The settings of one policy or preset.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table {
    pub(super) at: ConfigPlace,
    pub(super) entries: Vec<Entry>,
}

/// One setting.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Where the key stands.
    pub(super) at: ConfigPlace,
    pub(super) given: Given,
    /// Where the value stands.
    pub(super) value_at: ConfigPlace,
}

impl Table {
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}
