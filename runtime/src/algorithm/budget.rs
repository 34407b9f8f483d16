//! How many retries a policy may make in the long run, so that an outage is not met by a storm.

use crate::sync::{AtomicU64, Ordering};

/// One retry, in fixed point: small enough that a share of 10⁻⁹ still counts.
const RETRY: u64 = 1 << 32;
/// Retries that are there from the start, and the most that is ever saved up.
const RESERVE: u64 = 100 * RETRY;

/// What one call adds to the balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share(u64);

impl Share {
    /// `retries` per call; not a number, or less than nothing, is nothing.
    pub(crate) fn new(retries: f64) -> Self {
        // Rounded up: ten calls at a tenth are one whole retry. The cast saturates.
        Self(((retries * RETRY as f64).ceil() as u64).min(RESERVE))
    }
}

/// A balance of retries: full at the start, filled by calls, drawn on by retries.
#[derive(Debug)]
pub(crate) struct Budget(AtomicU64);

impl Budget {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(RESERVE))
    }

    /// A call was made. While the balance is full, which it is as long as all goes well, this writes
    /// nothing, so that threads do not contend for it.
    pub(crate) fn deposit(&self, share: Share) {
        let mut balance = self.0.load(Ordering::Relaxed);
        while balance < RESERVE {
            let filled = (balance + share.0).min(RESERVE);
            match self.swap(balance, filled) {
                Ok(_) => return,
                Err(now) => balance = now,
            }
        }
    }

    /// May a retry be made? If so, it is paid for.
    pub(crate) fn withdraw(&self) -> bool {
        let mut balance = self.0.load(Ordering::Relaxed);
        while balance >= RETRY {
            match self.swap(balance, balance - RETRY) {
                Ok(_) => return true,
                Err(now) => balance = now,
            }
        }
        false
    }

    /// Whole retries left.
    pub(crate) fn left(&self) -> u32 {
        (self.0.load(Ordering::Relaxed) / RETRY) as u32
    }

    /// Full, as at the start.
    pub(crate) fn reset(&self) {
        self.0.store(RESERVE, Ordering::Relaxed);
    }

    // Relaxed throughout: the number guards no other memory.
    fn swap(&self, from: u64, to: u64) -> Result<u64, u64> {
        self.0
            .compare_exchange_weak(from, to, Ordering::Relaxed, Ordering::Relaxed)
    }
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drained() -> Budget {
        let budget = Budget::new();
        while budget.withdraw() {}
        budget
    }

    #[test]
    fn starts_with_a_reserve_of_a_hundred() {
        let budget = Budget::new();
        assert_eq!((0..1000).filter(|_| budget.withdraw()).count(), 100);
    }

    #[test]
    fn a_fifth_per_call_is_one_retry_in_five_calls() {
        let budget = drained();
        let share = Share::new(0.2);
        let retries = (0..5_000).filter(|_| {
            budget.deposit(share);
            budget.withdraw()
        });
        assert_eq!(retries.count(), 1_000);
    }

    #[test]
    fn never_holds_more_than_the_reserve() {
        let budget = Budget::new();
        assert!(budget.withdraw());
        for _ in 0..100 {
            budget.deposit(Share::new(1e300));
        }
        assert_eq!(budget.left(), 100);
    }

    #[test]
    fn a_share_that_is_no_number_adds_nothing() {
        assert_eq!(Share::new(f64::NAN), Share(0));
        assert_eq!(Share::new(-1.0), Share(0));
    }

    #[test]
    fn a_reset_fills_it() {
        let budget = drained();
        budget.reset();
        assert_eq!(budget.left(), 100);
    }

    #[test]
    fn threads_together_get_no_more_than_there_is() {
        let budget = Budget::new();
        let share = Share::new(0.5);
        let retries: usize = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let call = || {
                            budget.deposit(share);
                            usize::from(budget.withdraw()) + usize::from(budget.withdraw())
                        };
                        (0..10_000).map(|_| call()).sum::<usize>()
                    })
                })
                .collect();
            workers
                .into_iter()
                .map(|w| w.join().expect("no panic"))
                .sum()
        });
        // What was saved up and every deposit, less what was deposited into a full balance.
        assert!((20_000..=20_100).contains(&retries), "{retries}");
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_balance(
            shares in 1u32..20,
            steps in prop::collection::vec(any::<bool>(), 0..2_000),
        ) {
            // In twentieths, so that the model is exact; ours rounds up by less than a billionth.
            let (budget, share) = (drained(), Share::new(f64::from(shares) / 20.0));
            let mut model = 0u32;
            for call in steps {
                if call {
                    budget.deposit(share);
                    model = (model + shares).min(2_000);
                } else {
                    let allowed = model >= 20;
                    prop_assert_eq!(budget.withdraw(), allowed);
                    model -= if allowed { 20 } else { 0 };
                }
                prop_assert_eq!(budget.left(), model / 20);
            }
        }
    }
}

#[cfg(all(test, steadfast_loom))]
mod models {
    use super::*;
    use crate::sync::Arc;

    fn with_balance(balance: u64) -> Arc<Budget> {
        Arc::new(Budget(AtomicU64::new(balance)))
    }

    #[test]
    fn one_retry_left_is_given_to_one_of_two() {
        loom::model(|| {
            let budget = with_balance(RETRY);
            let other = Arc::clone(&budget);
            let thread = loom::thread::spawn(move || other.withdraw());
            let here = budget.withdraw();
            assert!(here ^ thread.join().unwrap());
            assert_eq!(budget.left(), 0);
        });
    }

    #[test]
    fn no_deposit_is_lost_and_none_fills_it_beyond_the_reserve() {
        loom::model(|| {
            let budget = with_balance(RESERVE - RETRY);
            let other = Arc::clone(&budget);
            let thread = loom::thread::spawn(move || other.deposit(Share::new(1.0)));
            let withdrawn = budget.withdraw();
            budget.deposit(Share::new(0.5));
            thread.join().unwrap();
            assert!(withdrawn && budget.0.load(Ordering::Relaxed) <= RESERVE);
            assert!(budget.0.load(Ordering::Relaxed) >= RESERVE - RETRY + RETRY / 2);
        });
    }
}
