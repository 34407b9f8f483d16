//! Permits that do not bring threads together.

use std::sync::OnceLock;

use super::{gate::Gate, line::Line, places::Places};
use crate::{
    per_thread::{Apart, PerThread},
    sync::{AtomicU32, AtomicU64, Ordering},
};

/// A [`Gate`] that lends permits to threads. A thread that has given one back takes it again from its
/// own stripe, and writes no line that others write.
///
/// To the gate a permit in a stripe is in: *in = in use + free in the stripes*. A stripe is opened for a
/// thread that another got in the way of at the gate, empty, and is filled by what the thread gives
/// back; so a bulkhead that one thread uses never has one. All are emptied and closed, in one go and
/// under the lock of the line, before anybody is refused, before anybody waits, and before the limit
/// changes; they stay closed while anybody waits (so every permit that comes back is handed on, and
/// nobody overtakes) and until at most half of the permits are in (so a bulkhead that is nearly full is
/// a plain gate).
///
/// The limit holds because the gate lends only while no more are in than may be, and lets nobody in
/// beyond that; while nothing is lent, the gate's word is the whole truth. Which of the two it is, is
/// a bit of that same word.
#[derive(Debug)]
pub struct Striped {
    // Apart from the rest, which every call reads.
    gate: Apart<Gate>,
    /// Made when two threads meet for the first time.
    stripes: OnceLock<PerThread<Stripe>>,
    /// How many are open. Changes under the lock of the line.
    open: AtomicU32,
}

/// Slots for permits: how many hold one (upper half), how many are empty (lower half). A closed stripe
/// has none of either, so that nobody need ask whether it is closed.
#[derive(Debug)]
pub(super) struct Stripe(AtomicU64);

const HELD: u64 = 1 << 32;
const EMPTY: u64 = 1;

fn held(slots: u64) -> u32 {
    (slots >> 32) as u32
}

fn empty(slots: u64) -> u32 {
    slots as u32
}

impl Stripe {
    fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Takes a permit.
    #[inline]
    fn take(&self) -> bool {
        let mut slots = self.0.load(Ordering::Relaxed);
        while held(slots) > 0 {
            match self.swap(slots, slots - HELD + EMPTY, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => slots = now,
            }
        }
        false
    }

    /// Leaves a permit, if there is an empty slot.
    #[inline]
    fn put(&self) -> bool {
        let mut slots = self.0.load(Ordering::Relaxed);
        while empty(slots) > 0 {
            // Acquire too: whoever comes after this permit sees that the gate has lent.
            match self.swap(slots, slots + HELD - EMPTY, Ordering::AcqRel) {
                Ok(_) => return true,
                Err(now) => slots = now,
            }
        }
        false
    }

    #[inline]
    fn swap(&self, from: u64, to: u64, order: Ordering) -> Result<u64, u64> {
        self.0
            .compare_exchange_weak(from, to, order, Ordering::Relaxed)
    }

    fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    fn held(&self) -> u32 {
        held(self.0.load(Ordering::Relaxed))
    }

    /// Under the lock of the line.
    fn open(&self, slots: u32) {
        self.0.store(u64::from(slots) * EMPTY, Ordering::Release);
    }

    /// Closes it and takes what it holds. Under the lock of the line, without which none is opened: a
    /// closed one is left alone.
    fn close(&self) -> u32 {
        match self.is_open() {
            true => held(self.0.swap(0, Ordering::Acquire)),
            false => 0,
        }
    }
}

impl Striped {
    pub(super) fn new(max_concurrent: u32) -> Self {
        Self {
            gate: Apart(Gate::new(max_concurrent)),
            stripes: OnceLock::new(),
            open: AtomicU32::new(0),
        }
    }

    /// A [seat](Gate::seat), with nobody in it.
    pub(super) fn seat() -> Self {
        Self {
            gate: Apart(Gate::seat()),
            stripes: OnceLock::new(),
            open: AtomicU32::new(0),
        }
    }

    #[cfg(test)]
    pub(super) fn set_max_concurrent(&self, max_concurrent: u32) {
        super::gate::patient::bring_to(self, max_concurrent);
    }

