//! Settings from outside, put in force.

use std::{
    ffi::OsString,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

#[allow(clippy::wildcard_imports)]
use super::policies::*;
use super::{
    catalog,
    in_force::{defined, names},
    registry::Registry,
    shelf::{Shelf, Shelved},
};
use crate::{
    config::{Base, ConfigFile, ENABLED, FORCE, Layers, Resolved, Source},
    error::{ConfigError, ConfigErrors},
    event::{Event, Reconfigured, SettingChange},
    lock::lock,
    name::PolicyName,
    policy::{
        Later, kind_of,
        settings::{PRESET, PolicySettings, Setting},
    },
};
#[cfg(feature = "cli")]
use crate::{
    kind::PolicyKind,
    place::Place,
    policy::spelling::{Described, Spelt as _},
};

/// The configuration of one registry.
pub(super) struct Configuration {
    /// Held by who changes it: one at a time.
    changing: Mutex<()>,
    layers: RwLock<Arc<Layers>>,
}

impl Configuration {
    /// What these variables say.
    pub(super) fn of(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self {
            changing: Mutex::new(()),
            layers: RwLock::new(Arc::new(Layers::of(variables))),
        }
    }

    /// To change it; or to wait until whoever does has done.
    pub(super) fn changing(&self) -> MutexGuard<'_, ()> {
        lock(&self.changing)
    }

    fn layers(&self) -> Arc<Layers> {
        let layers = self.layers.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&layers)
    }

    fn put(&self, layers: Arc<Layers>) {
        *self.layers.write().unwrap_or_else(PoisonError::into_inner) = layers;
    }
}

impl Registry {
    /// Puts the settings of a TOML text over those of the attributes, at once and while calls run.
    ///
    /// All or nothing: a text with a mistake changes nothing, and every mistake is told with its place. What
    /// an earlier text said holds no longer; [files](Self::configure_file) that were loaded do. What changed
    /// is told as [`Reconfigured`](Event::Reconfigured), one event for each policy.
    ///
    /// ```
    /// use steadfast::{Origin, PolicyKind, retry};
    ///
    /// #[retry("orders", max_attempts = 4)]
    /// async fn order(id: u64) -> std::io::Result<()> {
    ///     // ...
    /// #   let _ = id;
    /// #   Ok(())
    /// }
    ///
    /// # fn main() {
    /// let registry = steadfast::registry();
    /// registry.configure_toml(r#"
    ///     [retry.orders]
    ///     max_attempts = 2
    ///     base_delay = "250ms"
    /// "#).unwrap();
    /// let orders = registry.snapshot().policy(PolicyKind::Retry, "orders").unwrap().clone();
    /// assert_eq!(orders.settings["max_attempts"], "2");
    ///
    /// let errors = registry.configure_toml("[retry.order]\nmax_attempts = 0").unwrap_err();
    /// let told: Vec<_> = errors.iter().map(|error| error.to_string()).collect();
    /// assert!(told[0].starts_with("line 1, column 8: there is no retry `order`, did you mean `orders`?"));
    /// # }
    /// ```
    ///
    /// # Errors
    /// Every mistake: TOML that is none; kinds, policies, settings and presets that there are not, with the
    /// nearest that there is; values that a setting cannot have, by themselves or beside others; `shared`
    /// changed after the first call; what is wrong in the environment.
    pub fn configure_toml(&self, text: &str) -> Result<(), ConfigErrors> {
        self.configure(Source::Text, text)
    }

    /// Puts the settings of a TOML file over those of the attributes: [`configure_toml`](Self::configure_toml)
    /// with places that name the file.
    ///
    /// Of several files the later ones go over the earlier ones, in the order in which they were first
    /// loaded; a file that is loaded again takes its old place, however its path is spelt (links in it are
    /// not followed to tell).
    ///
    /// # Errors
    /// A file that cannot be read, and all that [`configure_toml`](Self::configure_toml) finds.
    pub fn configure_file(&self, path: impl AsRef<Path>) -> Result<(), ConfigErrors> {
        let file = ConfigFile::at(path.as_ref());
        let text = file.text().map_err(ConfigErrors::one)?;
        self.configure(Source::File(file), &text)
    }

    pub(crate) fn configure(&self, source: Source, text: &str) -> Result<(), ConfigErrors> {
        self.configure_if(source, text, || true, || {})
    }

