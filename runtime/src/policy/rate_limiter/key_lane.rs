//! What a limiter remembers of a key: one word as long as that says it all.

use std::num::NonZeroU64;

use super::{
    gate::Terms,
    lane::{Aftermath, Arrival, Lane},
    patience::Stay,
    rules::Rules,
};
use crate::{
    algorithm::{
        decision::Decision,
        gcra::{self, Bucket, Gcra, Mark},
        limit::Limit,
    },
    clock::Nanos,
    policy::reloadable::Edition,
    rate::Rate,
};

/// The lane of a key.
#[derive(Debug)]
pub(super) enum KeyLane {
    /// A bucket at the policy's own rate, whose line is empty and which nothing was ever refunded to but
    /// what its [`Common`] says: the state of nearly every key, and no larger than the pointer to any
    /// other.
    Bucket(u64),
    Lane(Box<Lane>),
}

/// What keys go by that are under one lock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Common {
    pub(super) terms: Edition<Terms>,
    /// What counts as refunded to buckets that are one word: since the rules were changed, their marks go
    /// on from where they were. Of other algorithms, no later lie their marks.
    pub(super) refunded: u64,
}

impl Common {
    pub(super) fn new(terms: Edition<Terms>) -> Self {
        Self { terms, refunded: 0 }
    }

    /// The same under other rules.
    pub(super) fn changed(
        self,
        terms: Edition<Terms>,
        old: &Rules,
        new: &Rules,
        now: Nanos,
    ) -> Self {
        let refunded = match (&old.limit, &new.limit) {
            (Limit::Bucket(old), Limit::Bucket(new)) => {
                new.moved(old, self.refunded, old.reach(now), now)
            }
            (Limit::Bucket(old), _) => self.refunded.wrapping_add(old.reach(now)).max(now.0),
            (_, Limit::Bucket(new)) => self.refunded.max(now.0).wrapping_sub(new.at(now)),
            _ => self.refunded.max(now.0),
        };
        Self { terms, refunded }
    }
}

/// What a caller finds who comes to a key.
#[derive(Debug)]
pub(super) enum Reply {
    /// Permits were taken from a bucket at this time.
    Taken(Permits, Nanos),
    /// A bucket has them not, at this state and time.
    Spent(u64, Nanos),
    Lane(Arrival),
}

/// What a bucket gave out: its state after that, and the mark for a refund.
#[derive(Debug, Clone, Copy)]
pub(super) struct Permits {
    pub(super) state: u64,
    pub(super) mark: u64,
}

impl Permits {
    fn new(state: u64, refunded: u64) -> Self {
        let mark = Mark::new(state, refunded).0;
        Self { state, mark }
    }
}

impl KeyLane {
    pub(super) fn new(rules: &Rules, now: impl FnOnce() -> Nanos) -> Self {
        match rules.limit {
            Limit::Bucket(_) => Self::Bucket(gcra::UNUSED),
            _ => Self::Lane(Box::new(Lane::new(rules, now()))),
        }
    }

    /// Takes permits where the word says it all, and returns their mark.
    ///
    /// `now` may be a little old: then it lets through less. A cost of zero, which is let through whatever
    /// the clock did, is not for the word alone.
    #[inline]
    pub(super) fn take(
        &mut self,
        bucket: &Gcra,
        refunded: u64,
        now: Nanos,
        cost: u32,
    ) -> Option<NonZeroU64> {
        let Self::Bucket(state) = self else {
            return None;
        };
        let next = bucket.take(*state, now, cost).filter(|_| cost > 0)?;
        *state = next;
        let mark = Mark::new(next, refunded).0;
        Some(NonZeroU64::new(mark).unwrap_or(NonZeroU64::MIN))
    }

    /// The same, for a lane too that nobody waits at and that has the policy's rate.
    #[inline]
    pub(super) fn glance(
        &mut self,
        bucket: &Gcra,
        refunded: u64,
        now: Nanos,
        cost: u32,
    ) -> Option<Permits> {
        match self {
            Self::Bucket(state) => {
                let next = bucket.take(*state, now, cost)?;
                *state = next;
                Some(Permits::new(next, refunded))
            }
            Self::Lane(lane) => lane.glance(bucket, now, cost),
        }
    }

