//! One limit and those who wait for it: what a key has, under the lock of its owner.

use std::{collections::BTreeMap, task::Waker};

use super::rules::Rules;
use crate::{
    algorithm::{
        decision::Decision,
        limit::{Limit, LimitState},
    },
    clock::Nanos,
    queue::{Queue, Ticket},
    rate::Rate,
    waiter::Progress,
};

/// A limit's state and its line. Pure: takes the time, and leaves to its owner what must happen outside
/// the lock ([`Aftermath`]).
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) state: LimitState,
    /// Made at the first wait: most keys never see one. Kept once made, since tickets must not be
    /// given out twice.
    line: Option<Box<Line>>,
    /// Where the key's rate is not the policy's.
    own: Option<Box<Own>>,
}

#[derive(Debug, Default)]
struct Line {
    /// Since when each waits.
    queue: Queue<Nanos>,
    /// Permits that were taken for waiters who have not come for them yet.
    served: BTreeMap<Ticket, Served>,
}

#[derive(Debug)]
struct Served {
    decision: Decision,
    cost: u32,
}

#[derive(Debug)]
struct Own {
    rate: Rate,
    /// `None`: a rate that lets nothing through.
    limit: Option<Limit>,
}

/// What became of a caller who came to the lane.
#[derive(Debug)]
pub(super) enum Arrival {
    /// Let through or refused.
    Ended(Decision),
    /// In the line until this time at most.
    Waits(Ticket, Nanos),
}

/// What a waiter finds.
pub(super) type Look = Progress<Decision>;

/// To be run outside the lock: waking or dropping a waker may run foreign code.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Aftermath {
    next: Option<Waker>,
    served: Vec<Waker>,
    gone: Option<Waker>,
}

impl Aftermath {
    pub(super) fn run(self) {
        self.served
            .into_iter()
            .chain(self.next)
            .for_each(Waker::wake);
        drop(self.gone);
    }
}

impl Lane {
    pub(super) fn new(rules: &Rules, now: Nanos) -> Self {
        Self {
            state: rules.limit.unused(now),
            line: None,
            own: None,
        }
    }

    /// The limit in force here. `None`: one that lets nothing through.
    fn limit<'l>(own: &'l Option<Box<Own>>, rules: &'l Rules) -> Option<&'l Limit> {
        own.as_ref()
            .map_or(Some(&rules.limit), |own| own.limit.as_ref())
    }

    /// What an unused limit gives out at once.
    pub(super) fn size(&self, rules: &Rules, now: Nanos) -> u32 {
        Self::limit(&self.own, rules).map_or(0, |limit| limit.size(&self.state, now))
    }

    pub(super) fn success_rate(&self, rules: &Rules, now: Nanos) -> Option<f64> {
        Self::limit(&self.own, rules)?.success_rate(&self.state, now)
    }

    pub(super) fn waiting(&self) -> usize {
        self.line.as_ref().map_or(0, |line| line.queue.len())
    }

    /// Whether it may be forgotten.
    pub(super) fn is_unused(&self, rules: &Rules, now: Nanos) -> bool {
        let nobody = self
            .line
            .as_ref()
            .is_none_or(|line| line.queue.is_empty() && line.served.is_empty());
        nobody
            && Self::limit(&self.own, rules).is_none_or(|limit| limit.is_unused(&self.state, now))
    }

    /// Goes over to the rate that the call brings; what was taken stays taken.
    pub(super) fn retune(&mut self, rules: &Rules, now: Nanos, rate: Option<Rate>) {
        let Some(rate) = rate else { return };
        if self.own.as_ref().is_some_and(|own| own.rate == rate) {
            return;
        }
        let limit = rules.at_rate(rate);
        if let (Some(new), Some(old)) = (&limit, Self::limit(&self.own, rules)) {
            new.carry(old, &mut self.state, now);
        }
        self.own = Some(Box::new(Own { rate, limit }));
    }

