//! The generic cell rate algorithm: a token bucket in one word.

use std::time::Duration;

use crate::clock::Nanos;
use crate::rate::Rate;

use super::{
    decision::{Decision, Unrepresentable},
    pace::Pace,
};

/// The state of a bucket that was never used. States leave the top bit of the word free.
pub(crate) const UNUSED: u64 = 0;

/// Which permits a taking got, in the order in which the bucket refills them.
///
/// It is the state after the taking, but counted as if nothing was ever refunded: a refund moves all
/// later permits forward, and they must not be given back where they no longer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(pub(crate) u64);

impl Mark {
    /// The mark of a taking that led to `state`, by one who read `refunded` before that.
    pub(crate) fn new(state: u64, refunded: u64) -> Self {
        Self(state.wrapping_add(refunded))
    }
}

/// The state of one bucket: [`Gcra`]'s word, and what was ever refunded, in its units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(crate) state: u64,
    refunded: u64,
}

impl Bucket {
    pub(crate) const UNUSED: Self = Self {
        state: UNUSED,
        refunded: 0,
    };

    /// What was ever refunded, in units: what [`Mark`]s are counted with.
    pub(crate) fn refunded(&self) -> u64 {
        self.refunded
    }

    pub(crate) fn take(&mut self, gcra: &Gcra, now: Nanos, cost: u32) -> Decision {
        if gcra.is_ahead(self.state, now) {
            self.restart();
        }
        let taken = gcra.take(self.state, now, cost);
        self.state = taken.unwrap_or(self.state);
        let mark = Mark::new(self.state, self.refunded).0;
        Decision {
            mark,
            ..gcra.decision(self.state, now, cost, taken.is_some())
        }
    }

    pub(crate) fn refund(&mut self, gcra: &Gcra, now: Nanos, mark: u64, cost: u32) {
        let held = gcra.held(now, Mark(mark), self.refunded, cost);
        self.state = self.state.saturating_sub(held);
        self.refunded = self.refunded.wrapping_add(held);
    }

    /// A bucket in this state, to which so much was ever refunded.
    pub(crate) fn of(state: u64, refunded: u64) -> Self {
        Self { state, refunded }
    }

    /// Full, and marks up to `front`, which others have given out, hold nothing of it.
    pub(crate) fn behind(front: u64, gcra: &Gcra, now: Nanos) -> Self {
        let at = gcra.pace.at(now);
        Self::of(at, front.wrapping_sub(at))
    }

    /// The furthest mark that was given out.
    pub(crate) fn front(&self) -> u64 {
        Mark::new(self.state, self.refunded).0
    }

    /// The same debt, in permits, under other rules; no more of it than [can be owed](Gcra::most) there.
    ///
    /// It is never [`UNUSED`] after that: whoever has read the word under the old rules must not find it
    /// as it was.
    pub(crate) fn carry(&mut self, old: &Gcra, new: &Gcra, now: Nanos) {
        if old.is_ahead(self.state, now) {
            self.restart();
        }
        let (was, is) = (old.pace.at(now), new.pace.at(now));
        let owed = self.state.saturating_sub(was);
        let debt = old.pace.in_units_of(&new.pace, owed);
        self.refunded = new.moved(old, self.refunded, self.state.max(was), now);
        self.state = is + debt.min(new.most);
    }

    /// Begins anew, full; what was taken before holds nothing any more.
    pub(crate) fn restart(&mut self) {
        self.refunded = self.refunded.wrapping_add(self.state);
        self.state = UNUSED;
    }
}

/// A bucket of `burst` permits, full at the start, that refills (or, seen as a leaky bucket, drains)
/// at a rate.
///
/// The state is the point at which the bucket will be full again. In any window of length `t` it
/// gives out at most `burst + t * rate`, to within the resolution of its [`Pace`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gcra {
    pace: Pace,
    burst: u32,
    /// The largest cost that is ever let through. More than `burst` only where the burst moves: such
    /// a call needs a full bucket and leaves a debt.
    largest: u32,
    /// The most units that can be owed.
    most: u64,
    skew: u64,
    /// What is asked for at every call: the units of one permit, and of the whole bucket.
    one: u64,
    whole: u64,
}

