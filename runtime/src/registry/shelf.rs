//! The instances of one registry, by kind and name.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use super::declared::AnySettings;
#[allow(clippy::wildcard_imports)]
use super::policies::*;
use crate::{
    health::Verdict,
    kind::PolicyKind,
    lock::lock,
    name::PolicyName,
    place::Place,
    policy::{
        Policy,
        settings::{Setting, Value},
    },
};

/// A policy that has a place in the registry.
pub(crate) trait Shelved: Policy {
    fn shelf(shelves: &Shelves) -> &Shelf<Self>;

    fn declared(settings: &AnySettings) -> Option<&Self::Settings>;
}

/// What a snapshot asks a policy, whatever its kind.
pub(crate) trait Observed {
    fn settings(&self) -> Vec<Setting>;
    fn observe(&self) -> Vec<(&'static str, Value)>;
    fn condition(&self) -> Option<Verdict>;
    fn reset(&self);
}

impl<P: Policy> Observed for P {
    fn settings(&self) -> Vec<Setting> {
        Policy::settings(self)
    }

    fn observe(&self) -> Vec<(&'static str, Value)> {
        Policy::observe(self)
    }

    fn condition(&self) -> Option<Verdict> {
        Policy::condition(self)
    }

    fn reset(&self) {
        Policy::reset(self);
    }
}

/// Instances live as long as the program: sites keep references to them. They are few (one a name) and
/// never replaced.
pub(crate) struct Shelf<P: Policy>(Mutex<BTreeMap<PolicyName, Kept<P>>>);

struct Kept<P: Policy> {
    policy: &'static P,
    /// Where it was installed by hand, and with which settings.
    installed: Option<Installed<P>>,
}

/// What was installed by hand.
pub(crate) struct Installed<P: Policy> {
    pub(crate) settings: P::Settings,
    pub(crate) place: Place,
}

impl<P: Policy> Clone for Installed<P> {
    fn clone(&self) -> Self {
        Self {
            settings: self.settings,
            place: self.place.clone(),
        }
    }
}

impl<P: Policy> Default for Shelf<P> {
    fn default() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }
}

impl<P: Policy> Shelf<P> {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<PolicyName, Kept<P>>> {
        lock(&self.0)
    }

    pub(crate) fn find(&self, name: &str) -> Option<&'static P> {
        self.lock().get(name).map(|kept| kept.policy)
    }

    /// What was installed under that name.
    pub(crate) fn installed(&self, name: &str) -> Option<Installed<P>> {
        self.lock().get(name)?.installed.clone()
    }

    /// All names.
    pub(crate) fn names(&self) -> Vec<PolicyName> {
        self.lock().keys().cloned().collect()
    }

    /// The instance of that name, and whether `make` has just made it.
    pub(crate) fn find_or_make(
        &self,
        name: &PolicyName,
        installed: Option<Installed<P>>,
        make: impl FnOnce() -> P,
    ) -> (&'static P, bool) {
        let mut shelf = self.lock();
        if let Some(kept) = shelf.get(name) {
            return (kept.policy, false);
        }
        let policy: &'static P = Box::leak(Box::new(make()));
        shelf.insert(name.clone(), Kept { policy, installed });
        (policy, true)
    }

    fn for_each(&self, mut act: impl FnMut(&PolicyName, &P)) {
        // Copied out: `act` may come back to this shelf.
        let copy = |(name, kept): (&PolicyName, &Kept<P>)| (name.clone(), kept.policy);
        let policies: Vec<_> = self.lock().iter().map(copy).collect();
        for (name, policy) in policies {
            act(&name, policy);
        }
    }
}

macro_rules! shelve {
    ($($handle:ident: $Policy:ident, $Settings:ident, $Builder:ident;)*) => {
        /// All instances of one registry.
        #[derive(Default)]
        pub(crate) struct Shelves {
            $(pub(super) $handle: Shelf<$Policy>,)*
        }

        impl Shelves {
            /// Does the same to every policy.
            pub(crate) fn for_each(&self, mut act: impl FnMut(PolicyKind, &PolicyName, &dyn Observed)) {
                $(self.$handle.for_each(|name, policy| act(PolicyKind::$Policy, name, policy));)*
            }
        }

        $(
            impl Shelved for $Policy {
                fn shelf(shelves: &Shelves) -> &Shelf<Self> {
                    &shelves.$handle
                }

                fn declared(settings: &AnySettings) -> Option<&$Settings> {
                    match settings {
                        AnySettings::$Policy(settings) => Some(settings),
                        #[allow(unreachable_patterns)]
                        _ => None,
                    }
                }
            }
        )*
    };
}
policies!(shelve);
