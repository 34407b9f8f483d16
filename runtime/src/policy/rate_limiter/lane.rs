//! One limit and those who wait for it: what a key has, under the lock of its owner.

use std::{collections::BTreeMap, task::Waker};

use super::{key_lane::Permits, patience::Stay, rules::Rules};
use crate::{
    algorithm::{
        decision::Decision,
        gcra::{Bucket, Gcra, Mark},
        limit::{Limit, LimitState},
    },
    clock::Nanos,
    queue::{Queue, Ticket},
    rate::Rate,
    waiter::{Progress, wake},
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
    /// No later lie the marks of algorithms that are not in force any more.
    front: u64,
    /// From when on there are the windows that there are: what was taken before holds nothing of them.
    since: Nanos,
    /// Marks of windows are times. So much is added to those from then on, so that they lie behind all that
    /// were given out before.
    shift: u64,
}

#[derive(Debug, Default)]
struct Line {
    queue: Queue<Waiting>,
    /// What was decided for waiters who have not come for it yet.
    served: BTreeMap<Ticket, Served>,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    /// Since when it is in this line.
    since: Nanos,
    stay: Stay,
}

#[derive(Debug)]
struct Served {
    decision: Decision,
    /// Of a refusal, nothing.
    cost: u32,
}

#[derive(Debug)]
struct Own {
    rate: Rate,
    /// What the state is under.
    limit: Limit,
    /// A rate that lets nothing through: it has no limit, and the state stays as it is.
    closed: bool,
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
    pub(super) fn is_empty(&self) -> bool {
        self.next.is_none() && self.served.is_empty() && self.gone.is_none()
    }

    pub(super) fn run(self) {
        self.served.into_iter().chain(self.next).for_each(wake);
        drop(self.gone);
    }
}

impl Lane {
    pub(super) fn new(rules: &Rules, now: Nanos) -> Self {
        Self {
            state: rules.limit.unused(now),
            line: None,
            own: None,
            front: 0,
            since: Nanos(0),
            shift: 0,
        }
    }

    /// Of a bucket.
    pub(super) fn of_bucket(bucket: Bucket) -> Self {
        Self {
            state: LimitState::Bucket(bucket),
            line: None,
            own: None,
            front: 0,
            since: Nanos(0),
            shift: 0,
        }
    }

    /// Of a bucket that was never used, and is one no more. `front` as with [`Limit::carry`].
    pub(super) fn after_bucket(rules: &Rules, front: u64) -> Self {
        Self {
            front,
            shift: match rules.limit.counts_windows() {
                true => front.saturating_add(1),
                false => 0,
            },
            ..Self::of_bucket(Bucket::UNUSED)
        }
    }

    /// Takes permits where nobody waits and the limit is the policy's `bucket`.
    #[inline]
    pub(super) fn glance(&mut self, bucket: &Gcra, now: Nanos, cost: u32) -> Option<Permits> {
        if self.own.is_some() || self.waiting() > 0 {
            return None;
        }
        let LimitState::Bucket(held) = &mut self.state else {
            return None;
        };
        let next = bucket.take(held.state, now, cost)?;
        held.state = next;
        Some(Permits {
            state: next,
            mark: Mark::new(next, held.refunded()).0,
        })
    }

    /// The limit in force here. `None`: one that lets nothing through.
    fn limit<'l>(own: &'l Option<Box<Own>>, rules: &'l Rules) -> Option<&'l Limit> {
        match own {
            None => Some(&rules.limit),
            Some(own) => (!own.closed).then_some(&own.limit),
        }
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
        let old = self.own.as_ref().map_or(rules.limit, |own| own.limit);
        self.own = Some(Box::new(self.tuned(rules, now, rate, &old)));
    }

    /// Carries the state to the limit of a rate.
    fn tuned(&mut self, rules: &Rules, now: Nanos, rate: Rate, old: &Limit) -> Own {
        let limit = rules.at_rate(rate);
        if let Some(new) = &limit {
            self.carry(old, new, now);
        }
        Own {
            rate,
            closed: limit.is_none(),
            limit: limit.unwrap_or(*old),
        }
    }

