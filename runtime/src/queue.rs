//! The line of waiting callers: first come, first served, and a place can be given back at any time.
//!
//! Pure data: its owner keeps it under a lock, and wakes and drops what it hands out *outside* that
//! lock, because waking or dropping a [`Waker`] may run foreign code that comes back in.

use std::{collections::VecDeque, task::Waker};

/// Below this a line keeps its memory when it runs empty.
const KEPT_CAPACITY: usize = 32;

/// A place in one [`Queue`]. Never given out twice by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// What a caller left in the line.
#[derive(Debug)]
pub(crate) struct Waiter<T> {
    pub(crate) data: T,
    pub(crate) weight: u32,
    pub(crate) waker: Waker,
}

#[derive(Debug)]
struct Slot<T> {
    ticket: Ticket,
    /// `None` is a tombstone: a caller who left from the middle of the line.
    waiter: Option<Waiter<T>>,
}

/// First come, first served. Slots are sorted by ticket, so that a place is found by binary search;
/// tombstones are swept once they outnumber the living, which makes leaving O(log n), amortised.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    slots: VecDeque<Slot<T>>,
    next: u64,
    living: usize,
    weight: u64,
}

impl<T> Queue<T> {
    pub(crate) const fn new() -> Self {
        Self {
            slots: VecDeque::new(),
            next: 0,
            living: 0,
            weight: 0,
        }
    }