    /// As [`Lane::arrive`].
    pub(super) fn arrive(
        &mut self,
        rules: &Rules,
        refunded: u64,
        now: Nanos,
        cost: u32,
        stay: Option<Stay>,
    ) -> Reply {
        if rules.off {
            return Reply::Lane(Arrival::Ended(rules.past()));
        }
        if let (Self::Bucket(state), Limit::Bucket(bucket)) = (&mut *self, &rules.limit)
            && !bucket.is_ahead(*state, now)
        {
            if let Some(next) = bucket.take(*state, now, cost) {
                *state = next;
                return Reply::Taken(Permits::new(next, refunded), now);
            }
            let ready = bucket.ready_at(*state, now, 0, cost);
            let in_time = |ready| stay.is_some_and(|stay| ready <= stay.give_up);
            if !ready.is_some_and(in_time) {
                return Reply::Spent(*state, now);
            }
        }
        Reply::Lane(self.lane(rules, refunded).arrive(rules, now, cost, stay))
    }

    /// All that a lane can be, for those who need more of it than its permits.
    #[cold]
    pub(super) fn lane(&mut self, rules: &Rules, refunded: u64) -> &mut Lane {
        if let Self::Bucket(state) = *self {
            let lane = match rules.limit {
                Limit::Bucket(_) => Lane::of_bucket(Bucket::of(state, refunded)),
                // Of another algorithm, which makes its own state.
                _ => Lane::after_bucket(rules, refunded),
            };
            *self = Self::Lane(Box::new(lane));
        }
        match self {
            Self::Lane(lane) => lane,
            Self::Bucket(_) => unreachable!("it was made a lane"),
        }
    }

    /// As [`Lane::retune`].
    pub(super) fn retune(&mut self, rules: &Rules, refunded: u64, now: Nanos, rate: Rate) {
        self.lane(rules, refunded).retune(rules, now, Some(rate));
    }

    /// As [`Lane::change`]; what counted as refunded until now is `refunded`.
    pub(super) fn change(
        &mut self,
        old: &Rules,
        refunded: u64,
        new: &Rules,
        now: Nanos,
    ) -> Aftermath {
        if let Self::Bucket(state) = self {
            match (&old.limit, &new.limit) {
                (Limit::Bucket(old), Limit::Bucket(new)) => {
                    let mut bucket = Bucket::of(*state, refunded);
                    bucket.carry(old, new, now);
                    *state = bucket.state;
                    return Aftermath::default();
                }
                // Goes on where the marks end.
                (Limit::Bucket(_), Limit::Adaptive(_)) => {}
                _ => {
                    *state = gcra::UNUSED;
                    return Aftermath::default();
                }
            }
        }
        self.lane(old, refunded).change(old, new, now)
    }

    /// Whether it may be forgotten.
    pub(super) fn is_unused(&self, rules: &Rules, now: Nanos) -> bool {
        match (self, &rules.limit) {
            (Self::Lane(lane), _) => lane.is_unused(rules, now),
            (Self::Bucket(state), Limit::Bucket(bucket)) => {
                bucket.is_unused(*state, now) || bucket.is_ahead(*state, now)
            }
            (Self::Bucket(_), _) => true,
        }
    }

    pub(super) fn waiting(&self) -> usize {
        match self {
            Self::Lane(lane) => lane.waiting(),
            Self::Bucket(_) => 0,
        }
    }

    /// As [`Lane::reset`]. A bucket that is one word is forgotten after it.
    pub(super) fn reset(&mut self, rules: &Rules, now: Nanos) -> Aftermath {
        match self {
            Self::Lane(lane) => lane.reset(rules, now),
            Self::Bucket(state) => {
                *state = gcra::UNUSED;
                Aftermath::default()
            }
        }
    }
}

