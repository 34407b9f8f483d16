//! Who is in, how many may be, and who waits: the state of one bulkhead (of one key).

use std::{iter, ops::Deref, task::Waker};

use super::{
    line::{Line, Look, Owed, Patience},
    places::Places,
    rules::{InForce, Manner, Rules},
};
use crate::{
    clock::Nanos,
    queue::Ticket,
    sync::{AtomicU64, Mutex, MutexGuard, Ordering, lock},
    waiter::{Progress, Wait, wake},
};

/// Everything that the fast path asks about is in one word: whether permits are lent (1 bit, only by
/// [`Striped`](super::striped::Striped)), `max_concurrent` (31 bits), how many are in (31 bits), whether
/// anybody waits (1 bit).
///
/// Without waiters a permit is one compare-and-swap, and so is giving it back. Once the waiter bit is
/// set, the number changes under the lock of the line only: a permit that comes back goes straight to
/// the first waiter, and no newcomer can overtake. The bit is set and cleared under that lock, and set
/// only while nothing is free, in one step with that check; so no permit comes back unseen.
#[derive(Debug)]
pub struct Gate {
    word: AtomicU64,
    line: Mutex<Line>,
}

const WAITERS: u64 = 1;
const ONE: u64 = 2;
const IN: u64 = ((1 << 32) - 1) & !WAITERS;
const LIMIT_SHIFT: u32 = 32;
/// Of those that are in, some may be free permits that lie elsewhere. Set and cleared under the lock of
/// the line, and set only while nobody waits and no more are in than may be.
const LENT: u64 = 1 << 63;

/// The most that may be in at once: what its field in the word holds, with room for those that an
/// unenforced limit lets through on top.
pub(crate) const MAX_CONCURRENT: u32 = 1 << 30;

/// Nothing is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full {
    pub(crate) waiting: u32,
    pub(crate) max_concurrent: u32,
}

/// How a caller came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passage {
    /// It has a permit, and owes a [`release`](Gate::release).
    In,
    /// The same, over the limit, which is only watched.
    Over(Full),
    /// It has none, and owes nothing: the bulkhead is not there.
    By,
}

/// What becomes of a caller under the lock of the line.
enum Entrance {
    Decided(Result<Passage, Full>),
    /// It waits until then.
    Queued(Ticket, Nanos),
}

fn in_flight(word: u64) -> u32 {
    ((word & IN) / ONE) as u32
}

fn limit(word: u64) -> u32 {
    ((word & !LENT) >> LIMIT_SHIFT) as u32
}

fn has_room(word: u64) -> bool {
    in_flight(word) < limit(word)
}

impl Gate {
    pub(crate) fn new(max_concurrent: u32) -> Self {
        Self {
            word: AtomicU64::new(u64::from(max_concurrent.min(MAX_CONCURRENT)) << LIMIT_SHIFT),
            line: Mutex::new(Line::new()),
        }
    }

    pub(crate) fn in_flight(&self) -> u32 {
        in_flight(self.word.load(Ordering::Relaxed))
    }

    pub(crate) fn max_concurrent(&self) -> u32 {
        limit(self.word.load(Ordering::Relaxed))
    }

    pub(crate) fn waiting(&self) -> u32 {
        if self.word.load(Ordering::Relaxed) & WAITERS == 0 {
            return 0;
        }
        self.line().waiting()
    }

