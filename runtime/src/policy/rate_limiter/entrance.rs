//! How a request begins, waits and ends.

use std::{
    cell::OnceCell,
    num::NonZeroU64,
    time::{Duration, Instant},
};

use super::{
    Admission, Allowance, RateLimiter, Request,
    admission::Taken,
    gate::Glance,
    key_lane::{KeyLane, Reply},
    lane::{Arrival, Lane},
    limiter::{ALLOWED, BYPASSED, REJECTED},
    rules::Rules,
    shared::{Landed, Start},
    turn::{Spot, Turn},
};
use crate::{
    algorithm::{decision::Decision, gcra::Gcra, limit::Limit},
    call::Call,
    clock::{self, Nanos},
    event::{Bypassed, Event, Refused},
    key::{Shown, with_bytes},
    keyed::{Keyed, Place, Room},
    kind::PolicyKind,
    rate::Rate,
    rejection::{RateLimited, Rejection},
    waiter::{wait, wait_blocking},
};

/// How a request began.
pub(super) enum Begun<'p> {
    /// By its bypass.
    Past,
    Ended(Ended<'p>),
    Waits(Turn<'p>, u32),
    /// At a limit that is in the store.
    Shared(Start<'p>),
}

/// How a request ended: whether it was let through is part of the decision.
pub(super) struct Ended<'p> {
    taken: Taken<'p>,
    decision: Decision,
}

/// A request of a future that may be dropped before its first poll: then the permits come back.
pub(super) struct Open<'p>(pub(super) Begun<'p>);

impl<'p> Open<'p> {
    pub(super) fn take(&mut self) -> Begun<'p> {
        std::mem::replace(&mut self.0, Begun::Past)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        match &self.0 {
            Begun::Ended(ended) | Begun::Shared(Start::Landed(Landed::Local(_, ended))) => {
                ended.taken.refund();
            }
            _ => {}
        }
    }
}

/// How long a call may wait: less where a timeout further out ends it earlier.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    max_wait: Duration,
    deadline: Nanos,
}

impl Patience {
    pub(super) fn until(self, now: Nanos) -> Nanos {
        now.after(self.max_wait).min(self.deadline)
    }

    /// The same for one who goes on waiting later.
    pub(super) fn from(self, now: Nanos) -> Self {
        let deadline = self.until(now);
        Self { deadline, ..self }
    }
}

/// What is asked of a key's lane.
struct Wish {
    cost: u32,
    rate: Option<Rate>,
    patience: Option<Patience>,
}

impl<'p> Ended<'p> {
    pub(super) fn taken(&self) -> &Taken<'p> {
        &self.taken
    }

    pub(super) fn decision(&self) -> &Decision {
        &self.decision
    }
}

