//! The policy.

use std::{
    cell::OnceCell,
    fmt::Display,
    future::Future,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use super::{
    Admission, Allowance, RateLimiterBuilder, RateLimiterSettings, Request,
    admission::Taken,
    gate::{Gate, Glance},
    lane::{Arrival, Lane},
    rules::Rules,
    turn::{Spot, Turn},
};
use crate::{
    algorithm::{decision::Decision, gcra::Gcra, limit::Limit},
    call::{Body, Call},
    clock::{self, Nanos},
    counter::Counters,
    event::{Bypassed, Event, Refused, Sink},
    judge::Judge,
    keyed::{Keyed, Room, with_text},
    kind::PolicyKind,
    name::PolicyName,
    outcome::Outcome,
    policy::{
        Policy,
        settings::{PolicySettings, Setting, Value},
    },
    probe::Traits,
    rate::Rate,
    rejection::{FromRejection, RateLimited, Rejection},
    step::{Step, reject},
    waiter::{wait, wait_blocking},
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
/// # Cancellation
/// A dropped wait gives its place in the line back, and the next one moves up. A call of an annotated
/// function that is dropped before its body began, or that a policy further in refuses, gives back
/// what its permits still hold.
#[derive(Debug, Clone)]
pub struct RateLimiter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: PolicyName,
    settings: RateLimiterSettings,
    rules: Rules,
    gate: Gate,
    /// Made when the first key is seen: most limiters have none.
    keys: OnceLock<Keyed<Lane>>,
    totals: Counters<3>,
    sink: Sink,
}

const ALLOWED: usize = 0;
const REJECTED: usize = 1;
const BYPASSED: usize = 2;

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
    /// of those that led to it.
    pub success_rate: Option<f64>,
}

/// How a request began.
enum Begun<'p> {
    /// By its bypass.
    Past,
    Ended(Ended<'p>),
    Waits(Turn<'p>, u32),
}

/// How a request ended: whether it was let through is part of the decision.
struct Ended<'p> {
    taken: Taken<'p>,
    decision: Decision,
}

/// A request of a future that may be dropped before its first poll: then the permits come back.
struct Open<'p>(Begun<'p>);

impl<'p> Open<'p> {
    fn take(&mut self) -> Begun<'p> {
        std::mem::replace(&mut self.0, Begun::Past)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if let Begun::Ended(ended) = &self.0 {
            ended.taken.refund();
        }
    }
}

/// How long a call may wait: less where a timeout further out ends it earlier.
#[derive(Clone, Copy)]
struct Patience {
    max_wait: Duration,
    deadline: Nanos,
}

impl Patience {
    fn until(self, now: Nanos) -> Nanos {
        now.after(self.max_wait).min(self.deadline)
    }
}

/// The limit that a call is under, besides the policy's own.
#[derive(Clone, Copy)]
struct Keyhole<'k> {
    key: &'k dyn Display,
    rate: Option<Rate>,
}