    /// A newcomer takes its permits if nobody waits for them, or joins the line if it may and its turn
    /// comes by `give_up`.
    pub(super) fn arrive(
        &mut self,
        rules: &Rules,
        now: Nanos,
        cost: u32,
        give_up: Option<Nanos>,
    ) -> Arrival {
        let decision = self.take(rules, now, cost);
        match (decision.retry_after, give_up) {
            (Some(wait), Some(give_up)) if !decision.allowed && now.after(wait) <= give_up => {
                let queue = &mut self.line.get_or_insert_default().queue;
                // Its own waker comes with its first poll.
                Arrival::Waits(queue.push(now, cost, Waker::noop().clone()), give_up)
            }
            _ => Arrival::Ended(decision),
        }
    }

    fn take(&mut self, rules: &Rules, now: Nanos, cost: u32) -> Decision {
        let Some(limit) = Self::limit(&self.own, rules) else {
            return nothing(cost);
        };
        let ahead = self.line.as_ref().map_or(0, |line| line.queue.weight());
        let in_line = self
            .line
            .as_ref()
            .is_some_and(|line| !line.queue.is_empty());
        if !in_line || cost == 0 {
            return limit.take(&mut self.state, now, cost);
        }
        // Nobody overtakes.
        let stands = limit.take(&mut self.state, now, 0);
        let ready = limit.ready_at(&self.state, now, ahead, cost);
        Decision {
            allowed: false,
            remaining: 0,
            retry_after: ready.map(|ready| ready.since(now)),
            ..stands
        }
    }

    /// Takes the permits of the first in line if its turn has come, or says when that is.
    fn serve(&mut self, rules: &Rules, now: Nanos) -> Result<(Ticket, Served, Waker), Nanos> {
        let Self { state, line, own } = self;
        let (Some(limit), Some(line)) = (Self::limit(own, rules), line) else {
            return Err(Nanos::NEVER);
        };
        let (Some(ticket), Some(first)) = (line.queue.front_ticket(), line.queue.front()) else {
            return Err(Nanos::NEVER);
        };
        // A timer is up to a millisecond late: whoever was there when its turn came takes its permits
        // as of then, or the line would move slower than the rate.
        let back = now.before(limit.lateness()).max(first.data).min(now);
        let cost = first.weight;
        let ready = limit.ready_at(state, back, 0, cost).unwrap_or(Nanos::NEVER);
        if ready > now {
            return Err(ready);
        }
        let decision = limit.take(state, ready, cost);
        if !decision.allowed {
            return Err(decision
                .retry_after
                .map_or(Nanos::NEVER, |wait| now.after(wait)));
        }
        let waker = line
            .queue
            .pop_front()
            .map_or_else(|| Waker::noop().clone(), |waiter| waiter.waker);
        Ok((ticket, Served { decision, cost }, waker))
    }

    /// A waiter asks whether its turn has come.
    pub(super) fn look(
        &mut self,
        rules: &Rules,
        now: Nanos,
        ticket: Ticket,
        give_up: Nanos,
        waker: &Waker,
    ) -> (Look, Aftermath) {
        if let Some(served) = self
            .line
            .as_mut()
            .and_then(|line| line.served.remove(&ticket))
        {
            return (Progress::Ready(served.decision), Aftermath::default());
        }
        let first = self
            .line
            .as_ref()
            .is_some_and(|line| line.queue.is_front(ticket));
        if first {
            return self.look_as_first(rules, now, ticket, give_up, waker);
        }
        if now >= give_up {
            return self.look_for_the_last_time(rules, now, ticket);
        }
        // Woken when it has moved up to the front.
        let gone = self
            .line
            .as_mut()
            .and_then(|line| line.queue.set_waker(ticket, waker));
        (
            Progress::Until(give_up),
            Aftermath {
                gone,
                ..Aftermath::default()
            },
        )
    }

    fn look_as_first(
        &mut self,
        rules: &Rules,
        now: Nanos,
        ticket: Ticket,
        give_up: Nanos,
        waker: &Waker,
    ) -> (Look, Aftermath) {
        match self.serve(rules, now) {
            Ok((_, served, waker)) => {
                let aftermath = Aftermath {
                    next: self.first(),
                    gone: Some(waker),
                    ..Aftermath::default()
                };
                (Progress::Ready(served.decision), aftermath)
            }
            Err(_) if now >= give_up => self.give_up(rules, now, ticket),
            Err(ready) => {
                let gone = self
                    .line
                    .as_mut()
                    .and_then(|line| line.queue.set_waker(ticket, waker));
                (
                    Progress::Until(ready.min(give_up)),
                    Aftermath {
                        gone,
                        ..Aftermath::default()
                    },
                )
            }
        }
    }