    #[inline]
    fn own(&self) -> Option<&Stripe> {
        self.stripes.get()?.own()
    }

    #[inline]
    fn enter_by(&self, own: Option<&Stripe>) -> bool {
        own.is_some_and(Stripe::take) || self.gate().enter_at_once() || self.enter_slowly(own)
    }

    #[inline]
    fn leave_by(&self, own: Option<&Stripe>) {
        if !(own.is_some_and(Stripe::put) || self.gate().leave_at_once()) {
            self.leave_slowly(own);
        }
    }

    #[cold]
    fn enter_slowly(&self, own: Option<&Stripe>) -> bool {
        loop {
            match self.gate().enter_or_recall() {
                Some(true) => {
                    self.open_for(own);
                    return true;
                }
                Some(false) => return false,
                None => self.recall(&self.gate().line()),
            }
        }
    }

    #[cold]
    fn leave_slowly(&self, own: Option<&Stripe>) {
        self.gate().release();
        self.open_for(own);
    }

    /// For a thread that has met another at the gate.
    fn open_for(&self, own: Option<&Stripe>) {
        let loan = Loan::of(self.gate().max_concurrent());
        if own.is_some_and(Stripe::is_open) || loan.permits == 0 || !self.gate().can_lend() {
            return;
        }
        let stripes = self.stripes();
        if let Some(own) = own.or_else(|| stripes.find().ok()) {
            let slots = loan.slots(stripes.lanes());
            self.open(own, loan.permits / slots, slots);
        }
    }

    /// Opens one of at most so many stripes. Not while somebody else has the lock: this is for speed,
    /// and the next time will do.
    fn open(&self, stripe: &Stripe, most: u32, slots: u32) {
        let is_last = || self.open.load(Ordering::Relaxed) >= most;
        if is_last() {
            return;
        }
        let Some(line) = self.gate().line_if_free() else {
            return;
        };
        // The gate first: no permit lies in a stripe that the gate has not lent.
        if !is_last() && !stripe.is_open() && self.gate().lend(&line) {
            self.open.fetch_add(1, Ordering::Relaxed);
            stripe.open(slots);
        }
    }

    fn stripes(&self) -> &PerThread<Stripe> {
        self.stripes.get_or_init(|| PerThread::new(Stripe::new))
    }

    fn held(&self) -> u32 {
        let stripes = self.stripes.get().into_iter().flat_map(PerThread::iter);
        stripes.map(Stripe::held).sum()
    }
}

impl Places for Striped {
    #[inline]
    fn gate(&self) -> &Gate {
        &self.gate.0
    }

    #[inline]
    fn try_enter(&self) -> bool {
        self.enter_by(self.own())
    }

    /// With nothing lent, since more may be in afterwards than may be.
    fn force(&self) {
        let line = self.gate().line();
        self.recall(&line);
        self.gate().force();
    }

    #[inline]
    fn release(&self) {
        self.leave_by(self.own());
    }

    fn in_flight(&self) -> u32 {
        self.gate().in_flight().saturating_sub(self.held())
    }

    fn recall(&self, line: &Line) {
        if !self.gate().has_lent() {
            return;
        }
        let free = self.stripes().iter().map(Stripe::close).sum();
        self.open.store(0, Ordering::Relaxed);
        self.gate().take_back(line, free);
    }
}

/// How much is lent.
#[derive(Debug, Clone, Copy)]
struct Loan {
    permits: u32,
}

impl Loan {
    /// At most a third. So a recall takes two thirds in use, while stripes are opened with at most
    /// half in: nobody's calls go to and fro between the two. Of three permits none is lent.
    fn of(max_concurrent: u32) -> Self {
        Self {
            permits: max_concurrent.saturating_sub(1) / 3,
        }
    }

    /// For each thread: all have the same where there is one for each, else some have one.
    fn slots(self, lanes: usize) -> u32 {
        let lanes = u32::try_from(lanes).unwrap_or(u32::MAX);
        (self.permits / lanes).max(1)
    }
}

