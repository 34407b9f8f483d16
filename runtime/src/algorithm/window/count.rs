//! The last so many outcomes.

use std::num::NonZeroU32;

use super::{Mark, Tally};

/// Outcomes to a word: two bits each.
const PER_WORD: u32 = u64::BITS / 2;

/// A ring of the last `size` outcomes with running sums: a record costs the same at every size. Memory
/// is taken as failures and slow calls come, a quarter of a byte for each outcome up to there.
#[derive(Clone, Debug)]
pub(crate) struct CountWindow {
    size: NonZeroU32,
    /// Those past its end are quick successes.
    words: Vec<u64>,
    /// Where the next outcome goes; once the ring is full, that is where the oldest one lies.
    next: u32,
    calls: u32,
    failures: u32,
    slow: u32,
}

impl CountWindow {
    pub(crate) fn new(size: NonZeroU32) -> Self {
        Self {
            size,
            words: Vec::new(),
            next: 0,
            calls: 0,
            failures: 0,
            slow: 0,
        }
    }

    pub(crate) fn record(&mut self, mark: Mark) {
        if self.is_full() {
            let oldest = self.read(self.next);
            self.failures -= u32::from(oldest.failed);
            self.slow -= u32::from(oldest.slow);
        } else {
            self.calls += 1;
        }
        self.failures += u32::from(mark.failed);
        self.slow += u32::from(mark.slow);
        self.write(self.next, mark);
        self.next += 1;
        if self.next == self.size.get() {
            self.next = 0;
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        Tally {
            calls: self.calls.into(),
            failures: self.failures.into(),
            slow: self.slow.into(),
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.is_full() && self.failures == 0 && self.slow == 0
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.size);
    }

    pub(crate) fn resize(&mut self, size: NonZeroU32) {
        if size == self.size {
            return;
        }
        let kept = self.calls.min(size.get());
        let mut resized = Self::new(size);
        for age in (0..kept).rev() {
            resized.record(self.read(self.position(age)));
        }
        *self = resized;
    }

    fn is_full(&self) -> bool {
        self.calls == self.size.get()
    }

    /// Where the outcome lies that `age` others came after.
    fn position(&self, age: u32) -> u32 {
        let back = age + 1;
        if back <= self.next {
            self.next - back
        } else {
            self.size.get() - (back - self.next)
        }
    }

    fn read(&self, position: u32) -> Mark {
        let word = self.words.get(word(position)).copied().unwrap_or_default();
        let bits = word >> shift(position);
        Mark {
            failed: bits & 1 != 0,
            slow: bits & 2 != 0,
        }
    }

    fn write(&mut self, position: u32, mark: Mark) {
        let bits = u64::from(mark.failed) | u64::from(mark.slow) << 1;
        if word(position) >= self.words.len() {
            if bits == 0 {
                return;
            }
            self.words.resize(word(position) + 1, 0);
        }
        let slot = &mut self.words[word(position)];
        *slot = *slot & !(3 << shift(position)) | bits << shift(position);
    }
}

fn word(position: u32) -> usize {
    (position / PER_WORD) as usize
}

fn shift(position: u32) -> u32 {
    position % PER_WORD * 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mark() -> impl Strategy<Value = Mark> {
        (any::<bool>(), any::<bool>()).prop_map(|(failed, slow)| Mark { failed, slow })
    }

    /// The sums over the newest `size` of a plain list.
    fn naive(marks: &[Mark], size: u32) -> Tally {
        let mut tally = Tally::default();
        for mark in marks.iter().rev().take(size as usize) {
            tally.add(*mark);
        }
        tally
    }

    fn size() -> impl Strategy<Value = NonZeroU32> {
        (1..200_u32).prop_map(|size| NonZeroU32::new(size).unwrap())
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_list(size in size(), marks in prop::collection::vec(mark(), 0..600)) {
            let mut window = CountWindow::new(size);
            for recorded in 0..marks.len() {
                window.record(marks[recorded]);
                prop_assert_eq!(window.tally(), naive(&marks[..=recorded], size.get()));
            }
        }

        #[test]
        fn a_resized_window_keeps_the_newest(
            sizes in prop::collection::vec((size(), prop::collection::vec(mark(), 0..150)), 1..8),
        ) {
            let mut kept = Vec::new();
            let mut window = CountWindow::new(NonZeroU32::MIN);
            for (size, marks) in sizes {
                window.resize(size);
                for mark in marks {
                    window.record(mark);
                    kept.push(mark);
                    let surplus = kept.len().saturating_sub(size.get() as usize);
                    kept.drain(..surplus);
                    prop_assert_eq!(window.tally(), naive(&kept, size.get()));
                }
                let surplus = kept.len().saturating_sub(size.get() as usize);
                kept.drain(..surplus);
                prop_assert_eq!(window.tally(), naive(&kept, size.get()));
            }
        }

        /// The licence for the breaker's write-free path.
        #[test]
        fn a_success_on_a_clean_window_changes_no_later_answer(
            size in size(), before in prop::collection::vec(mark(), 0..300),
            after in prop::collection::vec(mark(), 0..300),
        ) {
            let success = Mark { failed: false, slow: false };
            let mut window = CountWindow::new(size);
            for mark in before {
                window.record(mark);
            }
            while !window.is_clean() {
                window.record(success);
            }
            let mut other = window.clone();
            other.record(success);
            for mark in after {
                window.record(mark);
                other.record(mark);
                prop_assert_eq!(window.tally(), other.tally());
                prop_assert_eq!(window.is_clean(), other.is_clean());
            }
        }
    }

    #[test]
    fn a_window_of_ten_thousand_successes_opens_at_half_of_a_hundred() {
        let mut window = CountWindow::new(NonZeroU32::new(100).unwrap());
        for _ in 0..10_000 {
            window.record(Mark {
                failed: false,
                slow: false,
            });
        }
        for _ in 0..50 {
            window.record(Mark {
                failed: true,
                slow: false,
            });
        }
        assert_eq!(window.tally().failure_rate(), Some(0.5));
    }

    #[test]
    fn the_largest_window_takes_memory_only_for_what_it_holds() {
        let mut window = CountWindow::new(NonZeroU32::MAX);
        for _ in 0..1_000 {
            window.record(Mark {
                failed: true,
                slow: true,
            });
        }
        assert!(window.words.capacity() <= 64);
        assert_eq!(window.tally().slow, 1_000);
    }
}