    /// The same, unless it is not wanted any more. If it is refused, `refused` learns that before
    /// another source can be loaded.
    pub(super) fn configure_if(
        &self,
        source: Source,
        text: &str,
        is_wanted: impl FnOnce() -> bool,
        refused: impl FnOnce(),
    ) -> Result<(), ConfigErrors> {
        let configuration = self.configuration();
        let changing = configuration.changing();
        if !is_wanted() {
            return Ok(());
        }
        let old = configuration.layers();
        let reviewed = self.reviewed(&old, source, text);
        let new = Arc::new(reviewed.inspect_err(|_| refused())?);
        configuration.put(Arc::clone(&new));
        let mut later = Vec::new();
        let changes = self.apply(&old, &new, &mut later);
        drop(changing);
        later.into_iter().for_each(Later::run);
        for change in changes {
            self.sink().tell(&Event::Reconfigured(change));
        }
        self.retry_refused();
        Ok(())
    }

    /// What is in force with one layer more, if nothing is wrong with it.
    fn reviewed(
        &self,
        in_force: &Layers,
        source: Source,
        text: &str,
    ) -> Result<Layers, ConfigErrors> {
        let (new, mut mistakes) = in_force.with(source, text);
        if let Some(new) = &new {
            mistakes.extend(self.review(new));
        }
        match new.filter(|_| mistakes.is_empty()) {
            Some(new) => Ok(new),
            None => Err(ConfigErrors::of(mistakes)),
        }
    }

    /// What is wrong with the configuration itself.
    pub(super) fn configuration_mistakes(&self) -> Vec<ConfigError> {
        self.strangers(&self.configuration().layers())
    }

    pub(super) fn configured<S: PolicySettings>(
        &self,
        name: &PolicyName,
        base: Base<S>,
    ) -> Resolved<S> {
        self.configuration().layers().resolve(name, base)
    }
}

/// What would be wrong with the policies of one kind.
fn review<P: Shelved>(shelf: &Shelf<P>, new: &Layers) -> Vec<ConfigError> {
    let mut mistakes = Vec::new();
    for name in names(shelf) {
        let base = defined(shelf, &name).base;
        let after = new.resolve(&name, base);
        if let Some(policy) = shelf.find(&name) {
            mistakes.extend(fixed(&name, policy, &after));
        }
        mistakes.extend(after.mistakes);
    }
    mistakes
}

/// State that moved would be two states.
fn fixed<P: Shelved>(
    name: &PolicyName,
    policy: &P,
    after: &Resolved<P::Settings>,
) -> Option<ConfigError> {
    let is_shared = is_shared(policy);
    let at = after
        .origins
        .get("shared")
        .and_then(|origin| origin.configured());
    (is_shared != after.settings.is_shared()).then(|| ConfigError::Fixed {
        at: at.map(Box::new),
        kind: kind_of::<P>(),
        policy: name.clone(),
        setting: "shared",
        value: is_shared.to_string(),
    })
}

/// Puts the settings of one kind in force, and tells what changed.
fn apply<P: Shelved>(
    shelf: &Shelf<P>,
    old: &Layers,
    new: &Layers,
    later: &mut Vec<Later>,
) -> Vec<Reconfigured> {
    let mut changed = Vec::new();
    for name in names(shelf) {
        let base = defined(shelf, &name).base;
        let before = old.resolve(&name, base.clone());
        let after = new.resolve(&name, base);
        // One that was made since the review may be shared otherwise than these settings say: it keeps its
        // own, as if it had been made before, and the next load is refused.
        let policy = shelf.find(&name);
        if let Some(policy) =
            policy.filter(|policy| is_shared(*policy) == after.settings.is_shared())
        {
            later.push(policy.configure(&after.settings.harmless(), after.switch));
        }
        let changes = differences(&before.shown(), &after.shown());
        if !changes.is_empty() {
            changed.push(Reconfigured {
                policy: name,
                kind: kind_of::<P>(),
                changes,
            });
        }
    }
    changed
}

fn is_shared<P: Shelved>(policy: &P) -> bool {
    let settings = policy.settings();
    settings
        .iter()
        .any(|setting| setting.name == "shared" && setting.value == "true")
}

fn differences(before: &[Setting], after: &[Setting]) -> Vec<SettingChange> {
    let value = |settings: &[Setting], name: &str| {
        let setting = settings.iter().find(|setting| setting.name == name);
        setting.map_or_else(
            || unwritten(name).to_owned(),
            |setting| setting.value.clone(),
        )
    };
    let gone = before
        .iter()
        .filter(|each| !after.iter().any(|other| other.name == each.name));
    let names = after.iter().chain(gone).map(|setting| setting.name);
    let changes = names.map(|setting| SettingChange {
        setting,
        old: value(before, setting),
        new: value(after, setting),
    });
    changes.filter(|change| change.old != change.new).collect()
}

