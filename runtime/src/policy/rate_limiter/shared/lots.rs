//! Permits that were taken ahead.

use std::{collections::VecDeque, time::Duration};

use crate::{clock::Nanos, rate::Rate};

/// Permits that the store has given out and nobody here has used yet, oldest first. They are counted as
/// taken there, and worth nothing here once they have expired.
#[derive(Debug, Default)]
pub(super) struct Lots {
    lots: VecDeque<Lot>,
    rate: Option<Rate>,
    /// How many are held at a time: more where they are soon used, fewer after some expired.
    want: u32,
    /// When some were taken last.
    filled: Nanos,
    /// Permits that have been asked for.
    pending: u32,
    /// The store had fewer than were wanted: until then only those who need some ask.
    scarce: Nanos,
}

/// Permits that were taken together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lot {
    pub(super) permits: u32,
    pub(super) until: Nanos,
    pub(super) mark: i64,
}

/// Permits that are used within this part of their life are too few.
const SOON: u32 = 8;
/// More lots than this are not kept apart.
const APART: usize = 4;

impl Lots {
    /// Takes `cost` permits, or none.
    pub(super) fn take(&mut self, now: Nanos, cost: u32, rate: Option<Rate>) -> bool {
        self.expire(now);
        if rate != self.rate || self.left() < u64::from(cost) || cost == 0 {
            return false;
        }
        let mut needed = cost;
        while let Some(lot) = self.lots.front_mut() {
            let taken = lot.permits.min(needed);
            lot.permits -= taken;
            needed -= taken;
            if lot.permits > 0 {
                break;
            }
            self.lots.pop_front();
        }
        true
    }

    /// Keeps permits; those of another rate are lost.
    pub(super) fn put(&mut self, lot: Lot, rate: Option<Rate>) {
        if rate != self.rate {
            self.lots.clear();
            self.rate = rate;
        }
        if lot.permits == 0 {
            return;
        }
        let is_apart = self.lots.len() < APART;
        match self.lots.back_mut() {
            Some(last) if !is_apart => {
                // Together they expire as the older does, and nothing of them is given back.
                last.permits = last.permits.saturating_add(lot.permits);
                last.mark = i64::MIN;
            }
            _ => self.lots.push_back(lot),
        }
    }

    /// How many to take on top, so that there is something ahead, at most `most` in all: none while half
    /// of what is wanted is there.
    pub(super) fn short(&mut self, now: Nanos, most: u32, rate: Option<Rate>) -> u32 {
        self.expire(now);
        self.want = self.want.clamp(1, most.max(1));
        if now < self.scarce {
            return 0;
        }
        let held = match rate == self.rate {
            true => u32::try_from(self.left()).unwrap_or(u32::MAX),
            false => 0,
        };
        // What is on its way counts as held: questions beside each other ask for it once.
        let held = held.saturating_add(self.pending);
        match held <= self.want / 2 {
            true => self.want - held,
            false => 0,
        }
    }

    /// The same for one who takes them.
    pub(super) fn fill(
        &mut self,
        now: Nanos,
        most: u32,
        rate: Option<Rate>,
        life: Duration,
    ) -> u32 {
        if self.short(now, most, rate) == 0 {
            return 0;
        }
        if now.since(self.filled) < life / SOON {
            self.want = self.want.saturating_mul(2);
        }
        self.filled = now;
        let missing = self.short(now, most, rate);
        self.pending += missing;
        missing
    }

    /// What was asked for has come, or not.
    pub(super) fn arrived(&mut self, asked: u32) {
        self.pending = self.pending.saturating_sub(asked);
    }

    /// The store has given out less than was wanted.
    pub(super) fn ran_dry(&mut self, now: Nanos, life: Duration) {
        self.scarce = now.after(life / SOON);
    }

    /// What is left of them.
    pub(super) fn left(&self) -> u64 {
        self.lots.iter().map(|lot| u64::from(lot.permits)).sum()
    }

    pub(super) fn held(&mut self, now: Nanos, rate: Option<Rate>) -> u32 {
        self.expire(now);
        match rate == self.rate {
            true => u32::try_from(self.left()).unwrap_or(u32::MAX),
            false => 0,
        }
    }

    /// Forgets them.
    pub(super) fn clear(&mut self) {
        self.lots.clear();
    }

    /// Takes them all out.
    pub(super) fn drain(&mut self, now: Nanos) -> (Option<Rate>, Vec<Lot>) {
        self.expire(now);
        (self.rate, self.lots.drain(..).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lots.is_empty() && self.pending == 0
    }

    fn expire(&mut self, now: Nanos) {
        while self.lots.front().is_some_and(|lot| lot.until <= now) {
            self.lots.pop_front();
            self.want /= 2;
        }
    }
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use super::*;

    const START: Nanos = Nanos(1 << 60);
    const LIFE: Duration = Duration::from_secs(1);

    fn lot(permits: u32, until: Nanos) -> Lot {
        Lot {
            permits,
            until,
            mark: 0,
        }
    }

    #[test]
    fn what_is_asked_for_and_held_is_never_more_than_the_bound() {
        let (mut lots, mut now) = (Lots::default(), START);
        let mut asked = Vec::new();
        for round in 0..200u32 {
            // Questions beside each other, answered late and not always.
            let missing = lots.fill(now, 20, None, LIFE);
            asked.push(missing);
            let under_way: u32 = asked.iter().sum();
            assert!(u64::from(under_way) + lots.left() <= 20);
            if round % 3 == 0 {
                for missing in asked.drain(..) {
                    lots.arrived(missing);
                    if round % 2 == 0 {
                        lots.put(lot(missing, now.after(LIFE)), None);
                    }
                }
            }
            while round % 5 == 0 && lots.take(now, 1, None) {}
            now = now.after(Duration::from_millis(10));
        }
        assert_eq!(lots.want, 20, "it has learned to hold all it may");
    }

    #[test]
    fn permits_expire_each_lot_by_itself() {
        let mut lots = Lots::default();
        lots.put(lot(2, START.after(LIFE)), None);
        lots.put(lot(3, START.after(LIFE * 2)), None);
        assert!(!lots.take(START, 6, None));
        assert!(lots.take(START, 1, None));
        assert!(!lots.take(START.after(LIFE), 4, None), "one has expired");
        assert!(lots.take(START.after(LIFE), 3, None));
        assert!(lots.is_empty());
    }

    #[test]
    fn permits_of_another_rate_are_not_given_out() {
        let mut lots = Lots::default();
        lots.put(lot(2, START.after(LIFE)), None);
        assert!(!lots.take(START, 1, Some(Rate::per_second(1))));
        assert!(lots.take(START, 1, None));
    }
}