impl Gcra {
    pub(crate) fn new(rate: Rate, burst: u32) -> Result<Self, Unrepresentable> {
        if burst == 0 {
            return Err(Unrepresentable::NoBurst);
        }
        let pace = Pace::new(rate, burst)?;
        Ok(Self {
            pace,
            burst,
            largest: burst,
            most: pace.units(burst),
            skew: pace.skew(),
            one: pace.units(1),
            whole: pace.units(burst),
        })
    }

    /// The same bucket from `at` on at another rate (`count` permits in `per` nanoseconds) and size.
    pub(crate) fn bend(&self, at: Nanos, count: u64, per: u64, burst: u32) -> Self {
        let pace = self.pace.bend(at, count, per);
        Self {
            pace,
            burst,
            largest: self.largest,
            most: self.most,
            skew: pace.skew(),
            one: pace.units(1),
            whole: pace.units(burst),
        }
    }

    /// What counts as refunded after a change from `old` rules to these, under which marks go up to
    /// `furthest`: so that no mark from before holds more permits than it did, and all together no more than
    /// [can be owed](Gcra::most) here: what is forgiven is as good as given back. Where units were smaller
    /// before, it holds none.
    pub(crate) fn moved(&self, old: &Self, refunded: u64, furthest: u64, now: Nanos) -> u64 {
        let front = match self.pace.is_as_fine_as(&old.pace) {
            true => old.pace.at(now).max(furthest.saturating_sub(self.most)),
            false => furthest,
        };
        refunded.wrapping_add(front).wrapping_sub(self.pace.at(now))
    }

    /// The same bucket, which may owe up to twice what it holds: for one whose settings have changed. What
    /// is owed from before has to be paid back first; forgiven at once, a limit that goes to and fro
    /// would give out as much again each time. And what nobody could wait for is forgiven.
    #[must_use]
    pub(crate) fn overdrawn(self) -> Self {
        // No sum may reach the top bit of a state.
        let most = self.pace.units(self.largest).saturating_mul(2).min(1 << 61);
        Self { most, ..self }
    }

    /// The furthest state that there can be now, whatever the cost.
    pub(crate) fn reach(&self, now: Nanos) -> u64 {
        self.pace.at(now) + self.most
    }

    /// The same bucket after the clock was set back from `newest` to `now`.
    pub(crate) fn restart(&self, now: Nanos, newest: Nanos) -> Self {
        Self {
            pace: self.pace.restart(now, newest),
            ..*self
        }
    }

    pub(crate) fn largest(&self) -> u32 {
        self.largest
    }

    /// Takes `cost` permits: the new state, or `None`.
    #[inline]
    pub(crate) fn take(&self, state: u64, now: Nanos, cost: u32) -> Option<u64> {
        self.take_at(state, self.pace.at(now), cost)
    }

    /// The same at a point of the line.
    #[inline]
    pub(crate) fn take_at(&self, state: u64, at: u64, cost: u32) -> Option<u64> {
        if cost > self.largest {
            return None;
        }
        let next = state.max(at) + self.units(cost);
        (next <= at + self.room(cost) || cost == 0).then_some(next)
    }

    /// How far ahead of the present a call of this cost may bring the state.
    #[inline]
    fn room(&self, cost: u32) -> u64 {
        if cost <= self.burst {
            self.whole
        } else {
            self.pace.units(cost)
        }
    }

    /// Whether a call of this cost is one that [`Gcra::take_plain`] is for: all but those that cost
    /// nothing, and those beyond the burst.
    #[inline]
    pub(crate) fn is_plain(&self, cost: u32) -> bool {
        // A bucket has room for one, always.
        cost == 1 || (cost != 0 && cost <= self.burst)
    }

    /// [`Gcra::take_at`] of a plain cost. Of a state whose top bit is set it takes
    /// nothing.
    #[inline]
    pub(crate) fn take_plain(&self, state: u64, at: u64, cost: u32) -> Option<u64> {
        let (base, units) = (state.max(at), self.units(cost));
        (base <= at + self.whole - units).then(|| base + units)
    }

