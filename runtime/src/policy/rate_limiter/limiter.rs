//! The policy.

use std::{
    fmt::Display,
    future::Future,
    sync::{Arc, OnceLock},
};

use super::{
    Admission, Allowance, RateLimiterBuilder, RateLimiterSettings, Request,
    entrance::{Begun, Ended, Open, patience},
    gate::Gate,
    key_lane::{Common, KeyLane},
    lane::Aftermath,
    one::{Limits, OfKey, OnePermit, Shared},
    rules::Rules,
    shared::{FleetChange, Pass, Shared as Fleet, Start},
    turn::Spot,
};
#[cfg(feature = "metrics")]
use crate::metrics::{Meter, Metered};
use crate::{
    admission::{Admits, Permit as _, Waits},
    call::{Body, Call},
    clock,
    entered::Entered,
    event::Sink,
    judge::Judge,
    key::Shown,
    keyed::{Keyed, Place},
    name::PolicyName,
    outcome::Outcome,
    policy::{
        Later, Policy, Switch,
        settings::{PolicySettings, Setting, Value},
    },
    probe::Traits,
    rejection::{FromRejection, RateLimited, Rejection},
    step::{Step, reject},
    sync::{AtomicBool, Mutex, Ordering::Relaxed, lock},
};

/// Keeps calls under a rate, so that a quota is not exceeded and a dependency not run over.
///
/// The value behind `#[rate_limited]`. Cheap to clone; clones are one policy. Without keys and while
/// there are permits, a token bucket costs one atomic operation and a reading of the clock.
///
/// ```
/// use steadfast::{Rate, RateLimiter};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limiter = RateLimiter::builder("partner-api").rate(Rate::per_second(10)).burst(2).build()?;
///
/// assert_eq!(limiter.try_acquire(1)?.remaining, 1);
/// limiter.try_acquire(1)?;
/// let refused = limiter.try_acquire(1).unwrap_err();
/// assert!(refused.retry_after.unwrap().as_millis() <= 100);
/// # Ok(())
/// # }
/// ```
///
/// With `max_wait` a caller waits for its turn, first come first served:
///
/// ```
/// use std::time::Duration;
/// use steadfast::{RateLimiter, Rejection};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let limiter = RateLimiter::builder("mails")
///     .rate("200/s".parse()?)
///     .burst(1)
///     .max_wait(Duration::from_millis(250))
///     .build()?;
/// for _ in 0..3 {
///     let sent: Result<(), Rejection> = limiter.call(async { Ok(()) }).await;
///     sent?;
/// }
/// # Ok(())
/// # }
/// ```
///
/// Each key can have a limit of its own, in bounded memory ([`try_acquire_for`](Self::try_acquire_for)).
/// Which calls get through at worst depends on the [`Algorithm`](crate::Algorithm).
///
/// A shared limit ([`shared`](RateLimiterBuilder::shared)) is asked for in the store, by one script and
/// one round trip for each decision. While a question is under way, calls of the same key come together
/// as the next one; no call waits for the store longer than its deadline, and `max_wait` is for the turn
/// alone. A refused call is answered here until its time comes, a second at most. First come, first
/// served holds within each instance: waiting callers leave when the store says so, a round trip and up
/// to a millisecond of the timer after their time, several at once if their turns have come by then.
///
/// # Configuration
/// Settings can be replaced while calls run (feature `config`). What was taken stays taken:
///
/// | | |
/// |---|---|
/// | buckets | as many permits are out as were, up to twice what the new bucket holds: while more are out than it holds, nobody gets one |
/// | windows | their counts stay; where the time is another, those of the windows that run are those of the new ones that run. The exact one knows when each permit was taken, as far back as the longest time went |
/// | adaptive | the present limit stays the same share of the rate, and its bucket goes on like any |
/// | another algorithm | starts empty |
///
/// So in a time in which settings change no more gets through than the old and the new limit let
/// through together, as long as no bucket is more than twice the other. The same holds for a key whose calls
/// bring different rates. A permit that was taken before
/// and is given back after it gives back what it still holds or less; nothing where the algorithm is
/// another, or the windows are.
///
/// Those who wait are judged again, in their order: on a higher rate they leave earlier, on a lower one
/// later, and whoever would have to wait longer than `max_wait` now is refused. With `enabled = false` they
/// go on at once, and nothing is counted.
///
/// Of a shared limit, what is out of a larger bucket has to flow back before anybody gets a permit of the
/// smaller one; `retry_after` says when. So while a change is rolled out, and instances go by different
/// settings, no more gets through than the largest of them lets through; of windows of different lengths, than
/// all of them together.
///
/// # Cancellation
/// A dropped wait gives its place in the line back, and the next one moves up. A call of an annotated
/// function that is dropped before its body began, or that a policy further in refuses, gives back
/// what its permits still hold; those of a shared limit are not given back.
#[derive(Debug, Clone)]
pub struct RateLimiter(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) name: PolicyName,
    /// Knows what is in force.
    pub(super) gate: Gate,
    /// Made when the first key is seen: most limiters have none.
    pub(super) keys: OnceLock<Keyed<KeyLane, Common>>,
    /// Whether there are keys whose bucket is one word, so that it is worth a look.
    pub(super) words: AtomicBool,
    /// Taken by those who put something else in force: one at a time.
    pub(super) changing: Mutex<()>,
    pub(super) sink: Sink,
    /// Where the limit is in the store: asked for only where no permit is found here.
    pub(super) shared: Option<Box<Fleet>>,
    #[cfg(feature = "metrics")]
    pub(super) meter: Meter,
}

