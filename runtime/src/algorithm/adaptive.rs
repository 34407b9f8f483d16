//! A limit that follows how the calls it let through end.

use std::time::Duration;

use crate::clock::{Nanos, nanos};
use crate::rate::Rate;

use super::{
    decision::{Decision, Unrepresentable},
    gcra::{Bucket, Gcra},
    pace::period,
    skew,
};

/// A token bucket whose rate is stepped once per interval, between a lower end and `rate`.
///
/// The bucket holds one period's permits at the present rate, so that in any window of length `t` it
/// gives out at most `count + t * rate`. A call that costs more than the bucket holds just now waits
/// for a full one and leaves a debt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Adaptive {
    rules: Gcra,
    count: u32,
    per: u64,
    /// The lower end, in permits per `per`.
    lowest: f64,
    interval: Duration,
    threshold: f64,
    backoff: f64,
    recovery: f64,
}

/// What an adaptive limit is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdaptiveSettings {
    pub(crate) rate: Rate,
    /// The lower end; a tenth of `rate` where there is none.
    pub(crate) min_rate: Option<Rate>,
    /// One step each.
    pub(crate) interval: Duration,
    /// The success share below which the limit backs off.
    pub(crate) threshold: f64,
    pub(crate) backoff: f64,
    pub(crate) recovery: f64,
}

/// One limit's bucket, present rate, and the outcomes since the last step.
#[derive(Clone, Debug)]
pub(crate) struct Adapted {
    rules: Gcra,
    bucket: Bucket,
    /// Permits per period.
    current: f64,
    /// The newest reading: the state of a clock that was set back starts anew.
    newest: Nanos,
    stepped: Nanos,
    ended: Ended,
    before: Option<f64>,
}

/// How calls ended.
#[derive(Clone, Copy, Debug, Default)]
struct Ended {
    well: u64,
    badly: u64,
}

impl Ended {
    fn share(self) -> Option<f64> {
        let all = self.well + self.badly;
        (all > 0).then(|| self.well as f64 / all as f64)
    }
}

impl Adapted {
    /// No earlier than any mark that was given out.
    pub(crate) fn front(&self) -> u64 {
        self.bucket.front()
    }
}

impl Adaptive {
    /// The state of a limit that was never used; marks up to `front`, which others have given out, hold
    /// nothing of it.
    pub(crate) fn behind(&self, front: u64, now: Nanos) -> Adapted {
        Adapted {
            bucket: Bucket::behind(front, &self.rules, now),
            ..self.unused(now)
        }
    }

    pub(crate) fn new(settings: AdaptiveSettings) -> Result<Self, Unrepresentable> {
        let AdaptiveSettings {
            rate,
            min_rate,
            interval,
            threshold,
            backoff,
            recovery,
        } = settings;
        let per = period(rate)?;
        let highest = f64::from(rate.count());
        let lowest = match min_rate {
            Some(min) => f64::from(min.count()) * (per as f64 / period(min)? as f64),
            None => highest / 10.0,
        };
        Ok(Self {
            rules: Gcra::new(rate, rate.count())?,
            count: rate.count(),
            per,
            lowest: lowest.min(highest),
            interval,
            threshold,
            backoff,
            recovery,
        })
    }

    /// The same for one whose settings have changed: see [`Gcra::overdrawn`].
    #[must_use]
    pub(crate) fn overdrawn(self) -> Self {
        Self {
            rules: self.rules.overdrawn(),
            ..self
        }
    }

    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn unused(&self, now: Nanos) -> Adapted {
        Adapted {
            rules: self.rules,
            bucket: Bucket::UNUSED,
            current: f64::from(self.count),
            newest: now,
            stepped: now,
            ended: Ended::default(),
            before: None,
        }
    }

    /// Goes on under these rules at the same share of the rate, with the same debt in permits.
    pub(crate) fn carry(&self, old: &Self, state: &mut Adapted, now: Nanos) {
        let now = old.advance(state, now);
        let share = state.current / f64::from(old.count);
        let highest = f64::from(self.count);
        let was = state.rules;
        state.rules = self.rules;
        state.current = (share * highest).clamp(self.lowest, highest);
        if state.current < highest {
            state.rules = self.bent(state, now);
        }
        state.bucket.carry(&was, &state.rules, now);
        if self.interval != old.interval {
            // A step that was due before now would bend what begins now.
            state.stepped = now;
        }
    }

    pub(crate) fn take(&self, state: &mut Adapted, now: Nanos, cost: u32) -> Decision {
        let now = self.advance(state, now);
        let decision = state.bucket.take(&state.rules, now, cost);
        let retry_after = match decision.allowed {
            true => decision.retry_after,
            false => self
                .ready_at(state, now, 0, cost)
                .map(|ready| ready.since(now)),
        };
        Decision {
            retry_after,
            ..decision
        }
    }

