//! The registry of one program, or of one test.

#[cfg(feature = "config")]
use std::sync::{Mutex, Weak};
use std::{
    fmt,
    future::Future,
    panic::Location,
    sync::{Arc, LazyLock},
};

#[allow(clippy::wildcard_imports)]
use super::policies::*;
use super::{
    catalog,
    checks::{Checks, HealthCheck},
    declared::AnySettings,
    describe,
    health::{self, Health, PolicyHealth},
    in_force, listing,
    shelf::{Installed, Shelved, Shelves},
    site::Site,
    snapshot::{PolicySnapshot, Snapshot},
    teller::Teller,
};
#[cfg(feature = "config")]
use super::{configuration::Configuration, watch::Watch};
#[cfg(feature = "config")]
use crate::lock::lock;
#[cfg(feature = "metrics")]
use crate::metrics::{Functions, Times};
use crate::{
    clock,
    config::Resolved,
    error::{ConfigError, ConfigErrors, Said},
    event::{Event, Misconfigured, Sink, Subscription},
    health::Verdict,
    name::PolicyName,
    place::Place,
    policy::{self, Switch, kind_of, settings::PolicySettings as _},
    store::{Member, Store, StoreError, StoreHealth},
};

/// Every policy of the program by kind and name: handles, snapshots, events.
///
/// Obtained from [`registry()`]. Cheap to clone.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    shelves: Shelves,
    sink: Sink,
    checks: Arc<Checks>,
    #[cfg(feature = "config")]
    configuration: Configuration,
    /// The files that are watched; they end with the registry.
    #[cfg(feature = "config")]
    watches: Mutex<Vec<Watch>>,
    /// Kept for the store, which tells those who live.
    teller: Arc<Teller>,
    /// Of each annotated function that was called.
    #[cfg(feature = "metrics")]
    functions: Functions,
}

static GLOBAL: LazyLock<Registry> = LazyLock::new(|| Registry::with(Sink::current()));

/// The registry in force: the program's, or inside [`test::isolated`](crate::test::isolated) that test's.
///
/// ```
/// use steadfast::CircuitBreaker;
///
/// # fn main() -> Result<(), steadfast::ConfigError> {
/// CircuitBreaker::builder("orders").failure_threshold(3).install()?;
/// let breaker = steadfast::registry().circuit_breaker("orders").expect("just installed");
/// breaker.force_open();
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn registry() -> Registry {
    #[cfg(feature = "test-util")]
    if let Some(registry) = crate::test::current() {
        return registry;
    }
    GLOBAL.clone()
}

/// For those whom the registry keeps.
#[cfg(feature = "config")]
pub(super) struct WeakRegistry(Weak<Inner>);

#[cfg(feature = "config")]
impl WeakRegistry {
    pub(super) fn upgrade(&self) -> Option<Registry> {
        self.0.upgrade().map(Registry)
    }
}

impl Registry {
    pub(crate) fn with(sink: Sink) -> Self {
        Self(Arc::new(Inner {
            shelves: Shelves::default(),
            checks: Arc::default(),
            #[cfg(feature = "config")]
            configuration: Configuration::of(std::env::vars_os()),
            #[cfg(feature = "config")]
            watches: Mutex::default(),
            teller: Arc::new(Teller::new(sink.clone())),
            #[cfg(feature = "metrics")]
            functions: Functions::default(),
            sink,
        }))
    }

