//! One type over all limiting algorithms.

use std::time::Duration;

use crate::clock::Nanos;
use crate::rate::Rate;

use super::{
    adaptive::{Adapted, Adaptive, AdaptiveSettings},
    decision::{Decision, Unrepresentable},
    fixed_window::{Counted, FixedWindow},
    gcra::{Bucket, Gcra},
    sliding_counter::{Counters, SlidingCounter},
    sliding_log::{self, Log, SlidingLog},
};

/// The rules of a limit. Its state is a [`LimitState`], one per key.
///
/// `now` is a reading taken after everything that the state tells of: one that is earlier all the same
/// means that the clock was set back, and the state begins anew. So whoever shares a state reads the
/// clock inside its lock.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    Bucket(Gcra),
    FixedWindow(FixedWindow),
    SlidingLog(SlidingLog),
    SlidingCounter(SlidingCounter),
    Adaptive(Adaptive),
}

/// What was taken from a limit.
#[derive(Clone, Debug)]
pub(crate) enum LimitState {
    Bucket(Bucket),
    FixedWindow(Counted),
    SlidingLog(Box<Log>),
    SlidingCounter(Counters),
    Adaptive(Box<Adapted>),
}

/// When those who stand in a line can be served.
#[derive(Debug)]
pub(crate) enum Outlook<'s> {
    Log(sliding_log::Outlook<'s>),
    Of(&'s Limit, &'s LimitState, Nanos),
}

impl Outlook<'_> {
    /// As [`Limit::ready_at`].
    pub(crate) fn ready_at(&self, ahead: u64, cost: u32) -> Option<Nanos> {
        match self {
            Self::Log(outlook) => outlook.ready_at(ahead, cost),
            Self::Of(limit, state, now) => limit.ready_at(state, *now, ahead, cost),
        }
    }
}

impl Limit {
    /// A bucket of `burst` permits, for both the token and the leaky bucket.
    pub(crate) fn bucket(rate: Rate, burst: u32) -> Result<Self, Unrepresentable> {
        Gcra::new(rate, burst).map(Self::Bucket)
    }

    /// Windows aligned to the Unix epoch, which was `since_epoch` nanoseconds ago at `now`.
    pub(crate) fn fixed_window(
        rate: Rate,
        now: Nanos,
        since_epoch: u128,
    ) -> Result<Self, Unrepresentable> {
        FixedWindow::new(rate, now, since_epoch).map(Self::FixedWindow)
    }

    pub(crate) fn sliding_log(rate: Rate) -> Result<Self, Unrepresentable> {
        SlidingLog::new(rate).map(Self::SlidingLog)
    }

    pub(crate) fn sliding_counter(rate: Rate) -> Result<Self, Unrepresentable> {
        SlidingCounter::new(rate).map(Self::SlidingCounter)
    }

    pub(crate) fn adaptive(settings: AdaptiveSettings) -> Result<Self, Unrepresentable> {
        Adaptive::new(settings).map(Self::Adaptive)
    }

    /// The same for one whose settings have changed: see [`Gcra::overdrawn`].
    #[must_use]
    pub(crate) fn overdrawn(self) -> Self {
        match self {
            Self::Bucket(bucket) => Self::Bucket(bucket.overdrawn()),
            Self::Adaptive(adaptive) => Self::Adaptive(adaptive.overdrawn()),
            other => other,
        }
    }

    /// The state of a limit that was never used.
    pub(crate) fn unused(&self, now: Nanos) -> LimitState {
        match self {
            Self::Bucket(_) => LimitState::Bucket(Bucket::UNUSED),
            Self::FixedWindow(_) => LimitState::FixedWindow(Counted::default()),
            Self::SlidingLog(_) => LimitState::SlidingLog(Box::default()),
            Self::SlidingCounter(_) => LimitState::SlidingCounter(Counters::default()),
            Self::Adaptive(adaptive) => LimitState::Adaptive(Box::new(adaptive.unused(now))),
        }
    }

    /// The largest cost that can be taken at all.
    pub(crate) fn largest(&self) -> u32 {
        match self {
            Self::Bucket(bucket) => bucket.largest(),
            Self::FixedWindow(fixed) => fixed.count(),
            Self::SlidingLog(log) => log.count(),
            Self::SlidingCounter(counter) => counter.count(),
            Self::Adaptive(adaptive) => adaptive.count(),
        }
    }

    /// What could be taken at once just now if nothing had been.
    pub(crate) fn size(&self, state: &LimitState, now: Nanos) -> u32 {
        match (self, state) {
            (Self::Adaptive(adaptive), LimitState::Adaptive(state)) => {
                adaptive.present(state, now).0
            }
            _ => self.largest(),
        }
    }