pub(super) const ALLOWED: usize = 0;
pub(super) const REJECTED: usize = 1;
pub(super) const BYPASSED: usize = 2;

/// Where a rate limiter stands.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RateLimiterMetrics {
    /// Permits that an unused limit gives out at once: the size of the bucket, the count of a window,
    /// where an adaptive limit is now. With keys, for a new one.
    pub limit: u32,
    /// Calls that got their permits, since the start.
    pub allowed: u64,
    /// Calls that were refused (or would have been, where it does not enforce), since the start.
    pub rejected: u64,
    /// Calls that went past the limit by their `bypass`, since the start.
    pub bypassed: u64,
    /// Callers that are waiting; with keys, those of all keys.
    pub waiting: u32,
    /// Adaptive: the share of successes, of the calls since the last step, or before the first of them
    /// of those that led to it. Of the calls without a key.
    pub success_rate: Option<f64>,
}

impl RateLimiter {
    /// Begins a rate limiter of that name.
    pub fn builder(name: impl Into<PolicyName>) -> RateLimiterBuilder {
        RateLimiterBuilder::new(name)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &PolicyName {
        &self.0.name
    }

    /// Where it stands.
    #[must_use]
    pub fn metrics(&self) -> RateLimiterMetrics {
        let totals = &self.0.gate.totals;
        let (limit, success_rate, waiting) = self.standing();
        RateLimiterMetrics {
            limit,
            allowed: totals.sum(ALLOWED),
            rejected: totals.sum(REJECTED),
            bypassed: totals.sum(BYPASSED),
            waiting: u32::try_from(waiting).unwrap_or(u32::MAX),
            success_rate,
        }
    }

    fn standing(&self) -> (u32, Option<f64>, usize) {
        if let Some(shared) = &self.0.shared {
            let (limit, success_rate) = shared.standing();
            return (limit, success_rate, shared.waiting());
        }
        let (limit, success_rate, mut waiting) = self.0.gate.with(|lane, rules| {
            let now = clock::now();
            (
                lane.size(rules, now),
                lane.success_rate(rules, now),
                lane.waiting(),
            )
        });
        if let Some(keys) = self.0.keys.get() {
            keys.for_each(|lane| waiting += lane.waiting());
        }
        (limit, success_rate, waiting)
    }

    /// Back to the initial state: every limit as if unused, every count zero. Those who wait keep their
    /// places, and find their turn come.
    ///
    /// A shared limit is reset in the store, too, for all instances: the limit of calls without a key, and
    /// those of the keys that this instance has asked for lately (the last 10 000). Others notice within a
    /// second. It returns before that is done; while the store is away only this instance is reset.
    pub fn reset(&self) {
        self.0.gate.totals.reset();
        if let Some(shared) = &self.0.shared {
            return shared.reset();
        }
        self.0
            .gate
            .with(|lane, rules| lane.reset(rules, clock::now()))
            .run();
        let mut woken = Vec::new();
        if let Some(keys) = self.0.keys.get() {
            keys.retain_common(|lane, common| {
                let rules = self.rules_of(common);
                woken.push(lane.reset(rules, clock::now()));
                !lane.is_unused(rules, clock::now())
            });
        }
        woken.into_iter().for_each(Aftermath::run);
    }

    /// Takes `cost` permits if they are there and nobody waits for them.
    ///
    /// Of a shared limit it takes those that are held here, since it cannot wait for the store. Where
    /// there are too few, it has them fetched for the next time, and is refused with a `retry_after` of
    /// about the time that the store takes to answer; what is fetched counts as taken, expires after the
    /// limit's time, a second at most, and is never more than one such call asked for. A store in memory
    /// answers at once. Without a store it is refused with a `limit` of 0 and no `retry_after`; while the
    /// store is away and `on_store_error = deny`, with a `retry_after` of a second.
    ///
    /// ```
    /// # use steadfast::{Rate, RateLimiter};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limiter = RateLimiter::builder("rows").rate(Rate::per_hour(1000)).build()?;
    /// assert_eq!(limiter.try_acquire(600)?.remaining, 400);
    /// assert!(limiter.try_acquire(600).is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RateLimited`] at once if not, whatever `max_wait` is; it costs nothing. Without `retry_after`
    /// where `cost` is more than the limit ever holds.
    pub fn try_acquire(&self, cost: u32) -> Result<Allowance, RateLimited> {
        match &self.0.shared {
            Some(shared) => self.answer(self.attempt_shared(shared, None, cost)),
            None => self.answer(self.attempt(cost)),
        }
    }

    /// [`try_acquire`](Self::try_acquire) for one key: each has a limit of its own. The key's value is
    /// kept to know it again, and never told.
    ///
    /// ```
    /// # use steadfast::{Rate, RateLimiter};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limiter = RateLimiter::builder("logins").rate(Rate::per_minute(3)).build()?;
    /// limiter.try_acquire_for("alice", 3)?;
    /// assert!(limiter.try_acquire_for("alice", 1).is_err());
    /// assert!(limiter.try_acquire_for("bob", 1).is_ok());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`try_acquire`](Self::try_acquire).
    pub fn try_acquire_for<K: Display + ?Sized>(
        &self,
        key: &K,
        cost: u32,
    ) -> Result<Allowance, RateLimited> {
        let key = (&key).into();
        match &self.0.shared {
            Some(shared) => self.answer(self.attempt_shared(shared, Some(key), cost)),
            None => self.answer(self.attempt_at_key(key, cost)),
        }
    }

    /// Takes `cost` permits, and waits for them up to `max_wait`, behind those who came before.
    ///
    /// # Errors
    /// [`RateLimited`] if its turn does not come in time: at once where that is clear from the start,
    /// or where no `max_wait` is set.
    ///
    /// # Panics
    /// If it has to wait outside a tokio runtime with its timer enabled.
    pub async fn acquire(&self, cost: u32) -> Result<Allowance, Rejection> {
        self.finish(Open(self.begin(None, cost, patience(&Call::new()))))
            .await
    }

    /// [`acquire`](Self::acquire) for one key: each has a limit, and a line, of its own. The place in the
    /// line is taken at once, and given back if the future is dropped.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    ///
    /// # Panics
    /// As [`acquire`](Self::acquire).
    pub fn acquire_for<'l, K: Display + ?Sized>(
        &'l self,
        key: &K,
        cost: u32,
    ) -> impl Future<Output = Result<Allowance, Rejection>> + use<'l, K> {
        self.finish(Open(self.begin(
            Some((&key).into()),
            cost,
            patience(&Call::new()),
        )))
    }

    /// [`acquire`](Self::acquire) for code that is not async: blocks the thread while it waits. Async
    /// and blocking callers stand in one line.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn acquire_blocking(&self, cost: u32) -> Result<Allowance, Rejection> {
        self.finish_blocking(self.begin(None, cost, patience(&Call::new())))
    }

    /// [`acquire_blocking`](Self::acquire_blocking) for one key.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn acquire_blocking_for<K: Display + ?Sized>(
        &self,
        key: &K,
        cost: u32,
    ) -> Result<Allowance, Rejection> {
        self.finish_blocking(self.begin(Some((&key).into()), cost, patience(&Call::new())))
    }

    /// Makes the call once there is a permit for it.
    ///
    /// # Errors
    /// The call's own, or [`RateLimited`] in its type; then the call was not made.
    ///
    /// # Panics
    /// As [`acquire`](Self::acquire), and whatever the call panics with.
    pub async fn call<F>(&self, future: F) -> F::Output
    where
        F: Future<Output: Outcome<Error: FromRejection>>,
    {
        let call = Call::new();
        let step = match self.admit(&call).await {
            Err(rejection) => Step::Rejected(rejection),
            Ok(admission) => {
                let step = Step::<_, Rejection>::Done(Body::new(&call, future).await);
                admission.settle(Judge::new(&step, Traits::unknown()));
                step
            }
        };
        step.finish(reject)
    }

    #[doc(hidden)]
    /// Takes permits for a call of an annotated function. What the request borrows is read at once.
    // Inlined: the kind of a key is known there.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn enter<'c>(&'c self, call: &'c Call, request: Request<'_>) -> Entered<'c, Admission<'c>> {
        match self.enter_at_once(call, &request) {
            Some(admission) => Entered::In(admission),
            None => self.enter_or_wait(call, request).apart(),
        }
    }

    #[inline(never)]
    fn enter_or_wait<'c>(
        &'c self,
        call: &'c Call,
        request: Request<'_>,
    ) -> Entered<'c, Admission<'c>> {
        match self.request(call, request) {
            Ok(admission) => Entered::In(admission),
            Err(begun) => self.conclude_or_wait(call, begun),
        }
    }

    #[inline(never)]
    fn conclude_or_wait<'c>(
        &'c self,
        call: &'c Call,
        begun: Begun<'c>,
    ) -> Entered<'c, Admission<'c>> {
        match begun {
            Begun::Past => Entered::In(Admission::new(call, None)),
            Begun::Shared(start) => self.conclude_shared(call, start),
            Begun::Ended(ended) => self.admitted(call, ended).into(),
            Begun::Waits(turn, cost) => Entered::wait(async move {
                let ended = self.wait(call, turn, cost).await;
                self.admitted(call, ended)
            }),
        }
    }

    fn conclude_shared<'c>(
        &'c self,
        call: &'c Call,
        start: Start<'c>,
    ) -> Entered<'c, Admission<'c>> {
        let admit = move |pass: Pass<'c>| Admission::new(call, pass.taken);
        match start {
            Start::Landed(landed) => self.pass(landed).map(admit).into(),
            start => Entered::wait(async move {
                let landed = self.landed(call, start).await;
                self.pass(landed).map(admit)
            }),
        }
    }

    #[doc(hidden)]
    /// The same for a synchronous function.
    pub fn enter_blocking<'c>(
        &'c self,
        call: &'c Call,
        request: Request<'_>,
    ) -> Result<Admission<'c>, Rejection> {
        match self.enter_at_once(call, &request) {
            Some(admission) => Ok(admission),
            None => self.enter_or_block(call, request),
        }
    }

    #[inline(never)]
    fn enter_or_block<'c>(
        &'c self,
        call: &'c Call,
        request: Request<'_>,
    ) -> Result<Admission<'c>, Rejection> {
        let begun = match self.request(call, request) {
            Ok(admission) => return Ok(admission),
            Err(begun) => begun,
        };
        let ended = match begun {
            Begun::Past => return Ok(Admission::new(call, None)),
            Begun::Shared(start) => {
                let pass = self.pass(self.landed_blocking(call, start))?;
                return Ok(Admission::new(call, pass.taken));
            }
            Begun::Ended(ended) => ended,
            Begun::Waits(turn, cost) => self.wait_blocking(call, turn, cost),
        };
        self.admitted(call, ended)
    }
}