    /// A call that was let through ended well or not.
    pub(crate) fn report(&self, state: &mut Adapted, now: Nanos, success: bool) {
        self.advance(state, now);
        match success {
            true => state.ended.well += 1,
            false => state.ended.badly += 1,
        }
    }

    pub(crate) fn refund(&self, state: &mut Adapted, now: Nanos, mark: u64, cost: u32) {
        let now = self.advance(state, now);
        state.bucket.refund(&state.rules, now, mark, cost);
    }

    /// When `cost` could be taken after `ahead` others, if no more calls end until then.
    pub(crate) fn ready_at(
        &self,
        state: &Adapted,
        now: Nanos,
        ahead: u64,
        cost: u32,
    ) -> Option<Nanos> {
        let mut state = state.clone();
        let now = self.advance(&mut state, now);
        let ready = state.rules.ready_at(state.bucket.state, now, ahead, cost)?;
        let due = state.stepped.after(self.interval);
        if ready <= due || state.ended.share().is_none() {
            return Some(ready);
        }
        // The outcomes so far make a step before that.
        self.advance(&mut state, due);
        state.rules.ready_at(state.bucket.state, due, ahead, cost)
    }

    /// Makes the step that is due, at the time at which it was; returns `now` as the state sees it.
    ///
    /// An interval in which no call ended tells nothing and moves nothing.
    fn advance(&self, state: &mut Adapted, now: Nanos) -> Nanos {
        if skew::stepped_back(now, state.newest) {
            state.rules = state.rules.restart(now, state.newest);
            state.bucket.restart();
            state.stepped = now;
            state.newest = now;
        }
        let now = now.max(state.newest);
        state.newest = now;
        let interval = nanos(self.interval).max(1);
        let passed = nanos(now.since(state.stepped)) / interval;
        if passed > 0 {
            let due = state.stepped.after(self.interval);
            state.stepped = Nanos(
                state
                    .stepped
                    .0
                    .saturating_add(passed.saturating_mul(interval)),
            );
            self.step(state, due);
        }
        now
    }

    fn step(&self, state: &mut Adapted, due: Nanos) {
        let Some(share) = std::mem::take(&mut state.ended).share() else {
            return;
        };
        state.before = Some(share);
        let factor = if share < self.threshold {
            self.backoff
        } else {
            self.recovery
        };
        let next = (state.current * factor).clamp(self.lowest, f64::from(self.count));
        if next != state.current {
            state.current = next;
            state.rules = self.bent(state, due);
        }
    }

    /// The rules of the present rate, from `due` on.
    fn bent(&self, state: &Adapted, due: Nanos) -> Gcra {
        // Both sides of the rate grow by the same power of two: the fraction of a permit stays.
        let places = self.per.leading_zeros().min(20);
        let count = (state.current * f64::from(1u32 << places)) as u64;
        state
            .rules
            .bend(due, count, self.per << places, self.limit(state))
    }

    /// Permits per period just now.
    fn limit(&self, state: &Adapted) -> u32 {
        (state.current.round() as u32).clamp(1, self.count)
    }

    /// The limit and the success share: of the present interval, before its first outcome that of the
    /// last one that had any.
    pub(crate) fn present(&self, state: &Adapted, now: Nanos) -> (u32, Option<f64>) {
        let mut state = state.clone();
        self.advance(&mut state, now);
        (self.limit(&state), state.ended.share().or(state.before))
    }

