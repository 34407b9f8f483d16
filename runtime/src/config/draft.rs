//! Settings while they are worked out, and who says them.

use std::collections::BTreeMap;

use super::document::Entry;
use crate::{policy::settings::PolicySettings, registry::listing::Origin};

/// Settings, and where each comes from that configuration says.
#[derive(Debug, Clone)]
pub(super) struct Draft<S> {
    pub(super) settings: S,
    pub(super) origins: BTreeMap<&'static str, Origin>,
    /// What is written, and by which entry: the last of each.
    pub(super) written: Vec<(&'static str, Entry)>,
}

impl<S: PolicySettings> Draft<S> {
    pub(super) fn new(settings: S) -> Self {
        Self {
            settings,
            origins: BTreeMap::new(),
            written: Vec::new(),
        }
    }

    /// An entry says it.
    pub(super) fn note(&mut self, setting: &'static str, entry: &Entry) {
        self.forget(setting);
        let origin = Origin::from(entry.at.clone());
        self.origins.insert(setting, origin);
        self.written.push((setting, entry.clone()));
    }

    /// The preset says it.
    pub(super) fn note_preset(&mut self, setting: &'static str) {
        self.forget(setting);
        self.origins.insert(setting, Origin::Preset);
    }

    /// No configuration says it.
    pub(super) fn forget(&mut self, setting: &'static str) {
        self.origins.remove(setting);
        self.written.retain(|(other, _)| *other != setting);
    }

    /// As if no configuration had said it.
    pub(super) fn give_back(&mut self, setting: &'static str, base: &S) {
        self.settings.copy(setting, base);
        self.forget(setting);
    }

    pub(super) fn entry(&self, setting: &str) -> Option<&Entry> {
        let is_it = |(other, _): &&(&'static str, Entry)| *other == setting;
        self.written.iter().find(is_it).map(|(_, entry)| entry)
    }
}