/// A call of an annotated function that asks for nothing in particular.
impl<'c> Admits<'c> for RateLimiter {
    type Permit = OnePermit<'c>;

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn try_admit(&'c self, call: &'c Call) -> Option<Self::Permit> {
        let mark = self.take_one(call)?;
        Some(OnePermit::new(self, call, Shared, mark))
    }

    fn admit_blocking(&'c self, call: &'c Call) -> Result<Self::Permit, Rejection> {
        let ended = match self.begin(None, 1, patience(call)) {
            Begun::Past => return Ok(OnePermit::untaken(self, call, Shared)),
            Begun::Shared(start) => {
                let pass = self.pass(self.landed_blocking(call, start))?;
                return Ok(OnePermit::passed(&pass, call, Shared));
            }
            Begun::Ended(ended) => ended,
            Begun::Waits(turn, cost) => self.wait_blocking(call, turn, cost),
        };
        self.admit_one(call, Shared, &ended)
    }
}

impl<'c> Waits<'c> for RateLimiter {
    #[inline(never)]
    fn admit(&'c self, call: &'c Call) -> Entered<'c, Self::Permit> {
        match self.begin(None, 1, patience(call)) {
            Begun::Past => Entered::In(OnePermit::untaken(self, call, Shared)),
            Begun::Shared(start) => self.admit_shared(call, start, |_| Shared),
            Begun::Ended(ended) => self.admit_one(call, Shared, &ended).into(),
            Begun::Waits(turn, cost) => Entered::wait(async move {
                let ended = self.wait(call, turn, cost).await;
                self.admit_one(call, Shared, &ended)
            }),
        }
    }
}