#[cfg(all(test, not(steadfast_loom)))]
#[allow(clippy::unwrap_used)] // clippy does not see that this module is for tests
mod tests {
    use super::*;
    use crate::{
        clock::Nanos,
        policy::bulkhead::gate::patient::Patiently,
        waiter::{Progress, Wait, wait_blocking},
    };
    use proptest::prelude::*;
    use std::{
        sync::{
            Arc, Barrier,
            atomic::{AtomicBool, AtomicU32 as Count, Ordering::SeqCst},
        },
        task::Waker,
    };

    const NOW: Nanos = Nanos(1 << 60);
    const LATE: Nanos = Nanos((1 << 60) + 1_000);

    fn stripe(striped: &Striped, index: usize) -> Option<&Stripe> {
        striped.stripes().iter().nth(index)
    }

    fn opened(striped: &Striped) -> usize {
        let stripes = striped.stripes.get().into_iter().flat_map(PerThread::iter);
        stripes.filter(|stripe| stripe.is_open()).count()
    }

    fn waiting(striped: &Striped) -> Patiently<'_, Striped> {
        Gate::wait(striped, LATE, 1_000)
    }

    fn poll(waiting: &mut Patiently<'_, Striped>, now: Nanos) -> Progress<bool> {
        match waiting.poll(Waker::noop(), now) {
            Progress::Ready(entered) => Progress::Ready(entered.is_ok()),
            Progress::Until(until) => Progress::Until(until),
        }
    }

    /// One whose stripes 0 and 1 hold a permit each.
    fn with_two_lent(limit: u32) -> Striped {
        let striped = Striped::new(limit);
        for index in 0..2 {
            striped.open(stripe(&striped, index).unwrap(), 2, 1);
        }
        assert!(striped.enter_by(None) && striped.enter_by(None));
        for index in 0..2 {
            striped.leave_by(stripe(&striped, index));
        }
        assert_eq!((striped.gate().in_flight(), striped.in_flight()), (2, 0));
        striped
    }

    #[test]
    fn a_thread_on_its_own_never_has_a_stripe() {
        let striped = Striped::new(10);
        for _ in 0..1_000 {
            assert!(striped.try_enter());
            striped.release();
        }
        assert!(striped.stripes.get().is_none());
    }

    #[test]
    fn threads_that_meet_part() {
        let striped = Striped::new(10);
        let parted = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !parted.load(SeqCst) {
                        assert!(striped.try_enter());
                        striped.release();
                        if opened(&striped) > 0 {
                            parted.store(true, SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!(striped.in_flight(), 0);
    }

    #[test]
    fn what_a_thread_gives_back_it_takes_again_and_the_gate_is_left_alone() {
        let striped = with_two_lent(10);
        assert!(striped.enter_by(stripe(&striped, 0)));
        assert_eq!((striped.gate().in_flight(), striped.in_flight()), (2, 1));
        striped.leave_by(stripe(&striped, 0));
        assert_eq!((striped.gate().in_flight(), striped.in_flight()), (2, 0));
    }

    #[test]
    fn nobody_is_refused_while_a_permit_lies_in_a_stripe() {
        let striped = with_two_lent(2);
        assert!(striped.enter_by(None) && striped.enter_by(None));
        assert!(!striped.enter_by(None));
        assert_eq!((opened(&striped), striped.in_flight()), (0, 2));
    }

    #[test]
    fn nobody_waits_while_a_permit_lies_in_a_stripe() {
        let striped = with_two_lent(2);
        let mut first = waiting(&striped);
        assert_eq!(poll(&mut first, NOW), Progress::Ready(true));
    }

    #[test]
    fn a_permit_that_comes_back_while_somebody_waits_is_handed_on() {
        let striped = with_two_lent(2);
        assert!(striped.enter_by(None) && striped.enter_by(None));
        let mut first = waiting(&striped);
        assert_eq!(poll(&mut first, NOW), Progress::Until(LATE));
        for index in 0..2 {
            striped.open(stripe(&striped, index).unwrap(), 2, 1);
        }
        striped.leave_by(stripe(&striped, 0));
        assert!(!striped.enter_by(stripe(&striped, 0)), "not to a newcomer");
        assert_eq!(poll(&mut first, NOW), Progress::Ready(true));
        assert_eq!(striped.in_flight(), 2);
    }

    #[test]
    fn a_lowered_limit_holds_for_what_lies_in_stripes() {
        let striped = with_two_lent(10);
        striped.set_max_concurrent(1);
        assert!(striped.enter_by(stripe(&striped, 0)));
        assert!(!striped.enter_by(stripe(&striped, 1)));
    }

    #[test]
    fn a_forced_entry_leaves_no_permit_that_should_not_be() {
        let striped = with_two_lent(2);
        striped.force();
        striped.force();
        striped.force();
        assert_eq!(striped.in_flight(), 3);
        assert!(!striped.enter_by(stripe(&striped, 0)));
    }

    #[test]
    fn stripes_stay_closed_until_at_most_half_are_in() {
        let striped = Striped::new(10);
        let own = stripe(&striped, 0);
        (0..6).for_each(|_| assert!(striped.enter_by(own)));
        striped.open_for(own);
        assert_eq!(opened(&striped), 0);
        striped.leave_by(own);
        striped.open_for(own);
        assert_eq!(opened(&striped), 1);
    }

    /// As it is under the lock, between a raised limit and those whom it lets in.
    #[test]
    fn nothing_is_lent_while_there_is_a_line_though_there_be_room() {
        let striped = Striped::new(1);
        assert!(striped.enter_by(None));
        let mut line = [waiting(&striped), waiting(&striped)];
        for waiting in &mut line {
            assert_eq!(poll(waiting, NOW), Progress::Until(LATE));
        }
        striped.gate().set_limit(&striped.gate().line(), 10);
        striped.open_for(stripe(&striped, 0));
        assert_eq!((striped.gate().waiting(), opened(&striped)), (2, 0));
        striped.set_max_concurrent(10);
        assert_eq!((striped.gate().waiting(), striped.in_flight()), (0, 3));
    }

    #[test]
    fn whom_a_raised_limit_lets_in_is_woken_outside_the_lock_and_leaves_no_line() {
        struct Meets(Arc<Striped>, Count);
        impl std::task::Wake for Meets {
            fn wake(self: Arc<Self>) {
                // Counted and not asserted: a panic of a waker would go no further.
                if self.0.gate().line_if_free().is_some() && self.0.gate().waiting() == 0 {
                    self.1.fetch_add(1, SeqCst);
                }
            }
        }
        let striped = Arc::new(Striped::new(1));
        assert!(striped.enter_by(None));
        let meets = Arc::new(Meets(Arc::clone(&striped), Count::new(0)));
        let mut line = [waiting(&striped), waiting(&striped)];
        for waiting in &mut line {
            let waker = Waker::from(Arc::clone(&meets));
            assert_eq!(waiting.poll(&waker, NOW), Progress::Until(LATE));
        }
        striped.set_max_concurrent(10);
        assert_eq!((meets.1.load(SeqCst), striped.in_flight()), (2, 3));
    }

    #[test]
    fn at_most_a_third_is_lent() {
        for (limit, stripes) in [(1, 0), (2, 0), (3, 0), (4, 1), (7, 2), (10, 3)] {
            let striped = Striped::new(limit);
            for index in 0..8 {
                striped.open_for(stripe(&striped, index));
            }
            assert_eq!(opened(&striped), stripes, "of {limit}");
        }
        let large = Striped::new(10_000);
        let lanes = large.stripes().lanes();
        for index in 0..lanes {
            large.open_for(stripe(&large, index));
        }
        assert_eq!(opened(&large), lanes);
        let slots = large.stripes().iter().map(|s| s.0.load(Ordering::Relaxed));
        assert!((2_500..=3_333).contains(&slots.sum::<u64>()));
    }

    /// A refusal needs a moment at which all are in use, and here is none.
    #[test]
    fn as_many_threads_as_permits_are_never_refused() {
        const THREADS: u32 = 6;
        let striped = Striped::new(THREADS);
        let barrier = Barrier::new(THREADS as usize);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    barrier.wait();
                    for round in 0..20_000 {
                        assert!(striped.try_enter(), "{striped:?}");
                        if round % 64 == 0 {
                            std::thread::yield_now();
                        }
                        striped.release();
                        if round % 16 == 0 {
                            striped.open_for(striped.own());
                        }
                    }
                });
            }
        });
        assert_eq!(striped.in_flight(), 0);
        (0..THREADS).for_each(|_| assert!(striped.try_enter()));
        assert!(!striped.try_enter());
    }

    /// Every thread enters, waits, gives up, gives back, also what another has taken, and opens stripes.
    #[test]
    fn threads_that_do_as_they_like_never_exceed_the_limit_and_lose_nothing() {
        const LIMIT: u32 = 5;
        let striped = Striped::new(LIMIT);
        let (inside, most) = (Count::new(0), Count::new(0));
        // Permits that wait for whoever gives them back.
        let left_behind = Count::new(0);
        let leave = || {
            inside.fetch_sub(1, SeqCst);
            striped.release();
        };
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                let (striped, inside, most) = (&striped, &inside, &most);
                let (left_behind, leave) = (&left_behind, &leave);
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(thread);
                    for _ in 0..5_000 {
                        let entered = match random.u8(..8) {
                            0 => {
                                let give_up = crate::clock::now()
                                    .after(std::time::Duration::from_micros(random.u64(..50)));
                                wait_blocking(Gate::wait(striped, give_up, 1_000)).is_ok()
                            }
                            // Let in at once, or dropped, handed a permit or not.
                            1 => poll(&mut waiting(striped), NOW) == Progress::Ready(true),
                            _ => striped.try_enter(),
                        };
                        if entered {
                            most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                            match random.u8(..8) {
                                0 => std::thread::yield_now(),
                                1 => {
                                    left_behind.fetch_add(1, SeqCst);
                                    continue;
                                }
                                _ => {}
                            }
                            leave();
                        }
                        let found = left_behind.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1));
                        if found.is_ok() {
                            leave();
                        }
                        striped.open_for(striped.own());
                    }
                });
            }
        });
        (0..left_behind.load(SeqCst)).for_each(|_| leave());
        assert!(most.load(SeqCst) <= LIMIT);
        assert_eq!((inside.load(SeqCst), striped.in_flight()), (0, 0));
        assert_eq!(striped.gate().waiting(), 0);
        (0..LIMIT).for_each(|_| assert!(striped.try_enter()));
        assert!(!striped.try_enter());
    }

    /// All wait, whatever else happens: a permit that somebody waits for is never left in a stripe.
    #[test]
    fn everybody_who_waits_is_served() {
        let striped = Arc::new(Striped::new(4));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        assert!(wait_blocking(Gate::wait(&*striped, Nanos::NEVER, 1_000)).is_ok());
                        striped.open_for(striped.own());
                        striped.release();
                    }
                });
            }
        });
        assert_eq!(striped.in_flight(), 0);
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Enter(usize),
        Release(usize),
        Open(usize, u32),
        LineUp,
        Drop(prop::sample::Index),
        Force,
        Limit(u32),
    }

    /// Three threads with stripes, and one without.
    const THREADS: usize = 4;

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..THREADS).prop_map(Step::Enter),
            6 => (0..THREADS).prop_map(Step::Release),
            3 => (0..THREADS - 1, 1u32..4).prop_map(|(stripe, slots)| Step::Open(stripe, slots)),
            2 => Just(Step::LineUp),
            1 => any::<prop::sample::Index>().prop_map(Step::Drop),
            1 => Just(Step::Force),
            1 => (1u32..12).prop_map(Step::Limit),
        ]
    }

    proptest! {
        /// The model: a number, and a list of waiters of whom the first so many have been let in.
        #[test]
        fn behaves_like_a_plain_counter(steps in prop::collection::vec(any_step(), 0..200)) {
            let striped = Striped::new(5);
            let own = |thread| (thread < THREADS - 1).then(|| stripe(&striped, thread).unwrap());
            let (mut limit, mut inside) = (5, 0u32);
            let mut line: Vec<Patiently<'_, Striped>> = Vec::new();
            for step in steps {
                let has_room = line.is_empty() && inside < limit;
                match step {
                    Step::Enter(thread) => {
                        prop_assert_eq!(striped.enter_by(own(thread)), has_room);
                        inside += u32::from(has_room);
                    }
                    Step::Release(thread) if inside > 0 => {
                        striped.leave_by(own(thread));
                        inside -= 1;
                    }
                    Step::Open(thread, slots) => striped.open(own(thread).unwrap(), 2, slots),
                    Step::LineUp => {
                        let mut waiting = waiting(&striped);
                        let now = poll(&mut waiting, NOW);
                        if has_room {
                            prop_assert_eq!(now, Progress::Ready(true));
                            inside += 1;
                        } else {
                            prop_assert_eq!(now, Progress::Until(LATE));
                            line.push(waiting);
                        }
                    }
                    Step::Drop(index) if !line.is_empty() => {
                        drop(line.remove(index.index(line.len())));
                    }
                    Step::Force => {
                        striped.force();
                        inside += 1;
                    }
                    Step::Limit(to) => {
                        striped.set_max_concurrent(to);
                        limit = to;
                    }
                    _ => {}
                }
                // The first in the line have been let in, as many as there is room for, and no others.
                while inside < limit && !line.is_empty() {
                    prop_assert_eq!(poll(&mut line.remove(0), NOW), Progress::Ready(true));
                    inside += 1;
                }
                if let Some(next) = line.first_mut() {
                    prop_assert_eq!(poll(next, NOW), Progress::Until(LATE));
                    prop_assert_eq!(opened(&striped), 0);
                }
                prop_assert_eq!(striped.in_flight(), inside);
                prop_assert_eq!(striped.gate().waiting() as usize, line.len());
                prop_assert!(striped.gate().has_lent() == (opened(&striped) > 0));
                prop_assert!(!striped.gate().has_lent() || striped.gate().in_flight() <= limit);
            }
        }
    }
}

