//! Time counted in fractions of a permit.

use crate::clock::{Nanos, nanos};
use crate::rate::Rate;

use super::{decision::Unrepresentable, skew};

/// Units per nanosecond stay below 2^3, so that a word holds decades.
const UNITS_PER_NANO: u128 = 8;

/// The last point that is counted, some 25 years after [`ORIGIN`]; beyond it time stands still. A
/// bucket reaches at most 2^61 units further: every sum fits 63 bits.
const LAST: u64 = (3 << 61) - 1;

/// Upper bits that no count of nanoseconds has in three decades.
const SPARE: u32 = 4;

/// Where counting begins: a year before the clock's line does, so that readings from before that
/// (a runtime paused earlier) are ordinary ones.
const ORIGIN: Nanos = Nanos((1 << 60) - (1 << 55));

/// A line from nanoseconds to units, 2^`bits` of which are one permit.
///
/// A unit is as small as a word allows, an eighth to a quarter of a nanosecond for all but enormous
/// buckets. Every reading is converted from the same origin, so that nothing is lost however often
/// the clock is read, and an interval of whole nanoseconds comes out as whole permits.
/// The slope is the rate to within one part in 2^63.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    since: Nanos,
    base: u64,
    bits: u32,
    /// Nanoseconds from `since` on in which nothing has to be cut off.
    plain: u64,
    /// Units per nanosecond are `up / 2^(64 - SPARE + up_shift)`, rounded up.
    up: u64,
    up_shift: u32,
    /// Nanoseconds per unit are `down / 2^down_shift`, rounded down.
    down: u64,
    down_shift: u32,
}

impl Pace {
    /// The pace of `rate`, fine enough for a bucket of `size` permits.
    pub(crate) fn new(rate: Rate, size: u32) -> Result<Self, Unrepresentable> {
        let per = period(rate)?;
        let count = u64::from(rate.count());
        let fine = |bits: &u32| {
            u128::from(count) << bits < UNITS_PER_NANO * u128::from(per)
                && u64::from(size) <= (1 << 61) >> bits
        };
        let bits = (0..=61).rev().find(fine).ok_or(Unrepresentable::TooFast)?;
        Ok(Self::slope(count, per, bits, ORIGIN, 0))
    }

    /// The same units from `at` on, at `count` permits in `per` nanoseconds.
    pub(crate) fn bend(&self, at: Nanos, count: u64, per: u64) -> Self {
        Self::slope(count, per, self.bits, at, self.at(at))
    }

    /// The same pace, but `now` is where the newest point was: the clock was set back.
    pub(crate) fn restart(&self, now: Nanos, newest: Nanos) -> Self {
        Self {
            since: now,
            base: self.at(newest),
            ..*self
        }
        .with_plain()
    }

    fn slope(count: u64, per: u64, bits: u32, since: Nanos, base: u64) -> Self {
        let (count, per) = (u128::from(count.max(1)), u128::from(per.max(1)));
        let mut shift = 0;
        while count << shift < per << 63 {
            shift += 1;
        }
        let mut up = (count << shift).div_ceil(per);
        if up > u128::from(u64::MAX) {
            shift -= 1;
            up = (count << shift).div_ceil(per);
        }
        let mut back = 0;
        while per << back < count << 63 {
            back += 1;
        }
        Self {
            since,
            base,
            bits,
            up: up as u64,
            up_shift: shift - bits - (64 - SPARE),
            down: ((per << back) / count) as u64,
            down_shift: back + bits,
            plain: 0,
        }
        .with_plain()
    }

    /// The same with `plain` as far as it goes: within a factor of two, which is years.
    fn with_plain(mut self) -> Self {
        let mut plain = u64::MAX >> SPARE;
        while plain > 0 && self.scale(plain).saturating_add(self.base) > LAST {
            plain >>= 1;
        }
        self.plain = plain;
        self
    }

    /// Units in `permits`.
    #[inline]
    pub(crate) fn units(&self, permits: u32) -> u64 {
        u64::from(permits) << self.bits
    }

    /// Whole permits in `units`.
    #[inline]
    pub(crate) fn permits(&self, units: u64) -> u32 {
        u32::try_from(units >> self.bits).unwrap_or(u32::MAX)
    }

    /// The same permits in another pace's units, rounded up.
    pub(crate) fn in_units_of(&self, other: &Self, units: u64) -> u64 {
        let units = (u128::from(units) << other.bits).div_ceil(1 << self.bits);
        u64::try_from(units).unwrap_or(u64::MAX)
    }

    /// Whether so many units are no more permits here than at `other`.
    pub(crate) fn is_as_fine_as(&self, other: &Self) -> bool {
        self.bits >= other.bits
    }

    /// The point of `now`, rounded down.
    #[inline]
    pub(crate) fn at(&self, now: Nanos) -> u64 {
        // Wrapped, a time before the line is a long one.
        let passed = now.0.wrapping_sub(self.since.0);
        if passed <= self.plain {
            return self.multiply(passed) + self.base;
        }
        self.at_the_ends(now)
    }

    #[cold]
    #[inline(never)]
    fn at_the_ends(&self, now: Nanos) -> u64 {
        let passed = now.0.saturating_sub(self.since.0);
        self.scale(passed).saturating_add(self.base).min(LAST)
    }

    /// So many nanoseconds in units, rounded down.
    fn scale(&self, nanos: u64) -> u64 {
        if nanos > u64::MAX >> SPARE {
            return LAST;
        }
        self.multiply(nanos)
    }

    /// One multiplication, of which the upper half counts.
    #[inline]
    fn multiply(&self, nanos: u64) -> u64 {
        let product = u128::from(nanos << SPARE) * u128::from(self.up);
        (product >> 64) as u64 >> self.up_shift
    }

    /// The first nanosecond that [`Pace::at`] puts at `point` or later.
    pub(crate) fn when(&self, point: u64) -> Nanos {
        if point > LAST {
            return Nanos::NEVER;
        }
        let units = u128::from(point.saturating_sub(self.base));
        let passed = (units * u128::from(self.down)) >> self.down_shift;
        let mut when = self
            .since
            .0
            .saturating_add(u64::try_from(passed).unwrap_or(u64::MAX));
        // Both slopes are rounded, by less than a few nanoseconds in a lifetime.
        while self.at(Nanos(when)) < point && when < u64::MAX {
            when += 1;
        }
        Nanos(when)
    }

    /// How far a clock may be behind without having been set back, in units.
    pub(crate) fn skew(&self) -> u64 {
        self.scale(nanos(skew::tolerated())).min(LAST)
    }
}

/// The rate's time in nanoseconds, of a rate that can be counted.
pub(crate) const fn period(rate: Rate) -> Result<u64, Unrepresentable> {
    let per = rate.per().as_nanos();
    if rate.count() == 0 {
        Err(Unrepresentable::NoPermits)
    } else if per == 0 {
        Err(Unrepresentable::NoTime)
    } else if per > u64::MAX as u128 {
        Err(Unrepresentable::TooLong)
    } else if rate.count() as u128 >= UNITS_PER_NANO * per {
        Err(Unrepresentable::TooFast)
    } else {
        Ok(per as u64)
    }
}