/// A call of an annotated function, of which nothing is known but its key.
impl RateLimiter {
    /// Admits the call if its key is known and has a permit: the way of nearly every call.
    // Inlined: the kind of a key is known there.
    #[doc(hidden)]
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn try_enter_key<'c, 'k>(
        &'c self,
        call: &'c Call,
        key: impl Into<Shown<'k>>,
    ) -> Option<OnePermit<'c, OfKey>> {
        // Whatever made the key is the user's.
        call.time_passes();
        let (place, mark) = self.take_of(call, key.into(), 1)?;
        Some(OnePermit::new(self, call, OfKey(place), mark))
    }

    /// Admits or refuses the call, or says that it has to wait.
    #[doc(hidden)]
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn enter_key<'c, 'k>(
        &'c self,
        call: &'c Call,
        key: impl Into<Shown<'k>>,
    ) -> Entered<'c, OnePermit<'c, OfKey>> {
        self.enter_key_or_wait(call, key.into())
    }

    /// Admits or refuses the call, blocking the thread where it has to wait.
    ///
    /// # Errors
    /// The call must not be made.
    #[doc(hidden)]
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn enter_key_blocking<'c, 'k>(
        &'c self,
        call: &'c Call,
        key: impl Into<Shown<'k>>,
    ) -> Result<OnePermit<'c, OfKey>, Rejection> {
        self.enter_key_or_block(call, key.into())
    }

    #[inline(never)]
    fn enter_key_or_wait<'c>(
        &'c self,
        call: &'c Call,
        key: Shown<'_>,
    ) -> Entered<'c, OnePermit<'c, OfKey>> {
        let (place, came) = self.come(call, key, 1, None);
        let limit = OfKey(place);
        match came {
            Ok(mark) => Entered::In(OnePermit::new(self, call, limit, mark)),
            Err(Begun::Past) => Entered::In(OnePermit::untaken(self, call, limit)),
            Err(Begun::Shared(start)) => self.admit_shared(call, start, of_key),
            Err(Begun::Ended(ended)) => self.admit_one(call, limit, &ended).into(),
            Err(Begun::Waits(turn, cost)) => Entered::wait(async move {
                let ended = self.wait(call, turn, cost).await;
                self.admit_one(call, limit, &ended)
            }),
        }
    }

    #[inline(never)]
    fn enter_key_or_block<'c>(
        &'c self,
        call: &'c Call,
        key: Shown<'_>,
    ) -> Result<OnePermit<'c, OfKey>, Rejection> {
        let (place, came) = self.come(call, key, 1, None);
        let limit = OfKey(place);
        let ended = match came {
            Ok(mark) => return Ok(OnePermit::new(self, call, limit, mark)),
            Err(Begun::Past) => return Ok(OnePermit::untaken(self, call, limit)),
            Err(Begun::Shared(start)) => {
                let pass = self.pass(self.landed_blocking(call, start))?;
                return Ok(OnePermit::passed(&pass, call, of_key(&pass)));
            }
            Err(Begun::Ended(ended)) => ended,
            Err(Begun::Waits(turn, cost)) => self.wait_blocking(call, turn, cost),
        };
        self.admit_one(call, limit, &ended)
    }

    fn admit_shared<'c, L: Limits + Send + 'c>(
        &'c self,
        call: &'c Call,
        start: Start<'c>,
        limit: fn(&Pass<'_>) -> L,
    ) -> Entered<'c, OnePermit<'c, L>> {
        let admit = move |pass: Pass<'c>| OnePermit::passed(&pass, call, limit(&pass));
        match start {
            Start::Landed(landed) => self.pass(landed).map(admit).into(),
            start => Entered::wait(async move {
                let landed = self.landed(call, start).await;
                self.pass(landed).map(admit)
            }),
        }
    }

    fn admit_one<'c, L: Limits>(
        &'c self,
        call: &'c Call,
        limit: L,
        ended: &Ended<'_>,
    ) -> Result<OnePermit<'c, L>, Rejection> {
        self.conclude(ended.decision(), ended.rules())?;
        Ok(OnePermit::of(self, call, limit, ended))
    }
}

