//! How long calls took, until somebody takes it to the recorder.

use ::metrics::Histogram;
use once_cell::race::OnceBox;

use super::series::Series;
use crate::{
    counter::Cells,
    per_thread::PerThread,
    sync::{
        AtomicBool, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};

/// Into so many cells goes each factor of two.
const CELLS: usize = 1 << CELL_BITS;
const CELL_BITS: u32 = 7;

/// The first has a cell for each of its nanoseconds, the others begin at a power of two each.
const OCTAVES: usize = (u64::BITS - CELL_BITS) as usize + 1;

/// No time is further from the middle of its cell, as a share of it.
const HALF_A_CELL: f64 = 0.5 / CELLS as f64;

/// Cells on one cache line are looked at together.
const LINE: usize = 8;

/// How often which times came, in nanoseconds, or which other numbers.
#[derive(Debug)]
pub(super) struct Spreads(PerThread<OnceBox<Spread>>);

/// Those of one thread: a count for each of so many cells, and their exact sum. Filled by that thread, which
/// pays no more for it than for a counter, or by all that have none of their own.
#[derive(Debug)]
struct Spread {
    nanos: Cells<1>,
    /// How many of them are told.
    told: AtomicU64,
    octaves: [OnceBox<Octave>; OCTAVES],
}

#[derive(Debug)]
struct Octave {
    counts: Cells<CELLS>,
    /// How many of them are told. Written by who tells.
    told: Cells<CELLS>,
    /// Lines of the counts that may have changed since: what nobody touched is not looked at.
    touched: [AtomicBool; CELLS / LINE],
}

impl Spreads {
    pub(super) fn new() -> Self {
        Self(PerThread::new(OnceBox::new))
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn add(&self, nanos: u64) {
        match self.0.own().and_then(OnceBox::get) {
            Some(spread) => spread.add(nanos),
            None => self.add_elsewhere(nanos),
        }
    }

    #[cold]
    fn add_elsewhere(&self, nanos: u64) {
        let make = || Box::new(Spread::new());
        match self.0.find() {
            Ok(own) => own.get_or_init(make).add(nanos),
            Err(shared) => shared.get_or_init(make).add_shared(nanos),
        }
    }

    /// Takes what has come since it was brought last to the histogram of a series, which is asked for if
    /// there is any. One brings it at a time.
    ///
    /// The number of all is exact, and so are their sum and whatever came alone on its thread; nothing is
    /// told as a number that is 0.8 % away.
    pub(super) fn bring(&self, series: &Series, histogram: impl FnOnce() -> Option<Histogram>) {
        let spreads = self.0.iter().filter_map(OnceBox::get);
        let news: Vec<_> = spreads.flat_map(Spread::news).collect();
        if news.is_empty() {
            return;
        }
        if let Some(histogram) = histogram() {
            for (value, count) in news {
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                histogram.record_many(value / series.scale(), count);
            }
        }
    }
}

impl Spread {
    fn new() -> Self {
        Self {
            nanos: Cells::new(),
            told: AtomicU64::new(0),
            octaves: [const { OnceBox::new() }; OCTAVES],
        }
    }

    /// For the only thread that writes here.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn add(&self, nanos: u64) {
        let (octave, cell) = place(nanos);
        let octave = self.octave(octave);
        self.nanos.add(0, nanos);
        octave.counts.add(cell, 1);
        octave.touch(cell);
    }

    /// For all others.
    fn add_shared(&self, nanos: u64) {
        let (octave, cell) = place(nanos);
        let octave = self.octave(octave);
        self.nanos.add_shared(0, nanos);
        octave.counts.add_shared(cell, 1);
        octave.touch_shared(cell);
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn octave(&self, octave: usize) -> &Octave {
        self.octaves[octave].get_or_init(|| Box::new(Octave::new()))
    }

    /// A cell's calls are told at its middle, then all are moved by what their sum is off.
    fn news(&self) -> Vec<(f64, u64)> {
        let mut news = Vec::new();
        for (index, octave) in self.octaves.iter().enumerate() {
            if let Some(octave) = octave.get() {
                octave.news(|cell, count| news.push((middle(index, cell), count)));
            }
        }
        if news.is_empty() {
            return news;
        }
        let roughly: f64 = news
            .iter()
            .map(|&(middle, count)| middle * float(count))
            .sum();
        let exactly = self.tell(roughly);
        for (time, _) in &mut news {
            // Nothing but zeros stays so.
            let share = if roughly > 0.0 { *time / roughly } else { 0.0 };
            *time = exactly * share;
        }
        news
    }

    /// The sum of the times that are told now. A call that is just being added may be in one of sum and
    /// counts alone: what that makes wrong is made good by those that come after it.
    fn tell(&self, roughly: f64) -> f64 {
        let told = self.told.load(Relaxed);
        let untold = self.nanos.count(0).wrapping_sub(told).cast_signed();
        #[allow(clippy::cast_precision_loss)] // of three months and more in a quarter of a second
        let untold = untold as f64;
        let most = roughly * HALF_A_CELL;
        let exactly = untold.clamp(roughly - most, roughly + most);
        // A part of a sum of such, and not below zero.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        self.told.store(told.wrapping_add(exactly as u64), Relaxed);
        exactly
    }
}

impl Octave {
    fn new() -> Self {
        Self {
            counts: Cells::new(),
            told: Cells::new(),
            touched: std::array::from_fn(|_| AtomicBool::new(false)),
        }
    }

    /// After the count: who sees this sees that.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn touch(&self, cell: usize) {
        self.touched[cell / LINE].store(true, Release);
    }

    /// The same where several do: a store would hide what the one before it came after.
    fn touch_shared(&self, cell: usize) {
        self.touched[cell / LINE].swap(true, Release);
    }

    fn news(&self, mut tell: impl FnMut(usize, u64)) {
        for (line, touched) in self.touched.iter().enumerate() {
            // Before the counts: what comes after them is seen the next time.
            if !touched.load(Relaxed) || !touched.swap(false, Acquire) {
                continue;
            }
            for cell in line * LINE..(line + 1) * LINE {
                let new = self.counts.count(cell).wrapping_sub(self.told.count(cell));
                if new > 0 {
                    self.told.add(cell, new);
                    tell(cell, new);
                }
            }
        }
    }
}

/// The octave and the cell of a time.
#[cfg_attr(not(debug_assertions), inline(always))]
fn place(nanos: u64) -> (usize, usize) {
    let first = CELLS as u64 - 1;
    let octave = u64::BITS - CELL_BITS - (nanos | first).leading_zeros();
    let cell = (nanos >> octave.saturating_sub(1)) & first;
    #[allow(clippy::cast_possible_truncation)] // below the number of cells
    (octave as usize, cell as usize)
}

/// The time in nanoseconds in the middle of a cell.
fn middle(octave: usize, cell: usize) -> f64 {
    let cell = cell as u64;
    let (low, width) = match octave {
        0 => (cell, 1),
        octave => {
            let shift = octave - 1;
            ((CELLS as u64 | cell) << shift, 1 << shift)
        }
    };
    float(low) + float(width - 1) / 2.0
}

#[allow(clippy::cast_precision_loss)] // some parts in 2^53
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(news: &[(f64, u64)]) -> f64 {
        news.iter().map(|&(time, count)| time * float(count)).sum()
    }

    fn count(news: &[(f64, u64)]) -> u64 {
        news.iter().map(|&(_, count)| count).sum()
    }

    fn is_near(one: f64, other: f64, error: f64) -> bool {
        (one - other).abs() <= error * other
    }

    /// Short and long ones alike, up to some hours: sums of them are exact in 53 bits.
    fn times() -> impl Strategy<Value = u64> {
        (18..64_u32, any::<u64>()).prop_map(|(bits, nanos)| nanos >> bits)
    }

    #[test]
    fn a_time_that_came_alone_is_told_exactly() {
        let spread = Spread::new();
        for nanos in [0, 1, 127, 128, 129, 250_000_000, 1_500_000_000, 1 << 60] {
            (0..3).for_each(|_| spread.add(nanos));
            assert_eq!(spread.news(), [(float(nanos), 3)], "{nanos}");
            assert!(spread.news().is_empty(), "once");
        }
        spread.add(u64::MAX);
        assert_eq!(count(&spread.news()), 1);
    }

    #[test]
    fn every_time_has_a_cell_that_is_near_it() {
        for bits in 0..u64::BITS {
            for nanos in [
                1 << bits,
                (1 << bits) - 1,
                (1 << bits) + 1,
                u64::MAX >> bits,
            ] {
                let (octave, cell) = place(nanos);
                assert!(octave < OCTAVES && cell < CELLS, "{nanos}");
                let middle = middle(octave, cell);
                assert!(
                    is_near(middle, float(nanos), HALF_A_CELL),
                    "{nanos}: {middle}"
                );
            }
        }
    }

    #[test]
    fn a_sum_that_is_ahead_of_its_count_harms_no_other_time() {
        let spread = Spread::new();
        spread.add(1_000_000);
        spread.nanos.add(0, 10_000_000_000); // its count is under way
        let news = spread.news();
        assert!(is_near(sum(&news), 1e6, 0.008), "{news:?}");
        let (octave, cell) = place(10_000_000_000);
        let octave = spread.octave(octave);
        octave.counts.add(cell, 1);
        octave.touch(cell);
        let later = spread.news();
        assert_eq!(count(&later), 1);
        assert!(is_near(sum(&news) + sum(&later), 10.001e9, 1e-9));
    }

    #[test]
    fn nothing_is_lost_or_told_twice_while_times_come() {
        const CALLS: u64 = 100_000;
        let (own, shared) = (Spread::new(), Spread::new());
        let add_own = || (0..CALLS).for_each(|n| own.add(n * 7));
        let add_shared = || (0..CALLS).for_each(|n| shared.add_shared(n * 977));
        let (mut told, mut sum_told) = (0, 0.0);
        let mut take = || {
            for spread in [&own, &shared] {
                let news = spread.news();
                told += count(&news);
                sum_told += sum(&news);
            }
            (told, sum_told)
        };
        std::thread::scope(|scope| {
            let threads = [
                scope.spawn(add_own),
                scope.spawn(add_shared),
                scope.spawn(add_shared),
            ];
            while !threads
                .iter()
                .all(std::thread::ScopedJoinHandle::is_finished)
            {
                take();
            }
        });
        let all = float((0..CALLS).map(|n| n * (7 + 2 * 977)).sum());
        let (told, sum_told) = take();
        assert_eq!(told, 3 * CALLS);
        assert!(is_near(sum_told, all, 0.008), "{sum_told}");
        // What was being added when somebody looked is made good.
        add_own();
        add_shared();
        add_shared();
        let (told, sum_told) = take();
        assert_eq!(told, 6 * CALLS);
        assert!(is_near(sum_told, 2.0 * all, 1e-9), "{sum_told}");
    }

    proptest! {
        #[test]
        fn counts_and_sums_are_exact_and_each_time_is_near(rounds in prop::collection::vec(
            prop::collection::vec(times(), 0..50), 1..5)) {
            let spread = Spread::new();
            for mut round in rounds {
                round.iter().for_each(|&nanos| spread.add(nanos));
                let news = spread.news();
                prop_assert_eq!(count(&news), round.len() as u64);
                let all = round.iter().map(|&nanos| float(nanos)).sum();
                prop_assert!(is_near(sum(&news), all, 1e-9));
                // In order, they are those that came.
                round.sort_unstable();
                let told = news.iter().flat_map(|&(time, count)| (0..count).map(move |_| time));
                for (told, &came) in told.zip(&round) {
                    prop_assert!(is_near(told, float(came), 0.008), "{told} for {came} ns");
                }
            }
        }
    }
}

