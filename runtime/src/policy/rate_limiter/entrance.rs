//! How a request begins, waits and ends.

use std::{
    cell::OnceCell,
    num::NonZeroU64,
    time::{Duration, Instant},
};

use super::{
    Admission, Allowance, RateLimiter, Request,
    admission::Taken,
    gate::{Glance, Terms},
    key_lane::{Common, KeyLane, Reply},
    lane::{Arrival, Lane},
    limiter::{ALLOWED, BYPASSED, REJECTED},
    patience::Patience,
    rules::Rules,
    shared::{Landed, Start},
    turn::{Spot, Turn},
};
use crate::{
    algorithm::{decision::Decision, gcra::Gcra},
    call::Call,
    clock::{self, Nanos},
    event::{Bypassed, Event, Refused},
    key::{Shown, with_bytes},
    keyed::{Keyed, Place, Room},
    kind::PolicyKind,
    rate::Rate,
    rejection::{RateLimited, Rejection},
    sync::{Ordering::Relaxed, lock},
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
    /// That it was decided by.
    rules: &'p Rules,
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

    pub(super) fn rules(&self) -> &'p Rules {
        self.rules
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
            spot: Spot::Key(self, place),
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
        // A hint: what each key goes by is said where it is.
        let Some(keys) = self.0.keys.get().filter(|_| self.0.words.load(Relaxed)) else {
            return (0, None);
        };
        // Not before the key is there: making it is the user's, and may take its time.
        let now = call.now();
        keys.known(key, |lane, common| {
            let bucket = self.0.gate.terms.of(common.terms).bucket.as_ref()?;
            lane.take(bucket, common.refunded, now, cost)
        })
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

    /// What is in force now.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn rules(&self) -> &Rules {
        &self.0.gate.terms.get().rules
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
            None => Err(self.begin(None, request.cost, patience(call))),
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
            spot: Spot::Key(self, place),
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
        let patience = patience(call);
        if self.rules().off {
            return (Place::own(0), Err(Begun::Past));
        }
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
        let (place, reply, rules) = with_bytes(key, |key| self.ask(key, call.now(), &wish));
        let Reply::Taken(permits, _) = reply else {
            let spot = Spot::Key(self, place);
            return (place, Err(self.begun_at_key(spot, cost, reply, rules)));
        };
        self.0.gate.totals.add(ALLOWED, 1);
        (place, Ok(permits.mark))
    }

    #[cold]
    #[inline(never)]
    fn begun_at_key<'p>(
        &'p self,
        spot: Spot<'p>,
        cost: u32,
        reply: Reply,
        rules: &'p Rules,
    ) -> Begun<'p> {
        self.begun(spot, cost, reply.into_arrival(rules, cost), rules)
    }

    #[cold]
    fn bypass(&self) {
        if self.rules().off {
            return;
        }
        self.0.gate.totals.add(BYPASSED, 1);
        self.0.sink.tell_debug(|| {
            Event::Bypassed(Bypassed {
                policy: self.name().clone(),
            })
        });
    }

    /// Takes permits now or never.
    #[inline]
    pub(super) fn attempt(&self, cost: u32) -> (Decision, &Rules) {
        match self.come_alone(cost, None) {
            (Arrival::Ended(decision), rules) => (decision, rules),
            (Arrival::Waits(..), _) => unreachable!("nobody waits without patience"),
        }
    }

    /// Takes permits of the limit that all calls share, or a place in its line.
    #[inline]
    fn come_alone(&self, cost: u32, patience: Option<Patience>) -> (Arrival, &Rules) {
        let terms = self.0.gate.terms.get();
        let bucket = match &terms.bucket {
            Some(bucket) if patience.is_none() || terms.rules.max_wait.is_none() => bucket,
            _ => return self.come_to_lane(terms, cost, patience),
        };
        let now = clock::now();
        match terms.glance(bucket, now, cost) {
            Glance::Taken { state, mark } => {
                let decision = bucket.decision(state, now, cost, true);
                let decision = Decision { mark, ..decision };
                (Arrival::Ended(decision), &terms.rules)
            }
            _ => self.come_again(terms, bucket, cost, patience),
        }
    }

    /// Refuses without the lock where nobody waits.
    #[cold]
    fn come_again<'p>(
        &'p self,
        terms: &'p Terms,
        bucket: &Gcra,
        cost: u32,
        patience: Option<Patience>,
    ) -> (Arrival, &'p Rules) {
        // Meanwhile others may have been at the word: the clock is read after it this time.
        let state = terms.state();
        let now = clock::now();
        if bucket.is_ahead(state, now) {
            return self.come_to_lane(terms, cost, patience);
        }
        let decision = match terms.glance(bucket, now, cost) {
            Glance::Taken { state, mark } => {
                let decision = bucket.decision(state, now, cost, true);
                Decision { mark, ..decision }
            }
            Glance::Spent { state } => bucket.decision(state, now, cost, false),
            Glance::Held => return self.come_to_lane(terms, cost, patience),
        };
        (Arrival::Ended(decision), &terms.rules)
    }

    fn come_to_lane<'p>(
        &'p self,
        terms: &'p Terms,
        cost: u32,
        patience: Option<Patience>,
    ) -> (Arrival, &'p Rules) {
        if terms.rules.off {
            return (Arrival::Ended(terms.rules.past()), &terms.rules);
        }
        self.0.gate.with(|lane, rules| {
            let now = clock::now();
            let stay = patience.and_then(|patience| patience.stay(rules, now));
            (lane.arrive(rules, now, cost, stay), rules)
        })
    }

    /// Takes permits of a key now or never.
    pub(super) fn attempt_at_key(&self, key: Shown<'_>, cost: u32) -> (Decision, &Rules) {
        let (_, reply, rules) = self.ask_key(key, cost, None, None);
        match reply.into_full_arrival(rules, cost) {
            Arrival::Ended(decision) => (decision, rules),
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
        if self.rules().off {
            return Begun::Past;
        }
        if let Some(shared) = &self.0.shared {
            return Begun::Shared(self.start(shared, key, cost, rate, patience));
        }
        let Some(key) = key else {
            let (arrival, rules) = self.come_alone(cost, patience);
            return self.begun(self.spot(), cost, arrival, rules);
        };
        let (place, reply, rules) = self.ask_key(key, cost, rate, patience);
        let arrival = reply.into_full_arrival(rules, cost);
        self.begun(Spot::Key(self, place), cost, arrival, rules)
    }

    pub(super) fn spot(&self) -> Spot<'_> {
        Spot::Gate(&self.0.gate)
    }

    #[inline]
    fn keys(&self) -> &Keyed<KeyLane, Common> {
        match self.0.keys.get() {
            Some(keys) => keys,
            None => self.first_key(),
        }
    }

    #[cold]
    fn first_key(&self) -> &Keyed<KeyLane, Common> {
        // Not while the terms are being changed: those of all keys are changed after that.
        let _changing = lock(&self.0.changing);
        let terms = self.0.gate.terms.edition();
        let max_keys = self.0.gate.terms.of(terms).rules.max_keys;
        self.0
            .keys
            .get_or_init(|| Keyed::under(max_keys, Common::new(terms)))
    }

    /// Runs `act` on the lane of a key, if it is still there.
    pub(super) fn at_key<'p, R>(
        &'p self,
        place: Place,
        act: impl FnOnce(&mut Lane, &'p Rules) -> R,
    ) -> Option<R> {
        self.0.keys.get()?.at_common(place, |key, common| {
            let rules = self.rules_of(common);
            act(key.lane(rules, common.refunded), rules)
        })
    }

    pub(super) fn rules_of(&self, common: Common) -> &Rules {
        &self.0.gate.terms.of(common.terms).rules
    }

    fn ask_key(
        &self,
        key: Shown<'_>,
        cost: u32,
        rate: Option<Rate>,
        patience: Option<Patience>,
    ) -> (Place, Reply, &Rules) {
        let wish = Wish {
            cost,
            rate,
            patience,
        };
        with_bytes(key, |key| self.ask(key, clock::now(), &wish))
    }

    /// Comes to a key's lane.
    #[inline(never)]
    fn ask(&self, key: &[u8], now: Nanos, wish: &Wish) -> (Place, Reply, &Rules) {
        let terms = &self.0.gate.terms;
        let create = |common: Common| KeyLane::new(self.rules_of(common), clock::now);
        let reading = OnceCell::new();
        let unused = |lane: &KeyLane, common: Common| {
            lane.is_unused(self.rules_of(common), *reading.get_or_init(clock::now))
        };
        let is_usual = wish.rate.is_none() && wish.cost > 0;
        let act = |lane: &mut KeyLane, place, common: Common| {
            let Terms { rules, bucket, .. } = terms.of(common.terms);
            let bucket = bucket.as_ref().filter(|_| is_usual);
            let taken =
                bucket.and_then(|bucket| lane.glance(bucket, common.refunded, now, wish.cost));
            let reply = match taken {
                Some(permits) => Reply::Taken(permits, now),
                None => arrive_at(rules, common.refunded, lane, place, wish),
            };
            (place, reply, rules)
        };
        self.keys().with_common(key, create, unused, act)
    }

    fn begun<'p>(
        &'p self,
        spot: Spot<'p>,
        cost: u32,
        arrival: Arrival,
        rules: &'p Rules,
    ) -> Begun<'p> {
        match arrival {
            Arrival::Ended(decision) => Begun::Ended(end(spot, cost, decision, rules)),
            Arrival::Waits(ticket, give_up) => Begun::Waits(Turn::new(spot, ticket, give_up), cost),
        }
    }

    pub(super) async fn wait<'p>(&'p self, call: &Call, turn: Turn<'p>, cost: u32) -> Ended<'p> {
        let (spot, start) = (turn.spot, clock::now());
        let (decision, rules) = wait(turn).await;
        self.has_waited(call, clock::now().since(start));
        end(spot, cost, decision, rules)
    }

    pub(super) fn wait_blocking<'p>(&'p self, call: &Call, turn: Turn<'p>, cost: u32) -> Ended<'p> {
        let (spot, start) = (turn.spot, Instant::now());
        let (decision, rules) = wait_blocking(turn);
        self.has_waited(call, start.elapsed());
        end(spot, cost, decision, rules)
    }

    fn has_waited(&self, call: &Call, time: Duration) {
        call.add_waited(time);
        #[cfg(feature = "metrics")]
        self.0.meter.tell(crate::clock::nanos(time));
    }

    /// Counts and tells how a request ended.
    #[inline]
    pub(super) fn conclude(&self, decision: &Decision, rules: &Rules) -> Result<(), RateLimited> {
        match decision.allowed {
            true if decision.is_past() => {}
            true => self.0.gate.totals.add(ALLOWED, 1),
            false => return self.refuse(decision, rules.enforce),
        }
        Ok(())
    }

    /// Refuses, or lets in all the same where it only watches.
    #[cold]
    fn refuse(&self, decision: &Decision, enforced: bool) -> Result<(), RateLimited> {
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
    pub(super) fn answer(
        &self,
        (decision, rules): (Decision, &Rules),
    ) -> Result<Allowance, RateLimited> {
        self.conclude(&decision, rules)?;
        Ok(decision.into())
    }

    pub(super) async fn finish(&self, mut open: Open<'_>) -> Result<Allowance, Rejection> {
        let ended = match open.take() {
            Begun::Shared(start) => {
                let landed = self.landed(&Call::new(), start).await;
                return self.pass(landed).map(|pass| pass.allowance);
            }
            Begun::Past => return Ok(self.rules().past().into()),
            Begun::Ended(ended) => ended,
            Begun::Waits(turn, cost) => self.wait(&Call::new(), turn, cost).await,
        };
        Ok(self.answer((ended.decision, ended.rules))?)
    }

    pub(super) fn finish_blocking(&self, begun: Begun<'_>) -> Result<Allowance, Rejection> {
        let ended = match begun {
            Begun::Shared(start) => {
                let landed = self.landed_blocking(&Call::new(), start);
                return self.pass(landed).map(|pass| pass.allowance);
            }
            Begun::Past => return Ok(self.rules().past().into()),
            Begun::Ended(ended) => ended,
            Begun::Waits(turn, cost) => self.wait_blocking(&Call::new(), turn, cost),
        };
        Ok(self.answer((ended.decision, ended.rules))?)
    }

    #[inline]
    pub(super) fn admitted<'c>(
        &'c self,
        call: &'c Call,
        ended: Ended<'c>,
    ) -> Result<Admission<'c>, Rejection> {
        self.conclude(&ended.decision, ended.rules)?;
        Ok(Admission::new(call, Some(ended.taken)))
    }
}

/// How long a call may wait.
#[inline]
pub(super) fn patience(call: &Call) -> Option<Patience> {
    Some(Patience::until(call.deadline()))
}

fn end<'p>(spot: Spot<'p>, cost: u32, decision: Decision, rules: &'p Rules) -> Ended<'p> {
    let took = decision.allowed && !decision.is_past();
    let taken = Taken {
        spot,
        mark: decision.mark,
        cost: if took { cost } else { 0 },
    };
    Ended {
        taken,
        decision,
        rules,
    }
}

/// Reads the clock under the lock, so that nothing the lane tells of is later.
#[cold]
#[inline(never)]
fn arrive_at(rules: &Rules, refunded: u64, lane: &mut KeyLane, place: Place, wish: &Wish) -> Reply {
    let now = clock::now();
    // A limit that several keys share keeps the rate of the first of them while it is in use.
    if let Some(rate) = wish.rate
        && !rules.off
        && (place.room() == Room::Own || lane.is_unused(rules, now))
    {
        lane.retune(rules, refunded, now, rate);
    }
    let stay = wish.patience.and_then(|patience| patience.stay(rules, now));
    lane.arrive(rules, refunded, now, wish.cost, stay)
}
