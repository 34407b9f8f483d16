//! The outcomes of the last while.

use std::{collections::VecDeque, ops::Range, time::Duration};

use super::{Mark, Tally};
use crate::clock::{Nanos, nanos};

/// A window is never cut into fewer pieces.
const FEWEST_BUCKETS: u64 = 10;
/// Nor is a piece longer than this, up to a window of twelve days...
const COARSEST: u64 = 1_000_000_000;
/// ...where what is remembered ends: past that many pieces they grow with the window.
const MOST_BUCKETS: u64 = 1 << 20;

/// A queue of the pieces of time in which calls ended, with running sums. A piece without a call takes
/// no memory, and each is dropped once: a record costs the same at every length and rate.
///
/// An outcome as old as the window never counts; one younger than the window by two pieces always does.
#[derive(Clone, Debug)]
pub(crate) struct TimeWindow {
    grid: Grid,
    buckets: VecDeque<Bucket>,
    tally: Tally,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tick: u64,
    /// The start of the piece that it was recorded in, whatever the pieces are by now: were it that of each
    /// piece that it came to lie in, a length that goes to and fro would make it older each time.
    begun: Nanos,
    tally: Tally,
}

/// The window's length, cut into pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grid {
    /// Nanoseconds in a piece.
    width: u64,
    /// Pieces in the window.
    ticks: u64,
}

impl Grid {
    fn new(length: Duration) -> Self {
        let length = nanos(length).max(1);
        let pieces = length
            .div_ceil(COARSEST)
            .clamp(FEWEST_BUCKETS, MOST_BUCKETS);
        let width = (length / pieces).max(1);
        Self {
            width,
            ticks: length / width,
        }
    }

    fn tick(self, now: Nanos) -> u64 {
        now.0 / self.width
    }

    fn start(self, tick: u64) -> Nanos {
        Nanos(tick.saturating_mul(self.width))
    }
}

impl TimeWindow {
    pub(crate) fn new(length: Duration) -> Self {
        Self {
            grid: Grid::new(length),
            buckets: VecDeque::new(),
            tally: Tally::default(),
        }
    }

    pub(crate) fn record(&mut self, now: Nanos, mark: Mark) {
        let tick = self.advance(now);
        self.tally.add(mark);
        match self.buckets.back_mut() {
            Some(newest) if newest.tick == tick => newest.tally.add(mark),
            _ => {
                let mut tally = Tally::default();
                tally.add(mark);
                let begun = self.grid.start(tick);
                self.buckets.push_back(Bucket { tick, begun, tally });
            }
        }
    }

    pub(crate) fn tally(&mut self, now: Nanos) -> Tally {
        self.advance(now);
        self.tally
    }

    pub(crate) fn calm_time(&self) -> Option<Range<Nanos>> {
        let calm = self.tally.failures == 0 && self.tally.slow == 0;
        let newest = self.buckets.back().filter(|_| calm)?;
        // Readings from before the newest piece belong to it too, up to a whole window.
        let oldest = newest.tick.saturating_sub(self.grid.ticks - 1);
        Some(self.grid.start(oldest)..self.grid.start(newest.tick.saturating_add(1)))
    }

    pub(crate) fn count_successes(&mut self, number: u64) {
        let Some(newest) = self.buckets.back_mut() else {
            debug_assert_eq!(number, 0, "nothing that they could have come with");
            return;
        };
        newest.tally.calls += number;
        self.tally.calls += number;
    }

    pub(crate) fn clear(&mut self) {
        self.buckets.clear();
        self.tally = Tally::default();
    }

    /// Takes a new length. Outcomes keep the start of the piece in which they ended as their time.
    pub(crate) fn resize(&mut self, length: Duration) {
        let grid = Grid::new(length);
        if grid == self.grid {
            return;
        }
        let old = std::mem::replace(self, Self::new(length));
        for bucket in old.buckets {
            let tick = grid.tick(bucket.begun);
            self.insert(Bucket { tick, ..bucket });
        }
        if let Some(newest) = self.buckets.back() {
            self.drop_before(newest.tick);
        }
    }