    /// Nobody is in and nobody waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.word.load(Ordering::Relaxed) & (IN | WAITERS) == 0
    }

    /// Takes a permit if one is free and nobody waits for it. The caller owes a
    /// [`release`](Self::release).
    #[inline]
    pub(crate) fn try_enter(&self) -> bool {
        self.enter_or_recall() == Some(true)
    }

    /// Lets a caller in whatever the limit.
    pub(crate) fn force(&self) {
        self.word.fetch_add(ONE, Ordering::Acquire);
    }

    /// Gives a permit back: to the first waiter, if there is one and the limit has not been lowered.
    #[inline]
    pub(crate) fn release(&self) {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & WAITERS == 0 {
            match self.swap(word, word - ONE, Ordering::Release) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
        self.hand_over();
    }

    #[cold]
    fn hand_over(&self) {
        let mut line = self.line();
        if let Some(owed) = line.take_seat() {
            drop(line);
            owed.settle();
            return;
        }
        self.word.fetch_sub(ONE, Ordering::Release);
        let next = self.admit(&mut line);
        drop(line);
        next.into_iter().for_each(wake);
    }

    /// Under the lock of the line, and with nothing lent. A lower limit is reached as permits come back.
    pub(super) fn set_limit(&self, _: &Line, max_concurrent: u32) {
        let limit = u64::from(max_concurrent.min(MAX_CONCURRENT)) << LIMIT_SHIFT;
        let mut word = self.word.load(Ordering::Relaxed);
        while let Err(now) = self.swap(word, limit | word & (IN | WAITERS), Ordering::Relaxed) {
            word = now;
        }
    }

    /// Brings the gate to what is in force: as many of those who wait are let in as there is room for, and
    /// then those are sent away, from the end of the line, who would not be waiting if they came now. All
    /// who are returned are to be woken, outside the lock.
    #[cold]
    fn heed(&self, line: &mut Line, rules: &Rules) -> Vec<Waker> {
        self.set_limit(line, rules.limit);
        let mut woken: Vec<_> = iter::from_fn(|| self.admit(line)).collect();
        let all = line.waiting();
        if all == 0 {
            return woken;
        }
        let waiting = all.min(rules.manner.max_queue());
        let full = Full {
            waiting,
            max_concurrent: rules.limit,
        };
        let sent = match rules.manner {
            Manner::Wait { .. } | Manner::Refuse => Err(full),
            Manner::Watch => Ok(Passage::Over(full)),
            Manner::Absent => Ok(Passage::By),
        };
        if rules.manner == Manner::Watch {
            let over = u64::from(all) * ONE;
            self.word.fetch_add(over, Ordering::Acquire);
        }
        woken.extend(line.judge(rules, waiting as usize, sent));
        self.clear_if_empty(line);
        woken
    }

    /// The same for a caller who finds rules in force that the gate has not been brought to yet.
    fn catch_up(&self, line: &mut Line, rules: &Rules) -> Vec<Waker> {
        match self.max_concurrent() == rules.limit {
            true => Vec::new(),
            false => self.heed(line, rules),
        }
    }

    pub(super) fn line(&self) -> MutexGuard<'_, Line> {
        lock(&self.line)
    }

    fn swap(&self, from: u64, to: u64, order: Ordering) -> Result<u64, u64> {
        self.word
            .compare_exchange_weak(from, to, order, Ordering::Relaxed)
    }

    /// Lets the first waiter in, if there is room. It is to be woken outside the lock; being gone from
    /// the line is how it knows.
    fn admit(&self, line: &mut Line) -> Option<Waker> {
        if line.is_empty() || !has_room(self.word.load(Ordering::Relaxed)) {
            return None;
        }
        let first = line.pop_front()?;
        self.word.fetch_add(ONE, Ordering::Relaxed);
        self.clear_if_empty(line);
        Some(first)
    }

    /// Takes a permit, or the last place in the line if it is to have one, for so long. Under its lock.
    fn enter_or_queue(
        &self,
        line: &mut Line,
        rules: &Rules,
        patience: Option<(Patience, &Waker)>,
    ) -> Entrance {
        if rules.manner == Manner::Absent {
            return Entrance::Decided(Ok(Passage::By));
        }
        let (nobody_waits, full) = (line.is_empty(), self.full(line));
        let patience = patience.filter(|_| full.waiting < rules.manner.max_queue());
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let (to, order, decided) = if nobody_waits && has_room(word) {
                (word + ONE, Ordering::Acquire, Some(Passage::In))
            } else if rules.manner == Manner::Watch {
                (word + ONE, Ordering::Acquire, Some(Passage::Over(full)))
            } else if patience.is_none() {
                return Entrance::Decided(Err(full));
            } else {
                (word | WAITERS, Ordering::Relaxed, None)
            };
            match (self.swap(word, to, order), decided) {
                (Ok(_), Some(passage)) => return Entrance::Decided(Ok(passage)),
                (Ok(_), None) => break,
                (Err(now), _) => word = now,
            }
        }
        let queued = patience.and_then(|(patience, waker)| {
            let ticket = line.push(patience, waker)?;
            Some(Entrance::Queued(ticket, patience.give_up()))
        });
        queued.unwrap_or(Entrance::Decided(Err(full)))
    }

    fn full(&self, line: &Line) -> Full {
        Full {
            waiting: line.waiting(),
            max_concurrent: self.max_concurrent(),
        }
    }

    fn clear_if_empty(&self, line: &Line) {
        if line.is_empty() {
            self.word.fetch_and(!WAITERS, Ordering::Relaxed);
        }
    }

    /// Whether whoever comes finds it full, by this very limit: which needs no lock, as long as nobody
    /// waits and nothing is lent.
    pub(super) fn is_full_by(&self, limit_in_force: u32) -> bool {
        let word = self.word.load(Ordering::Relaxed);
        word & (WAITERS | LENT) == 0 && limit(word) == limit_in_force && !has_room(word)
    }
}

/// Judges all who wait at a gate again. They are to be woken, outside all locks.
#[cfg_attr(not(feature = "config"), allow(dead_code))] // nobody changes what is in force
pub(super) fn judge_again(places: &dyn Places, in_force: &impl InForce) -> Vec<Waker> {
    let gate = places.gate();
    let mut line = gate.line();
    places.recall(&line);
    gate.heed(&mut line, &in_force.rules())
}

/// A caller comes who cannot wait, and did not get in at once.
pub(super) fn enter_or_refuse(
    places: &dyn Places,
    in_force: &impl InForce,
) -> Result<Passage, Full> {
    match come(places, in_force, |_| None) {
        Entrance::Decided(decided) => decided,
        Entrance::Queued(..) => unreachable!("nobody queues without patience"),
    }
}

