//! Those who wait at a gate.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    iter::{self, zip},
    task::Waker,
};

use super::{
    gate::{Full, Passage},
    rules::Rules,
};
use crate::{
    clock::Nanos,
    queue::{Queue, Ticket, Waiter},
};

/// Those who wait. Boxed and made at the first wait: most keys of a keyed bulkhead never see one. Kept
/// once made, since tickets must not be given out twice.
#[derive(Debug)]
pub struct Line(Option<Box<Behind>>);

/// What there is to do for whoever gives a permit back.
#[derive(Debug)]
enum Behind {
    /// There is a line of those who wait.
    Waiters(Waiters),
    /// The gate is a seat: the permit is of somewhere else.
    Seat(Box<dyn Owed>),
}

#[derive(Debug, Default)]
struct Waiters {
    queue: Queue<Patience>,
    /// Those who had to leave without a permit handed to them, and have not looked since.
    sent: BTreeMap<Ticket, Result<Passage, Full>>,
}

/// How long a caller waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    came: Nanos,
    /// When it stops waiting whatever is in force.
    deadline: Nanos,
    give_up: Nanos,
}

/// How it stands with a caller. Wakers are to be dropped outside the lock.
#[derive(Debug)]
pub(super) enum Look {
    /// It waits. The waker is the one before.
    Waits(Nanos, Option<Waker>),
    /// It has waited long enough, and has left the line, where its waker was.
    Over(Waker),
    /// It is not in the line any more: it was handed a permit, or it was sent away.
    Gone(Result<Passage, Full>),
}

/// A permit of somewhere else, which a gate only stands for: so permits of every origin are of one type,
/// and those that are the gate's own need not ask.
pub(super) trait Owed: Debug + Send {
    /// Its fencing number; zero where it has none.
    fn fence(&self) -> u64;

    /// Gives it back.
    fn settle(self: Box<Self>);
}

impl Patience {
    pub(super) fn new(came: Nanos, deadline: Nanos, rules: &Rules) -> Self {
        let mut this = Self {
            came,
            deadline,
            give_up: deadline,
        };
        this.heed(rules);
        this
    }

    /// Whether that changed anything.
    fn heed(&mut self, rules: &Rules) -> bool {
        let before = self.give_up;
        self.give_up = self.came.after(rules.manner.max_wait()).min(self.deadline);
        self.give_up != before
    }

    pub(super) fn give_up(self) -> Nanos {
        self.give_up
    }
}

impl Line {
    pub(super) const fn new() -> Self {
        Self(None)
    }

    fn waiters(&self) -> Option<&Waiters> {
        match self.0.as_deref() {
            Some(Behind::Waiters(waiters)) => Some(waiters),
            _ => None,
        }
    }

    fn waiters_mut(&mut self) -> Option<&mut Waiters> {
        match self.0.as_deref_mut() {
            Some(Behind::Waiters(waiters)) => Some(waiters),
            _ => None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiters()
            .is_none_or(|waiters| waiters.queue.is_empty())
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> u32 {
        let waiting = self.waiters().map_or(0, |waiters| waiters.queue.len());
        u32::try_from(waiting).unwrap_or(u32::MAX)
    }

    /// Gives a caller the last place. `None`: nobody stands in line for a seat.
    pub(super) fn push(&mut self, patience: Patience, waker: &Waker) -> Option<Ticket> {
        let new = || Box::new(Behind::Waiters(Waiters::default()));
        match &mut **self.0.get_or_insert_with(new) {
            Behind::Waiters(waiters) => Some(waiters.queue.push(patience, 1, waker.clone())),
            Behind::Seat(_) => None,
        }
    }

    /// The first leaves, who is handed a permit: being gone from the line is how it knows.
    pub(super) fn pop_front(&mut self) -> Option<Waker> {
        Some(self.waiters_mut()?.queue.pop_front()?.waker)
    }

    /// How it stands with a caller, who leaves if it does not wait any longer, and else is to be woken.
    pub(super) fn look(&mut self, ticket: Ticket, waker: &Waker, now: Nanos) -> Look {
        let Some(waiters) = self.waiters_mut() else {
            return Look::Gone(Ok(Passage::In));
        };
        match waiters.queue.get(ticket).map(|waiter| waiter.data.give_up) {
            Some(until) if now < until => {
                Look::Waits(until, waiters.queue.set_waker(ticket, waker))
            }
            _ => self.leave(ticket),
        }
    }

    /// A caller goes, wherever it is.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Look {
        let Some(waiters) = self.waiters_mut() else {
            return Look::Gone(Ok(Passage::In));
        };
        match waiters.queue.remove(ticket) {
            Some(waiter) => Look::Over(waiter.waker),
            None => Look::Gone(waiters.sent.remove(&ticket).unwrap_or(Ok(Passage::In))),
        }
    }

    /// All but the first so many leave, with that answer; the others wait as long as the rules say. Those
    /// for whom something has changed are to be woken.
    pub(super) fn judge(
        &mut self,
        rules: &Rules,
        keep: usize,
        sent: Result<Passage, Full>,
    ) -> Vec<Waker> {
        let Some(waiters) = self.waiters_mut() else {
            return Vec::new();
        };
        let all = waiters.take_all();
        let mut woken = Vec::new();
        // From the end, since they are put back at the front.
        for (place, (ticket, mut waiter)) in zip((0..all.len()).rev(), all.into_iter().rev()) {
            if place >= keep {
                waiters.sent.insert(ticket, sent);
                woken.push(waiter.waker);
                continue;
            }
            if waiter.data.heed(rules) {
                woken.push(waiter.waker.clone());
            }
            waiters.queue.put_back(ticket, waiter);
        }
        woken.reverse();
        woken
    }

    pub(super) fn sit(&mut self, owed: Box<dyn Owed>) {
        self.0 = Some(Box::new(Behind::Seat(owed)));
    }

    pub(super) fn seat(&self) -> Option<&dyn Owed> {
        match self.0.as_deref() {
            Some(Behind::Seat(owed)) => Some(&**owed),
            _ => None,
        }
    }

    pub(super) fn take_seat(&mut self) -> Option<Box<dyn Owed>> {
        match self.0.take_if(|behind| matches!(**behind, Behind::Seat(_))) {
            Some(behind) => match *behind {
                Behind::Seat(owed) => Some(owed),
                Behind::Waiters(_) => None,
            },
            None => None,
        }
    }
}

impl Waiters {
    fn take_all(&mut self) -> Vec<(Ticket, Waiter<Patience>)> {
        let queue = &mut self.queue;
        let first = || Some((queue.front_ticket()?, queue.pop_front()?));
        iter::from_fn(first).collect()
    }
}