/// The key whose limit a call has passed.
fn of_key(pass: &Pass<'_>) -> OfKey {
    let place = match pass.taken.map(|taken| taken.spot) {
        Some(Spot::Key(_, place) | Spot::Fleet(_, Some(place))) => place,
        // It holds nothing that anybody would ask for.
        _ => Place::own(0),
    };
    OfKey(place)
}

/// What is left to do after the locks when something else was put in force.
#[must_use]
pub(super) enum Change {
    Here(Aftermath),
    Fleet(FleetChange),
}

impl Change {
    fn run(self) {
        match self {
            Self::Here(aftermath) => aftermath.run(),
            Self::Fleet(change) => change.run(),
        }
    }
}

impl RateLimiter {
    /// Puts other settings in force.
    pub(super) fn change(&self, settings: &RateLimiterSettings, switch: Switch) -> Vec<Change> {
        let _changing = lock(&self.0.changing);
        let rules = Rules::switched(settings, switch);
        let Some(alone) = self.0.gate.change(rules.clone()) else {
            return Vec::new();
        };
        let words = self.0.gate.terms.get().bucket.is_some();
        self.0.words.store(words, Relaxed);
        let mut changes = vec![Change::Here(alone)];
        if let Some(keys) = self.0.keys.get() {
            changes.extend(self.change_keys(keys).into_iter().map(Change::Here));
        }
        if let Some(shared) = &self.0.shared {
            changes.extend(shared.change(rules, switch));
        }
        changes
    }