fn come<'w>(
    places: &dyn Places,
    in_force: &impl InForce,
    patience: impl FnOnce(&Rules) -> Option<(Patience, &'w Waker)>,
) -> Entrance {
    let gate = places.gate();
    let mut line = gate.line();
    places.recall(&line);
    // Under the lock: whoever puts other rules in force comes by here afterwards.
    let rules = in_force.rules();
    let woken = gate.catch_up(&mut line, &rules);
    let entrance = gate.enter_or_queue(&mut line, &rules, patience(&rules));
    drop(line);
    woken.into_iter().for_each(wake);
    entrance
}

/// A gate that nobody enters: a permit of somewhere else sits in it, and is given back through it.
impl Gate {
    /// With nobody in it.
    pub(super) fn seat() -> Self {
        Self {
            word: AtomicU64::new(WAITERS),
            line: Mutex::new(Line::new()),
        }
    }

    /// For a permit, whose holder owes a [`release`](Self::release).
    pub(super) fn seat_for(owed: Box<dyn Owed>) -> Self {
        let seat = Self::seat();
        seat.sit(owed);
        seat
    }

    /// Takes a seat that was [made](Self::seat) as one, and is empty.
    pub(super) fn sit(&self, owed: Box<dyn Owed>) {
        self.line().sit(owed);
    }

    /// The fencing number of the permit that sits here; zero where there is none.
    pub(super) fn fence(&self) -> u64 {
        if self.word.load(Ordering::Relaxed) & WAITERS == 0 {
            return 0;
        }
        self.line().seat().map_or(0, Owed::fence)
    }
}

/// What [`Striped`](super::striped::Striped) needs, which keeps free permits elsewhere too.
impl Gate {
    /// [`try_enter`](Self::try_enter) that gives up when another thread is faster, too.
    #[inline]
    pub(super) fn enter_at_once(&self) -> bool {
        let word = self.word.load(Ordering::Relaxed);
        word & WAITERS == 0
            && has_room(word)
            && self.swap(word, word + ONE, Ordering::Acquire).is_ok()
    }

    /// [`release`](Self::release) that gives up when somebody waits, or another thread is faster.
    #[inline]
    pub(super) fn leave_at_once(&self) -> bool {
        let word = self.word.load(Ordering::Relaxed);
        word & WAITERS == 0 && self.swap(word, word - ONE, Ordering::Release).is_ok()
    }

    /// [`try_enter`](Self::try_enter). `None`: no permit is left here, but there may be free ones among
    /// those that are lent. A refusal is decided on one value of the word: looking at the room first
    /// and at the loan later, when all has come back, would refuse with a permit free.
    #[inline]
    pub(super) fn enter_or_recall(&self) -> Option<bool> {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & WAITERS == 0 && has_room(word) {
            // Acquire: what the one before did under this permit has been done.
            match self.swap(word, word + ONE, Ordering::Acquire) {
                Ok(_) => return Some(true),
                Err(now) => word = now,
            }
        }
        (word & LENT == 0).then_some(false)
    }

    /// Whether there is so much room that permits may be lent: nobody waits, and at most half are in.
    pub(super) fn can_lend(&self) -> bool {
        can_lend(self.word.load(Ordering::Relaxed))
    }

    /// Notes that permits are lent from now on, if there still is so much room. Under the lock of the
    /// line, and before the first is lent.
    pub(super) fn lend(&self, _: &Line) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while can_lend(word) {
            match self.swap(word, word | LENT, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    pub(super) fn has_lent(&self) -> bool {
        self.word.load(Ordering::Relaxed) & LENT != 0
    }

    /// Takes back what was lent: all of it, and so many permits of it were free. Under the lock of the
    /// line, and with [`has_lent`](Self::has_lent). One step: at no moment is a permit free and not seen.
    pub(super) fn take_back(&self, _: &Line, free: u32) {
        let back = u64::from(free) * ONE + LENT;
        // Release: what was done under those permits, for those who take them here.
        self.word.fetch_sub(back, Ordering::Release);
    }

    /// For what is not worth waiting for the lock.
    pub(super) fn line_if_free(&self) -> Option<MutexGuard<'_, Line>> {
        self.line.try_lock().ok()
    }
}

fn can_lend(word: u64) -> bool {
    word & WAITERS == 0 && in_flight(word) <= limit(word) / 2
}

impl Places for Gate {
    fn gate(&self) -> &Gate {
        self
    }

    #[inline]
    fn try_enter(&self) -> bool {
        self.try_enter()
    }

    fn force(&self) {
        self.force();
    }

    #[inline]
    fn release(&self) {
        self.release();
    }

    fn in_flight(&self) -> u32 {
        self.in_flight()
    }

    /// Nothing of it is ever lent.
    fn recall(&self, _: &Line) {}
}

/// A caller on its way in. Dropped, it gives up its place, or the permit that it was handed and never
/// took.
#[derive(Debug)]
pub(super) struct Waiting<P: Deref<Target: Places>, R> {
    places: P,
    in_force: R,
    came: Nanos,
    deadline: Nanos,
    ticket: Option<Ticket>,
}

impl<P: Deref<Target: Places + Sized>, R: InForce> Wait for Waiting<P, R> {
    type Output = Result<Passage, Full>;

