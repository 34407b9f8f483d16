//! Seats for calls of annotated functions, which keep one reference and no more.

use std::sync::OnceLock;

use crate::{
    policy::bulkhead::striped::Striped,
    sync::{Mutex, lock},
};

/// Made as they are needed, twice as many each time, and used again: as many as calls ran at once.
#[derive(Debug)]
pub(super) struct Seats {
    rows: [OnceLock<Box<[Striped]>>; ROWS],
    free: Mutex<Free>,
}

#[derive(Debug, Default)]
struct Free {
    /// Those that were used before.
    vacant: Vec<usize>,
    /// The first that never was.
    next: usize,
}

/// More than there can be calls: the first row has one seat, each has twice as many as the one before.
const ROWS: usize = 40;

impl Seats {
    pub(super) fn new() -> Self {
        Self {
            rows: std::array::from_fn(|_| OnceLock::new()),
            free: Mutex::new(Free::default()),
        }
    }

    /// An empty seat, and its number, for [`vacate`](Self::vacate).
    pub(super) fn take(&self) -> (&Striped, usize) {
        let number = lock(&self.free).take();
        let (row, place) = position(number);
        let seats = self.rows.get(row).map(|seats| {
            seats.get_or_init(|| (0..1_usize << row).map(|_| Striped::seat()).collect())
        });
        match seats.and_then(|seats| seats.get(place)) {
            Some(seat) => (seat, number),
            // The memory of a computer ends long before.
            None => unreachable!("2^40 calls at once"),
        }
    }

    /// Nobody sits there any more.
    pub(super) fn vacate(&self, number: usize) {
        lock(&self.free).vacant.push(number);
    }
}

impl Free {
    fn take(&mut self) -> usize {
        self.vacant.pop().unwrap_or_else(|| {
            let next = self.next;
            self.next += 1;
            next
        })
    }
}

/// Its row, and its place there.
fn position(number: usize) -> (usize, usize) {
    let row = (number + 1).ilog2();
    (row as usize, number + 1 - (1 << row))
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_seat_of_its_own() {
        let positions: Vec<_> = (0..7).map(position).collect();
        let expected = [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (2, 3)];
        assert_eq!(positions, expected);
        let seats = Seats::new();
        let taken: Vec<_> = (0..100).map(|_| seats.take()).collect();
        let mut addresses: Vec<_> = taken
            .iter()
            .map(|(seat, _)| std::ptr::from_ref(*seat))
            .collect();
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), 100);
        seats.vacate(taken[41].1);
        assert!(std::ptr::eq(seats.take().0, taken[41].0));
    }
}
