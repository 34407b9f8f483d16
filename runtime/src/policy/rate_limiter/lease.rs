//! Permits of a bucket that one thread has taken ahead.
//!
//! # Why the limit is the same
//! The state of a bucket is a point on a line along which the present moves: the point at which the
//! bucket will be full again. A call of cost `c` at the present `now` takes up the stretch of `c` behind
//! the state, or behind the present where that is further, and may do so if the stretch ends no later
//! than `now + burst`.
//!
//! So three things hold of whoever is let through: its stretch begins at its own present or later, it
//! ends at most a burst after it, and no two stretches overlap. They alone are the limit: all who are let
//! through between `t` and `u` have their stretches between `t` and `u + burst`, where there is room for
//! no more than `burst + (u - t)`, which is the burst and what the rate gives in that time.
//!
//! A lease is a longer stretch, taken in the same way. Its owner takes up pieces of it from the front, by
//! the same rule: no piece begins before the owner's present (what has been passed is lost, being
//! refilled), none ends after the lease does, nor more than a burst from the present. Hence all three
//! still hold, and so does the limit, to the unit.
//!
//! A recall closes all leases and cuts what is left of them out of the line: what is behind a cut moves
//! up to it. Only what lies after the present is cut out, by a clock read when nobody can take anything
//! any more: so a stretch is moved to the present at most, which is no earlier than the one that it
//! was taken at. Overlaps cannot come of it, as everything that was taken, spent or not, moves alike.
//! That is why a lease is never given back by itself while there may be others behind it: their ends
//! would stay where they are. What an owner leaves over when it takes a new lease is kept aside for the
//! next recall.
//!
//! What expires unspent is lost for those who come later, as the bucket was not full when it could have
//! been: by no more than was leased.
//!
//! # Refunds
//! A mark is where a stretch ends, on the line as it would be had nothing ever been refunded. A recall
//! moves what is behind a lease, too. A lease therefore knows how much of others was below it when it
//! was taken, and marks what it gives out as if all of that had been cut out already: never later than
//! where it is. Whatever the mark, a stretch holds at its taking what it costs.

use crate::{
    algorithm::gcra::Gcra,
    sync::{AtomicU64, Ordering::*},
};

/// The lease of one thread. Only that thread spends from it; everything else is done under the lock of
/// the gate.
#[derive(Debug)]
pub(super) struct Lease {
    /// Where the next stretch begins, or [`CLOSED`].
    start: AtomicU64,
    end: AtomicU64,
    /// What the bucket had refunded when it was taken: nothing is refunded before the next recall.
    refunded: AtomicU64,
    /// How far a recall may move it, at most.
    below: AtomicU64,
    /// What was left over of earlier ones, and when the first of that expires.
    spare: AtomicU64,
    spare_end: AtomicU64,
    /// How far it may move those behind it: the length of all that, at first.
    length: AtomicU64,
    /// When the owner last met others. Nobody else's business.
    met: AtomicU64,
}

/// Of a lease that there is not. No point is as far.
pub(super) const CLOSED: u64 = 1 << 63;