    fn carry(&mut self, old: &Limit, new: &Limit, now: Nanos) {
        self.note_windows(old, now);
        new.carry(old, &mut self.state, now, &mut self.front);
        if !new.counts_windows() {
            self.shift = 0;
        } else if new.begins_anew(old) {
            self.leave_marks_behind(now);
        }
    }

    /// Of windows, takes note of how far their marks go.
    fn note_windows(&mut self, limit: &Limit, now: Nanos) {
        if limit.counts_windows() {
            let front = limit.front(&self.state, now).saturating_add(self.shift);
            self.front = self.front.max(front);
        }
    }

    /// From now on the marks of windows lie behind all others.
    fn leave_marks_behind(&mut self, now: Nanos) {
        self.since = now;
        self.shift = self.front.saturating_add(1).saturating_sub(now.0);
    }

    /// Goes over to other rules: what was taken stays taken, as far as both count alike, and those who
    /// wait are judged again.
    pub(super) fn change(&mut self, old: &Rules, new: &Rules, now: Nanos) -> Aftermath {
        match self.own.as_ref().map(|own| (own.rate, own.limit)) {
            None => self.carry(&old.limit, &new.limit, now),
            Some((rate, limit)) => {
                let own = self.tuned(new, now, rate, &limit);
                self.own = Some(Box::new(own));
            }
        }
        self.judge(new, now)
    }

    /// Judges those who wait again, in their order: who cannot be served in time any more is refused, and
    /// where there is no limit all go on. All are woken, for they have other times to wait for.
    fn judge(&mut self, rules: &Rules, now: Nanos) -> Aftermath {
        let Self {
            state, line, own, ..
        } = self;
        let Some(line) = line.as_mut().filter(|line| !line.queue.is_empty()) else {
            return Aftermath::default();
        };
        let mut aftermath = Aftermath::default();
        let limit = Self::limit(own, rules);
        let stands = limit.map(|limit| limit.take(state, now, 0));
        let outlook = limit.map(|limit| limit.outlook(state, now));
        let mut ahead = 0;
        for ticket in line.queue.tickets() {
            let Some(waiter) = line.queue.get_mut(ticket) else {
                continue;
            };
            let cost = waiter.weight;
            let stay = waiter.data.stay.under(rules);
            waiter.data.stay = stay;
            let ready = outlook
                .as_ref()
                .and_then(|outlook| outlook.ready_at(ahead, cost));
            let decision = match (rules.off, ready) {
                (true, _) => rules.past(),
                (_, Some(ready)) if ready <= stay.give_up.max(now) => {
                    ahead += u64::from(cost);
                    aftermath.served.push(waiter.waker.clone());
                    continue;
                }
                _ => stands.map_or_else(|| nothing(cost), |stands| in_vain(stands, ready, now)),
            };
            if let Some(waiter) = line.queue.remove(ticket) {
                aftermath.served.push(waiter.waker);
            }
            line.served.insert(ticket, Served { decision, cost: 0 });
        }
        aftermath
    }

    /// A newcomer takes its permits if nobody waits for them, or joins the line if it may and its turn
    /// comes while it stays.
    pub(super) fn arrive(
        &mut self,
        rules: &Rules,
        now: Nanos,
        cost: u32,
        stay: Option<Stay>,
    ) -> Arrival {
        let decision = self.take(rules, now, cost);
        match (decision.retry_after, stay) {
            (Some(wait), Some(stay)) if !decision.allowed && now.after(wait) <= stay.give_up => {
                let queue = &mut self.line.get_or_insert_default().queue;
                let waiting = Waiting { since: now, stay };
                // Its own waker comes with its first poll.
                Arrival::Waits(
                    queue.push(waiting, cost, Waker::noop().clone()),
                    stay.give_up,
                )
            }
            _ => Arrival::Ended(decision),
        }
    }