    fn insert(&mut self, bucket: Bucket) {
        self.tally.join(bucket.tally);
        match self.buckets.back_mut() {
            Some(newest) if newest.tick == bucket.tick => newest.tally.join(bucket.tally),
            _ => self.buckets.push_back(bucket),
        }
    }

    /// Drops what has left the window, and gives the piece that `now` lies in.
    fn advance(&mut self, now: Nanos) -> u64 {
        let tick = self.grid.tick(now);
        let Some(newest) = self.buckets.back().map(|bucket| bucket.tick) else {
            return tick;
        };
        if tick >= newest {
            self.drop_before(tick);
            return tick;
        }
        if newest - tick < self.grid.ticks {
            // A core's clock is a little behind: the outcome belongs to the newest piece.
            return newest;
        }
        // The clock fell back by a whole window. Waiting for it to catch up would freeze the window,
        // so the outcomes move back with it.
        for bucket in &mut self.buckets {
            bucket.tick = bucket.tick.saturating_sub(newest - tick);
            bucket.begun = self.grid.start(bucket.tick);
        }
        tick
    }

    fn drop_before(&mut self, tick: u64) {
        while let Some(oldest) = self.buckets.front() {
            if tick.saturating_sub(oldest.tick) < self.grid.ticks {
                return;
            }
            self.tally.subtract(oldest.tally);
            self.buckets.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Nanos = Nanos(1 << 60);
    const FAILED: Mark = Mark {
        failed: true,
        slow: false,
    };

    fn mark() -> impl Strategy<Value = Mark> {
        (any::<bool>(), any::<bool>()).prop_map(|(failed, slow)| Mark { failed, slow })
    }

    fn length() -> impl Strategy<Value = Duration> {
        prop_oneof![
            (1..100_u64).prop_map(Duration::from_nanos),
            (1..30_000_u64).prop_map(Duration::from_millis),
            (1..100_u64).prop_map(Duration::from_secs),
        ]
    }

    /// A step of the clock: a share of the window, forwards or (a little) backwards.
    fn step() -> impl Strategy<Value = f64> {
        prop_oneof![4 => 0.0..0.3_f64, 1 => 0.3..2.5_f64, 2 => -0.3..0.0_f64]
    }

    fn moved(now: Nanos, length: Duration, share: f64) -> Nanos {
        let by = length.mul_f64(share.abs());
        if share < 0.0 {
            now.before(by)
        } else {
            now.after(by)
        }
    }

    /// The sums over a plain list of those outcomes that are younger than `age`.
    fn naive(marks: &[(Nanos, Mark)], now: Nanos, age: Duration) -> Tally {
        let mut tally = Tally::default();
        for (at, mark) in marks {
            if now.since(*at) < age {
                tally.add(*mark);
            }
        }
        tally
    }

    fn at_most(small: Tally, large: Tally) -> bool {
        small.calls <= large.calls && small.failures <= large.failures && small.slow <= large.slow
    }

    proptest! {
        #[test]
        fn lies_between_the_exact_window_and_one_two_pieces_shorter(
            length in length(),
            calls in prop::collection::vec((0.0..0.4_f64, mark()), 1..200),
        ) {
            let mut window = TimeWindow::new(length);
            let width = Duration::from_nanos(window.grid.width);
            let (mut now, mut marks) = (START, Vec::new());
            for (share, mark) in calls {
                now = moved(now, length, share);
                window.record(now, mark);
                marks.push((now, mark));
                let tally = window.tally(now);
                prop_assert!(at_most(tally, naive(&marks, now, length)));
                prop_assert!(at_most(naive(&marks, now, length.saturating_sub(2 * width)), tally));
            }
        }

        #[test]
        fn agrees_with_a_plain_list_of_ticks_on_a_clock_that_steps_back(
            length in length(), calls in prop::collection::vec((step(), mark()), 1..200),
        ) {
            let mut window = TimeWindow::new(length);
            let grid = window.grid;
            let (mut now, mut latest, mut ticks) = (START, 0, Vec::new());
            for (share, mark) in calls {
                now = moved(now, length, share);
                // Steps that add up to more than a window are the other property's matter.
                prop_assume!(latest < grid.tick(now) + grid.ticks);
                latest = latest.max(grid.tick(now));
                ticks.push((latest, mark));
                window.record(now, mark);
                let mut expected = Tally::default();
                for (_, mark) in ticks.iter().filter(|(tick, _)| latest - tick < grid.ticks) {
                    expected.add(*mark);
                }
                prop_assert_eq!(window.tally(now), expected);
                prop_assert!(window.buckets.len() as u64 <= grid.ticks);
            }
        }

        #[test]
        fn no_reading_panics_and_sums_stay_whole(
            length in length(), calls in prop::collection::vec((any::<u64>(), mark()), 1..100),
        ) {
            let mut window = TimeWindow::new(length);
            for (now, mark) in calls {
                window.record(Nanos(now), mark);
                let mut sum = Tally::default();
                window.buckets.iter().for_each(|bucket| sum.join(bucket.tally));
                prop_assert_eq!(sum, window.tally(Nanos(now)));
                prop_assert!(sum.calls > 0);
            }
        }

        #[test]
        fn a_resized_window_keeps_what_the_new_one_would_hold(
            from in 1..60_u64, to in 1..60_u64, calls in prop::collection::vec((0..3_u64, mark()), 1..100),
        ) {
            let mut window = TimeWindow::new(Duration::from_secs(from));
            let (mut now, mut marks) = (Nanos(1_000_000_000 * 1_000_000), Vec::new());
            for (seconds, mark) in calls {
                now = now.after(Duration::from_secs(seconds));
                window.record(now, mark);
                marks.push((now, mark));
            }
            window.resize(Duration::from_secs(to));
            // Whole seconds on a grid of whole seconds or of tenths of the window: at most a piece is lost.
            let kept = Duration::from_secs(from.min(to));
            prop_assert!(at_most(window.tally(now), naive(&marks, now, kept)));
            let sure = kept.saturating_sub(Duration::from_secs(3));
            prop_assert!(at_most(naive(&marks, now, sure), window.tally(now)));
        }
    }

    #[test]
    fn an_outcome_as_old_as_the_window_no_longer_counts() {
        let mut window = TimeWindow::new(Duration::from_secs(10));
        window.record(START, FAILED);
        let nearly = START.after(Duration::from_secs(9));
        assert_eq!(window.tally(nearly).failures, 1);
        let past = START.after(Duration::from_secs(10));
        assert_eq!(window.tally(past).failures, 0);
    }

    #[test]
    fn a_clock_that_falls_back_by_hours_does_not_freeze_the_window() {
        let mut window = TimeWindow::new(Duration::from_secs(10));
        window.record(START, FAILED);
        let back = START.before(Duration::from_secs(3_600));
        assert_eq!(window.tally(back).failures, 1);
        let later = back.after(Duration::from_secs(10));
        assert_eq!(window.tally(later).failures, 0);
    }

    #[test]
    fn resolution_is_a_tenth_of_the_window_and_at_most_a_second() {
        let width = |length| Grid::new(length).width;
        assert_eq!(width(Duration::from_secs(2)), 200_000_000);
        assert_eq!(width(Duration::from_secs(10)), 1_000_000_000);
        assert_eq!(width(Duration::from_secs(86_400)), 1_000_000_000);
        assert_eq!(width(Duration::from_nanos(3)), 1);
        assert!(Grid::new(Duration::MAX).ticks <= MOST_BUCKETS + 1);
    }

    #[test]
    fn a_quiet_hour_takes_no_memory() {
        let mut window = TimeWindow::new(Duration::from_secs(3_600));
        for minute in 0..600 {
            window.record(START.after(Duration::from_secs(60 * minute)), FAILED);
        }
        assert!(window.buckets.len() <= 60);
        assert_eq!(window.tally.calls, window.buckets.len() as u64);
    }

    #[test]
    fn a_length_that_goes_to_and_fro_makes_nothing_older() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let mut window = TimeWindow::new(minutes(3));
        window.record(START, FAILED);
        for _ in 0..1_000 {
            // Pieces of 3.4 seconds, of one, and of two tenths.
            for length in [
                minutes(60_000),
                minutes(11),
                Duration::from_secs(2),
                minutes(3),
            ] {
                window.resize(length);
            }
        }
        assert_eq!(
            window.tally(START.after(Duration::from_secs(177))).failures,
            1
        );
    }
}