impl Reply {
    /// Whether permits were taken, for those who need not know how the limit stands.
    pub(super) fn into_arrival(self, rules: &Rules, cost: u32) -> Arrival {
        match self {
            Self::Taken(permits, _) => Arrival::Ended(Decision {
                allowed: true,
                mark: permits.mark,
                ..Decision::NOTHING
            }),
            told => told.into_full_arrival(rules, cost),
        }
    }

    /// In full.
    pub(super) fn into_full_arrival(self, rules: &Rules, cost: u32) -> Arrival {
        let (state, mark, now, allowed) = match self {
            Self::Lane(arrival) => return arrival,
            Self::Taken(Permits { state, mark }, now) => (state, mark, now, true),
            Self::Spent(state, now) => (state, 0, now, false),
        };
        let Limit::Bucket(bucket) = &rules.limit else {
            unreachable!("only a bucket is asked for its state")
        };
        Arrival::Ended(Decision {
            mark,
            ..bucket.decision(state, now, cost, allowed)
        })
    }
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use std::{sync::Barrier, thread, time::Duration};

    use proptest::prelude::*;

    use super::*;
    use crate::{
        call::Call,
        key::Shown,
        policy::{
            Switch,
            rate_limiter::{Algorithm, RateLimiter, RateLimiterSettings, Request},
        },
    };

    const START: Nanos = Nanos(1 << 60);

    fn rules(burst: u32) -> Rules {
        Rules::new(
            &RateLimiterSettings::new()
                .rate(Rate::per_second(10))
                .burst(burst),
        )
    }

    fn any_rules() -> impl Strategy<Value = Rules> {
        let algorithms = prop::sample::select(Algorithm::ALL.to_vec());
        let per = prop::sample::select(vec![300u64, 1_000, 2_000]);
        (
            algorithms,
            1u32..12,
            per,
            prop::option::of(1u32..6),
            prop::bool::weighted(0.1),
        )
            .prop_map(|(algorithm, count, per, burst, off)| {
                let rate = Rate::new(count, Duration::from_millis(per));
                let mut settings = RateLimiterSettings::new().rate(rate).algorithm(algorithm);
                let is_bucket =
                    matches!(algorithm, Algorithm::TokenBucket | Algorithm::LeakyBucket);
                settings.burst = burst.filter(|_| is_bucket);
                let switch = if off { Switch::Off } else { Switch::On };
                Rules::switched(&settings, switch)
            })
    }

    fn bucket(rules: &Rules) -> &Gcra {
        match &rules.limit {
            Limit::Bucket(bucket) => bucket,
            _ => unreachable!("it was asked for"),
        }
    }

    #[test]
    fn windows_of_a_key_take_nothing_back_that_its_bucket_gave_out() {
        let of = |algorithm| {
            let rate = Rate::new(1_000, Duration::from_secs(3_600_000));
            Rules::new(&RateLimiterSettings::new().rate(rate).algorithm(algorithm))
        };
        for windows in [Algorithm::FixedWindow, Algorithm::SlidingWindowCounter] {
            let (windows, bucket) = (of(windows), of(Algorithm::TokenBucket));
            let terms = Edition::default();
            let common = Common::new(terms).changed(terms, &windows, &bucket, START);
            let mut key = KeyLane::new(&bucket, || START);
            let Reply::Taken(Permits { mark, .. }, _) =
                key.arrive(&bucket, common.refunded, START, 1, None)
            else {
                panic!("it is full");
            };
            key.change(&bucket, common.refunded, &windows, START).run();
            let common = common.changed(terms, &bucket, &windows, START);
            let lane = key.lane(&windows, common.refunded);
            assert!(lane.take(&windows, START, 1_000).allowed);
            lane.refund(&windows, START, mark, 1).run();
            assert!(!lane.take(&windows, START, 1).allowed, "{windows:?}");
        }
    }

    #[test]
    fn a_key_takes_two_words() {
        assert!(size_of::<KeyLane>() <= 16);
    }