    /// Its time is over and others are before it: if that is only because they have not been polled
    /// although their turns have come, it is not to suffer for it.
    fn look_for_the_last_time(
        &mut self,
        rules: &Rules,
        now: Nanos,
        ticket: Ticket,
    ) -> (Look, Aftermath) {
        let mut woken = Vec::new();
        while let Ok((turn, served, waker)) = self.serve(rules, now) {
            if turn == ticket {
                let aftermath = Aftermath {
                    next: self.first(),
                    served: woken,
                    gone: Some(waker),
                };
                return (Progress::Ready(served.decision), aftermath);
            }
            self.line
                .get_or_insert_default()
                .served
                .insert(turn, served);
            woken.push(waker);
        }
        let (look, mut aftermath) = self.give_up(rules, now, ticket);
        aftermath.served = woken;
        (look, aftermath)
    }

    fn give_up(&mut self, rules: &Rules, now: Nanos, ticket: Ticket) -> (Look, Aftermath) {
        let cost = self
            .line
            .as_ref()
            .and_then(|line| line.queue.get(ticket))
            .map_or(1, |waiter| waiter.weight);
        let aftermath = self.leave(rules, now, ticket);
        let refused = match Self::limit(&self.own, rules) {
            None => nothing(cost),
            Some(limit) => {
                let stands = limit.take(&mut self.state, now, 0);
                let ahead = self.line.as_ref().map_or(0, |line| line.queue.weight());
                let ready = limit.ready_at(&self.state, now, ahead, cost);
                Decision {
                    allowed: false,
                    retry_after: ready.map(|ready| ready.since(now)),
                    ..stands
                }
            }
        };
        (Progress::Ready(refused), aftermath)
    }

    /// Gives a place in the line back, or what was taken for it.
    pub(super) fn leave(&mut self, rules: &Rules, now: Nanos, ticket: Ticket) -> Aftermath {
        let Some(line) = &mut self.line else {
            return Aftermath::default();
        };
        if let Some(served) = line.served.remove(&ticket) {
            return self.refund(rules, now, served.decision.mark, served.cost);
        }
        let was_first = line.queue.is_front(ticket);
        let gone = line.queue.remove(ticket).map(|waiter| waiter.waker);
        let next = if was_first { self.first() } else { None };
        Aftermath {
            next,
            gone,
            ..Aftermath::default()
        }
    }

    /// The first in line, to be woken: its turn may come sooner than it knows.
    fn first(&self) -> Option<Waker> {
        self.line
            .as_ref()?
            .queue
            .front()
            .map(|waiter| waiter.waker.clone())
    }

    /// Gives permits back.
    pub(super) fn refund(&mut self, rules: &Rules, now: Nanos, mark: u64, cost: u32) -> Aftermath {
        if let Some(limit) = Self::limit(&self.own, rules) {
            limit.refund(&mut self.state, now, mark, cost);
        }
        Aftermath {
            next: self.first(),
            ..Aftermath::default()
        }
    }

    /// How a call ended.
    pub(super) fn report(&mut self, rules: &Rules, now: Nanos, success: bool) {
        if let Some(limit) = Self::limit(&self.own, rules) {
            limit.report(&mut self.state, now, success);
        }
    }

    /// Back to the initial state; those who wait keep their places.
    pub(super) fn reset(&mut self, rules: &Rules, now: Nanos) -> Aftermath {
        if let Some(limit) = Self::limit(&self.own, rules) {
            limit.restart(&mut self.state, now);
        }
        Aftermath {
            next: self.first(),
            ..Aftermath::default()
        }
    }
}

/// The answer of a limit that lets nothing through.
fn nothing(cost: u32) -> Decision {
    Decision {
        allowed: cost == 0,
        ..Decision::NOTHING
    }
}
