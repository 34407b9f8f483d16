//! What a policy is: without configuration, and with it.

use std::collections::BTreeMap;

use crate::{
    error::ConfigError,
    place::Place,
    policy::{
        Switch,
        settings::{PolicySettings, Setting},
    },
    registry::listing::Origin,
};

/// What a policy is before any configuration.
#[derive(Debug, Clone)]
#[cfg_attr(not(feature = "config"), allow(dead_code))] // nobody asks where it is from
pub(crate) struct Base<S> {
    /// As its attribute, or the builder, says.
    pub(crate) settings: S,
    /// Where that is.
    pub(crate) place: Option<Place>,
    /// Every site brings with each call what is a setting elsewhere.
    pub(crate) varying: bool,
}

/// What a policy is.
#[derive(Debug, Clone)]
pub(crate) struct Resolved<S> {
    /// Attribute, files and environment together; good by themselves, but a required one may be missing.
    pub(crate) settings: S,
    pub(crate) switch: Switch,
    /// What the configuration writes besides settings, and a preset of its own.
    pub(crate) extra: BTreeMap<&'static str, String>,
    /// Where they come from, of those that the configuration says.
    pub(crate) origins: BTreeMap<&'static str, Origin>,
    /// All that is wrong with what the configuration says.
    pub(crate) mistakes: Vec<ConfigError>,
}

#[cfg(not(feature = "config"))]
impl<S> Resolved<S> {
    /// Nothing but these settings.
    pub(crate) fn new(settings: S) -> Self {
        Self {
            settings,
            switch: Switch::On,
            extra: BTreeMap::new(),
            origins: BTreeMap::new(),
            mistakes: Vec::new(),
        }
    }
}

impl<S: PolicySettings> Resolved<S> {
    /// All that is in force, as it is shown.
    pub(crate) fn shown(&self) -> Vec<Setting> {
        let mut shown = self.settings.effective();
        for (name, value) in &self.extra {
            match shown.iter_mut().find(|setting| setting.name == *name) {
                Some(setting) => setting.value.clone_from(value),
                None => shown.push(Setting {
                    name,
                    value: value.clone(),
                }),
            }
        }
        shown
    }
}