    #[test]
    fn one_who_waits_makes_it_a_lane_that_nobody_overtakes() {
        let rules = rules(1);
        let mut key = KeyLane::new(&rules, || START);
        assert!(key.take(bucket(&rules), 0, START, 1).is_some());
        let late = START.after(Duration::from_secs(1));
        let reply = key.arrive(&rules, 0, START, 1, Some(Stay::between(START, late)));
        assert!(matches!(reply, Reply::Lane(Arrival::Waits(..))));
        assert_eq!(key.waiting(), 1);
        // There is a permit by now, and it is not the newcomer's.
        assert!(key.take(bucket(&rules), 0, late, 1).is_none());
        assert!(key.glance(bucket(&rules), 0, late, 1).is_none());
        assert!(!key.is_unused(&rules, late));
    }

    /// What is wrong with forgetting: marks are counted from the first refund on, and a key that is made
    /// anew does not know of it. Who gives back then, later than a full bucket takes to refill what was
    /// refunded before, may give back what was refilled already: its own cost, and no more.
    #[test]
    fn a_refund_that_comes_after_its_key_was_forgotten_gives_back_its_cost_at_most() {
        let rules = rules(2);
        let mut key = KeyLane::new(&rules, || START);
        let take = |key: &mut KeyLane, now| key.glance(bucket(&rules), 0, now, 1);
        let (first, late) = (take(&mut key, START), take(&mut key, START));
        let (first, late) = (first.unwrap().mark, late.unwrap().mark);
        key.lane(&rules, 0).refund(&rules, START, first, 1).run();
        let forgotten = START.after(Duration::from_millis(100));
        assert!(key.is_unused(&rules, forgotten));

        let mut kept = key;
        let mut anew = KeyLane::new(&rules, || forgotten);
        let permits = |key: &mut KeyLane| {
            let before = (0..3).filter(|_| take(key, forgotten).is_some()).count();
            key.lane(&rules, 0).refund(&rules, forgotten, late, 1).run();
            let after = (0..3).filter(|_| take(key, forgotten).is_some()).count();
            (before, after)
        };
        assert_eq!(permits(&mut kept), (2, 0));
        assert_eq!(permits(&mut anew), (2, 1));
    }