    /// Takes the last place. `weight` is what this caller waits for (one permit, a cost).
    pub(crate) fn push(&mut self, data: T, weight: u32, waker: Waker) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.living += 1;
        self.weight += u64::from(weight);
        let waiter = Some(Waiter {
            data,
            weight,
            waker,
        });
        self.slots.push_back(Slot { ticket, waiter });
        ticket
    }

    /// Gives a place back to one who was taken out as the first, and comes before all who are there.
    pub(crate) fn put_back(&mut self, ticket: Ticket, waiter: Waiter<T>) {
        debug_assert!(self.front_ticket().is_none_or(|front| ticket < front));
        self.living += 1;
        self.weight += u64::from(waiter.weight);
        let waiter = Some(waiter);
        self.slots.push_front(Slot { ticket, waiter });
    }

    /// The first place of which that is so.
    pub(crate) fn find(&self, is: impl Fn(&Waiter<T>) -> bool) -> Option<Ticket> {
        let mut slots = self.slots.iter();
        let found = slots.find(|slot| slot.waiter.as_ref().is_some_and(&is))?;
        Some(found.ticket)
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.living
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.living == 0
    }

    /// The sum of the weights of all who wait: what is ahead of a newcomer.
    pub(crate) fn weight(&self) -> u64 {
        self.weight
    }

    /// The one whose turn is next. (The first slot is never a tombstone.)
    pub(crate) fn front(&self) -> Option<&Waiter<T>> {
        self.slots.front()?.waiter.as_ref()
    }

    pub(crate) fn front_ticket(&self) -> Option<Ticket> {
        Some(self.slots.front()?.ticket)
    }

    pub(crate) fn is_front(&self, ticket: Ticket) -> bool {
        self.front_ticket() == Some(ticket)
    }

    pub(crate) fn pop_front(&mut self) -> Option<Waiter<T>> {
        let ticket = self.front_ticket()?;
        self.remove(ticket)
    }

    pub(crate) fn get(&self, ticket: Ticket) -> Option<&Waiter<T>> {
        self.slots[self.index(ticket)?].waiter.as_ref()
    }

    /// Whether this place is still held.
    pub(crate) fn contains(&self, ticket: Ticket) -> bool {
        self.get(ticket).is_some()
    }

    /// How many stand before this place; linear, for judging a whole line again use [`Queue::iter`].
    #[cfg(test)]
    pub(crate) fn position(&self, ticket: Ticket) -> Option<usize> {
        self.iter().position(|(candidate, _)| candidate == ticket)
    }

    pub(crate) fn get_mut(&mut self, ticket: Ticket) -> Option<&mut Waiter<T>> {
        let index = self.index(ticket)?;
        self.slots[index].waiter.as_mut()
    }

    /// The places of all who wait, in order.
    pub(crate) fn tickets(&self) -> Vec<Ticket> {
        let living = self.slots.iter().filter(|slot| slot.waiter.is_some());
        living.map(|slot| slot.ticket).collect()
    }

    /// Leaves the line, from anywhere in it.
    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<Waiter<T>> {
        let index = self.index(ticket)?;
        let waiter = self.slots[index].waiter.take()?;
        self.living -= 1;
        self.weight -= u64::from(waiter.weight);
        self.sweep();
        Some(waiter)
    }

    /// Whom to wake when it is this place's turn. The replaced waker, if any, is to be dropped outside
    /// the owner's lock.
    #[must_use = "drop the replaced waker outside the lock"]
    pub(crate) fn set_waker(&mut self, ticket: Ticket, waker: &Waker) -> Option<Waker> {
        let index = self.index(ticket)?;
        let held = &mut self.slots[index].waiter.as_mut()?.waker;
        if held.will_wake(waker) {
            return None;
        }
        Some(std::mem::replace(held, waker.clone()))
    }

    /// All who wait, in order.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Ticket, &Waiter<T>)> {
        self.slots
            .iter()
            .filter_map(|slot| Some((slot.ticket, slot.waiter.as_ref()?)))
    }

    fn index(&self, ticket: Ticket) -> Option<usize> {
        // Most places that are asked for are at the head of the line.
        if self.is_front(ticket) {
            return Some(0);
        }
        self.slots
            .binary_search_by_key(&ticket, |slot| slot.ticket)
            .ok()
    }

    fn sweep(&mut self) {
        while self.slots.front().is_some_and(|slot| slot.waiter.is_none()) {
            self.slots.pop_front();
        }
        if self.slots.len() > 2 * self.living + KEPT_CAPACITY {
            self.slots.retain(|slot| slot.waiter.is_some());
        }
        if self.slots.is_empty() && self.slots.capacity() > KEPT_CAPACITY {
            self.slots = VecDeque::new();
        }
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn push(queue: &mut Queue<u32>, data: u32, weight: u32) -> Ticket {
        queue.push(data, weight, Waker::noop().clone())
    }

    #[test]
    fn serves_in_order_of_arrival() {
        let mut queue = Queue::new();
        let tickets: Vec<_> = (0..5).map(|n| push(&mut queue, n, 1)).collect();
        assert!(queue.is_front(tickets[0]));
        assert_eq!(queue.position(tickets[3]), Some(3));
        let served: Vec<_> = std::iter::from_fn(|| queue.pop_front().map(|w| w.data)).collect();
        assert_eq!(served, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_place_given_back_moves_the_others_up() {
        let mut queue = Queue::new();
        let tickets: Vec<_> = (0..4).map(|n| push(&mut queue, n, 10 + n)).collect();
        assert_eq!(queue.weight(), 46);
        assert_eq!(queue.remove(tickets[0]).map(|w| w.data), Some(0));
        assert_eq!(queue.remove(tickets[2]).map(|w| w.data), Some(2));
        assert!(queue.remove(tickets[2]).is_none());
        assert!(queue.is_front(tickets[1]));
        assert_eq!(queue.position(tickets[3]), Some(1));
        assert_eq!((queue.len(), queue.weight()), (2, 24));
    }

    #[test]
    fn a_head_that_waits_for_long_does_not_collect_tombstones() {
        let mut queue = Queue::new();
        let head = push(&mut queue, 0, 1);
        for n in 0..100_000 {
            let ticket = push(&mut queue, n, 1);
            queue.remove(ticket);
            assert!(queue.slots.len() <= 2 + KEPT_CAPACITY + 1);
        }
        assert!(queue.is_front(head));
    }

    #[test]
    fn ten_thousand_leave_from_anywhere_and_the_memory_comes_back() {
        let mut queue = Queue::new();
        let mut tickets: Vec<_> = (0..10_000).map(|n| push(&mut queue, n, 1)).collect();
        fastrand::Rng::with_seed(7).shuffle(&mut tickets);
        for (left, ticket) in (0..tickets.len()).rev().zip(tickets) {
            assert!(queue.remove(ticket).is_some());
            assert_eq!(queue.len(), left);
        }
        assert_eq!(queue.slots.capacity(), 0);
    }

    #[test]
    fn a_replaced_waker_is_handed_out() {
        struct Flag;
        impl std::task::Wake for Flag {
            fn wake(self: std::sync::Arc<Self>) {}
        }
        let mut queue = Queue::new();
        let waker = Waker::from(std::sync::Arc::new(Flag));
        let ticket = queue.push(0, 1, waker.clone());
        assert!(queue.set_waker(ticket, &waker).is_none());
        let other = Waker::from(std::sync::Arc::new(Flag));
        assert!(queue.set_waker(ticket, &other).is_some());
        assert!(queue.front().is_some_and(|w| w.waker.will_wake(&other)));
    }

    proptest! {
        #[test]
        fn behaves_like_a_plain_list(steps in prop::collection::vec((0u8..4, any::<prop::sample::Index>(), 0u32..9), 0..200)) {
            let mut queue = Queue::new();
            let mut model: Vec<(Ticket, u32, u32)> = Vec::new();
            let mut gone: Vec<Ticket> = Vec::new();
            for (n, (step, index, weight)) in steps.into_iter().enumerate() {
                match step {
                    0 | 1 => model.push((push(&mut queue, n as u32, weight), n as u32, weight)),
                    2 if !model.is_empty() => {
                        let (ticket, data, _) = model.remove(index.index(model.len()));
                        prop_assert_eq!(queue.remove(ticket).map(|w| w.data), Some(data));
                        gone.push(ticket);
                    }
                    3 => {
                        let first = (!model.is_empty()).then(|| model.remove(0));
                        prop_assert_eq!(queue.pop_front().map(|w| w.data), first.map(|f| f.1));
                        gone.extend(first.map(|f| f.0));
                    }
                    _ => {}
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert_eq!(queue.is_empty(), model.is_empty());
                prop_assert_eq!(queue.weight(), model.iter().map(|m| u64::from(m.2)).sum::<u64>());
                prop_assert_eq!(queue.front_ticket(), model.first().map(|m| m.0));
                prop_assert!(queue.iter().map(|(t, w)| (t, w.data, w.weight)).eq(model.iter().copied()));
                prop_assert!(gone.iter().all(|&ticket| !queue.contains(ticket)));
            }
        }
    }
}