    fn poll(&mut self, waker: &Waker, now: Nanos) -> Progress<Self::Output> {
        match self.ticket {
            None => self.line_up(waker),
            Some(ticket) => self.look(ticket, waker, now),
        }
    }
}

impl<P: Deref<Target: Places + Sized>, R: InForce> Waiting<P, R> {
    /// Of a caller who came at that time, and waits until `deadline` at the longest.
    pub(super) fn new(places: P, in_force: R, came: Nanos, deadline: Nanos) -> Self {
        Self {
            places,
            in_force,
            came,
            deadline,
            ticket: None,
        }
    }

    fn line_up(&mut self, waker: &Waker) -> Progress<Result<Passage, Full>> {
        let (came, deadline) = (self.came, self.deadline);
        let patience = |rules: &Rules| {
            let has_time = came < deadline;
            has_time.then(|| (Patience::new(came, deadline, rules), waker))
        };
        match come(&*self.places, &self.in_force, patience) {
            Entrance::Decided(decided) => Progress::Ready(decided),
            Entrance::Queued(ticket, until) => {
                self.ticket = Some(ticket);
                Progress::Until(until)
            }
        }
    }

    fn look(
        &mut self,
        ticket: Ticket,
        waker: &Waker,
        now: Nanos,
    ) -> Progress<Result<Passage, Full>> {
        let gate = self.places.gate();
        let mut line = gate.line();
        let look = line.look(ticket, waker, now);
        let full = gate.full(&line);
        if let Look::Over(_) = look {
            gate.clear_if_empty(&line);
        }
        drop(line);
        let decided = match look {
            Look::Waits(until, waker) => {
                drop(waker);
                return Progress::Until(until);
            }
            Look::Over(waker) => {
                drop(waker);
                Err(full)
            }
            Look::Gone(decided) => decided,
        };
        self.ticket = None;
        Progress::Ready(decided)
    }
}

impl<P: Deref<Target: Places>, R> Drop for Waiting<P, R> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let gate = self.places.gate();
        let mut line = gate.line();
        let look = line.leave(ticket);
        if let Look::Over(_) = look {
            gate.clear_if_empty(&line);
        }
        drop(line);
        if let Look::Gone(Ok(Passage::In | Passage::Over(_))) = look {
            gate.release();
        }
    }
}

/// For tests of the places alone: callers who wait for as long as each says.
#[cfg(test)]
pub(super) mod patient {
    use super::*;
    use std::time::Duration;

    /// The limit of the gate itself, and a line of that length.
    #[derive(Debug)]
    pub(in crate::policy::bulkhead) struct Patient<'g> {
        gate: &'g Gate,
        max_queue: u32,
    }

    impl InForce for Patient<'_> {
        fn rules(&self) -> Rules {
            patient(self.gate.max_concurrent(), self.max_queue)
        }
    }

    impl InForce for Rules {
        fn rules(&self) -> Rules {
            *self
        }
    }

    pub(in crate::policy::bulkhead) fn patient(limit: u32, max_queue: u32) -> Rules {
        Rules {
            limit,
            manner: Manner::Wait {
                max_wait: Duration::MAX,
                max_queue,
            },
        }
    }

    pub(in crate::policy::bulkhead) type Patiently<'g, P> = Waiting<&'g P, Patient<'g>>;

    impl Gate {
        /// Waits for a permit until `give_up`, behind at most `max_queue` others.
        pub(in crate::policy::bulkhead) fn wait<P: Places>(
            places: &P,
            give_up: Nanos,
            max_queue: u32,
        ) -> Patiently<'_, P> {
            let gate = places.gate();
            Waiting::new(places, Patient { gate, max_queue }, Nanos(0), give_up)
        }

        pub(in crate::policy::bulkhead) fn set_max_concurrent(&self, limit: u32) {
            bring_to(self, limit);
        }
    }

    pub(in crate::policy::bulkhead) fn bring_to(places: &dyn Places, limit: u32) {
        let woken = judge_again(places, &patient(limit, 1_000));
        woken.into_iter().for_each(wake);
    }
}