    /// The share of successes that moves an adaptive limit.
    pub(crate) fn success_rate(&self, state: &LimitState, now: Nanos) -> Option<f64> {
        match (self, state) {
            (Self::Adaptive(adaptive), LimitState::Adaptive(state)) => {
                adaptive.present(state, now).1
            }
            _ => None,
        }
    }

    /// Takes `cost` permits, or takes nothing.
    pub(crate) fn take(&self, state: &mut LimitState, now: Nanos, cost: u32) -> Decision {
        match (self, &mut *state) {
            (Self::Bucket(bucket), LimitState::Bucket(state)) => state.take(bucket, now, cost),
            (Self::FixedWindow(fixed), LimitState::FixedWindow(state)) => {
                fixed.take(state, now, cost)
            }
            (Self::SlidingLog(log), LimitState::SlidingLog(state)) => log.take(state, now, cost),
            (Self::SlidingCounter(counter), LimitState::SlidingCounter(state)) => {
                counter.take(state, now, cost)
            }
            (Self::Adaptive(adaptive), LimitState::Adaptive(state)) => {
                adaptive.take(state, now, cost)
            }
            _ => {
                // The algorithm was exchanged: it starts empty.
                *state = self.unused(now);
                self.take(state, now, cost)
            }
        }
    }

    /// Gives `cost` permits of a taking back, as far as they still hold anything.
    pub(crate) fn refund(&self, state: &mut LimitState, now: Nanos, mark: u64, cost: u32) {
        match (self, state) {
            (Self::Bucket(bucket), LimitState::Bucket(state)) => {
                state.refund(bucket, now, mark, cost)
            }
            (Self::FixedWindow(fixed), LimitState::FixedWindow(state)) => {
                fixed.refund(state, now, mark, cost)
            }
            (Self::SlidingLog(log), LimitState::SlidingLog(state)) => {
                log.refund(state, now, mark, cost)
            }
            (Self::SlidingCounter(counter), LimitState::SlidingCounter(state)) => {
                counter.refund(state, now, mark, cost)
            }
            (Self::Adaptive(adaptive), LimitState::Adaptive(state)) => {
                adaptive.refund(state, now, mark, cost)
            }
            _ => {}
        }
    }

    /// When `cost` permits can be taken by one who lets `ahead` others go first. `None`: never. Where
    /// those others take more than one permit each, windows may take longer.
    pub(crate) fn ready_at(
        &self,
        state: &LimitState,
        now: Nanos,
        ahead: u64,
        cost: u32,
    ) -> Option<Nanos> {
        match (self, state) {
            (Self::Bucket(bucket), LimitState::Bucket(state)) => {
                bucket.ready_at(state.state, now, ahead, cost)
            }
            (Self::FixedWindow(fixed), LimitState::FixedWindow(state)) => {
                fixed.ready_at(state, now, ahead, cost)
            }
            (Self::SlidingLog(log), LimitState::SlidingLog(state)) => {
                log.ready_at(state, now, ahead, cost)
            }
            (Self::SlidingCounter(counter), LimitState::SlidingCounter(state)) => {
                counter.ready_at(state, now, ahead, cost)
            }
            (Self::Adaptive(adaptive), LimitState::Adaptive(state)) => {
                adaptive.ready_at(state, now, ahead, cost)
            }
            _ => Some(now),
        }
    }

    /// What there is to say to a whole line of callers, as of `now`: each is told for less than by
    /// [`ready_at`](Self::ready_at).
    pub(crate) fn outlook<'s>(&'s self, state: &'s LimitState, now: Nanos) -> Outlook<'s> {
        match (self, state) {
            (Self::SlidingLog(log), LimitState::SlidingLog(state)) => {
                Outlook::Log(log.outlook(state, now))
            }
            _ => Outlook::Of(self, state, now),
        }
    }

    /// How a call that was let through ended; moves an adaptive limit.
    pub(crate) fn report(&self, state: &mut LimitState, now: Nanos, success: bool) {
        if let (Self::Adaptive(adaptive), LimitState::Adaptive(state)) = (self, state) {
            adaptive.report(state, now, success);
        }
    }

    /// No earlier than any mark that was given out.
    pub(crate) fn front(&self, state: &LimitState, now: Nanos) -> u64 {
        match (self, state) {
            (Self::FixedWindow(fixed), LimitState::FixedWindow(state)) => fixed.front(state, now),
            (Self::SlidingCounter(counter), LimitState::SlidingCounter(state)) => {
                counter.front(state, now)
            }
            (_, LimitState::Bucket(bucket)) => bucket.front(),
            (_, LimitState::SlidingLog(log)) => log.front(),
            (_, LimitState::Adaptive(adapted)) => adapted.front(),
            _ => now.0.saturating_add(1),
        }
    }