    /// The point of `now`: states are counted on this line.
    #[inline]
    pub(crate) fn at(&self, now: Nanos) -> u64 {
        self.pace.at(now)
    }

    /// What permits are on that line.
    #[inline]
    pub(crate) fn units(&self, permits: u32) -> u64 {
        match permits {
            1 => self.one,
            _ => self.pace.units(permits),
        }
    }

    pub(crate) fn burst(&self) -> u32 {
        self.burst
    }

    /// The furthest state that a call at this point may lead to.
    #[inline]
    pub(crate) fn end(&self, at: u64) -> u64 {
        at + self.whole
    }

    /// What permits of `mark` still hold: what of them has been refilled in the meantime is not given
    /// a second time.
    pub(crate) fn held(&self, now: Nanos, mark: Mark, refunded: u64, cost: u32) -> u64 {
        let ends = u64::try_from(mark.0.wrapping_sub(refunded).cast_signed()).unwrap_or(0);
        ends.saturating_sub(self.pace.at(now))
            .min(self.pace.units(cost))
    }

    /// When `cost` could be taken after `ahead` others have been; `None` where never.
    pub(crate) fn ready_at(&self, state: u64, now: Nanos, ahead: u64, cost: u32) -> Option<Nanos> {
        if cost > self.largest {
            return None;
        }
        let queued = u128::from(ahead) * u128::from(self.pace.units(1));
        let next =
            u128::from(state.max(self.pace.at(now))) + u128::from(self.pace.units(cost)) + queued;
        let point = next.saturating_sub(u128::from(self.room(cost)));
        Some(
            self.pace
                .when(u64::try_from(point).unwrap_or(u64::MAX))
                .max(now),
        )
    }

    /// The answer about a state, `allowed` by [`Gcra::take`] or not.
    pub(crate) fn decision(&self, state: u64, now: Nanos, cost: u32, allowed: bool) -> Decision {
        Decision {
            allowed,
            limit: self.burst,
            remaining: self.remaining(state, now),
            retry_after: match allowed {
                true => Some(Duration::ZERO),
                false => self
                    .ready_at(state, now, 0, cost)
                    .map(|ready| ready.since(now)),
            },
            reset_after: self.reset_after(state, now),
            mark: 0,
        }
    }

    #[inline]
    pub(crate) fn remaining(&self, state: u64, now: Nanos) -> u32 {
        let debt = state.saturating_sub(self.pace.at(now));
        self.pace
            .permits(self.pace.units(self.burst).saturating_sub(debt))
    }

    #[inline]
    pub(crate) fn reset_after(&self, state: u64, now: Nanos) -> Duration {
        match self.is_unused(state, now) {
            true => Duration::ZERO,
            false => self.pace.when(state).since(now),
        }
    }

    #[inline]
    pub(crate) fn is_unused(&self, state: u64, now: Nanos) -> bool {
        state <= self.pace.at(now)
    }