#[cfg(all(test, steadfast_loom))]
mod models {
    use loom::{sync::Arc, thread};

    use super::*;

    fn told(octave: &Octave) -> u64 {
        let mut told = 0;
        octave.news(|_, count| told += count);
        told
    }

    /// Whoever looks meanwhile or afterwards finds a call once. No more than one, since loom lets a later
    /// store go before a swap that has read an earlier one, where the memory model has it follow.
    #[test]
    fn a_time_of_a_thread_is_told_once() {
        loom::model(|| {
            let octave = Arc::new(Octave::new());
            let writer = Arc::clone(&octave);
            let thread = thread::spawn(move || {
                writer.counts.add(0, 1);
                writer.touch(0);
            });
            let meanwhile = told(&octave);
            thread.join().unwrap();
            assert_eq!(meanwhile + told(&octave), 1);
        });
    }

    /// The same of threads that share their cells.
    #[test]
    fn each_time_of_threads_that_share_is_told_once() {
        loom::model(|| {
            let octave = Arc::new(Octave::new());
            let threads = [0, 1].map(|cell| {
                let writer = Arc::clone(&octave);
                thread::spawn(move || {
                    writer.counts.add_shared(cell, 1);
                    writer.touch_shared(cell);
                })
            });
            let meanwhile = told(&octave);
            for thread in threads {
                thread.join().unwrap();
            }
            assert_eq!(meanwhile + told(&octave), 2);
        });
    }
}
