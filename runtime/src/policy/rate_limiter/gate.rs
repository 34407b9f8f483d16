//! The limit that all calls of a policy share: one word for those who find a permit, a lock for the
//! rest.

use super::{lane::Lane, rules::Rules};
use crate::{
    algorithm::{
        gcra::{Gcra, Mark},
        limit::LimitState,
    },
    clock::Nanos,
    sync::{AtomicU64, Mutex, Ordering, lock},
};

/// A bucket's word, and the lane behind it.
///
/// While the top bit is clear, a permit is one compare-and-swap. [`Gate::with`] sets it, which no
/// compare-and-swap survives, and so owns the word until it stores it back; if somebody waits then, the
/// bit stays, so that newcomers take the lock too and nobody overtakes.
///
/// Limits of other algorithms live in the lane alone and never touch the word.
#[derive(Debug)]
pub(super) struct Gate {
    word: AtomicU64,
    /// A copy of what the bucket in the lane has refunded. Read before a permit is taken: it can only
    /// be too old, which makes a later refund smaller.
    refunded: AtomicU64,
    lane: Mutex<Lane>,
}

const HELD: u64 = 1 << 63;

/// What a caller finds at the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Glance {
    /// Permits were taken: the state after that, and the mark for a refund.
    Taken { state: u64, mark: u64 },
    /// Not now; nobody waits.
    Spent { state: u64 },
    /// The lane has to be asked.
    Held,
}

impl Gate {
    pub(super) fn new(rules: &Rules, now: Nanos) -> Self {
        Self {
            word: AtomicU64::new(0),
            refunded: AtomicU64::new(0),
            lane: Mutex::new(Lane::new(rules, now)),
        }
    }

    /// Takes permits without the lock, if they are there.
    #[inline]
    pub(super) fn glance(&self, bucket: &Gcra, now: Nanos, cost: u32) -> Glance {
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            if word & HELD != 0 {
                return Glance::Held;
            }
            let refunded = self.refunded.load(Ordering::Relaxed);
            let Some(next) = bucket.take(word, now, cost) else {
                return Glance::Spent { state: word };
            };
            match self
                .word
                .compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => {
                    return Glance::Taken {
                        state: next,
                        mark: Mark::new(next, refunded).0,
                    };
                }
                Err(now) => word = now,
            }
        }
    }

    /// The bucket's state now: read the clock after it.
    pub(super) fn state(&self) -> u64 {
        self.word.load(Ordering::Acquire) & !HELD
    }

    /// Runs `act` on the lane, which nothing else can change meanwhile.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Lane) -> R) -> R {
        let mut lane = lock(&self.lane);
        if !matches!(lane.state, LimitState::Bucket(_)) {
            return act(&mut lane);
        }
        let word = self.word.fetch_or(HELD, Ordering::AcqRel) & !HELD;
        if let LimitState::Bucket(bucket) = &mut lane.state {
            bucket.state = word;
        }
        let result = act(&mut lane);
        if let LimitState::Bucket(bucket) = &lane.state {
            let held = if lane.waiting() > 0 { HELD } else { 0 };
            self.refunded.store(bucket.refunded(), Ordering::Relaxed);
            self.word.store(bucket.state | held, Ordering::Release);
        }
        result
    }
}