    /// Whether what was given out under `old` rules is not what counts under these, although its marks may
    /// say so: those of windows are the time alone.
    pub(crate) fn begins_anew(&self, old: &Self) -> bool {
        match (self, old) {
            (Self::FixedWindow(new), Self::FixedWindow(old)) => !new.has_windows_of(old),
            (Self::SlidingCounter(new), Self::SlidingCounter(old)) => !new.has_windows_of(old),
            (Self::SlidingLog(_), Self::SlidingLog(_)) => false,
            _ => self.counts_windows(),
        }
    }

    /// Its marks are times.
    pub(crate) fn counts_windows(&self) -> bool {
        !matches!(self, Self::Bucket(_) | Self::Adaptive(_))
    }

    /// Turns a state under `old` rules into one under these: what was taken stays taken where both count
    /// in the same way, else it starts empty.
    ///
    /// `front` is for a state's owner to keep: no later than that lie the marks of algorithms that are not
    /// in force any more, and such permits are not given back.
    pub(crate) fn carry(&self, old: &Self, state: &mut LimitState, now: Nanos, front: &mut u64) {
        match (self, old, &mut *state) {
            (Self::Bucket(new), Self::Bucket(old), LimitState::Bucket(state)) => {
                state.carry(old, new, now)
            }
            (Self::FixedWindow(new), Self::FixedWindow(old), LimitState::FixedWindow(state)) => {
                new.carry(old, state, now)
            }
            (
                Self::SlidingCounter(new),
                Self::SlidingCounter(old),
                LimitState::SlidingCounter(state),
            ) => new.carry(old, state, now),
            // The log tells when each permit was taken: nothing has to be done.
            (Self::SlidingLog(_), Self::SlidingLog(_), LimitState::SlidingLog(_)) => {}
            (Self::Adaptive(new), Self::Adaptive(old), LimitState::Adaptive(state)) => {
                new.carry(old, state, now)
            }
            _ => {
                *front = (*front).max(old.front(state, now));
                *state = match self {
                    Self::Bucket(bucket) => LimitState::Bucket(Bucket::behind(*front, bucket, now)),
                    Self::Adaptive(adaptive) => {
                        LimitState::Adaptive(Box::new(adaptive.behind(*front, now)))
                    }
                    _ => self.unused(now),
                };
            }
        }
    }

    /// How much later than its turn a waiter may be woken without losing time by it. A bucket makes up
    /// for a coarse timer; windows promise an exact count and do not.
    pub(crate) fn lateness(&self) -> Duration {
        match self {
            Self::Bucket(_) | Self::Adaptive(_) => Duration::from_millis(2),
            _ => Duration::ZERO,
        }
    }

    /// Begins anew: what a bucket is refunded later was taken before. Of windows, whose marks are times, that
    /// is for the state's owner to see to.
    pub(crate) fn restart(&self, state: &mut LimitState, now: Nanos) {
        match (self, &mut *state) {
            (_, LimitState::Bucket(bucket)) => bucket.restart(),
            (Self::Adaptive(adaptive), LimitState::Adaptive(adapted)) => {
                **adapted = adaptive.behind(adapted.front(), now);
            }
            _ => *state = self.unused(now),
        }
    }

    /// Whether a fresh state would do as well: such a key may be forgotten.
    pub(crate) fn is_unused(&self, state: &LimitState, now: Nanos) -> bool {
        match (self, state) {
            (Self::Bucket(bucket), LimitState::Bucket(state)) => {
                bucket.is_unused(state.state, now) || bucket.is_ahead(state.state, now)
            }
            (Self::FixedWindow(fixed), LimitState::FixedWindow(state)) => {
                fixed.is_unused(state, now)
            }
            (Self::SlidingLog(log), LimitState::SlidingLog(state)) => log.is_unused(state, now),
            (Self::SlidingCounter(counter), LimitState::SlidingCounter(state)) => {
                counter.is_unused(state, now)
            }
            (Self::Adaptive(adaptive), LimitState::Adaptive(state)) => {
                adaptive.is_unused(state, now)
            }
            _ => true,
        }
    }