/// What holds where the configuration says nothing.
fn unwritten(name: &str) -> &'static str {
    match name {
        ENABLED => "true",
        FORCE | PRESET => "none",
        _ => "",
    }
}

/// A policy, for those who write about it.
#[cfg(feature = "cli")]
pub(crate) struct Listed {
    pub(crate) kind: PolicyKind,
    pub(crate) name: PolicyName,
    /// What is in force.
    pub(crate) settings: Vec<Setting>,
    /// Given by each call, and not to be configured.
    pub(crate) brought: &'static [&'static str],
    /// Where a builder made it, if one did.
    pub(crate) installed: Option<Place>,
}

#[cfg(feature = "cli")]
fn list<P: Shelved>(registry: &Registry, shelf: &Shelf<P>) -> Vec<Listed> {
    let listed = |name: PolicyName| {
        let defined = defined(shelf, &name);
        let varying = defined.base.varying;
        let installed = defined.definition.installed().cloned();
        let resolved = registry.in_force::<P>(&name, defined);
        Listed {
            installed,
            kind: kind_of::<P>(),
            settings: resolved.shown(),
            name,
            brought: match varying {
                true => resolved.settings.brought(),
                false => &[],
            },
        }
    };
    names(shelf).into_iter().map(listed).collect()
}

macro_rules! configure {
    ($($handle:ident: $Policy:ident, $Settings:ident, $Builder:ident;)*) => {
        impl Registry {
            /// All that is wrong with `new`, and with going there from what is in force.
            fn review(&self, new: &Layers) -> Vec<ConfigError> {
                let mut mistakes = self.strangers(new);
                $(mistakes.extend(review::<$Policy>(&self.shelves().$handle, new));)*
                mistakes
            }

            /// Every policy that there is, with its settings.
            #[cfg(feature = "cli")]
            pub(crate) fn policies(&self) -> Vec<Listed> {
                let mut all = Vec::new();
                $(all.extend(list(self, &self.shelves().$handle));)*
                all
            }

            /// What is wrong whatever the policies are set to.
            fn strangers(&self, layers: &Layers) -> Vec<ConfigError> {
                let mut mistakes = layers.mistakes();
                $(
                    let known = names(&self.shelves().$handle);
                    let used_by = catalog::used_by::<$Policy>;
                    mistakes.extend(layers.mistakes_of::<$Settings>(&known, used_by));
                )*
                mistakes
            }

            fn apply(&self, old: &Layers, new: &Layers, later: &mut Vec<Later>) -> Vec<Reconfigured> {
                let mut changed = Vec::new();
                $(changed.extend(apply::<$Policy>(&self.shelves().$handle, old, new, later));)*
                changed
            }
        }
    };
}
policies!(configure);

macro_rules! described {
    ($($handle:ident: $Policy:ident, $Settings:ident, $Builder:ident;)*) => {
        /// The settings of a kind of policy.
        #[cfg(feature = "cli")]
        pub(crate) fn described(kind: PolicyKind) -> &'static [Described] {
            match kind {
                $(PolicyKind::$Policy => $Settings::DESCRIBED,)*
            }
        }
    };
}
policies!(described);

#[cfg(all(test, feature = "test-util", not(steadfast_loom)))]
mod tests {
    #![allow(clippy::unwrap_used)] // clippy does not see that this module is for tests

    use super::*;
    use crate::CircuitBreaker;

    #[test]
    fn a_policy_that_was_made_during_a_load_stays_what_it_is_and_the_next_load_says_so() {
        let test = crate::test::isolated();
        let registry = test.registry();
        CircuitBreaker::builder("local").install().unwrap();
        // As if it had been made after this text was looked at, and before it was in force.
        let text = "[circuit_breaker.local]\nshared = true";
        let configuration = registry.configuration();
        let (layers, _) = configuration.layers().with(Source::Text, text);
        configuration.put(Arc::new(layers.unwrap()));
        let errors = registry.configure_toml(text).unwrap_err();
        let is_fixed = |error: &ConfigError| matches!(error, ConfigError::Fixed { value, .. } if value == "false");
        assert!(errors.iter().any(is_fixed), "{errors}");
        registry.configure_toml("").unwrap();
    }
    #[test]
    fn who_is_refused_knows_before_another_source_can_be_loaded() {
        let test = crate::test::isolated();
        let registry = test.registry();
        let configuration = registry.configuration();
        let mut is_closed = None;
        let refused = || is_closed = Some(configuration.changing.try_lock().is_err());
        let errors = registry.configure_if(Source::Text, "[", || true, refused);
        errors.unwrap_err();
        // Else the source that it waited for would come between, and ask nobody who was refused.
        assert_eq!(is_closed, Some(true));
    }
}