    /// The instance that a site's attribute stands for.
    pub(crate) fn resolve<P: Shelved>(&self, site: &Site, index: usize) -> &'static P {
        self.obtain(&catalog::name_of(site, index))
    }

    pub(super) fn obtain<P: Shelved>(&self, name: &PolicyName) -> &'static P {
        let shelf = P::shelf(&self.0.shelves);
        if let Some(policy) = shelf.find(name) {
            return policy;
        }
        let mut mistakes = Vec::new();
        let (policy, new) = shelf.find_or_make(name, None, || {
            let resolved = self.in_force::<P>(name, in_force::declared::<P>(name));
            let policy = self.assemble::<P>(name, &resolved);
            mistakes = resolved.mistakes;
            policy
        });
        if new {
            policy::attend(policy);
            let tell = |error| self.tell(name.clone(), error);
            mistakes.into_iter().for_each(tell);
        }
        policy
    }

    fn assemble<P: Shelved>(&self, name: &PolicyName, resolved: &Resolved<P::Settings>) -> P {
        let settings = resolved.settings.harmless();
        let policy = P::assemble(name.clone(), &settings, self.0.sink.clone());
        if resolved.switch != Switch::On {
            // Nobody has seen it yet: nobody waits or listens.
            drop(policy.configure(&settings, resolved.switch));
        }
        policy
    }

    pub(super) fn shelves(&self) -> &Shelves {
        &self.0.shelves
    }

    fn find<P: Shelved>(&self, name: &str) -> Option<P> {
        let shelf = P::shelf(&self.0.shelves);
        if let Some(policy) = shelf.find(name) {
            return Some(policy.clone());
        }
        let name = PolicyName::from(name);
        catalog::declares::<P>(&name).then(|| self.obtain::<P>(&name).clone())
    }

    fn install<P: Shelved>(
        &self,
        name: PolicyName,
        settings: &P::Settings,
        caller: &'static Location<'static>,
    ) -> Result<P, ConfigError> {
        policy::check::<P>(&name, settings)?;
        let here = Place {
            function: "install",
            file: caller.file(),
            line: caller.line(),
        };
        if let Some((site, (setting, first, second))) = catalog::dissenter::<P>(&name, settings) {
            return Err(ConfigError::Conflict {
                kind: kind_of::<P>(),
                policy: name,
                setting,
                first: Said::boxed(first, site.place()),
                second: Said::boxed(second, here),
            });
        }
        let shelf = P::shelf(&self.0.shelves);
        // What is looked at now is what it is made of.
        #[cfg(feature = "config")]
        let changing = self.configuration().changing();
        let installed = Installed {
            settings: *settings,
            place: here,
        };
        let defined = in_force::installed(installed.clone());
        let resolved = self.in_force::<P>(&name, defined);
        if let Some(mistake) = resolved.mistakes.into_iter().next() {
            return Err(mistake);
        }
        let make = || {
            let defined = in_force::installed(installed.clone());
            self.assemble::<P>(&name, &self.in_force::<P>(&name, defined))
        };
        let made = shelf.find_or_make(&name, Some(installed.clone()), make);
        #[cfg(feature = "config")]
        drop(changing);
        match made {
            (policy, true) => {
                policy::attend(policy);
                #[cfg(feature = "config")]
                self.retry_refused();
                Ok(policy.clone())
            }
            (_, false) => Err(ConfigError::AlreadyInUse {
                kind: kind_of::<P>(),
                policy: name,
            }),
        }
    }

    /// Where the times of a function go.
    #[cfg(feature = "metrics")]
    pub(crate) fn times(&self, function: &'static str) -> &'static Times {
        self.0.functions.times(function)
    }

    fn tell(&self, policy: PolicyName, error: ConfigError) {
        let event = Misconfigured { policy, error };
        self.0.sink.tell(&Event::Misconfigured(event));
    }

    /// Calls `callback` for every event, on the thread that caused it, after the change is made and
    /// outside every lock: it may call back into policies and registry. A callback that panics hurts
    /// nobody.
    ///
    /// What happens to the store of shared state ([`StoreDown`](Event::StoreDown),
    /// [`StoreUp`](Event::StoreUp)), and what instances learn from it, is told on the store's own thread:
    /// do not block there. A *synchronous* function with a `shared` policy would wait for itself.
    ///
    /// ```
    /// use steadfast::Event;
    ///
    /// let subscription = steadfast::registry().subscribe(|event| {
    ///     if let Event::StateChanged(change) = event {
    ///         println!("{}: {} -> {}", change.policy, change.from, change.to);
    ///     }
    /// });
    /// drop(subscription); // ends it
    /// ```
    pub fn subscribe(&self, callback: impl Fn(&Event) + Send + Sync + 'static) -> Subscription {
        self.0.sink.subscribe(callback)
    }

    /// Every annotated function that is linked into the program, in the order of their places: known
    /// before any of them is called, also those of libraries, generic ones, and those that macros wrote.
    ///
    /// A function that joins a policy by name shows the settings of the place that defines it. A crate
    /// that the program depends on but never mentions is not linked: `use that_crate as _;` does it.
    /// A linker other than Rust's takes of a static library only what is called: give it
    /// `--whole-archive`.
    ///
    /// It is worked out anew each time, for a page or a command: some microseconds a function.
    ///
    /// ```
    /// use steadfast::{Definition, Origin, PolicyKind, retry, timeout};
    ///
    /// #[retry(max_attempts = 4)]
    /// #[timeout("2s")]
    /// async fn front_page(url: &str) -> std::io::Result<String> {
    ///     // ...
    /// #   Ok(url.to_owned())
    /// }
    ///
    /// # fn main() {
    /// let sites = steadfast::registry().sites();
    /// let site = sites.iter().find(|site| site.function.ends_with("::front_page")).unwrap();
    /// let kinds: Vec<_> = site.policies.iter().map(|policy| policy.kind).collect();
    /// assert_eq!(kinds, [PolicyKind::Retry, PolicyKind::Timeout]); // the outermost first
    ///
    /// let retry = site.policy(PolicyKind::Retry).unwrap();
    /// assert!(matches!(retry.definition, Definition::Attribute { .. }));
    /// let attempts = retry.setting("max_attempts").unwrap();
    /// assert_eq!(attempts.value, "4");
    /// assert!(matches!(attempts.origin, Origin::Attribute { .. }));
    /// let delay = retry.setting("base_delay").unwrap();
    /// assert_eq!((&*delay.value, &delay.origin), ("1s", &Origin::BuiltIn));
    /// # }
    /// ```
    #[must_use]
    pub fn sites(&self) -> Vec<listing::Site> {
        describe::sites(self)
    }

    /// The policies that were installed and that no function joins, as sites list theirs.
    #[cfg(feature = "cli")]
    pub(crate) fn installed(&self) -> Vec<listing::SitePolicy> {
        describe::installed(self)
    }

    /// What every policy is set to, counts, and stands at, those never called included. From the first
    /// snapshot on, metrics show those, too.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.make_all();
        let mut policies = Vec::new();
        self.0.shelves.for_each(|kind, name, policy| {
            policies.push(PolicySnapshot {
                kind,
                name: name.clone(),
                settings: {
                    let settings = policy.settings().into_iter();
                    let settings = settings.map(|s| (s.name, s.value));
                    settings.chain(self.extra(kind, name)).collect()
                },
                state: policy.observe().into_iter().collect(),
            });
        });
        Snapshot {
            policies,
            store: self.store_health(),
        }
    }

    /// Gives `shared` policies the place where they keep their state, once and before their first call.
    ///
    /// ```
    /// use steadfast::MemoryStore;
    ///
    /// # fn main() -> Result<(), steadfast::StoreError> {
    /// steadfast::registry().set_store(MemoryStore::new())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// There is a store already: state that moved would be two states.
    pub fn set_store(&self, store: impl Store) -> Result<(), StoreError> {
        let store: Arc<dyn Store> = Arc::new(store);
        self.0.sink.store().set(Arc::clone(&store))?;
        let teller: Arc<dyn Member> = self.0.teller.clone();
        store.attach(Arc::downgrade(&teller));
        #[cfg(feature = "metrics")]
        {
            let teller: Arc<dyn crate::metrics::Metered> = self.0.teller.clone();
            crate::metrics::attend(&teller);
        }
        Ok(())
    }

    /// How the store of shared state is doing; `None` where there is none.
    #[must_use]
    pub fn store_health(&self) -> Option<StoreHealth> {
        self.0.sink.store().get().map(|store| store.health())
    }

    /// How the program is doing: the policies' states, the store, and [your own
    /// checks](Self::register_check), which are asked at the same time.
    ///
    /// | what | state | status |
    /// |---|---|---|
    /// | circuit breaker | `closed`; `disabled` by hand | healthy |
    /// | | `open`, `half_open`; `forced_open` by hand, or by configuration before its first call | degraded |
    /// | | with a `key`: some circuits are not closed (those that nobody has used for a whole recovery do not count) | degraded |
    /// | | `enforce = false`, whatever its state | healthy |
    /// | bulkhead | the next caller would be refused: all places are taken, and nobody may wait, or no more may | degraded |
    /// | | with a `key`: how many are full is told, and says nothing of the others | healthy |
    /// | | otherwise; `enforce = false` | healthy |
    /// | either, switched off by `enabled = false` | not listed: it is not there | |
    /// | rate limiter, retry, timeout, fallback | not listed: stepping in is their work, and leaves no state | |
    /// | store | up | healthy |
    /// | | connecting, down: `on_store_error` decides | degraded |
    /// | | none is set, and a `shared` policy has been used | degraded |
    /// | your check | `Ok`, healthy | healthy |
    /// | | degraded | degraded |
    /// | | `Err`, unhealthy, a panic, no answer in time | unhealthy; degraded where it is [optional](HealthCheck::optional) |
    ///
    /// The worst of all is the status of the whole; so only a check of your own makes it unhealthy. That a
    /// dependency is away is what the policies are there for: a program that is restarted, or gets no more
    /// calls, because of it is worse off, and an open circuit needs a call to find out that it may close.
    ///
    /// ```
    /// use std::time::Duration;
    /// use steadfast::HealthStatus;
    ///
    /// # async fn ping() -> Result<(), std::io::Error> { Ok(()) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let registry = steadfast::registry();
    /// let _database = registry.register_check("database", ping).timeout(Duration::from_millis(200));
    ///
    /// // In the handler of `/health`:
    /// let health = registry.health().await;
    /// let code = match health.status {
    ///     HealthStatus::Unhealthy => 503,
    ///     _ => 200,
    /// };
    /// # #[cfg(feature = "serde")] {
    /// let body = serde_json::to_string(&health).unwrap();
    /// # drop(body); }
    /// # assert_eq!(code, 200);
    /// # }
    /// ```
    ///
    /// It takes no longer than the longest timeout of a check. Each check is a task of its own: one that
    /// panics or hangs is unhealthy and hurts no other. It must not block its thread, though, which no
    /// timeout can end: on a runtime of one thread all would wait for it. `tokio::task::spawn_blocking` is
    /// for that, with a time limit inside: what runs there goes on when its check is given up, and each look
    /// starts another. A run that was given up and blocks its thread keeps its check from being asked again.
    /// Inside a check it tells of policies and store alone: a check that asked itself would never end.
    ///
    /// Checks need a Tokio runtime with time enabled; without, they are unhealthy and say so.
    ///
    /// # Cancellation
    /// Dropping it drops the checks that are running.
    pub async fn health(&self) -> Health {
        let start = clock::now();
        let policies = self.conditions();
        let store = self.store_verdict();
        let checks = self.0.checks.ask().await;
        let took = clock::now().since(start);
        Health::of(policies, store, checks, took)
    }

    fn store_verdict(&self) -> Option<Verdict> {
        match self.store_health() {
            Some(store) => Some(health::of_store(&store)),
            None => self.needs_store().then(health::of_no_store),
        }
    }

    fn conditions(&self) -> Vec<PolicyHealth> {
        #[cfg(feature = "config")]
        self.make_held();
        let mut policies = Vec::new();
        self.0.shelves.for_each(|kind, name, policy| {
            if let Some(Verdict { status, detail }) = policy.condition() {
                policies.push(PolicyHealth {
                    kind,
                    name: name.clone(),
                    status,
                    detail,
                });
            }
        });
        policies
    }

    /// Has [`health`](Self::health) ask a check of your own, as long as what it gives back is kept.
    ///
    /// The check answers with a `Result` (an error is unhealthy, and its text says why), a
    /// [`HealthStatus`](crate::HealthStatus), or a [`Verdict`]. It is critical, which means that the
    /// program cannot do without, unless it is made [optional](HealthCheck::optional), and it has 500 ms
    /// unless [told otherwise](HealthCheck::timeout). Checks of one name are all asked, and all listed.
    ///
    /// An error's text is part of the answer: mind what it says, and who may read it. Of the URLs in it,
    /// user and password are left out (`postgres://***@db/shop`); nothing else is known to be a secret.
    ///
    /// ```
    /// use steadfast::{HealthStatus, Verdict};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let registry = steadfast::registry();
    /// let free = 7; // gigabytes, say
    /// let disk = registry.register_check("disk", move || async move {
    ///     match free {
    ///         0 => Verdict::unhealthy("no space left"),
    ///         1..10 => Verdict::degraded(format!("{free} GB left")),
    ///         _ => Verdict::healthy(),
    ///     }
    /// });
    /// let mail = registry.register_check("mail", || async { Err::<(), _>("refused") }).optional();
    ///
    /// let health = registry.health().await;
    /// assert_eq!(health.status, HealthStatus::Degraded);
    /// assert_eq!(health.checks[1].detail.as_deref(), Some("refused"));
    ///
    /// drop((disk, mail)); // takes them out
    /// assert_eq!(registry.health().await.checks.len(), 0);
    /// # }
    /// ```
    pub fn register_check<F, Fut>(&self, name: impl Into<String>, check: F) -> HealthCheck
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Into<Verdict>> + Send + 'static,
    {
        self.0.checks.register(name.into(), check)
    }

    /// Every policy back to its initial state; settings, and permits that are out, are kept.
    pub fn reset(&self) {
        self.0.shelves.for_each(|_, _, policy| policy.reset());
    }

    /// Answers with every mistake in what the attributes and the configuration say, at once: best asked at
    /// the start of `main`, once files are loaded and the store is set.
    ///
    /// # Errors
    /// Sites of one name that disagree, settings of one name in two packages, a name that is joined but
    /// never defined, `shared` without a store; in the environment (feature `config`) kinds, policies and
    /// settings that there are not, and values that a setting cannot have. A file with mistakes is not in
    /// force, and was refused when it was loaded.
    pub fn validate(&self) -> Result<(), ConfigErrors> {
        let mistakes = self.mistakes();
        if mistakes.is_empty() {
            Ok(())
        } else {
            Err(ConfigErrors::of(mistakes))
        }
    }

    #[cfg(feature = "config")]
    pub(super) fn downgrade(&self) -> WeakRegistry {
        WeakRegistry(Arc::downgrade(&self.0))
    }

    #[cfg(feature = "config")]
    pub(super) fn keep(&self, watch: Watch) {
        let mut watches = lock(&self.0.watches);
        watches.retain(Watch::is_wanted);
        watches.push(watch);
    }

    /// Has watched files that were refused looked at again: what they counted on may be there now.
    #[cfg(feature = "config")]
    pub(super) fn retry_refused(&self) {
        let watches = lock(&self.0.watches).clone();
        watches.iter().for_each(|watch| watch.retry(self));
    }

    #[cfg(feature = "config")]
    pub(super) fn configuration(&self) -> &Configuration {
        &self.0.configuration
    }

    #[cfg(any(feature = "test-util", feature = "config"))]
    pub(crate) fn sink(&self) -> &Sink {
        &self.0.sink
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

macro_rules! offer {
    ($($handle:ident: $Policy:ident, $Settings:ident, $Builder:ident;)*) => {
        $(
            impl $Builder {
                /// Checks the settings, makes the policy and puts it into the registry, for attributes
                /// of its name to join.
                ///
                /// # Errors
                /// A setting with a value it cannot have; a name that is already in use; a site of that
                /// name which says otherwise.
                #[track_caller]
                pub fn install(self) -> Result<$Policy, ConfigError> {
                    registry().install(self.name, &self.settings, Location::caller())
                }
            }
        )*

        impl Registry {
            $(
                #[doc = concat!("The [`", stringify!($Policy), "`](crate::", stringify!($Policy), ") of that name, if a site declares it or it was installed.")]
                #[must_use]
                pub fn $handle(&self, name: &str) -> Option<$Policy> {
                    self.find(name)
                }
            )*

            /// Makes every policy that some site declares, so that a snapshot shows those that were
            /// never called, too, and metrics from then on.
            fn make_all(&self) {
                for site in catalog::sites() {
                    #[cfg(feature = "metrics")]
                    self.times(site.function);
                    for (index, declared) in site.policies.iter().enumerate() {
                        match declared.settings {
                            _ if declared.supplied => {}
                            $(AnySettings::$Policy(_) => {
                                self.resolve::<$Policy>(site, index);
                            })*
                        }
                    }
                }
            }        }
    };
}
policies!(offer);