    #[test]
    fn threads_at_known_keys_get_exactly_the_permits() {
        const PERMITS: u32 = 1000;
        let limiter = RateLimiter::builder("keys")
            .rate(Rate::new(1, Duration::from_secs(1_000_000)))
            .burst(PERMITS)
            .max_keys(8)
            .build()
            .unwrap();
        for key in 0..8u64 {
            limiter.try_acquire_for(&key, 1).unwrap();
        }
        let start = Barrier::new(4);
        let got: Vec<[u32; 8]> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4u64)
                .map(|thread| {
                    let (limiter, start) = (&limiter, &start);
                    scope.spawn(move || {
                        let mut got = [0; 8];
                        start.wait();
                        for n in 0..8 * u64::from(PERMITS) {
                            let (call, key) = (Call::new(), (n + thread) % 8);
                            let request = Request::new().key(Shown::Number(key));
                            if let Ok(admission) = limiter.enter_blocking(&call, request) {
                                // At half of the keys, every third gives its permit back.
                                if key < 4 && n % 3 == 0 {
                                    drop(admission);
                                } else {
                                    got[key as usize] += 1;
                                    std::mem::forget(admission);
                                }
                            }
                            // Strangers look for room all the while, and find none among those in use.
                            let _ = limiter.try_acquire_for(&format_args!("{thread}-{n}"), 1);
                        }
                        got
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        for key in 0..8 {
            let sum = 1 + got.iter().map(|got| got[key]).sum::<u32>();
            match key {
                // What is given back out of order may be lost, but is never given out twice.
                0..4 => assert!(sum <= PERMITS, "{sum} at {key}"),
                _ => assert_eq!(sum, PERMITS, "at {key}"),
            }
        }
    }

    proptest! {
        /// Whichever way a caller takes, the key answers as a lane does.
        #[test]
        fn behaves_like_a_lane(
            burst in 1u32..6,
            steps in prop::collection::vec((0u8..6, 0u64..400_000_000, 0u32..7), 1..120),
        ) {
            let rules = rules(burst);
            let mut key = KeyLane::new(&rules, || START);
            let mut lane = Lane::new(&rules, START);
            let (mut now, mut taken) = (START, Vec::new());
            for (step, passed, cost) in steps {
                now = Nanos(now.0 + passed);
                if passed % 7 == 0 {
                    // The clock is set back by more than it may differ.
                    now = now.before(Duration::from_secs(3));
                }
                let quick = match step {
                    0 | 1 => key.take(bucket(&rules), 0, now, cost).map(NonZeroU64::get),
                    2 if cost > 0 => key.glance(bucket(&rules), 0, now, cost).map(|permits| permits.mark),
                    3 => {
                        if let Some((mark, cost)) = taken.pop() {
                            key.lane(&rules, 0).refund(&rules, now, mark, cost).run();
                            lane.refund(&rules, now, mark, cost).run();
                        }
                        continue;
                    }
                    _ => None,
                };
                let expected = lane.take(&rules, now, cost);
                if let Some(mark) = quick {
                    prop_assert!(expected.allowed && expected.mark == mark);
                    taken.push((mark, cost));
                    continue;
                }
                let reply = key.arrive(&rules, 0, now, cost, None).into_full_arrival(&rules, cost);
                let Arrival::Ended(decision) = reply else {
                    panic!("nobody waits");
                };
                // The mark of a refusal is nobody's.
                prop_assert_eq!(Decision { mark: 0, ..decision }, Decision { mark: 0, ..expected });
                if decision.allowed {
                    prop_assert_eq!(decision.mark, expected.mark);
                    taken.push((decision.mark, cost));
                }
                prop_assert_eq!(key.is_unused(&rules, now), lane.is_unused(&rules, now));
            }
        }

        /// The same while the rules change, with calls that bring a rate of their own among them: and nothing
        /// that is given back makes the key hold more than the lane does.
        #[test]
        fn behaves_like_a_lane_whatever_is_in_force(
            steps in prop::collection::vec((0u8..9, 0u64..400_000_000, 0u32..7, any_rules()), 1..120),
        ) {
            let terms = Edition::default();
            let mut rules = rules(3);
            let (mut key, mut lane) = (KeyLane::new(&rules, || START), Lane::new(&rules, START));
            let mut common = Common::new(terms);
            let (mut now, mut taken, mut is_exact) = (START, Vec::new(), true);
            for (step, passed, cost, other) in steps {
                now = Nanos(now.0 + passed);
                match step {
                    0 => {
                        key.change(&rules, common.refunded, &other, now).run();
                        common = common.changed(terms, &rules, &other, now);
                        lane.change(&rules, &other, now).run();
                        rules = other;
                    }
                    1 if !rules.off => {
                        let rate = Rate::new(cost, Duration::from_secs(1));
                        key.retune(&rules, common.refunded, now, rate);
                        lane.retune(&rules, now, Some(rate));
                    }
                    2 => {
                        if let Some((here, there, cost)) = taken.pop() {
                            key.lane(&rules, common.refunded).refund(&rules, now, here, cost).run();
                            lane.refund(&rules, now, there, cost).run();
                            is_exact = false;
                        }
                    }
                    _ => {
                        let expected = lane.take(&rules, now, cost);
                        let reply = key.arrive(&rules, common.refunded, now, cost, None);
                        let Arrival::Ended(decision) = reply.into_full_arrival(&rules, cost) else {
                            panic!("nobody waits");
                        };
                        if is_exact {
                            prop_assert_eq!(Decision { mark: 0, ..decision }, Decision { mark: 0, ..expected });
                        } else if decision.allowed != expected.allowed {
                            // A mark from before a change may hold less here: then they are two from now on.
                            prop_assert!(!decision.allowed);
                            return Ok(());
                        }
                        if decision.allowed && !decision.is_past() {
                            taken.push((decision.mark, expected.mark, cost));
                        }
                    }
                }
            }
        }
    }
}
