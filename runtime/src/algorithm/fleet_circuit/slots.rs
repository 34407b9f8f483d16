//! The fleet's window: whole batches, newest last.

use std::collections::VecDeque;

use super::{Micros, Reach};
use crate::algorithm::window::Tally;

/// Batches of calls that ended. A window of calls holds the newest batches that have at least so many
/// calls together: without its oldest batch it would hold less. A window of time holds the batches that
/// arrived in its newest pieces. One that becomes a window of the other kind begins empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Slots {
    slots: VecDeque<Slot>,
    tally: Tally,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Slot {
    /// When the piece of time began that it came in, by whatever window there was then; zero in a window of
    /// calls.
    piece: Micros,
    tally: Tally,
}

impl Slots {
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Takes a batch, and drops what has left the window.
    pub(crate) fn push(&mut self, reach: Reach, now: Micros, batch: Tally) {
        match reach {
            Reach::Count { calls, grain } => {
                if self.slots.back().is_some_and(|newest| newest.piece != 0) {
                    *self = Self::default();
                }
                let joins = |slot: &Slot| slot.tally.calls + batch.calls <= count(grain);
                self.add(0, batch, joins);
                while self.oldest().is_some_and(|oldest| {
                    self.tally.calls.saturating_sub(oldest.tally.calls) >= count(calls)
                }) {
                    self.drop_oldest();
                }
            }
            Reach::Time { width, pieces } => {
                let piece = self.advance(width, pieces, now);
                self.add(piece, batch, |slot| slot.piece == piece);
            }
        }
    }

    /// Drops what has left the window by now, and gives the piece that `now` lies in.
    fn advance(&mut self, width: Micros, pieces: i64, now: Micros) -> Micros {
        let mut piece = now.div_euclid(width) * width;
        let length = width * pieces;
        if let Some(newest) = self.slots.back() {
            if newest.piece - piece >= length {
                // The clock fell back by a whole window: what came then is of no known age.
                *self = Self::default();
            } else {
                piece = piece.max(newest.piece);
            }
        }
        while self
            .oldest()
            .is_some_and(|oldest| oldest.piece + length <= piece)
        {
            self.drop_oldest();
        }
        piece
    }

    fn add(&mut self, piece: i64, batch: Tally, joins: impl FnOnce(&Slot) -> bool) {
        if batch.calls == 0 {
            return;
        }
        self.tally.join(batch);
        match self.slots.back_mut() {
            Some(newest) if joins(newest) => newest.tally.join(batch),
            _ => self.slots.push_back(Slot {
                piece,
                tally: batch,
            }),
        }
    }

    fn oldest(&self) -> Option<&Slot> {
        self.slots.front()
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.slots.pop_front() {
            self.tally.subtract(oldest.tally);
        }
    }
}

fn count(calls: i64) -> u64 {
    u64::try_from(calls).unwrap_or(0)
}