    /// Makes all keys go by what is in force, one shard at a time.
    fn change_keys(&self, keys: &Keyed<KeyLane, Common>) -> Vec<Aftermath> {
        let terms = self.0.gate.terms.edition();
        let new = &self.0.gate.terms.of(terms).rules;
        keys.set_max_keys(new.max_keys);
        let mut woken = Vec::new();
        let next = |former: Common| {
            let now = clock::now();
            let old = self.rules_of(former);
            (former.changed(terms, old, new, now), (old, now))
        };
        keys.change(next, |lane, former, &(old, now)| {
            let aftermath = lane.change(old, former.refunded, new, now);
            if !aftermath.is_empty() {
                woken.push(aftermath);
            }
        });
        woken
    }
}

impl Policy for RateLimiter {
    type Settings = RateLimiterSettings;

    fn assemble(name: PolicyName, settings: &RateLimiterSettings, sink: Sink) -> Self {
        let gate = Gate::new(&Rules::new(settings), clock::now());
        Self(Arc::new(Inner {
            #[cfg(feature = "metrics")]
            meter: Meter::new(&metered::LINES, Some(&name), sink.levels()),
            words: AtomicBool::new(gate.terms.get().bucket.is_some()),
            gate,
            keys: OnceLock::new(),
            changing: Mutex::new(()),
            shared: Fleet::new(&name, settings, &sink),
            name,
            sink,
        }))
    }

    fn settings(&self) -> Vec<Setting> {
        self.rules().settings().effective()
    }

    fn configure(&self, settings: &RateLimiterSettings, switch: Switch) -> Later {
        let changes = self.change(settings, switch);
        Later::new(move || changes.into_iter().for_each(Change::run))
    }

    fn observe(&self) -> Vec<(&'static str, Value)> {
        let metrics = self.metrics();
        vec![
            ("limit", u64::from(metrics.limit).into()),
            ("allowed", metrics.allowed.into()),
            ("rejected", metrics.rejected.into()),
            ("bypassed", metrics.bypassed.into()),
            ("waiting", u64::from(metrics.waiting).into()),
            ("success_rate", metrics.success_rate.into()),
        ]
    }

    fn reset(&self) {
        Self::reset(self);
    }

    #[cfg(feature = "metrics")]
    fn metered(&self) -> Arc<dyn Metered> {
        self.0.clone()
    }
}

#[cfg(feature = "metrics")]
mod metered {
    use std::sync::LazyLock;

    use super::*;
    use crate::metrics::*;

    pub(super) static LINES: LazyLock<Lines> = LazyLock::new(|| Lines {
        lines: [RATE_LIMIT_ALLOWED, RATE_LIMIT_REJECTED, RATE_LIMIT_BYPASSED]
            .map(Line::new)
            .into(),
        told: Some(RATE_LIMIT_WAIT),
    });

    impl Metered for Inner {
        fn meter(&self) -> &Meter {
            &self.meter
        }

        fn read(&self) -> Vec<u64> {
            [ALLOWED, REJECTED, BYPASSED]
                .map(|counter| self.gate.totals.ever(counter))
                .to_vec()
        }
    }

    impl Drop for Inner {
        fn drop(&mut self) {
            close(self);
        }
    }
}