    /// Whether no reading up to `now`, taken after the state was written, can have led to this state:
    /// the clock was set back, and the state has to begin anew, or it would lock everybody out.
    #[inline]
    pub(crate) fn is_ahead(&self, state: u64, now: Nanos) -> bool {
        state > self.reach(now).saturating_add(self.skew)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Nanos = Nanos(1 << 60);

    fn millis(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn every(interval: Duration, burst: u32) -> Gcra {
        Gcra::new(Rate::new(1, interval), burst).unwrap()
    }

    /// The same algorithm on exact fractions: points in 1/count of a nanosecond, relative to `START`.
    ///
    /// It follows the decisions of the bucket under test, and says how far they were off.
    struct Exact {
        count: i128,
        per: i128,
        burst: i128,
        full: i128,
    }

    impl Exact {
        fn new(rate: Rate, burst: u32) -> Self {
            let (count, per) = (i128::from(rate.count()), rate.per().as_nanos() as i128);
            let divisor = gcd(count, per);
            Self {
                count: count / divisor,
                per: per / divisor,
                burst: i128::from(burst),
                full: i128::MIN,
            }
        }

        fn base(&self, now: u64) -> i128 {
            self.full.max(i128::from(now) * self.count)
        }

        /// How much too early the call is: not at all where this is zero or less.
        fn early_by(&self, now: u64, cost: u32) -> i128 {
            self.base(now) + (i128::from(cost) - self.burst) * self.per
                - i128::from(now) * self.count
        }

        fn take(&mut self, now: u64, cost: u32) {
            self.full = self.base(now) + i128::from(cost) * self.per;
        }
    }

    fn gcd(a: i128, b: i128) -> i128 {
        if b == 0 { a } else { gcd(b, a % b) }
    }

    fn rates() -> impl Strategy<Value = Rate> {
        let count = prop_oneof![
            1u32..20,
            1u32..5000,
            900_000u32..1_100_000,
            any::<u32>().prop_map(|n| n.max(1))
        ];
        let per = prop_oneof![
            Just(1_000_000_000u64),
            Just(60_000_000_000),
            Just(3_600_000_000_000),
            1_000_000u64..10_000_000_000,
        ];
        let slow_enough =
            |count: u32, per: u64| count.min(u32::try_from(per * 4).unwrap_or(u32::MAX));
        (count, per).prop_map(move |(count, per)| {
            Rate::new(slow_enough(count, per), Duration::from_nanos(per))
        })
    }

    #[test]
    fn a_full_bucket_gives_its_burst_then_one_an_interval() {
        let bucket = every(millis(100), 3);
        let mut state = UNUSED;
        for _ in 0..3 {
            state = bucket.take(state, START, 1).unwrap();
        }
        assert_eq!(bucket.take(state, START, 1), None);
        assert_eq!(
            bucket.take(
                state,
                START.after(millis(100)).before(Duration::from_nanos(1)),
                1
            ),
            None
        );
        assert!(bucket.take(state, START.after(millis(100)), 1).is_some());
    }

    #[test]
    fn the_answer_carries_the_exact_times() {
        let bucket = every(millis(100), 3);
        let state = bucket.take(UNUSED, START, 2).unwrap();
        let decision = bucket.decision(state, START, 2, false);
        assert_eq!((decision.remaining, decision.reset_after), (1, millis(200)));
        assert_eq!(decision.retry_after, Some(millis(100)));
    }

    #[test]
    fn a_cost_above_the_burst_never_fits() {
        let bucket = every(millis(100), 3);
        assert_eq!(bucket.take(UNUSED, START, 4), None);
        assert_eq!(bucket.ready_at(UNUSED, START, 0, 4), None);
        assert!(bucket.take(UNUSED, START, 3).is_some());
    }

    #[test]
    fn unrepresentable_settings_are_refused() {
        let refused = |count, per, burst| {
            Gcra::new(Rate::new(count, per), burst)
                .map(|_| ())
                .unwrap_err()
        };
        let second = Duration::from_secs(1);
        assert_eq!(refused(0, second, 1), Unrepresentable::NoPermits);
        assert_eq!(refused(1, Duration::ZERO, 1), Unrepresentable::NoTime);
        assert_eq!(refused(1, second, 0), Unrepresentable::NoBurst);
        assert_eq!(
            refused(u32::MAX, Duration::from_nanos(1), 1),
            Unrepresentable::TooFast
        );
        assert_eq!(refused(1, Duration::MAX, 1), Unrepresentable::TooLong);
        assert!(Gcra::new(Rate::per_second(u32::MAX), u32::MAX).is_ok());
        assert!(Gcra::new(Rate::new(1, Duration::from_nanos(u64::MAX)), u32::MAX).is_ok());
    }

    #[test]
    fn polling_every_two_microseconds_loses_nothing() {
        for count in [3, 7, 997, 33_333, 99_991, 333_331, 499_979] {
            let bucket = Gcra::new(Rate::per_second(count), 1 + count / 100_000).unwrap();
            let (mut state, mut taken, polls) = (UNUSED, 0u64, 250_000u64);
            for poll in 0..=polls {
                let now = START.after(Duration::from_micros(2 * poll));
                if let Some(next) = bucket.take(state, now, 1) {
                    (state, taken) = (next, taken + 1);
                }
            }
            // A poll comes up to two microseconds late, which a bucket of one cannot make up for.
            let elapsed = 2_000 * u128::from(polls);
            let rate = elapsed * u128::from(count) / 1_000_000_000;
            let late = if count > 100_000 {
                0
            } else {
                u64::from(count) * u64::from(count) / 2 / 500_000
            };
            assert!(
                u128::from(taken + late) >= rate,
                "{count}/s: {taken} of {rate}"
            );
            assert!(
                u128::from(taken) <= rate + 1 + u128::from(count / 100_000),
                "{count}/s: {taken} of {rate}"
            );
        }
    }

    #[test]
    fn an_odd_rate_is_kept_for_a_year() {
        let bucket = Gcra::new(Rate::per_second(999_983), 100).unwrap();
        let (year, second) = (Duration::from_secs(365 * 86_400), Duration::from_secs(1));
        let passed = bucket.pace.at(START.after(year + second)) - bucket.pace.at(START.after(year));
        assert_eq!(bucket.pace.permits(passed), 999_983);
        let passed = bucket.pace.at(START.after(year)) - bucket.pace.at(START);
        assert_eq!(bucket.pace.units(1), 1 << bucket.pace.units(1).ilog2());
        assert_eq!(
            passed >> bucket.pace.units(1).ilog2(),
            999_983 * year.as_secs()
        );
    }

    #[test]
    fn a_word_holds_decades() {
        for rate in [
            Rate::per_second(u32::MAX),
            Rate::per_second(1),
            Rate::per_hour(10),
        ] {
            let bucket = Gcra::new(rate, 10).unwrap();
            let later = START.after(Duration::from_secs(20 * 365 * 86_400));
            let state = bucket.take(UNUSED, later, 10).unwrap();
            assert_eq!(bucket.take(state, later, 1), None);
            let ready = bucket.ready_at(state, later, 0, 1).unwrap();
            assert!(bucket.take(state, ready, 1).is_some());
        }
    }

    #[test]
    fn a_state_from_a_later_clock_is_noticed() {
        let bucket = every(millis(100), 3);
        let state = bucket
            .take(UNUSED, START.after(Duration::from_secs(3600)), 1)
            .unwrap();
        assert!(bucket.is_ahead(state, START));
        let state = bucket.take(UNUSED, START, 3).unwrap();
        assert!(!bucket.is_ahead(state, START));
        assert!(
            !bucket.is_ahead(state, START.before(Duration::from_micros(50))),
            "that is skew"
        );
    }

    #[test]
    fn a_refund_gives_back_what_has_not_been_refilled() {
        let gcra = every(millis(100), 2);
        let mut bucket = Bucket::UNUSED;
        let first = bucket.take(&gcra, START, 1).mark;
        let second = bucket.take(&gcra, START, 1).mark;
        let mut at_once = bucket;
        at_once.refund(&gcra, START, first, 1);
        assert_eq!(gcra.remaining(at_once.state, START), 1);
        // A hundred milliseconds later the first permit has been refilled already.
        let later = START.after(millis(100));
        let before = bucket;
        bucket.refund(&gcra, later, first, 1);
        assert_eq!(bucket, before);
        bucket.refund(&gcra, later, second, 1);
        assert_eq!(gcra.remaining(bucket.state, later), 2);
    }

    #[test]
    fn a_refund_knows_that_an_earlier_one_moved_it_forward() {
        let gcra = every(millis(100), 2);
        let mut bucket = Bucket::UNUSED;
        let first = bucket.take(&gcra, START, 1).mark;
        let second = bucket.take(&gcra, START, 1).mark;
        bucket.refund(&gcra, START, first, 1);
        let later = START.after(millis(120));
        bucket.take(&gcra, later, 1);
        let before = bucket;
        bucket.refund(&gcra, later, second, 1);
        assert_eq!(bucket, before, "it was refilled after 100 ms");
    }

    proptest! {
        #[test]
        fn decides_as_exact_fractions_do(
            rate in rates(),
            burst in 1u32..50,
            steps in prop::collection::vec((0u64..4, any::<u32>(), 0u32..8), 1..200),
        ) {
            let bucket = Gcra::new(rate, burst).unwrap();
            let mut exact = Exact::new(rate, burst);
            let mut state = UNUSED;
            let interval = rate.per().as_nanos() as u64 / u64::from(rate.count());
            let mut now = 0u64;
            // A reading is rounded by less than a quarter of a nanosecond, in whose units times are
            // counted; intervals of whole nanoseconds leave nothing to round.
            let tolerance = if exact.count == 1 { 0 } else { exact.count / 4 + 1 };
            for (kind, by, cost) in steps {
                now += match kind {
                    0 => 0,
                    1 => u64::from(by) % (interval + 2),
                    2 => interval + u64::from(by % 2),
                    _ => u64::from(by) % (interval * 5 + 2),
                };
                let early = exact.early_by(now, cost);
                let at = Nanos(START.0 + now);
                match bucket.take(state, at, cost) {
                    Some(next) => {
                        prop_assert!(early <= tolerance || cost == 0, "let through {early} early");
                        exact.take(now, cost);
                        state = next;
                    }
                    None => {
                        prop_assert!(early > -tolerance || cost > burst, "refused though {early} late");
                        let ready = bucket.ready_at(state, at, 0, cost);
                        prop_assert_eq!(ready.is_none(), cost > burst);
                        if let Some(ready) = ready {
                            prop_assert!(ready > at);
                            prop_assert!(bucket.take(state, ready, cost).is_some());
                            prop_assert!(bucket.take(state, Nanos(ready.0 - 1), cost).is_none());
                            let wait = (early + exact.count - 1).div_euclid(exact.count);
                            let off = i128::from(ready.0 - at.0) - wait;
                            prop_assert!(off.abs() <= i128::from(tolerance > 0), "off by {off} ns");
                        }
                    }
                }
            }
        }

        #[test]
        fn refunds_never_lift_it_over_the_limit(
            rate in rates(),
            burst in 1u32..20,
            steps in prop::collection::vec((0u64..3, any::<u32>(), 1u32..5), 1..100),
        ) {
            let gcra = Gcra::new(rate, burst).unwrap();
            let interval = rate.per().as_nanos() as u64 / u64::from(rate.count());
            let mut bucket = Bucket::UNUSED;
            let mut now = START;
            let mut kept: Vec<(Nanos, u64, u32)> = Vec::new();
            for (kind, by, cost) in steps {
                now = Nanos(now.0 + u64::from(by) % (interval + 2));
                if kind == 0 && !kept.is_empty() {
                    let (_, mark, cost) = kept.swap_remove(by as usize % kept.len());
                    bucket.refund(&gcra, now, mark, cost);
                    continue;
                }
                let decision = bucket.take(&gcra, now, cost);
                if decision.allowed {
                    kept.push((now, decision.mark, cost));
                }
            }
            kept.sort();
            for (from, &(start, ..)) in kept.iter().enumerate() {
                let mut sum = 0u128;
                for &(at, _, cost) in &kept[from..] {
                    sum += u128::from(cost);
                    // The resolution is a quarter of a nanosecond: allow one.
                    let elapsed = at.since(start).as_nanos() + 1;
                    let bound = u128::from(burst) * rate.per().as_nanos() + elapsed * u128::from(rate.count());
                    prop_assert!(sum * rate.per().as_nanos() <= bound);
                }
            }
        }

        #[test]
        fn nothing_panics_and_the_top_bit_stays_free(
            rate in rates(),
            burst in any::<u32>().prop_map(|n| n.max(1)),
            state in 0u64..1 << 63,
            now: u64,
            mark: u64,
            ahead: u64,
            cost: u32,
        ) {
            let bucket = Gcra::new(rate, burst).unwrap();
            let now = Nanos(now);
            let next = bucket.take(state, now, cost);
            prop_assert!(next.is_none_or(|next| next < 1 << 63 || next >= state));
            prop_assert!(bucket.take(UNUSED, now, cost).is_none_or(|next| next < 1 << 63));
            bucket.decision(state, now, cost, next.is_some());
            bucket.decision(state, now, cost, false);
            bucket.held(now, Mark(mark), ahead, cost);
            bucket.ready_at(state, now, ahead, cost);
            bucket.is_ahead(state, now);
        }
    }
}