    /// The answer to a call that costs nothing: what remains, and when the limit is as if unused.
    #[cfg(test)]
    pub(crate) fn peek(&self, state: &LimitState, now: Nanos) -> (u32, Duration) {
        let decision = self.take(&mut state.clone(), now, 0);
        (decision.remaining, decision.reset_after)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Nanos = Nanos((1 << 60) + 12_345_678);

    fn limit(kind: usize, count: u32) -> Limit {
        let rate = Rate::per_second(count);
        match kind {
            0 => Limit::bucket(rate, count),
            1 => Limit::fixed_window(rate, START, 99),
            2 => Limit::sliding_log(rate),
            3 => Limit::sliding_counter(rate),
            _ => Limit::adaptive(AdaptiveSettings {
                rate,
                min_rate: Some(Rate::per_minute(1)),
                interval: Duration::from_millis(1500),
                threshold: 0.5,
                backoff: 0.5,
                recovery: 2.0,
            }),
        }
        .unwrap()
    }

    fn steps() -> impl Strategy<Value = Vec<(u64, u32, u32)>> {
        prop::collection::vec((0u64..600_000_000, 0u32..8, 0u32..5), 1..80)
    }

    /// Drives a limit through a history of takings, refunds and outcomes.
    fn drive(limit: &Limit, steps: Vec<(u64, u32, u32)>) -> (LimitState, Nanos) {
        let (mut state, mut now) = (limit.unused(START), START);
        for (by, cost, then) in steps {
            now = Nanos(now.0 + by);
            let decision = limit.take(&mut state, now, cost);
            match then {
                0 if decision.allowed => limit.refund(&mut state, now, decision.mark, cost),
                1 if decision.allowed => limit.report(&mut state, now, false),
                2 if decision.allowed => limit.report(&mut state, now, true),
                _ => {}
            }
        }
        (state, now)
    }

    #[test]
    fn a_state_of_another_algorithm_starts_empty() {
        for kind in 0..5 {
            let mut state = limit((kind + 1) % 5, 3).unused(START);
            assert!(limit(kind, 3).take(&mut state, START, 3).allowed);
            assert!(!limit(kind, 3).take(&mut state, START, 3).allowed);
        }
    }

    #[test]
    fn states_are_small() {
        assert!(size_of::<LimitState>() <= 24);
    }

    /// The recorded traces of a file, one a line.
    fn traces(file: &str) -> Vec<serde_json::Value> {
        let path = format!("{}/../tests/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Replays a trace; every step must agree, a wait to the nanosecond.
    fn replay(limit: &Limit, trace: &serde_json::Value) {
        let (mut state, mut now) = (limit.unused(START), START);
        for step in trace["steps"].as_array().unwrap() {
            if let Some(millis) = step["advance_ms"].as_u64() {
                now = now.after(Duration::from_millis(millis));
                continue;
            }
            let decision = limit.take(&mut state, now, step["take"].as_u64().unwrap() as u32);
            assert_eq!(
                Some(decision.allowed),
                step["allowed"].as_bool(),
                "{} {step}",
                trace["id"]
            );
            if let Some(remaining) = step["remaining"].as_u64() {
                assert_eq!(
                    u64::from(decision.remaining),
                    remaining,
                    "{} {step}",
                    trace["id"]
                );
            }
            if let Some(millis) = step["retry_after_ms"].as_f64() {
                let wait = Duration::from_micros((millis * 1000.0).round() as u64);
                assert_eq!(decision.retry_after, Some(wait), "{} {step}", trace["id"]);
            }
        }
    }

    #[test]
    fn agrees_with_the_recorded_token_buckets() {
        let traces = traces("token-bucket.governor.jsonl");
        assert_eq!(traces.len(), 30);
        for trace in traces {
            let interval = Duration::from_millis(trace["interval_ms"].as_u64().unwrap());
            let burst = trace["burst"].as_u64().unwrap() as u32;
            replay(
                &Limit::bucket(Rate::new(1, interval), burst).unwrap(),
                &trace,
            );
        }
    }

    #[test]
    fn agrees_with_the_recorded_sliding_windows() {
        let traces = traces("sliding-window.limits.jsonl");
        assert_eq!(traces.len(), 30);
        for trace in traces {
            let window = Duration::from_secs(trace["window_s"].as_u64().unwrap());
            let count = trace["limit"].as_u64().unwrap() as u32;
            replay(
                &Limit::sliding_log(Rate::new(count, window)).unwrap(),
                &trace,
            );
        }
    }

    proptest! {
        #[test]
        fn a_refusal_costs_nothing_and_names_the_very_moment(
            kind in 0usize..5, count in 1u32..12, steps in steps(), cost in 1u32..14,
        ) {
            let limit = limit(kind, count);
            let (mut state, now) = drive(&limit, steps);
            let before = limit.peek(&state, now);
            let decision = limit.take(&mut state, now, cost);
            if decision.allowed {
                return Ok(());
            }
            prop_assert_eq!(limit.peek(&state, now), before);
            prop_assert_eq!(decision.retry_after.is_none(), cost > count);
            if let Some(wait) = decision.retry_after {
                let ready = now.after(wait);
                prop_assert!(!limit.take(&mut state.clone(), Nanos(ready.0 - 1), cost).allowed);
                prop_assert!(limit.take(&mut state, ready, cost).allowed);
            }
        }

        #[test]
        fn an_outlook_says_the_same(
            kind in 0usize..5, count in 1u32..12, lowered in 1u32..12, steps in steps(),
            line in prop::collection::vec((0u64..40, 0u32..14), 1..10),
        ) {
            let (mut state, now) = drive(&limit(kind, count), steps);
            let lowered = limit(kind, lowered);
            lowered.carry(&limit(kind, count), &mut state, now, &mut 0);
            let outlook = lowered.outlook(&state, now);
            for (ahead, cost) in line {
                prop_assert_eq!(outlook.ready_at(ahead, cost), lowered.ready_at(&state, now, ahead, cost));
            }
        }

        #[test]
        fn is_unused_after_exactly_reset_after(kind in 0usize..4, count in 1u32..12, steps in steps()) {
            let limit = limit(kind, count);
            let (mut state, now) = drive(&limit, steps);
            let (_, wait) = limit.peek(&state, now);
            let reset = now.after(wait);
            prop_assert!(limit.is_unused(&state, reset));
            prop_assert!(wait.is_zero() || !limit.is_unused(&state, Nanos(reset.0 - 1)));
            prop_assert!(limit.take(&mut state, reset, count).allowed);
        }

        #[test]
        fn a_refund_leaves_no_trace(kind in 0usize..5, count in 1u32..12, steps in steps(), cost in 1u32..5) {
            let limit = limit(kind, count);
            let (mut state, now) = drive(&limit, steps);
            let before = limit.peek(&state, now);
            let decision = limit.take(&mut state, now, cost);
            if decision.allowed {
                limit.refund(&mut state, now, decision.mark, cost);
                prop_assert_eq!(limit.peek(&state, now), before);
            }
        }

        #[test]
        fn the_last_in_line_of_single_permits_knows_its_time(
            kind in 0usize..5, count in 1u32..12, steps in steps(), ahead in 1u64..30,
        ) {
            let limit = limit(kind, count);
            let (mut state, now) = drive(&limit, steps);
            let told = limit.ready_at(&state, now, ahead, 1).unwrap();
            let mut when = now;
            for _ in 0..=ahead {
                when = limit.ready_at(&state, when, 0, 1).unwrap();
                prop_assert!(limit.take(&mut state, when, 1).allowed);
            }
            // An adaptive limit may have stepped while they waited; a reading is rounded to a fraction
            // of a nanosecond each time.
            prop_assert!(kind == 4 || when.since(told).max(told.since(when)).as_nanos() <= 1, "{when:?} {told:?}");
        }

        #[test]
        fn a_clock_set_back_locks_nobody_out_and_gains_at_most_one_burst(
            kind in 0usize..5, count in 1u32..12, steps in steps(), back in 1u64..10_000_000_000_000,
        ) {
            let limit = limit(kind, count);
            let (mut state, now) = drive(&limit, steps);
            let earlier = Nanos(now.0 - back);
            let mut taken = 0;
            while limit.take(&mut state, earlier, 1).allowed {
                taken += 1;
            }
            prop_assert!(taken <= count);
            // The slowest way back is a window of a second and the skew that is tolerated.
            let wait = limit.take(&mut state, earlier, 1).retry_after.unwrap();
            prop_assert!(kind == 4 || wait <= Duration::from_millis(3_000), "{wait:?}");
            prop_assert!(limit.take(&mut state, earlier.after(wait), 1).allowed);
        }

        #[test]
        fn nothing_panics_at_any_time(
            kind in 0usize..5, count: u32, times in prop::collection::vec((any::<u64>(), any::<u32>()), 1..40),
        ) {
            let limit = limit(kind, count.max(1));
            let mut state = limit.unused(START);
            for (now, cost) in times {
                let now = Nanos(now);
                let decision = limit.take(&mut state, now, cost);
                limit.ready_at(&state, now, u64::from(cost) << 31, cost);
                limit.report(&mut state, now, cost % 2 == 0);
                limit.refund(&mut state, now, decision.mark, cost / 2);
                limit.is_unused(&state, now);
                limit.size(&state, now);
            }
        }
    }
}
