//! What the policies of one registry are: what attributes and builders say, and the configuration over it.

#[allow(clippy::wildcard_imports)]
use super::policies::*;
use super::{
    catalog,
    listing::Definition,
    registry::Registry,
    shelf::{Installed, Shelf, Shelved},
};
use crate::{
    config::{Base, Resolved},
    error::ConfigError,
    kind::PolicyKind,
    name::PolicyName,
    policy::{Switch, kind_of, settings::PolicySettings},
};

/// What a policy is without configuration, and who says so.
pub(super) struct Defined<S> {
    pub(super) base: Base<S>,
    pub(super) definition: Definition,
    mistakes: Vec<ConfigError>,
}

/// As it was installed: that is in force, since it was there before the first call.
pub(super) fn installed<P: Shelved>(installed: Installed<P>) -> Defined<P::Settings> {
    let Installed { settings, place } = installed;
    Defined {
        base: Base {
            settings,
            place: Some(place.clone()),
            varying: false,
        },
        definition: Definition::Installed { place },
        mistakes: Vec::new(),
    }
}

/// As the sites say.
pub(super) fn declared<P: Shelved>(name: &PolicyName) -> Defined<P::Settings> {
    let ruling = catalog::rule::<P>(name);
    let definition = match ruling.place.clone() {
        Some(place) => Definition::Attribute { place },
        None => Definition::BuiltIn,
    };
    Defined {
        base: Base {
            settings: ruling.settings,
            place: ruling.place,
            varying: catalog::varies::<P>(name),
        },
        definition,
        mistakes: ruling.mistakes,
    }
}

/// Either.
pub(super) fn defined<P: Shelved>(shelf: &Shelf<P>, name: &PolicyName) -> Defined<P::Settings> {
    match shelf.installed(name) {
        Some(by_hand) => installed(by_hand),
        None => declared::<P>(name),
    }
}

/// The names of one kind that there are, in order.
pub(super) fn names<P: Shelved>(shelf: &Shelf<P>) -> Vec<PolicyName> {
    let mut all: Vec<_> = catalog::names::<P>().chain(shelf.names()).collect();
    all.sort();
    all.dedup();
    all
}

impl Registry {
    /// What a policy is, and all that is wrong with it.
    pub(super) fn in_force<P: Shelved>(
        &self,
        name: &PolicyName,
        defined: Defined<P::Settings>,
    ) -> Resolved<P::Settings> {
        let mut mistakes = defined.mistakes;
        let mut resolved = self.configured(name, defined.base);
        mistakes.append(&mut resolved.mistakes);
        if defined.definition.installed().is_none() {
            let lacks = catalog::lacks::<P>(name, &resolved.settings)
                .filter(|lacks| !mistakes.iter().any(|each| each.explains(lacks)));
            mistakes.extend(lacks);
        }
        resolved.mistakes = mistakes;
        resolved
    }

    #[cfg(not(feature = "config"))]
    #[allow(clippy::unused_self)] // its configuration
    fn configured<S: PolicySettings>(&self, _: &PolicyName, base: Base<S>) -> Resolved<S> {
        Resolved::new(base.settings)
    }

    #[cfg(not(feature = "config"))]
    #[allow(clippy::unused_self)] // its configuration
    pub(super) fn extra(&self, _: PolicyKind, _: &PolicyName) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    #[cfg(not(feature = "config"))]
    #[allow(clippy::unused_self)] // its configuration
    fn configuration_mistakes(&self) -> Vec<ConfigError> {
        Vec::new()
    }
}

impl Registry {
    /// Makes the breakers that configuration holds open: they would refuse their first call.
    #[cfg(feature = "config")]
    pub(super) fn make_held(&self) {
        let shelf = &self.shelves().circuit_breaker;
        for name in catalog::names::<CircuitBreaker>() {
            let is_held = || {
                let defined = declared::<CircuitBreaker>(&name);
                self.in_force::<CircuitBreaker>(&name, defined).switch == Switch::ForcedOpen
            };
            if shelf.find(&name).is_none() && is_held() {
                self.obtain::<CircuitBreaker>(&name);
            }
        }
    }
}

/// Every mistake in what one kind of policy is.
fn mistakes<P: Shelved>(registry: &Registry, shelf: &Shelf<P>) -> Vec<ConfigError> {
    let mut mistakes = Vec::new();
    for name in names(shelf) {
        let resolved = registry.in_force::<P>(&name, defined(shelf, &name));
        let lacks_store = asks_store(&resolved) && registry.store_health().is_none();
        mistakes.extend(resolved.mistakes);
        if lacks_store {
            mistakes.push(ConfigError::NoStore {
                kind: kind_of::<P>(),
                policy: name,
            });
        }
    }
    mistakes
}

/// Whether a policy that has been used needs a store.
fn needs_store<P: Shelved>(registry: &Registry, shelf: &Shelf<P>) -> bool {
    shelf
        .names()
        .iter()
        .any(|name| asks_store(&registry.in_force::<P>(name, defined(shelf, name))))
}

/// One that is switched off asks nobody.
fn asks_store<S: PolicySettings>(resolved: &Resolved<S>) -> bool {
    resolved.settings.is_shared() && resolved.switch != Switch::Off
}

macro_rules! in_force {
    ($($handle:ident: $Policy:ident, $Settings:ident, $Builder:ident;)*) => {
        impl Registry {
            /// Every mistake in what the policies are.
            pub(super) fn mistakes(&self) -> Vec<ConfigError> {
                let shelves = self.shelves();
                let mut all = self.configuration_mistakes();
                $(all.extend(mistakes::<$Policy>(self, &shelves.$handle));)*
                all
            }

            /// Whether a policy that has been used needs a store.
            pub(super) fn needs_store(&self) -> bool {
                let shelves = self.shelves();
                false $(|| needs_store::<$Policy>(self, &shelves.$handle))*
            }

            /// What is in force besides what the policy knows of itself.
            #[cfg(feature = "config")]
            pub(super) fn extra(&self, kind: PolicyKind, name: &PolicyName) -> Vec<(&'static str, String)> {
                match kind {
                    $(PolicyKind::$Policy => {
                        let defined = defined(&self.shelves().$handle, name);
                        self.configured(name, defined.base).extra.into_iter().collect()
                    })*
                }
            }
        }
    };
}
policies!(in_force);