impl<'k> Keyhole<'k> {
    fn new(key: &'k dyn Display) -> Self {
        Self { key, rate: None }
    }
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
        let (rules, totals) = (self.rules(), &self.0.totals);
        let (limit, success_rate, mut waiting) = self.0.gate.with(|lane| {
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
        RateLimiterMetrics {
            limit,
            allowed: totals.sum(ALLOWED),
            rejected: totals.sum(REJECTED),
            bypassed: totals.sum(BYPASSED),
            waiting: u32::try_from(waiting).unwrap_or(u32::MAX),
            success_rate,
        }
    }

    /// Back to the initial state: every limit as if unused, every count zero. Those who wait keep their
    /// places, and find their turn come.
    pub fn reset(&self) {
        let rules = self.rules();
        self.0.totals.reset();
        self.0
            .gate
            .with(|lane| lane.reset(rules, clock::now()))
            .run();
        let mut woken = Vec::new();
        if let Some(keys) = self.0.keys.get() {
            keys.retain(|lane| {
                woken.push(lane.reset(rules, clock::now()));
                !lane.is_unused(rules, clock::now())
            });
        }
        woken.into_iter().for_each(super::lane::Aftermath::run);
    }

    /// Takes `cost` permits if they are there and nobody waits for them.
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
        self.finish_try(self.begin(None, cost, None))
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
        self.finish_try(self.begin(Some(Keyhole::new(&key)), cost, None))
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
        self.finish(Open(self.begin(None, cost, self.patience(&Call::new()))))
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
            Some(Keyhole::new(&key)),
            cost,
            self.patience(&Call::new()),
        )))
    }

    /// [`acquire`](Self::acquire) for code that is not async: blocks the thread while it waits. Async
    /// and blocking callers stand in one line.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn acquire_blocking(&self, cost: u32) -> Result<Allowance, Rejection> {
        self.finish_blocking(self.begin(None, cost, self.patience(&Call::new())))
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
        self.finish_blocking(self.begin(
            Some(Keyhole::new(&key)),
            cost,
            self.patience(&Call::new()),
        ))
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
        let step = match self.enter(&call, Request::new()).await {
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
    /// Takes permits for a call of an annotated function. What the request borrows is read before the
    /// first wait.
    pub fn enter<'c>(
        &'c self,
        call: &'c Call,
        request: Request<'_>,
    ) -> impl Future<Output = Result<Admission<'c>, Rejection>> + use<'c> {
        let shared = request.key.is_none() && !request.bypass;
        let cost = request.cost;
        let mut open = match shared {
            // Nothing to be read first; the permits are taken at the first poll.
            true => Open(Begun::Past),
            false => Open(self.request(call, request)),
        };
        async move {
            if shared && let Some(admission) = self.enter_at_once(call, cost) {
                return Ok(admission);
            }
            let begun = match shared {
                true => self.begin(None, cost, self.patience(call)),
                false => open.take(),
            };
            let ended = match begun {
                Begun::Past => return Ok(Admission::new(call, None)),
                Begun::Ended(ended) => ended,
                Begun::Waits(turn, cost) => self.wait(call, turn, cost).await,
            };
            self.admit(call, ended)
        }
    }

    /// The way of most calls: there is a permit in the word, and nobody asks how many are left.
    #[inline]
    fn enter_at_once<'c>(&'c self, call: &'c Call, cost: u32) -> Option<Admission<'c>> {
        let Limit::Bucket(bucket) = &self.rules().limit else {
            return None;
        };
        let Glance::Taken { mark, .. } = self.0.gate.glance(bucket, clock::now(), cost) else {
            return None;
        };
        self.0.totals.add(ALLOWED, 1);
        let taken = Taken {
            rules: self.rules(),
            spot: self.spot(),
            mark,
            cost,
        };
        Some(Admission::new(call, Some(taken)))
    }

    #[doc(hidden)]
    /// The same for a synchronous function.
    pub fn enter_blocking<'c>(
        &'c self,
        call: &'c Call,
        request: Request<'_>,
    ) -> Result<Admission<'c>, Rejection> {
        if request.key.is_none()
            && !request.bypass
            && let Some(admission) = self.enter_at_once(call, request.cost)
        {
            return Ok(admission);
        }
        let ended = match self.request(call, request) {
            Begun::Past => return Ok(Admission::new(call, None)),
            Begun::Ended(ended) => ended,
            Begun::Waits(turn, cost) => self.wait_blocking(call, turn, cost),
        };
        self.admit(call, ended)
    }

    fn rules(&self) -> &Rules {
        &self.0.rules
    }

    #[inline]
    fn request<'p>(&'p self, call: &Call, request: Request<'_>) -> Begun<'p> {
        if request.bypass {
            self.bypass();
            return Begun::Past;
        }
        let keyhole = request.key.map(|key| Keyhole {
            key,
            rate: request.rate,
        });
        self.begin(keyhole, request.cost, self.patience(call))
    }

    #[cold]
    fn bypass(&self) {
        self.0.totals.add(BYPASSED, 1);
        self.0.sink.tell_debug(|| {
            Event::Bypassed(Bypassed {
                policy: self.name().clone(),
            })
        });
    }

    /// How long a call may wait.
    fn patience(&self, call: &Call) -> Option<Patience> {
        let max_wait = self.rules().max_wait.filter(|_| self.rules().enforce)?;
        Some(Patience {
            max_wait,
            deadline: call.deadline(),
        })
    }

    #[inline]
    fn begin(
        &self,
        keyhole: Option<Keyhole<'_>>,
        cost: u32,
        patience: Option<Patience>,
    ) -> Begun<'_> {
        let Some(keyhole) = keyhole else {
            return match &self.rules().limit {
                Limit::Bucket(bucket) => self.begin_at_word(bucket, cost, patience),
                _ => self.begin_at_gate(cost, patience),
            };
        };
        with_text(keyhole.key, |key| {
            self.begin_at_key(key, keyhole.rate, cost, patience)
        })
    }

    #[inline]
    fn begin_at_word(&self, bucket: &Gcra, cost: u32, patience: Option<Patience>) -> Begun<'_> {
        let now = clock::now();
        match self.0.gate.glance(bucket, now, cost) {
            Glance::Taken { state, mark } => {
                let decision = bucket.decision(state, now, cost, true);
                self.ended(self.spot(), cost, Decision { mark, ..decision })
            }
            _ if patience.is_some() => self.begin_at_gate(cost, patience),
            _ => self.begin_again(bucket, cost),
        }
    }

    /// Refuses one who does not wait, without the lock where nobody waits either.
    #[cold]
    fn begin_again(&self, bucket: &Gcra, cost: u32) -> Begun<'_> {
        // Meanwhile others may have been at the word: the clock is read after it this time.
        let state = self.0.gate.state();
        let now = clock::now();
        if bucket.is_ahead(state, now) {
            return self.begin_at_gate(cost, None);
        }
        let (decision, mark) = match self.0.gate.glance(bucket, now, cost) {
            Glance::Taken { state, mark } => (bucket.decision(state, now, cost, true), mark),
            Glance::Spent { state } => (bucket.decision(state, now, cost, false), 0),
            Glance::Held => return self.begin_at_gate(cost, None),
        };
        self.ended(self.spot(), cost, Decision { mark, ..decision })
    }

    fn spot(&self) -> Spot<'_> {
        Spot::Gate(&self.0.gate)
    }

    fn begin_at_gate(&self, cost: u32, patience: Option<Patience>) -> Begun<'_> {
        let arrival = self.0.gate.with(|lane| {
            let now = clock::now();
            lane.arrive(
                self.rules(),
                now,
                cost,
                patience.map(|patience| patience.until(now)),
            )
        });
        self.begun(self.spot(), cost, arrival)
    }

    fn begin_at_key(
        &self,
        key: &str,
        rate: Option<Rate>,
        cost: u32,
        patience: Option<Patience>,
    ) -> Begun<'_> {
        let rules = self.rules();
        let keys = self.0.keys.get_or_init(|| Keyed::new(rules.max_keys));
        let create = || Lane::new(rules, clock::now());
        let reading = OnceCell::new();
        let unused = |lane: &Lane| lane.is_unused(rules, *reading.get_or_init(clock::now));
        let (place, arrival) = keys.with(key, create, unused, |lane, place| {
            let now = clock::now();
            // A limit that several keys share keeps the rate of the first of them while it is in use.
            if rate.is_some() && (place.room == Room::Own || lane.is_unused(rules, now)) {
                lane.retune(rules, now, rate);
            }
            (
                place,
                lane.arrive(
                    rules,
                    now,
                    cost,
                    patience.map(|patience| patience.until(now)),
                ),
            )
        });
        self.begun(Spot::Key(keys, place), cost, arrival)
    }

    fn begun<'p>(&'p self, spot: Spot<'p>, cost: u32, arrival: Arrival) -> Begun<'p> {
        match arrival {
            Arrival::Ended(decision) => self.ended(spot, cost, decision),
            Arrival::Waits(ticket, give_up) => {
                Begun::Waits(Turn::new(self.rules(), spot, ticket, give_up), cost)
            }
        }
    }

    fn ended<'p>(&'p self, spot: Spot<'p>, cost: u32, decision: Decision) -> Begun<'p> {
        Begun::Ended(self.end(spot, cost, decision))
    }

    #[inline]
    fn end<'p>(&'p self, spot: Spot<'p>, cost: u32, decision: Decision) -> Ended<'p> {
        let cost = if decision.allowed { cost } else { 0 };
        let taken = Taken {
            rules: self.rules(),
            spot,
            mark: decision.mark,
            cost,
        };
        Ended { taken, decision }
    }

    async fn wait<'p>(&'p self, call: &Call, turn: Turn<'p>, cost: u32) -> Ended<'p> {
        let (spot, start) = (turn.spot, clock::now());
        let decision = wait(turn).await;
        call.add_waited(clock::now().since(start));
        self.end(spot, cost, decision)
    }

    fn wait_blocking<'p>(&'p self, call: &Call, turn: Turn<'p>, cost: u32) -> Ended<'p> {
        let (spot, start) = (turn.spot, Instant::now());
        let decision = wait_blocking(turn);
        call.add_waited(start.elapsed());
        self.end(spot, cost, decision)
    }

    /// Counts and tells how a request ended.
    #[inline]
    fn conclude(&self, ended: &Ended<'_>) -> Result<(), RateLimited> {
        if ended.decision.allowed {
            self.0.totals.add(ALLOWED, 1);
            return Ok(());
        }
        self.refuse(&ended.decision)
    }

    /// Refuses, or lets in all the same where it only watches.
    #[cold]
    fn refuse(&self, decision: &Decision) -> Result<(), RateLimited> {
        let enforced = self.rules().enforce;
        let error = RateLimited {
            policy: self.name().clone(),
            limit: decision.limit,
            remaining: decision.remaining,
            retry_after: decision.retry_after,
            reset_after: decision.reset_after,
        };
        self.0.totals.add(REJECTED, 1);
        self.0.sink.tell_debug(|| {
            Event::Refused(Refused {
                policy: self.name().clone(),
                kind: PolicyKind::RateLimiter,
                rejection: error.clone().into(),
                enforced,
            })
        });
        if enforced { Err(error) } else { Ok(()) }
    }

    fn allow(&self, ended: &Ended<'_>) -> Result<Allowance, RateLimited> {
        self.conclude(ended)?;
        Ok(ended.decision.into())
    }

    /// For those who do not wait.
    fn finish_try(&self, begun: Begun<'_>) -> Result<Allowance, RateLimited> {
        match begun {
            Begun::Ended(ended) => self.allow(&ended),
            // Without patience nobody waits, and without a request nobody passes.
            Begun::Past | Begun::Waits(..) => unreachable!("an attempt ends at once"),
        }
    }

    async fn finish(&self, mut open: Open<'_>) -> Result<Allowance, Rejection> {
        match open.take() {
            Begun::Waits(turn, cost) => Ok(self.allow(&self.wait(&Call::new(), turn, cost).await)?),
            ended => Ok(self.finish_try(ended)?),
        }
    }

    fn finish_blocking(&self, begun: Begun<'_>) -> Result<Allowance, Rejection> {
        match begun {
            Begun::Waits(turn, cost) => {
                Ok(self.allow(&self.wait_blocking(&Call::new(), turn, cost))?)
            }
            ended => Ok(self.finish_try(ended)?),
        }
    }

    #[inline]
    fn admit<'c>(&'c self, call: &'c Call, ended: Ended<'c>) -> Result<Admission<'c>, Rejection> {
        self.conclude(&ended)?;
        Ok(Admission::new(call, Some(ended.taken)))
    }
}

impl Policy for RateLimiter {
    type Settings = RateLimiterSettings;

    fn assemble(name: PolicyName, settings: &RateLimiterSettings, sink: Sink) -> Self {
        let rules = Rules::new(settings);
        Self(Arc::new(Inner {
            name,
            settings: *settings,
            gate: Gate::new(&rules, clock::now()),
            rules,
            keys: OnceLock::new(),
            totals: Counters::new(),
            sink,
        }))
    }

    fn settings(&self) -> Vec<Setting> {
        self.0.settings.effective()
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
}