#[cfg(all(test, steadfast_loom))]
mod models {
    use super::*;
    use crate::{
        clock::Nanos,
        policy::bulkhead::gate::Passage,
        sync::Arc,
        waiter::{Progress, Wait},
    };
    use std::task::{Wake, Waker};

    struct Unpark(loom::thread::Thread);

    impl Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }

    struct Room {
        striped: Striped,
        inside: AtomicU32,
        limit: u32,
    }

    impl Room {
        /// With two stripes, both closed.
        fn new(limit: u32) -> Self {
            let striped = Striped::new(limit);
            assert_eq!(striped.stripes().lanes(), 2);
            Self {
                striped,
                inside: AtomicU32::new(0),
                limit,
            }
        }

        /// With two stripes that are open, and hold so many permits.
        fn lent(limit: u32, held: [u32; 2]) -> Self {
            let room = Self::new(limit);
            (0..2).for_each(|index| room.open(index));
            let all = held[0] + held[1];
            (0..all).for_each(|_| assert!(room.striped.enter_by(None)));
            for index in 0..2 {
                (0..held[index]).for_each(|_| room.striped.leave_by(room.stripe(index)));
            }
            assert_eq!(room.striped.held(), all);
            room
        }

        fn stripe(&self, index: usize) -> Option<&Stripe> {
            self.striped.stripes().iter().nth(index)
        }

        fn open(&self, index: usize) {
            self.striped.open(self.stripe(index).unwrap(), 2, 2);
        }

        fn try_enter(&self, own: Option<usize>) -> bool {
            let own = own.and_then(|index| self.stripe(index));
            let entered = self.striped.enter_by(own);
            if entered {
                self.entered();
            }
            entered
        }

        fn entered(&self) {
            assert!(self.inside.fetch_add(1, Ordering::Relaxed) < self.limit);
        }

        fn leave(&self, own: Option<usize>) {
            self.inside.fetch_sub(1, Ordering::Relaxed);
            self.striped
                .leave_by(own.and_then(|index| self.stripe(index)));
        }

        /// Never gives up: a lost wake-up is a deadlock, which loom reports.
        fn wait(&self) {
            let waker = Waker::from(std::sync::Arc::new(Unpark(loom::thread::current())));
            let mut waiting = Gate::wait(&self.striped, Nanos::NEVER, 10);
            while let Progress::Until(_) = waiting.poll(&waker, Nanos(0)) {
                loom::thread::park();
            }
            self.entered();
        }

        /// All permits have come back, each once.
        fn done(&self) {
            assert_eq!(self.striped.in_flight(), 0);
            assert_eq!(self.striped.gate().waiting(), 0);
            (0..self.limit).for_each(|_| assert!(self.try_enter(None)));
            assert!(!self.try_enter(Some(0)));
        }
    }

    fn spawn<T: 'static>(
        room: &Arc<Room>,
        act: impl FnOnce(&Room) -> T + 'static,
    ) -> loom::thread::JoinHandle<T> {
        let room = Arc::clone(room);
        loom::thread::spawn(move || act(&room))
    }

    fn check(bound: usize, model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(bound);
        builder.check(model);
    }

    #[test]
    fn two_stripes_and_a_recall_never_let_in_more_than_the_limit() {
        check(2, || {
            let room = Arc::new(Room::lent(2, [1, 1]));
            let others = [0, 1].map(|own| {
                spawn(&room, move |room| {
                    if room.try_enter(Some(own)) {
                        room.leave(Some(own));
                    }
                })
            });
            if room.try_enter(None) {
                room.leave(None);
            }
            others.into_iter().for_each(|other| other.join().unwrap());
            room.done();
        });
    }

    #[test]
    fn two_callers_and_two_permits_in_one_stripe_both_enter() {
        check(3, || {
            let room = Arc::new(Room::lent(2, [2, 0]));
            let other = spawn(&room, |room| {
                for _ in 0..2 {
                    assert!(room.try_enter(Some(0)));
                    room.leave(Some(0));
                }
            });
            for _ in 0..2 {
                assert!(room.try_enter(Some(1)));
                room.leave(Some(1));
            }
            other.join().unwrap();
            room.done();
        });
    }

    #[test]
    fn of_two_callers_and_one_permit_one_enters() {
        check(3, || {
            let room = Arc::new(Room::lent(1, [1, 0]));
            let enter = |room: &Room, own| {
                let entered = room.try_enter(Some(own));
                if entered {
                    room.leave(Some(own));
                }
                entered
            };
            let other = spawn(&room, move |room| enter(room, 0));
            let entered = enter(&room, 1);
            assert!(other.join().unwrap() || entered);
            room.done();
        });
    }

    #[test]
    fn stripes_that_open_meanwhile_hide_no_permit() {
        check(3, || {
            let room = Arc::new(Room::new(2));
            assert!(room.try_enter(None));
            let other = spawn(&room, |room| {
                for _ in 0..2 {
                    assert!(room.try_enter(Some(0)));
                    room.open(0);
                    room.leave(Some(0));
                }
            });
            room.open(1);
            room.leave(Some(1));
            assert!(room.try_enter(None));
            room.leave(None);
            other.join().unwrap();
            room.done();
        });
    }

    #[test]
    fn who_leaves_a_permit_in_a_stripe_that_another_has_opened_finds_it_again() {
        check(3, || {
            let room = Arc::new(Room::new(2));
            assert!(room.try_enter(None));
            let other = spawn(&room, |room| {
                assert!(room.try_enter(None));
                room.leave(None);
                room.open(0);
            });
            room.leave(Some(0));
            assert!(room.try_enter(None));
            room.leave(None);
            other.join().unwrap();
            room.done();
        });
    }

    #[test]
    fn a_permit_left_in_a_stripe_as_somebody_begins_to_wait_is_found_or_handed_over() {
        check(3, || {
            let room = Arc::new(Room::lent(1, [1, 0]));
            assert!(room.try_enter(Some(0)));
            let waits = spawn(&room, |room| {
                room.wait();
                room.leave(Some(1));
            });
            let opens = spawn(&room, |room| room.open(1));
            room.leave(Some(0));
            waits.join().unwrap();
            opens.join().unwrap();
            room.done();
        });
    }

    #[test]
    fn two_who_wait_are_served_whatever_is_opened() {
        check(2, || {
            let room = Arc::new(Room::lent(1, [1, 0]));
            assert!(room.try_enter(Some(0)));
            let waits = [0, 1].map(|own| {
                spawn(&room, move |room| {
                    room.wait();
                    room.open(own);
                    room.leave(Some(own));
                })
            });
            room.leave(Some(0));
            room.open(1);
            waits.into_iter().for_each(|waits| waits.join().unwrap());
            room.done();
        });
    }

    #[test]
    fn a_dropped_waiter_takes_no_permit_with_it() {
        check(3, || {
            let room = Arc::new(Room::lent(1, [1, 0]));
            assert!(room.try_enter(Some(0)));
            let gives_up = spawn(&room, |room| {
                let mut waiting = Gate::wait(&room.striped, Nanos::NEVER, 10);
                if let Progress::Ready(Ok(Passage::In)) = waiting.poll(Waker::noop(), Nanos(0)) {
                    room.entered();
                    room.leave(Some(1));
                }
            });
            let waits = spawn(&room, |room| {
                room.wait();
                room.leave(Some(1));
            });
            room.leave(Some(0));
            gives_up.join().unwrap();
            waits.join().unwrap();
            room.done();
        });
    }

    #[test]
    fn a_lowered_limit_holds_for_what_is_lent() {
        check(2, || {
            let room = Arc::new(Room::lent(2, [1, 1]));
            let others = [0, 1].map(|own| {
                spawn(&room, move |room| {
                    if room.try_enter(Some(own)) {
                        room.open(own);
                        room.leave(Some(own));
                    }
                })
            });
            room.striped.set_max_concurrent(1);
            if room.striped.enter_by(None) {
                let alone = room.inside.fetch_add(1, Ordering::Relaxed) == 0;
                assert!(alone);
                room.leave(None);
            }
            others.into_iter().for_each(|other| other.join().unwrap());
            assert!(room.try_enter(None) && !room.try_enter(Some(0)));
        });
    }

    #[test]
    fn what_was_done_under_a_permit_is_seen_under_it_wherever_it_has_been() {
        check(3, || {
            let room = Arc::new(Room::lent(1, [1, 0]));
            let done = Arc::new(loom::cell::UnsafeCell::new(0));
            let work = |own: usize, done: &loom::cell::UnsafeCell<u32>, room: &Room| {
                if room.try_enter(Some(own)) {
                    // Loom reports it if two were here at once, or one unseen by the next.
                    done.with_mut(|_| ());
                    room.leave(Some(own));
                }
            };
            let other = {
                let (room, done) = (Arc::clone(&room), Arc::clone(&done));
                loom::thread::spawn(move || (0..2).for_each(|_| work(0, &done, &room)))
            };
            for own in [0, 1] {
                work(own, &done, &room);
                room.open(1);
            }
            other.join().unwrap();
            room.done();
        });
    }

    #[test]
    fn what_was_done_under_a_permit_is_seen_after_another_has_recalled_it() {
        check(3, || {
            let room = Arc::new(Room::lent(1, [1, 0]));
            let done = Arc::new(loom::cell::UnsafeCell::new(0));
            let works = {
                let (room, done) = (Arc::clone(&room), Arc::clone(&done));
                loom::thread::spawn(move || {
                    if room.try_enter(Some(0)) {
                        done.with_mut(|_| ());
                        room.leave(Some(0));
                    }
                })
            };
            let recalls = spawn(&room, |room| {
                room.striped.recall(&room.striped.gate().line());
            });
            // Comes by the word alone, as soon as that shows room.
            while !room.striped.gate().try_enter() {
                loom::thread::yield_now();
            }
            done.with_mut(|_| ());
            room.striped.gate().release();
            works.join().unwrap();
            recalls.join().unwrap();
            room.done();
        });
    }
}