    /// Takes permits if nobody waits for them.
    pub(super) fn take(&mut self, rules: &Rules, now: Nanos, cost: u32) -> Decision {
        if rules.off {
            return rules.past();
        }
        let Some(limit) = Self::limit(&self.own, rules) else {
            return nothing(cost);
        };
        let ahead = self.line.as_ref().map_or(0, |line| line.queue.weight());
        let in_line = self
            .line
            .as_ref()
            .is_some_and(|line| !line.queue.is_empty());
        if !in_line || cost == 0 {
            return limit.take(&mut self.state, now, cost).further(self.shift);
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
        let Self {
            state,
            line,
            own,
            shift,
            ..
        } = self;
        let (Some(limit), Some(line)) = (Self::limit(own, rules), line) else {
            return Err(Nanos::NEVER);
        };
        let (Some(ticket), Some(first)) = (line.queue.front_ticket(), line.queue.front()) else {
            return Err(Nanos::NEVER);
        };
        // A timer is up to a millisecond late: whoever was there when its turn came takes its permits
        // as of then, or the line would move slower than the rate.
        let back = now.before(limit.lateness()).max(first.data.since).min(now);
        let cost = first.weight;
        let ready = limit.ready_at(state, back, 0, cost).unwrap_or(Nanos::NEVER);
        if ready > now {
            return Err(ready);
        }
        let decision = limit.take(state, ready, cost).further(*shift);
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
        waker: &Waker,
    ) -> (Look, Aftermath) {
        if let Some(served) = self
            .line
            .as_mut()
            .and_then(|line| line.served.remove(&ticket))
        {
            let decision = match served.decision {
                refused if rules.off && !refused.allowed => rules.past(),
                decision => decision,
            };
            return (Progress::Ready(decision), Aftermath::default());
        }
        let waiting = self.line.as_ref().and_then(|line| line.queue.get(ticket));
        let give_up = waiting.map_or(now, |waiting| waiting.data.stay.give_up);
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
        let ahead = self.line.as_ref().map_or(0, |line| line.queue.weight());
        let limit = Self::limit(&self.own, rules);
        let refused = refused(limit, &mut self.state, now, ahead, cost);
        (Progress::Ready(refused), aftermath)
    }

    /// Gives a place in the line back, or what was taken for it.
    pub(super) fn leave(&mut self, rules: &Rules, now: Nanos, ticket: Ticket) -> Aftermath {
        let Some(line) = &mut self.line else {
            return Aftermath::default();
        };
        if let Some(served) = line.served.remove(&ticket) {
            if served.cost == 0 {
                return Aftermath::default();
            }
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
        if let Some(limit) = Self::limit(&self.own, rules)
            && let Some(mark) = self.own_mark(limit, mark)
        {
            limit.refund(&mut self.state, now, mark, cost);
        }
        Aftermath {
            next: self.first(),
            ..Aftermath::default()
        }
    }

    /// A mark as the limit has given it; none from before there were its windows.
    fn own_mark(&self, limit: &Limit, mark: u64) -> Option<u64> {
        match limit.counts_windows() {
            true => mark
                .checked_sub(self.shift)
                .filter(|at| *at >= self.since.0),
            false => Some(mark),
        }
    }

    /// How a call ended.
    pub(super) fn report(&mut self, rules: &Rules, now: Nanos, success: bool) {
        if let Some(limit) = Self::limit(&self.own, rules).filter(|_| !rules.off) {
            limit.report(&mut self.state, now, success);
        }
    }

    /// Back to the initial state; those who wait keep their places.
    pub(super) fn reset(&mut self, rules: &Rules, now: Nanos) -> Aftermath {
        if let Some(&limit) = Self::limit(&self.own, rules) {
            self.note_windows(&limit, now);
            limit.restart(&mut self.state, now);
            if limit.counts_windows() {
                self.leave_marks_behind(now);
            }
        }
        Aftermath {
            next: self.first(),
            ..Aftermath::default()
        }
    }
}

/// The answer to one who has waited in vain, or would.
fn refused(
    limit: Option<&Limit>,
    state: &mut LimitState,
    now: Nanos,
    ahead: u64,
    cost: u32,
) -> Decision {
    let Some(limit) = limit else {
        return nothing(cost);
    };
    let stands = limit.take(state, now, 0);
    in_vain(stands, limit.ready_at(state, now, ahead, cost), now)
}

/// The same, of one whose turn would come then.
fn in_vain(stands: Decision, ready: Option<Nanos>, now: Nanos) -> Decision {
    Decision {
        allowed: false,
        retry_after: ready.map(|ready| ready.since(now)),
        ..stands
    }
}

/// The answer of a limit that lets nothing through.
fn nothing(cost: u32) -> Decision {
    Decision {
        allowed: cost == 0,
        ..Decision::NOTHING
    }
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        task::Wake,
        time::Duration,
    };

    use proptest::prelude::*;

    use super::*;
    use crate::policy::{
        Switch,
        rate_limiter::{Algorithm, RateLimiterSettings},
    };

    const START: Nanos = Nanos(1 << 60);

    #[derive(Default)]
    struct Bell(AtomicBool);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    struct Waiting {
        ticket: Ticket,
        cost: u32,
        give_up: Nanos,
        until: Nanos,
        bell: Arc<Bell>,
    }

    /// A line with its callers, whose timers are up to a millisecond late and who are polled whenever
    /// they are woken.
    struct Line {
        rules: Rules,
        lane: Lane,
        now: Nanos,
        waiting: Vec<Waiting>,
        /// Who was let through: when, and with how much.
        passed: Vec<(Nanos, u64, u32)>,
        /// Whether the rules were others before.
        changed: bool,
    }

    impl Line {
        fn new(algorithm: usize) -> Self {
            let settings = RateLimiterSettings::new().rate(Rate::per_second(100));
            let settings = match algorithm {
                0 => settings.burst(5),
                1 => settings.algorithm(Algorithm::FixedWindow),
                2 => settings.algorithm(Algorithm::SlidingWindow),
                3 => settings.algorithm(Algorithm::SlidingWindowCounter),
                _ => settings.algorithm(Algorithm::Adaptive),
            };
            let rules = Rules::new(&settings);
            let lane = Lane::new(&rules, START);
            Self {
                rules,
                lane,
                now: START,
                waiting: Vec::new(),
                passed: Vec::new(),
                changed: false,
            }
        }

        /// Other rules. Who was let through before is none of theirs.
        fn change(&mut self, rules: Rules) {
            self.lane.change(&self.rules, &rules, self.now).run();
            self.rules = rules;
            self.changed = true;
            self.passed.clear();
            self.run();
        }

        fn arrive(&mut self, cost: u32, patience: Duration) -> Option<u64> {
            let give_up = self.now.after(patience);
            match self.lane.arrive(
                &self.rules,
                self.now,
                cost,
                Some(Stay::between(self.now, give_up)),
            ) {
                Arrival::Ended(decision) if decision.allowed => {
                    assert!(self.waiting.is_empty(), "overtook {}", self.waiting.len());
                    if !decision.is_past() {
                        self.passed.push((self.now, decision.mark, cost));
                    }
                    Some(decision.mark)
                }
                Arrival::Ended(_) => None,
                Arrival::Waits(ticket, give_up) => {
                    let bell = Arc::new(Bell(AtomicBool::new(true)));
                    self.waiting.push(Waiting {
                        ticket,
                        cost,
                        give_up,
                        until: give_up,
                        bell,
                    });
                    self.run();
                    None
                }
            }
        }

        /// Polls whoever was woken or whose time has come, until nobody is.
        fn run(&mut self) {
            let due = |waiting: &Waiting, now| {
                waiting.bell.0.swap(false, Ordering::Relaxed) || waiting.until <= now
            };
            while let Some(index) = self
                .waiting
                .iter()
                .position(|waiting| due(waiting, self.now))
            {
                let waiting = &mut self.waiting[index];
                let waker = Waker::from(Arc::clone(&waiting.bell));
                let (look, aftermath) =
                    self.lane
                        .look(&self.rules, self.now, waiting.ticket, &waker);
                aftermath.run();
                match look {
                    Progress::Until(until) => waiting.until = until,
                    Progress::Ready(decision) => {
                        let waiting = self.waiting.remove(index);
                        if decision.allowed {
                            assert_eq!(index, 0, "overtook those before it");
                            if !decision.is_past() {
                                self.passed.push((self.now, decision.mark, waiting.cost));
                            }
                        } else {
                            assert!(self.changed || self.now >= waiting.give_up);
                        }
                    }
                }
            }
        }

        /// Time passes, in the steps of a timer.
        fn pass(&mut self, millis: u64) {
            for _ in 0..millis {
                self.now = self.now.after(Duration::from_millis(1));
                self.run();
            }
        }

        fn leave(&mut self, index: usize) {
            let left = self.waiting.remove(index);
            self.lane.leave(&self.rules, self.now, left.ticket).run();
            self.run();
        }

        fn refund(&mut self, index: usize) {
            let (_, mark, cost) = self.passed.remove(index);
            self.lane.refund(&self.rules, self.now, mark, cost).run();
            self.run();
        }
    }

    /// A permit an hour, a thousand at once.
    fn long(algorithm: Algorithm) -> Rules {
        let rate = Rate::new(1_000, Duration::from_secs(3_600_000));
        Rules::new(&RateLimiterSettings::new().rate(rate).algorithm(algorithm))
    }

    /// Whether a permit that comes back with that mark can be taken by another, where all are out.
    fn gives_back(lane: &mut Lane, rules: &Rules, mark: u64) -> bool {
        assert!(lane.take(rules, START, 1_000).allowed);
        lane.refund(rules, START, mark, 1).run();
        lane.take(rules, START, 1).allowed
    }

    /// Marks of a bucket that took over from windows lie ahead of the time, like those of windows to come.
    #[test]
    fn windows_take_nothing_back_that_a_bucket_gave_out() {
        for windows in [Algorithm::FixedWindow, Algorithm::SlidingWindowCounter] {
            let (windows, bucket) = (long(windows), long(Algorithm::TokenBucket));
            let mut lane = Lane::new(&windows, START);
            lane.change(&windows, &bucket, START).run();
            let mark = lane.take(&bucket, START, 1).mark;
            lane.change(&bucket, &windows, START).run();
            assert!(!gives_back(&mut lane, &windows, mark), "{windows:?}");
            let mut lane = Lane::new(&bucket, START);
            lane.change(&bucket, &windows, START).run();
            lane.change(&windows, &bucket, START).run();
            lane.change(&bucket, &windows, START).run();
            let mark = lane.take(&windows, START, 0).mark;
            assert!(gives_back(&mut lane, &windows, mark), "its own");
        }
    }

    #[test]
    fn nothing_from_before_a_reset_is_given_back_after_it() {
        for algorithm in Algorithm::ALL {
            let rules = long(algorithm);
            let mut lane = Lane::new(&rules, START);
            let mark = lane.take(&rules, START, 1).mark;
            lane.reset(&rules, START).run();
            assert!(!gives_back(&mut lane, &rules, mark), "{algorithm}");
        }
    }

    #[test]
    fn one_whose_time_is_over_while_the_first_sleeps_is_served() {
        let mut line = Line::new(0);
        line.arrive(5, Duration::ZERO);
        let second = Duration::from_secs(1);
        for _ in 0..3 {
            line.arrive(1, second);
        }
        // Nobody is polled until the patience of all is over; then only the last is.
        line.now = line.now.after(second);
        let last = line.waiting.pop().unwrap();
        let (look, aftermath) = line
            .lane
            .look(&line.rules, line.now, last.ticket, Waker::noop());
        aftermath.run();
        assert!(matches!(look, Progress::Ready(decision) if decision.allowed));
        line.run();
        assert_eq!(line.passed.len(), 3, "and those before it have theirs");
        assert!(
            line.waiting.is_empty() && line.lane.is_unused(&line.rules, line.now.after(second))
        );
    }

    #[test]
    fn what_was_taken_for_one_who_never_came_is_given_back() {
        let mut line = Line::new(0);
        line.arrive(5, Duration::ZERO);
        let patience = Duration::from_millis(50);
        line.arrive(2, patience);
        line.arrive(3, patience);
        line.now = line.now.after(patience);
        let last = line.waiting.pop().unwrap();
        let _ = line
            .lane
            .look(&line.rules, line.now, last.ticket, Waker::noop())
            .1;
        assert!(
            !line
                .lane
                .is_unused(&line.rules, line.now.after(Duration::from_secs(9))),
            "the first is served"
        );
        let remaining = |line: &mut Line| line.lane.take(&line.rules, line.now, 0).remaining;
        assert_eq!(remaining(&mut line), 0);
        line.leave(0);
        assert_eq!(remaining(&mut line), 2);
    }

    proptest! {
        #[test]
        fn first_come_first_served_and_never_over_the_limit(
            algorithm in 0usize..5,
            steps in prop::collection::vec((0u8..10, any::<prop::sample::Index>(), 1u32..5, 0u64..400), 1..120),
        ) {
            let mut line = Line::new(algorithm);
            for (step, index, cost, millis) in steps {
                match step {
                    0..=4 => {
                        line.arrive(cost, Duration::from_millis(millis));
                    }
                    5 | 6 => line.pass(millis / 8),
                    7 if !line.waiting.is_empty() => line.leave(index.index(line.waiting.len())),
                    8 if !line.passed.is_empty() => {
                        // The newest: an older one may have been refilled, which is another test's.
                        let newest = line.passed.len() - 1;
                        line.refund(newest);
                    }
                    _ => line.pass(1),
                }
                prop_assert_eq!(line.lane.waiting(), line.waiting.len());
            }
            line.pass(500);
            prop_assert!(line.waiting.is_empty() && line.lane.waiting() == 0);
            for (from, &(start, ..)) in line.passed.iter().enumerate() {
                let mut sum = 0;
                for &(at, _, cost) in &line.passed[from..] {
                    sum += u64::from(cost);
                    let elapsed = at.since(start);
                    // A bucket counts a waiter from its turn, up to two milliseconds before it is woken.
                    let late = elapsed + Duration::from_millis(2);
                    let bound = match algorithm {
                        0 => 5 + late.as_millis() as u64 / 10,
                        2 if elapsed < Duration::from_secs(1) => 100,
                        4 => 100 + late.as_millis() as u64 / 10,
                        _ => 200 + 100 * elapsed.as_secs(),
                    };
                    prop_assert!(sum <= bound, "{sum} in {elapsed:?}");
                }
            }
        }

        /// The same while rules change, are switched off, and stop letting anybody wait: nobody overtakes,
        /// nobody is lost, and each time between two changes keeps to the rules in force.
        #[test]
        fn first_come_first_served_under_rules_that_change(
            steps in prop::collection::vec(
                (0u8..10, any::<prop::sample::Index>(), 1u32..5, 0u64..400, 0usize..5, 20u32..200),
                1..100,
            ),
        ) {
            let mut line = Line::new(0);
            let (mut algorithm, mut rate, mut burst) = (0, 100, 5);
            for (step, index, cost, millis, other, count) in steps {
                match step {
                    0..=4 => {
                        line.arrive(cost, Duration::from_millis(millis));
                    }
                    5 | 6 => line.pass(millis / 8),
                    7 if !line.waiting.is_empty() => line.leave(index.index(line.waiting.len())),
                    8 => {
                        // Smaller than what some of those who wait ask for, at times.
                        (algorithm, rate, burst) = (other, count, cost);
                        let settings = RateLimiterSettings::new().rate(Rate::per_second(rate));
                        let settings = match millis % 5 {
                            0 => settings,
                            _ => settings.max_wait(Duration::from_millis(1 + millis)),
                        };
                        let settings = match algorithm {
                            0 => settings.burst(burst),
                            1 => settings.algorithm(Algorithm::FixedWindow),
                            2 => settings.algorithm(Algorithm::SlidingWindow),
                            3 => settings.algorithm(Algorithm::SlidingWindowCounter),
                            _ => settings.algorithm(Algorithm::Adaptive),
                        };
                        let switch = if millis % 7 == 0 { Switch::Off } else { Switch::On };
                        let rules = Rules::switched(&settings, switch);
                        line.change(rules.clone());
                        if rules.off || rules.max_wait.is_none() {
                            prop_assert_eq!(line.waiting.len(), 0, "nobody goes on waiting");
                        }
                    }
                    _ => line.pass(1),
                }
                prop_assert_eq!(line.lane.waiting(), line.waiting.len());
                let largest = line.rules.limit.largest();
                prop_assert!(line.waiting.iter().all(|waiting| waiting.cost <= largest));
            }
            line.pass(500);
            prop_assert!(line.waiting.is_empty() && line.lane.waiting() == 0);
            for (from, &(start, ..)) in line.passed.iter().enumerate() {
                let mut sum = 0;
                for &(at, _, cost) in &line.passed[from..] {
                    sum += u64::from(cost);
                    let elapsed = at.since(start);
                    let late = elapsed + Duration::from_millis(2);
                    let flowed = late.as_micros() as u64 * u64::from(rate) / 1_000_000;
                    let bound = match algorithm {
                        0 => u64::from(burst) + flowed,
                        2 if elapsed < Duration::from_secs(1) => u64::from(rate),
                        4 => u64::from(rate) + flowed,
                        _ => u64::from(rate) * (2 + elapsed.as_secs()),
                    };
                    prop_assert!(sum <= bound, "{sum} in {elapsed:?}");
                }
            }
        }

        /// Permits that come back late, from before any number of changes: what is in force lets through no
        /// more for that.
        #[test]
        fn what_comes_back_late_is_nobody_elses(
            steps in prop::collection::vec(
                (0u8..8, any::<prop::sample::Index>(), 1u32..5, 0u64..700, 0usize..5, 1u32..12),
                1..120,
            ),
        ) {
            let of = |algorithm, count, long| {
                let rate = Rate::new(count, Duration::from_secs(if long { 3 } else { 1 }));
                let settings = RateLimiterSettings::new().rate(rate);
                Rules::switched(&match algorithm {
                    0 => settings,
                    1 => settings.algorithm(Algorithm::FixedWindow),
                    2 => settings.algorithm(Algorithm::SlidingWindow),
                    3 => settings.algorithm(Algorithm::SlidingWindowCounter),
                    _ => settings.algorithm(Algorithm::Adaptive),
                }, Switch::On)
            };
            let mut now = START;
            let (mut rules, mut lane) = (of(0, 5, false), Lane::new(&of(0, 5, false), now));
            let (mut in_force, mut changes) = ((0, 5, false), 0);
            // Which change it was taken after, when, its mark, and its cost.
            let mut held: Vec<(u32, Nanos, u64, u32)> = Vec::new();
            let mut taken: Vec<(Nanos, u32)> = Vec::new();
            for (step, index, cost, millis, algorithm, count) in steps {
                match step {
                    0..=2 => {
                        let decision = lane.take(&rules, now, cost);
                        if decision.allowed {
                            held.push((changes, now, decision.mark, cost));
                            taken.push((now, cost));
                        }
                    }
                    3 | 4 => now = now.after(Duration::from_millis(millis)),
                    5 => {
                        in_force = (algorithm, count, millis % 2 == 0);
                        let new = of(algorithm, count, in_force.2);
                        lane.change(&rules, &new, now).run();
                        rules = new;
                        changes += 1;
                        taken.clear();
                    }
                    _ if held.is_empty() => {}
                    _ => {
                        let (since, at, mark, cost) = held.swap_remove(index.index(held.len()));
                        lane.refund(&rules, now, mark, cost).run();
                        if since == changes {
                            let own = taken.iter().position(|one| *one == (at, cost)).unwrap();
                            taken.remove(own);
                        }
                    }
                }
                let (algorithm, count, long) = in_force;
                let per = if long { 3_000 } else { 1_000 };
                let mut sum = 0;
                for &(at, cost) in taken.iter().rev() {
                    sum += u64::from(cost);
                    let elapsed = now.since(at).as_millis() as u64;
                    let windows = match algorithm {
                        2 => elapsed / per + 1,
                        _ => elapsed / per + 2,
                    };
                    let bound = match algorithm {
                        0 | 4 => u64::from(count) + u64::from(count) * elapsed / per,
                        _ => u64::from(count) * windows,
                    };
                    prop_assert!(sum <= bound, "{sum} in {elapsed} ms of {in_force:?}");
                }
            }
        }
    }
}
