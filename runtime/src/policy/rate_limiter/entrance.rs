//! How a request begins, waits and ends.

use std::{
    cell::OnceCell,
    fmt::Display,
    time::{Duration, Instant},
};

use super::{
    Admission, Allowance, RateLimiter, Request,
    admission::Taken,
    gate::Glance,
    lane::{Arrival, Lane},
    limiter::{ALLOWED, BYPASSED, REJECTED},
    rules::Rules,
    turn::{Spot, Turn},
};
use crate::{
    algorithm::{decision::Decision, gcra::Gcra, limit::Limit},
    call::Call,
    clock::{self, Nanos},
    event::{Bypassed, Event, Refused},
    keyed::{Keyed, Place, Room, with_text},
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
        if let Begun::Ended(ended) = &self.0 {
            ended.taken.refund();
        }
    }
}

/// How long a call may wait: less where a timeout further out ends it earlier.
#[derive(Clone, Copy)]
pub(super) struct Patience {
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
pub(super) struct Keyhole<'k> {
    key: &'k dyn Display,
    rate: Option<Rate>,
}

impl<'k> Keyhole<'k> {
    pub(super) fn new(key: &'k dyn Display) -> Self {
        Self { key, rate: None }
    }
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
    #[inline(always)]
    pub(super) fn take_one(&self, call: &Call) -> Option<u64> {
        let Limit::Bucket(bucket) = &self.rules().limit else {
            return None;
        };
        let Glance::Taken { mark, .. } = self.0.gate.glance(bucket, call.now(), 1) else {
            return None;
        };
        self.0.totals.add(ALLOWED, 1);
        Some(mark)
    }

    /// The way of most calls: there is a permit in the word, and nobody asks how many are left.
    #[inline]
    pub(super) fn enter_at_once<'c>(
        &'c self,
        call: &'c Call,
        request: &Request<'_>,
    ) -> Option<Admission<'c>> {
        if !request.is_plain {
            call.time_passes();
        }
        let Limit::Bucket(bucket) = &self.rules().limit else {
            return None;
        };
        if request.key.is_some() || request.bypass {
            return None;
        }
        let cost = request.cost;
        let Glance::Taken { mark, .. } = self.0.gate.glance(bucket, call.now(), cost) else {
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

    pub(super) fn rules(&self) -> &Rules {
        &self.0.rules
    }

    pub(super) fn request<'p>(&'p self, call: &Call, request: Request<'_>) -> Begun<'p> {
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
        let take = |lane: &mut Lane| lane.take(self.rules(), clock::now(), cost);
        self.0.gate.with(take)
    }

    /// The same for one key.
    pub(super) fn attempt_at_key(&self, key: &dyn Display, cost: u32) -> Decision {
        self.with_key(Keyhole::new(key), |lane, now, _| {
            lane.take(self.rules(), now, cost)
        })
    }

    /// Takes permits, or a place in the line.
    pub(super) fn begin(
        &self,
        keyhole: Option<Keyhole<'_>>,
        cost: u32,
        patience: Option<Patience>,
    ) -> Begun<'_> {
        let arrive = |lane: &mut Lane, now| {
            let give_up = patience.map(|patience| patience.until(now));
            lane.arrive(self.rules(), now, cost, give_up)
        };
        match (keyhole, patience) {
            (Some(keyhole), _) => {
                let (keys, arrive) = (self.keys(), |lane: &mut Lane, now, place| {
                    (place, arrive(lane, now))
                });
                let (place, arrival) = self.with_key(keyhole, arrive);
                self.begun(Spot::Key(keys, place), cost, arrival)
            }
            (None, None) => Begun::Ended(self.end(self.spot(), cost, self.attempt(cost))),
            (None, Some(_)) => {
                let arrival = self.0.gate.with(|lane| arrive(lane, clock::now()));
                self.begun(self.spot(), cost, arrival)
            }
        }
    }

    pub(super) fn spot(&self) -> Spot<'_> {
        Spot::Gate(&self.0.gate)
    }

    fn keys(&self) -> &Keyed<Lane> {
        self.0
            .keys
            .get_or_init(|| Keyed::new(self.rules().max_keys))
    }

    /// Runs `act` on a key's lane at the present time.
    fn with_key<R>(
        &self,
        keyhole: Keyhole<'_>,
        act: impl FnOnce(&mut Lane, Nanos, Place) -> R,
    ) -> R {
        let rules = self.rules();
        let create = || Lane::new(rules, clock::now());
        let reading = OnceCell::new();
        let unused = |lane: &Lane| lane.is_unused(rules, *reading.get_or_init(clock::now));
        let act = |lane: &mut Lane, place: Place| {
            let now = clock::now();
            // A limit that several keys share keeps the rate of the first of them while it is in use.
            if keyhole.rate.is_some() && (place.room == Room::Own || lane.is_unused(rules, now)) {
                lane.retune(rules, now, keyhole.rate);
            }
            act(lane, now, place)
        };
        with_text(keyhole.key, |key| {
            self.keys().with(key, create, unused, act)
        })
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
        call.add_waited(clock::now().since(start));
        self.end(spot, cost, decision)
    }

    pub(super) fn wait_blocking<'p>(&'p self, call: &Call, turn: Turn<'p>, cost: u32) -> Ended<'p> {
        let (spot, start) = (turn.spot, Instant::now());
        let decision = wait_blocking(turn);
        call.add_waited(start.elapsed());
        self.end(spot, cost, decision)
    }

    /// Counts and tells how a request ended.
    #[inline]
    pub(super) fn conclude(&self, decision: &Decision) -> Result<(), RateLimited> {
        if decision.allowed {
            self.0.totals.add(ALLOWED, 1);
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

    #[inline]
    pub(super) fn answer(&self, decision: Decision) -> Result<Allowance, RateLimited> {
        self.conclude(&decision)?;
        Ok(decision.into())
    }

    pub(super) async fn finish(&self, mut open: Open<'_>) -> Result<Allowance, Rejection> {
        let decision = match open.take() {
            Begun::Past => Decision::NOTHING,
            Begun::Ended(ended) => ended.decision,
            Begun::Waits(turn, cost) => self.wait(&Call::new(), turn, cost).await.decision,
        };
        Ok(self.answer(decision)?)
    }

    pub(super) fn finish_blocking(&self, begun: Begun<'_>) -> Result<Allowance, Rejection> {
        let decision = match begun {
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