#[cfg(all(test, not(steadfast_loom)))]
#[allow(clippy::unwrap_used)] // clippy does not see that this module is for tests
mod tests {
    use super::{patient::Patiently, *};
    use proptest::prelude::*;
    use std::sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64 as Count},
    };

    const NOW: Nanos = Nanos(1 << 60);
    const LATE: Nanos = Nanos((1 << 60) + 1_000);

    fn waiting(gate: &Gate) -> Patiently<'_, Gate> {
        Gate::wait(gate, LATE, 1_000)
    }

    fn poll(waiting: &mut Patiently<'_, Gate>, now: Nanos) -> Progress<Result<Passage, Full>> {
        waiting.poll(Waker::noop(), now)
    }

    #[test]
    fn admits_as_many_as_it_may() {
        let gate = Gate::new(2);
        assert!(gate.try_enter() && gate.try_enter() && !gate.try_enter());
        gate.release();
        assert!(gate.try_enter());
        assert_eq!((gate.in_flight(), gate.max_concurrent()), (2, 2));
    }

    #[test]
    fn hands_over_in_order_of_arrival_and_lets_nobody_overtake() {
        let gate = Gate::new(1);
        assert!(gate.try_enter());
        let (mut first, mut second) = (waiting(&gate), waiting(&gate));
        assert_eq!(poll(&mut first, NOW), Progress::Until(LATE));
        assert_eq!(poll(&mut second, NOW), Progress::Until(LATE));
        assert_eq!(gate.waiting(), 2);
        gate.release();
        assert!(!gate.try_enter(), "the permit is the first waiter's");
        assert_eq!(poll(&mut second, NOW), Progress::Until(LATE));
        assert_eq!(poll(&mut first, NOW), Progress::Ready(Ok(Passage::In)));
        gate.release();
        assert_eq!(poll(&mut second, NOW), Progress::Ready(Ok(Passage::In)));
        gate.release();
        assert!(gate.is_idle());
    }

    #[test]
    fn a_wait_ends_when_its_time_is_up() {
        let gate = Gate::new(1);
        assert!(gate.try_enter());
        let mut late = waiting(&gate);
        assert_eq!(poll(&mut late, NOW), Progress::Until(LATE));
        assert_eq!(
            poll(&mut late, LATE),
            Progress::Ready(Err(Full {
                waiting: 0,
                max_concurrent: 1
            }))
        );
        gate.release();
        assert!(gate.is_idle());
    }

    #[test]
    fn a_permit_handed_over_at_the_last_moment_is_not_lost() {
        let gate = Gate::new(1);
        assert!(gate.try_enter());
        let mut late = waiting(&gate);
        assert_eq!(poll(&mut late, NOW), Progress::Until(LATE));
        gate.release();
        assert_eq!(poll(&mut late, LATE), Progress::Ready(Ok(Passage::In)));
        gate.release();
        assert!(gate.is_idle());
    }

    #[test]
    fn a_dropped_waiter_passes_on_what_it_was_handed() {
        let gate = Gate::new(1);
        assert!(gate.try_enter());
        let (mut first, mut second) = (waiting(&gate), waiting(&gate));
        assert_eq!(poll(&mut first, NOW), Progress::Until(LATE));
        assert_eq!(poll(&mut second, NOW), Progress::Until(LATE));
        gate.release();
        drop(first);
        assert_eq!(poll(&mut second, NOW), Progress::Ready(Ok(Passage::In)));
        gate.release();
        assert!(gate.is_idle());
    }

    #[test]
    fn the_line_has_an_end() {
        let gate = Gate::new(1);
        assert!(gate.try_enter());
        let mut first = Gate::wait(&gate, LATE, 1);
        let mut second = Gate::wait(&gate, LATE, 1);
        assert_eq!(poll(&mut first, NOW), Progress::Until(LATE));
        assert_eq!(
            poll(&mut second, NOW),
            Progress::Ready(Err(Full {
                waiting: 1,
                max_concurrent: 1
            }))
        );
    }

    #[test]
    fn a_lowered_limit_drains_and_a_raised_one_admits() {
        let gate = Gate::new(3);
        assert!(gate.try_enter() && gate.try_enter() && gate.try_enter());
        gate.set_max_concurrent(1);
        gate.release();
        gate.release();
        assert!(!gate.try_enter(), "one is still in");
        let (mut first, mut second) = (waiting(&gate), waiting(&gate));
        assert_eq!(poll(&mut first, NOW), Progress::Until(LATE));
        assert_eq!(poll(&mut second, NOW), Progress::Until(LATE));
        gate.set_max_concurrent(3);
        assert_eq!(poll(&mut first, NOW), Progress::Ready(Ok(Passage::In)));
        assert_eq!(poll(&mut second, NOW), Progress::Ready(Ok(Passage::In)));
        assert_eq!((gate.in_flight(), gate.waiting()), (3, 0));
    }

    #[test]
    fn a_lowered_limit_hands_nothing_over_until_it_is_reached() {
        let gate = Gate::new(2);
        assert!(gate.try_enter() && gate.try_enter());
        let mut first = waiting(&gate);
        assert_eq!(poll(&mut first, NOW), Progress::Until(LATE));
        gate.set_max_concurrent(1);
        gate.release();
        assert_eq!(poll(&mut first, NOW), Progress::Until(LATE));
        gate.release();
        assert_eq!(poll(&mut first, NOW), Progress::Ready(Ok(Passage::In)));
    }

    #[test]
    fn forced_entries_count_as_the_others() {
        let gate = Gate::new(1);
        gate.force();
        gate.force();
        assert_eq!(gate.in_flight(), 2);
        gate.release();
        assert!(!gate.try_enter());
        gate.release();
        assert!(gate.try_enter());
    }

    #[test]
    fn a_key_that_never_waits_costs_little() {
        assert!(size_of::<Gate>() <= 24, "{}", size_of::<Gate>());
    }

    #[test]
    fn threads_that_wait_and_give_up_never_exceed_the_limit_and_lose_nothing() {
        const LIMIT: u32 = 3;
        let gate = Gate::new(LIMIT);
        let (inside, most, entries) = (AtomicU32::new(0), AtomicU32::new(0), Count::new(0));
        let given_up = Count::new(0);
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                let (gate, inside, most) = (&gate, &inside, &most);
                let (entries, given_up) = (&entries, &given_up);
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(thread);
                    for _ in 0..5_000 {
                        let entered = match random.u8(..4) {
                            0 => gate.try_enter(),
                            1 => {
                                let give_up = crate::clock::now()
                                    .after(std::time::Duration::from_micros(random.u64(..50)));
                                crate::waiter::wait_blocking(Gate::wait(gate, give_up, 1_000))
                                    .is_ok()
                            }
                            // Let in at once, or dropped, handed a permit or not.
                            2 => {
                                waiting(gate).poll(Waker::noop(), NOW)
                                    == Progress::Ready(Ok(Passage::In))
                            }
                            _ => {
                                crate::waiter::wait_blocking(Gate::wait(gate, Nanos::NEVER, 1_000))
                                    .is_ok()
                            }
                        };
                        if entered {
                            most.fetch_max(
                                inside.fetch_add(1, Ordering::SeqCst) + 1,
                                Ordering::SeqCst,
                            );
                            entries.fetch_add(1, Ordering::Relaxed);
                            if random.bool() {
                                std::thread::yield_now();
                            }
                            inside.fetch_sub(1, Ordering::SeqCst);
                            gate.release();
                        } else {
                            given_up.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert!(most.load(Ordering::SeqCst) <= LIMIT);
        assert_eq!(
            entries.load(Ordering::Relaxed) + given_up.load(Ordering::Relaxed),
            40_000
        );
        assert!(gate.is_idle(), "{gate:?}");
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Enter,
        LineUp,
        Poll(prop::sample::Index),
        Drop(prop::sample::Index),
        TimeOut(prop::sample::Index),
        Release,
        Limit(u32),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let index = any::<prop::sample::Index>;
        prop_oneof![
            2 => Just(Step::Enter),
            4 => Just(Step::LineUp),
            2 => index().prop_map(Step::Poll),
            1 => index().prop_map(Step::Drop),
            1 => index().prop_map(Step::TimeOut),
            4 => Just(Step::Release),
            1 => (1u32..5).prop_map(Step::Limit),
        ]
    }

    proptest! {
        /// The model: a number, and a list of waiters of whom the first so many have been let in.
        #[test]
        fn behaves_like_a_plain_line(steps in prop::collection::vec(any_step(), 0..200)) {
            let gate = Gate::new(2);
            let (mut limit, mut inside) = (2, 0u32);
            let mut line: Vec<(Patiently<'_, Gate>, bool)> = Vec::new();
            let admit = |line: &mut Vec<(Patiently<'_, Gate>, bool)>, inside: &mut u32, limit: u32| {
                for (_, admitted) in line.iter_mut().filter(|(_, admitted)| !admitted) {
                    if *inside < limit {
                        *admitted = true;
                        *inside += 1;
                    }
                }
            };
            for step in steps {
                let waits = line.iter().any(|(_, admitted)| !admitted);
                match step {
                    Step::Enter => {
                        let expected = !waits && inside < limit;
                        prop_assert_eq!(gate.try_enter(), expected);
                        inside += u32::from(expected);
                    }
                    Step::LineUp => {
                        let mut waiting = waiting(&gate);
                        let now = poll(&mut waiting, NOW);
                        if !waits && inside < limit {
                            prop_assert_eq!(now, Progress::Ready(Ok(Passage::In)));
                            inside += 1;
                        } else {
                            prop_assert_eq!(now, Progress::Until(LATE));
                            line.push((waiting, false));
                        }
                    }
                    Step::Poll(index) if !line.is_empty() => {
                        let index = index.index(line.len());
                        let polled = poll(&mut line[index].0, NOW);
                        if line[index].1 {
                            prop_assert_eq!(polled, Progress::Ready(Ok(Passage::In)));
                            line.remove(index);
                        } else {
                            prop_assert_eq!(polled, Progress::Until(LATE));
                        }
                    }
                    Step::Drop(index) if !line.is_empty() => {
                        let (waiting, admitted) = line.remove(index.index(line.len()));
                        drop(waiting);
                        inside -= u32::from(admitted);
                        admit(&mut line, &mut inside, limit);
                    }
                    Step::TimeOut(index) if !line.is_empty() => {
                        let (mut waiting, admitted) = line.remove(index.index(line.len()));
                        let polled = poll(&mut waiting, LATE);
                        let entered = matches!(polled, Progress::Ready(Ok(Passage::In)));
                        prop_assert_eq!(entered, admitted);
                        prop_assert!(matches!(polled, Progress::Ready(_)));
                    }
                    Step::Release => {
                        let untaken = line.iter().filter(|(_, admitted)| *admitted).count() as u32;
                        if inside > untaken {
                            gate.release();
                            inside -= 1;
                            admit(&mut line, &mut inside, limit);
                        }
                    }
                    Step::Limit(to) => {
                        limit = to;
                        gate.set_max_concurrent(to);
                        admit(&mut line, &mut inside, limit);
                    }
                    _ => {}
                }
                prop_assert_eq!(gate.in_flight(), inside);
                let waits = line.iter().filter(|(_, admitted)| !admitted).count() as u32;
                prop_assert_eq!(gate.waiting(), waits);
            }
            line.clear();
            while gate.in_flight() > 0 {
                gate.release();
            }
            prop_assert!(gate.is_idle());
        }
    }

    #[test]
    fn waking_runs_outside_the_lock() {
        struct Nosy(Arc<Gate>, AtomicU32);
        impl std::task::Wake for Nosy {
            fn wake(self: Arc<Self>) {
                let seen = self.0.waiting() == 0 && !self.0.try_enter();
                self.1.store(u32::from(seen), Ordering::SeqCst);
            }
        }
        let gate = Arc::new(Gate::new(1));
        assert!(gate.try_enter());
        let mut waiting = Gate::wait(&*gate, LATE, 10);
        let nosy = Arc::new(Nosy(Arc::clone(&gate), AtomicU32::new(0)));
        let waker = Waker::from(Arc::clone(&nosy));
        assert_eq!(waiting.poll(&waker, NOW), Progress::Until(LATE));
        gate.release();
        assert_eq!(nosy.1.load(Ordering::SeqCst), 1);
        assert_eq!(waiting.poll(&waker, NOW), Progress::Ready(Ok(Passage::In)));
    }

    #[test]
    fn a_waker_that_panics_does_not_hurt_whoever_gives_back() {
        struct Broken;
        impl std::task::Wake for Broken {
            fn wake(self: Arc<Self>) {
                panic!("a waker of somebody else's")
            }
        }
        let gate = Gate::new(1);
        assert!(gate.try_enter());
        let mut waiting = Gate::wait(&gate, LATE, 10);
        let waker = Waker::from(Arc::new(Broken));
        assert_eq!(waiting.poll(&waker, NOW), Progress::Until(LATE));
        gate.release();
        assert_eq!(poll(&mut waiting, NOW), Progress::Ready(Ok(Passage::In)));
    }
}

#[cfg(all(test, steadfast_loom))]
mod models {
    use super::*;
    use crate::sync::{Arc, AtomicU32, AtomicUsize};
    use std::task::Wake;

    struct Unpark(loom::thread::Thread);

    impl Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }

    fn waker() -> Waker {
        Waker::from(std::sync::Arc::new(Unpark(loom::thread::current())))
    }

    /// Never gives up: a lost wake-up is a deadlock, which loom reports.
    fn enter(gate: &Gate) {
        let waker = waker();
        let mut waiting = Gate::wait(gate, Nanos::NEVER, 10);
        while let Progress::Until(_) = waiting.poll(&waker, Nanos(0)) {
            loom::thread::park();
        }
    }

    struct Room {
        gate: Gate,
        inside: AtomicU32,
        limit: u32,
        entries: AtomicUsize,
    }

    impl Room {
        fn new(limit: u32) -> Arc<Self> {
            Arc::new(Self {
                gate: Gate::new(limit),
                inside: AtomicU32::new(0),
                limit,
                entries: AtomicUsize::new(0),
            })
        }

        fn work(&self) {
            assert!(self.inside.fetch_add(1, Ordering::Relaxed) < self.limit);
            self.entries.fetch_add(1, Ordering::Relaxed);
            self.inside.fetch_sub(1, Ordering::Relaxed);
            self.gate.release();
        }
    }

    fn spawn(room: &Arc<Room>, act: impl FnOnce(&Room) + 'static) -> loom::thread::JoinHandle<()> {
        let room = Arc::clone(room);
        loom::thread::spawn(move || act(&room))
    }

    fn enter_and_work(room: &Room) {
        enter(&room.gate);
        room.work();
    }

    fn done(room: &Room, entries: usize) {
        assert_eq!(room.entries.load(Ordering::Relaxed), entries);
        assert!(room.gate.is_idle());
    }

    #[test]
    fn two_callers_and_one_permit() {
        loom::model(|| {
            let room = Room::new(1);
            let other = spawn(&room, enter_and_work);
            enter_and_work(&room);
            other.join().unwrap();
            done(&room, 2);
        });
    }

    #[test]
    fn three_callers_and_one_permit() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let room = Room::new(1);
            let others = [spawn(&room, enter_and_work), spawn(&room, enter_and_work)];
            enter_and_work(&room);
            for other in others {
                other.join().unwrap();
            }
            done(&room, 3);
        });
    }

    #[test]
    fn a_newcomer_that_does_not_wait_takes_a_permit_or_leaves_it() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let room = Room::new(1);
            let waits = spawn(&room, enter_and_work);
            let tries = spawn(&room, |room| {
                if room.gate.try_enter() {
                    room.work();
                }
            });
            enter_and_work(&room);
            waits.join().unwrap();
            tries.join().unwrap();
            assert!(room.entries.load(Ordering::Relaxed) >= 2);
            assert!(room.gate.is_idle());
        });
    }

    #[test]
    fn a_dropped_waiter_passes_its_permit_on() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let room = Room::new(1);
            assert!(room.gate.try_enter());
            let gives_up = spawn(&room, |room| {
                let mut waiting = Gate::wait(&room.gate, Nanos::NEVER, 10);
                if let Progress::Ready(Ok(Passage::In)) = waiting.poll(Waker::noop(), Nanos(0)) {
                    room.gate.release();
                }
            });
            let waits = spawn(&room, enter_and_work);
            room.gate.release();
            gives_up.join().unwrap();
            waits.join().unwrap();
            done(&room, 1);
        });
    }

    #[test]
    fn a_wait_that_times_out_as_it_is_served_keeps_the_permit_or_never_had_it() {
        loom::model(|| {
            let room = Room::new(1);
            assert!(room.gate.try_enter());
            let times_out = spawn(&room, |room| {
                let mut waiting = Gate::wait(&room.gate, Nanos(1), 10);
                let mut now = Nanos(0);
                loop {
                    match waiting.poll(Waker::noop(), now) {
                        Progress::Ready(Ok(Passage::In)) => return room.work(),
                        Progress::Ready(_) => return,
                        Progress::Until(until) => now = until,
                    }
                }
            });
            room.gate.release();
            times_out.join().unwrap();
            assert!(room.gate.is_idle());
        });
    }

    #[test]
    fn a_limit_that_is_raised_meanwhile_leaves_nobody_behind() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let room = Arc::new(Room {
                gate: Gate::new(1),
                inside: AtomicU32::new(0),
                limit: 2,
                entries: AtomicUsize::new(0),
            });
            let raises = spawn(&room, |room| room.gate.set_max_concurrent(2));
            let waits = spawn(&room, enter_and_work);
            enter_and_work(&room);
            raises.join().unwrap();
            waits.join().unwrap();
            done(&room, 2);
        });
    }

    /// Rules that are replaced.
    struct Changing(crate::sync::Mutex<Rules>);

    impl InForce for Changing {
        fn rules(&self) -> Rules {
            *lock(&self.0)
        }
    }

    fn change(room: &Room, in_force: &Changing, rules: Rules) {
        *lock(&in_force.0) = rules;
        let woken = judge_again(&room.gate, in_force);
        woken.into_iter().for_each(wake);
    }

    /// As a caller does: it enters at once, or by the rules that it finds.
    fn come(room: &Room, in_force: &Changing) -> Result<Passage, Full> {
        if room.gate.try_enter() {
            return Ok(Passage::In);
        }
        let waker = waker();
        let mut waiting = Waiting::new(&room.gate, in_force, Nanos(0), Nanos::NEVER);
        loop {
            match waiting.poll(&waker, Nanos(0)) {
                Progress::Ready(passage) => return passage,
                Progress::Until(_) => loom::thread::park(),
            }
        }
    }

    fn come_and_go(room: &Room, in_force: &Changing) {
        match come(room, in_force) {
            Ok(Passage::In) => room.work(),
            Ok(Passage::Over(_)) => room.gate.release(),
            Ok(Passage::By) | Err(_) => {}
        }
    }

    /// While two callers come and go, and one place is given back, the rules change that way and back.
    fn while_rules_change(limit: u32, other: Rules) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(move || {
            let patient = patient::patient(1, 10);
            let in_force = Arc::new(Changing(crate::sync::Mutex::new(patient)));
            let room = Arc::new(Room {
                gate: Gate::new(1),
                inside: AtomicU32::new(0),
                limit,
                entries: AtomicUsize::new(0),
            });
            assert!(room.gate.try_enter());
            let come = |in_force: &Arc<Changing>| {
                let in_force = Arc::clone(in_force);
                spawn(&room, move |room| come_and_go(room, &in_force))
            };
            let others = [come(&in_force), come(&in_force)];
            change(&room, &in_force, other);
            room.gate.release();
            change(&room, &in_force, patient);
            for other in others {
                other.join().unwrap();
            }
            assert!(room.gate.is_idle());
            assert!(room.gate.try_enter() && !room.gate.try_enter());
        });
    }

    #[test]
    fn a_gate_that_goes_away_and_comes_back_keeps_nobody_and_loses_nothing() {
        let limit = 0;
        let manner = Manner::Absent;
        while_rules_change(1, Rules { limit, manner });
    }

    #[test]
    fn so_does_one_that_refuses_for_a_while() {
        let (limit, manner) = (2, Manner::Refuse);
        while_rules_change(2, Rules { limit, manner });
    }

    #[test]
    fn and_one_that_only_watches() {
        let (limit, manner) = (1, Manner::Watch);
        while_rules_change(1, Rules { limit, manner });
    }
}