/// A stretch that is about to become a lease.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Lease {
    pub(super) fn new() -> Self {
        Self {
            start: AtomicU64::new(CLOSED),
            end: AtomicU64::new(0),
            refunded: AtomicU64::new(0),
            below: AtomicU64::new(0),
            spare: AtomicU64::new(0),
            spare_end: AtomicU64::new(0),
            length: AtomicU64::new(0),
            met: AtomicU64::new(0),
        }
    }

    /// Where the next stretch begins, or [`CLOSED`].
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn start(&self) -> u64 {
        self.start.load(Relaxed)
    }

    /// Spends a plain cost, for the owner who has seen where the next stretch begins. The mark; `None`
    /// where there is too little, or it was recalled meanwhile.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn spend(&self, bucket: &Gcra, start: u64, at: u64, cost: u32) -> Option<u64> {
        let (base, units) = (start.max(at), bucket.units(cost));
        let next = base + units;
        if next > self.end.load(Relaxed).min(bucket.end(at)) {
            return None;
        }
        // What the owner alone writes, it reads before somebody else may take over.
        let refunded = self.refunded.load(Relaxed);
        let below = self.below.load(Relaxed);
        // Released: a recall that finds it reads the clock after us.
        self.start
            .compare_exchange(start, next, AcqRel, Relaxed)
            .ok()?;
        Some(mark(refunded, base, below, at, units))
    }

    /// Opens it, for the owner under the lock, who takes up the first piece. The mark of that.
    pub(super) fn open(&self, bucket: &Gcra, opening: Opening, at: u64, cost: u32) -> u64 {
        let Opening {
            stretch,
            spare,
            below,
            refunded,
        } = opening;
        let units = bucket.units(cost);
        self.end.store(stretch.end, Relaxed);
        self.refunded.store(refunded, Relaxed);
        self.below.store(below, Relaxed);
        self.spare.store(spare.units, Relaxed);
        self.spare_end.store(spare.end, Relaxed);
        let length = stretch.end - stretch.start + spare.units;
        self.length.store(length, Relaxed);
        self.start.store(stretch.start + units, Release);
        mark(refunded, stretch.start, below, at, units)
    }

    /// Takes it from its owner, under the lock. Where the next stretch would have begun.
    pub(super) fn close(&self) -> u64 {
        self.start.swap(CLOSED, AcqRel)
    }

    /// What was left of it when it was closed at `start`, and of those before, at this point.
    pub(super) fn left(&self, start: u64, at: u64) -> u64 {
        self.rest(start, at) + self.spare(at).units
    }

    /// What is left of the lease itself where the next stretch begins at `start`.
    pub(super) fn rest(&self, start: u64, at: u64) -> u64 {
        self.end().saturating_sub(start.max(at))
    }

    /// Whether it has expired with all that was left over.
    pub(super) fn is_over(&self, at: u64) -> bool {
        self.end() <= at && self.spare(at).units == 0
    }

    pub(super) fn end(&self) -> u64 {
        self.end.load(Relaxed)
    }

    pub(super) fn length(&self) -> u64 {
        self.length.load(Relaxed)
    }

    /// What was left over of earlier ones.
    pub(super) fn spare(&self, at: u64) -> Spare {
        let end = self.spare_end.load(Relaxed);
        let units = self.spare.load(Relaxed).min(end.saturating_sub(at));
        Spare { units, end }
    }

    /// The owner has met others, and says whether that was within `time` of the last time.
    pub(super) fn meet(&self, at: u64, time: u64) -> bool {
        let met = self.met.load(Relaxed);
        self.met.store(at, Relaxed);
        at.saturating_sub(met) < time
    }
}

/// Where a stretch ends, wherever a recall moves it; but it holds what it costs.
#[cfg_attr(not(debug_assertions), inline(always))]
fn mark(refunded: u64, base: u64, below: u64, at: u64, units: u64) -> u64 {
    refunded.wrapping_add(base.saturating_sub(below).max(at) + units)
}

/// How a lease is opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening {
    pub(super) stretch: Stretch,
    pub(super) spare: Spare,
    /// What others hold below it, at most.
    pub(super) below: u64,
    pub(super) refunded: u64,
}

/// What was left over: counted as one piece that ends where the first of it does, so never for longer
/// than it is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spare {
    pub(super) units: u64,
    pub(super) end: u64,
}

impl Spare {
    pub(super) const NONE: Self = Self { units: 0, end: 0 };

    /// With another piece, that ends later.
    pub(super) fn with(self, units: u64, end: u64) -> Self {
        match (self.units, units) {
            (_, 0) => self,
            (0, _) => Self { units, end },
            (spare, units) => Self {
                units: spare + units,
                end: self.end.min(end),
            },
        }
    }
}