    /// Whether nothing would be lost with this state: a full bucket, and a rate that is at its upper
    /// end or was learned so long ago that good calls would have led it back there since.
    pub(crate) fn is_unused(&self, state: &Adapted, now: Nanos) -> bool {
        let mut state = state.clone();
        let intervals = nanos(now.since(state.stepped)) / nanos(self.interval).max(1);
        let quiet = intervals.saturating_sub(u64::from(state.ended.share().is_some()));
        let now = self.advance(&mut state, now);
        let back = (f64::from(self.count) / state.current).ln() / self.recovery.ln();
        let forgotten = state.current >= f64::from(self.count) || quiet as f64 > back;
        state.rules.is_unused(state.bucket.state, now) && state.ended.share().is_none() && forgotten
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Nanos = Nanos(1 << 60);

    fn at(millis: u64) -> Nanos {
        START.after(Duration::from_millis(millis))
    }

    fn settings(count: u32) -> AdaptiveSettings {
        AdaptiveSettings {
            rate: Rate::per_second(count),
            min_rate: None,
            interval: Duration::from_secs(1),
            threshold: 0.8,
            backoff: 0.7,
            recovery: 1.2,
        }
    }

    fn limit(count: u32) -> (Adaptive, Adapted) {
        let adaptive = Adaptive::new(settings(count)).unwrap();
        let state = adaptive.unused(START);
        (adaptive, state)
    }

    #[test]
    fn backs_off_by_steps_to_the_lower_end_and_recovers_to_the_rate() {
        let (adaptive, mut state) = limit(100);
        let mut limits = Vec::new();
        for second in 0..20 {
            adaptive.report(&mut state, at(second * 1000 + 500), second >= 8);
            limits.push(adaptive.present(&state, at(second * 1000 + 1000)).0);
        }
        assert_eq!(
            limits,
            [
                70, 49, 34, 24, 17, 12, 10, 10, 12, 14, 17, 21, 25, 30, 36, 43, 52, 62, 74, 89
            ]
        );
    }

    #[test]
    fn steps_on_the_share_of_successes() {
        let (adaptive, mut state) = limit(100);
        for n in 0..10 {
            adaptive.report(&mut state, at(n), n >= 2);
        }
        assert_eq!(adaptive.present(&state, at(999)), (100, Some(0.8)));
        assert_eq!(
            adaptive.present(&state, at(1000)),
            (100, Some(0.8)),
            "0.8 is not below 0.8"
        );
        for n in 0..10 {
            adaptive.report(&mut state, at(1000 + n), n >= 3);
        }
        assert_eq!(adaptive.present(&state, at(2000)), (70, Some(0.7)));
    }

    #[test]
    fn a_silent_interval_moves_nothing() {
        let (adaptive, mut state) = limit(100);
        adaptive.report(&mut state, at(0), false);
        assert_eq!(adaptive.present(&state, at(1000)).0, 70);
        assert_eq!(adaptive.present(&state, at(60_000)).0, 70);
    }

    #[test]
    fn the_bucket_shrinks_with_the_limit() {
        let (adaptive, mut state) = limit(10);
        adaptive.report(&mut state, at(0), false);
        adaptive.report(&mut state, at(1000), false);
        // 4.9 a second.
        assert!(adaptive.take(&mut state, at(10_000), 5).allowed);
        assert!(!adaptive.take(&mut state, at(10_200), 1).allowed);
        assert!(adaptive.take(&mut state, at(10_205), 1).allowed);
    }

    #[test]
    fn a_cost_above_the_present_limit_leaves_a_debt() {
        let (adaptive, mut state) = limit(10);
        adaptive.report(&mut state, at(0), false);
        assert!(adaptive.take(&mut state, at(10_000), 10).allowed);
        let refused = adaptive.take(&mut state, at(10_000), 1);
        assert_eq!(
            refused.retry_after.map(|wait| wait.as_millis()),
            Some(571),
            "4 permits at 7 a second"
        );
        assert!(!adaptive.take(&mut state, at(60_000), 11).allowed);
    }

    #[test]
    fn a_forgotten_backoff_is_as_if_unused() {
        let (adaptive, mut state) = limit(10);
        adaptive.report(&mut state, at(0), false);
        assert!(!adaptive.is_unused(&state, at(1500)));
        assert!(!adaptive.is_unused(&state, at(2500)));
        assert!(
            adaptive.is_unused(&state, at(3000)),
            "two good intervals lead from 7 to 10"
        );
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        let (adaptive, mut state) = limit(10);
        adaptive.report(&mut state, at(3_600_000), false);
        assert!(adaptive.take(&mut state, at(3_602_000), 7).allowed);
        assert!(adaptive.take(&mut state, at(0), 7).allowed);
        assert!(!adaptive.take(&mut state, at(0), 1).allowed);
        assert!(adaptive.take(&mut state, at(143), 1).allowed);
    }

    proptest! {
        #[test]
        fn never_above_the_rate(
            count in 1u32..50,
            steps in prop::collection::vec((0u64..700_000_000, 0u32..5, 0u32..4), 1..200),
        ) {
            let (adaptive, mut state) = limit(count);
            let mut kept: Vec<(Nanos, u32)> = Vec::new();
            let mut now = START;
            for (by, cost, then) in steps {
                now = Nanos(now.0 + by);
                let decision = adaptive.take(&mut state, now, cost);
                match then {
                    _ if !decision.allowed => {}
                    0 => adaptive.refund(&mut state, now, decision.mark, cost),
                    _ => {
                        kept.push((now, cost));
                        adaptive.report(&mut state, now, then > 1);
                    }
                }
                let (limit, _) = adaptive.present(&state, now);
                prop_assert!(limit >= count.div_ceil(10).min(1) && limit <= count);
            }
            for (from, &(start, _)) in kept.iter().enumerate() {
                let mut sum = 0u128;
                for &(at, cost) in &kept[from..] {
                    sum += u128::from(cost);
                    let bound = u128::from(count) * (1_000_000_001 + at.since(start).as_nanos());
                    prop_assert!(sum * 1_000_000_000 <= bound);
                }
            }
        }
    }
}