impl RateLimiter {
    /// The way of most calls: there is a permit in the word, and nobody asks how many are left.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn take_one(&self, call: &Call) -> Option<u64> {
        self.draw(call, 1)
    }

    /// The same of calls that say more.
    #[inline]
    pub(super) fn enter_at_once<'c>(
        &'c self,
        call: &'c Call,
        request: &Request<'_>,
    ) -> Option<Admission<'c>> {
        // What the site says is the user's.
        call.time_passes();
        if let Some(key) = request.key {
            let is_usual = !request.bypass && request.rate.is_none();
            return is_usual.then(|| self.enter_key_at_once(call, key, request.cost))?;
        }
        if request.bypass {
            return None;
        }
        let cost = request.cost;
        let mark = self.draw(call, cost)?;
        let taken = Taken {
            rules: self.rules(),
            spot: self.spot(),
            mark,
            cost,
        };
        Some(Admission::new(call, Some(taken)))
    }

    /// The same for a known key, whose bucket is one word.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn enter_key_at_once<'c>(
        &'c self,
        call: &'c Call,
        key: Shown<'_>,
        cost: u32,
    ) -> Option<Admission<'c>> {
        let (place, mark) = self.take_of(call, key, cost)?;
        let taken = Taken {
            rules: self.rules(),
            spot: Spot::Key(self.0.keys.get()?, place),
            mark,
            cost,
        };
        Some(Admission::new(call, Some(taken)))
    }

    /// Takes permits of a known key, whose bucket is one word: where, and their mark.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn take_of(&self, call: &Call, key: Shown<'_>, cost: u32) -> Option<(Place, u64)> {
        let (hash, mark) = match key {
            Shown::Text(text) => self.take_by(text.as_bytes(), call, cost),
            // As text it is made once, there and here alike.
            Shown::Number(number) => {
                with_bytes(Shown::Number(number), |key| self.take_by(key, call, cost))
            }
            // A `Display` is asked once a call.
            Shown::Display(_) => return None,
        };
        let mark = mark?.get();
        self.0.gate.totals.add(ALLOWED, 1);
        Some((Place::own(hash), mark))
    }

    /// Takes permits of a known key whose bucket is one word: its hash, and the mark.
    // Two words: they come back in registers.
    #[inline(never)]
    fn take_by(&self, key: &[u8], call: &Call, cost: u32) -> (u64, Option<NonZeroU64>) {
        let (Limit::Bucket(bucket), Some(keys)) = (&self.rules().limit, self.0.keys.get()) else {
            return (0, None);
        };
        // Not before the key is there: making it is the user's, and may take its time.
        let now = call.now();
        keys.known(key, |lane| lane.take(bucket, now, cost))
    }

    /// Takes permits without the lock, and counts the call.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn draw(&self, call: &Call, cost: u32) -> Option<u64> {
        let Some(till) = self.0.gate.totals.own() else {
            return self.draw_elsewhere(call, cost);
        };
        let mark = self.0.gate.draw(till, || call.now(), cost)?;
        till.add(ALLOWED, 1);
        Some(mark)
    }

    #[cold]
    #[inline(never)]
    fn draw_elsewhere(&self, call: &Call, cost: u32) -> Option<u64> {
        let mark = self.0.gate.draw_elsewhere(|| call.now(), cost)?;
        self.0.gate.totals.add(ALLOWED, 1);
        Some(mark)
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.0.rules
    }

    /// A request that is let in, or one that has to be concluded.
    #[inline]
    pub(super) fn request<'c>(
        &'c self,
        call: &'c Call,
        request: Request<'_>,
    ) -> Result<Admission<'c>, Begun<'c>> {
        if request.bypass {
            self.bypass();
            return Ok(Admission::new(call, None));
        }
        match request.key {
            Some(key) => self.request_key(call, key, &request),
            None => Err(self.begin(None, request.cost, self.patience(call))),
        }
    }

    /// The same for one key.
    #[inline]
    fn request_key<'c>(
        &'c self,
        call: &'c Call,
        key: Shown<'_>,
        request: &Request<'_>,
    ) -> Result<Admission<'c>, Begun<'c>> {
        let cost = request.cost;
        let (place, came) = self.come(call, key, cost, request.rate);
        let mark = came?;
        let taken = Taken {
            rules: self.rules(),
            spot: Spot::Key(self.keys(), place),
            mark,
            cost,
        };
        Ok(Admission::new(call, Some(taken)))
    }

    /// Comes to a key: the mark of what was taken, or how the request began. Nobody asks how many permits
    /// are left, so nobody works it out.
    #[inline]
    pub(super) fn come<'c>(
        &'c self,
        call: &Call,
        key: Shown<'_>,
        cost: u32,
        rate: Option<Rate>,
    ) -> (Place, Result<u64, Begun<'c>>) {
        let patience = self.patience(call);
        if let Some(shared) = &self.0.shared {
            let start = self.start(shared, Some(key), cost, rate, patience);
            return (Place::own(0), Err(Begun::Shared(start)));
        }
        let wish = Wish {
            cost,
            rate,
            patience,
        };
        // Not before the key is there: making it is the user's, and may take its time.
        let (place, reply) = with_bytes(key, |key| self.ask(key, call.now(), &wish));
        let Reply::Taken(permits, _) = reply else {
            let spot = Spot::Key(self.keys(), place);
            return (place, Err(self.begun_at_key(spot, cost, reply)));
        };
        self.0.gate.totals.add(ALLOWED, 1);
        (place, Ok(permits.mark))
    }

    #[cold]
    #[inline(never)]
    fn begun_at_key<'p>(&'p self, spot: Spot<'p>, cost: u32, reply: Reply) -> Begun<'p> {
        self.begun(spot, cost, reply.into_arrival(self.rules(), cost))
    }

    #[cold]
    fn bypass(&self) {
        self.0.gate.totals.add(BYPASSED, 1);
        self.0.sink.tell_debug(|| {
            Event::Bypassed(Bypassed {
                policy: self.name().clone(),
            })
        });
    }

    /// How long a call may wait.
    pub(super) fn patience(&self, call: &Call) -> Option<Patience> {
        let max_wait = self.rules().max_wait.filter(|_| self.rules().enforce)?;
        Some(Patience {
            max_wait,
            deadline: call.deadline(),
        })
    }

    /// Takes permits now or never.
    #[inline]
    pub(super) fn attempt(&self, cost: u32) -> Decision {
        let Limit::Bucket(bucket) = &self.rules().limit else {
            return self.attempt_at_lane(cost);
        };
        let now = clock::now();
        match self.0.gate.glance(bucket, now, cost) {
            Glance::Taken { state, mark } => {
                let decision = bucket.decision(state, now, cost, true);
                Decision { mark, ..decision }
            }
            _ => self.attempt_again(bucket, cost),
        }
    }

    /// Refuses without the lock where nobody waits.
    #[cold]
    fn attempt_again(&self, bucket: &Gcra, cost: u32) -> Decision {
        // Meanwhile others may have been at the word: the clock is read after it this time.
        let state = self.0.gate.state();
        let now = clock::now();
        if bucket.is_ahead(state, now) {
            return self.attempt_at_lane(cost);
        }
        match self.0.gate.glance(bucket, now, cost) {
            Glance::Taken { state, mark } => {
                let decision = bucket.decision(state, now, cost, true);
                Decision { mark, ..decision }
            }
            Glance::Spent { state } => bucket.decision(state, now, cost, false),
            Glance::Held => self.attempt_at_lane(cost),
        }
    }

    fn attempt_at_lane(&self, cost: u32) -> Decision {
        if let Some(shared) = &self.0.shared {
            return self.attempt_shared(shared, None, cost);
        }
        let take = |lane: &mut Lane| lane.take(self.rules(), clock::now(), cost);
        self.0.gate.with(take)
    }

    /// The same for one key.
    pub(super) fn attempt_at_key(&self, key: Shown<'_>, cost: u32) -> Decision {
        if let Some(shared) = &self.0.shared {
            return self.attempt_shared(shared, Some(key), cost);
        }
        let (_, reply) = self.ask_key(key, cost, None, None);
        match reply.into_full_arrival(self.rules(), cost) {
            Arrival::Ended(decision) => decision,
            Arrival::Waits(..) => unreachable!("nobody waits without patience"),
        }
    }

    /// Takes permits, or a place in the line.
    pub(super) fn begin(
        &self,
        key: Option<Shown<'_>>,
        cost: u32,
        patience: Option<Patience>,
    ) -> Begun<'_> {
        self.begin_at(key, cost, None, patience)
    }

    /// The same of a key that brings its rate.
    pub(super) fn begin_at(
        &self,
        key: Option<Shown<'_>>,
        cost: u32,
        rate: Option<Rate>,
        patience: Option<Patience>,
    ) -> Begun<'_> {
        if let Some(shared) = &self.0.shared {
            return Begun::Shared(self.start(shared, key, cost, rate, patience));
        }
        match (key, patience) {
            (Some(key), _) => {
                let (place, reply) = self.ask_key(key, cost, rate, patience);
                let arrival = reply.into_full_arrival(self.rules(), cost);
                self.begun(Spot::Key(self.keys(), place), cost, arrival)
            }
            (None, None) => Begun::Ended(self.end(self.spot(), cost, self.attempt(cost))),
            (None, Some(patience)) => {
                let arrival = self.0.gate.with(|lane| {
                    let now = clock::now();
                    lane.arrive(self.rules(), now, cost, Some(patience.until(now)))
                });
                self.begun(self.spot(), cost, arrival)
            }
        }
    }

    pub(super) fn spot(&self) -> Spot<'_> {
        Spot::Gate(&self.0.gate)
    }

    #[inline]
    fn keys(&self) -> &Keyed<KeyLane> {
        self.0
            .keys
            .get_or_init(|| Keyed::new(self.rules().max_keys))
    }

    fn ask_key(
        &self,
        key: Shown<'_>,
        cost: u32,
        rate: Option<Rate>,
        patience: Option<Patience>,
    ) -> (Place, Reply) {
        let wish = Wish {
            cost,
            rate,
            patience,
        };
        with_bytes(key, |key| self.ask(key, clock::now(), &wish))
    }

    /// Comes to a key's lane.
    #[inline(never)]
    fn ask(&self, key: &[u8], now: Nanos, wish: &Wish) -> (Place, Reply) {
        let rules = self.rules();
        let create = || KeyLane::new(rules, clock::now);
        let reading = OnceCell::new();
        let unused = |lane: &KeyLane| lane.is_unused(rules, *reading.get_or_init(clock::now));
        let bucket = match &rules.limit {
            Limit::Bucket(bucket) if wish.rate.is_none() && wish.cost > 0 => Some(bucket),
            _ => None,
        };
        self.keys().with(key, create, unused, |lane, place| {
            let taken = bucket.and_then(|bucket| lane.glance(bucket, now, wish.cost));
            match taken {
                Some(permits) => (place, Reply::Taken(permits, now)),
                None => (place, self.arrive_at(lane, place, wish)),
            }
        })
    }

    /// Reads the clock under the lock, so that nothing the lane tells of is later.
    #[cold]
    #[inline(never)]
    fn arrive_at(&self, lane: &mut KeyLane, place: Place, wish: &Wish) -> Reply {
        let (rules, now) = (self.rules(), clock::now());
        // A limit that several keys share keeps the rate of the first of them while it is in use.
        if let Some(rate) = wish.rate
            && (place.room() == Room::Own || lane.is_unused(rules, now))
        {
            lane.retune(rules, now, rate);
        }
        let give_up = wish.patience.map(|patience| patience.until(now));
        lane.arrive(rules, now, wish.cost, give_up)
    }

    fn begun<'p>(&'p self, spot: Spot<'p>, cost: u32, arrival: Arrival) -> Begun<'p> {
        match arrival {
            Arrival::Ended(decision) => Begun::Ended(self.end(spot, cost, decision)),
            Arrival::Waits(ticket, give_up) => {
                Begun::Waits(Turn::new(self.rules(), spot, ticket, give_up), cost)
            }
        }
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

    pub(super) async fn wait<'p>(&'p self, call: &Call, turn: Turn<'p>, cost: u32) -> Ended<'p> {
        let (spot, start) = (turn.spot, clock::now());
        let decision = wait(turn).await;
        self.has_waited(call, clock::now().since(start));
        self.end(spot, cost, decision)
    }

    pub(super) fn wait_blocking<'p>(&'p self, call: &Call, turn: Turn<'p>, cost: u32) -> Ended<'p> {
        let (spot, start) = (turn.spot, Instant::now());
        let decision = wait_blocking(turn);
        self.has_waited(call, start.elapsed());
        self.end(spot, cost, decision)
    }

    fn has_waited(&self, call: &Call, time: Duration) {
        call.add_waited(time);
        #[cfg(feature = "metrics")]
        self.0.meter.tell(time.as_secs_f64());
    }

    /// Counts and tells how a request ended.
    #[inline]
    pub(super) fn conclude(&self, decision: &Decision) -> Result<(), RateLimited> {
        if decision.allowed {
            self.0.gate.totals.add(ALLOWED, 1);
            return Ok(());
        }
        self.refuse(decision)
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
        self.0.gate.totals.add(REJECTED, 1);
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

    #[inline]
    pub(super) fn answer(&self, decision: Decision) -> Result<Allowance, RateLimited> {
        self.conclude(&decision)?;
        Ok(decision.into())
    }

    pub(super) async fn finish(&self, mut open: Open<'_>) -> Result<Allowance, Rejection> {
        let decision = match open.take() {
            Begun::Shared(start) => {
                let landed = self.landed(&Call::new(), start).await;
                return self.pass(landed).map(|pass| pass.allowance);
            }
            Begun::Past => Decision::NOTHING,
            Begun::Ended(ended) => ended.decision,
            Begun::Waits(turn, cost) => self.wait(&Call::new(), turn, cost).await.decision,
        };
        Ok(self.answer(decision)?)
    }

    pub(super) fn finish_blocking(&self, begun: Begun<'_>) -> Result<Allowance, Rejection> {
        let decision = match begun {
            Begun::Shared(start) => {
                let landed = self.landed_blocking(&Call::new(), start);
                return self.pass(landed).map(|pass| pass.allowance);
            }
            Begun::Past => Decision::NOTHING,
            Begun::Ended(ended) => ended.decision,
            Begun::Waits(turn, cost) => self.wait_blocking(&Call::new(), turn, cost).decision,
        };
        Ok(self.answer(decision)?)
    }

    #[inline]
    pub(super) fn admitted<'c>(
        &'c self,
        call: &'c Call,
        ended: Ended<'c>,
    ) -> Result<Admission<'c>, Rejection> {
        self.conclude(&ended.decision)?;
        Ok(Admission::new(call, Some(ended.taken)))
    }
}
