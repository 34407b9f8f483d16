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
///
/// On cache lines of its own (two: the prefetcher takes them in pairs): what is only read stays with
/// every thread.
#[derive(Debug)]
#[repr(align(128))]
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
    #[cfg_attr(not(debug_assertions), inline(always))]
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

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use std::{task::Waker, time::Duration};

    use super::*;
    use crate::{
        algorithm::limit::Limit,
        policy::rate_limiter::{RateLimiterSettings, lane::Arrival},
        rate::Rate,
    };

    const NOW: Nanos = Nanos(1 << 60);

    fn rules() -> Rules {
        Rules::new(
            &RateLimiterSettings::new()
                .rate(Rate::per_second(10))
                .burst(2),
        )
    }

    fn glance(gate: &Gate, rules: &Rules, cost: u32) -> Glance {
        let Limit::Bucket(bucket) = &rules.limit else {
            unreachable!()
        };
        gate.glance(bucket, NOW, cost)
    }

    #[test]
    fn the_word_and_the_lane_are_one_bucket() {
        let rules = rules();
        let gate = Gate::new(&rules, NOW);
        assert!(matches!(glance(&gate, &rules, 1), Glance::Taken { .. }));
        let arrival = gate.with(|lane| lane.arrive(&rules, NOW, 1, None));
        assert!(
            matches!(arrival, Arrival::Ended(decision) if decision.allowed && decision.remaining == 0)
        );
        assert!(matches!(glance(&gate, &rules, 1), Glance::Spent { .. }));
    }

    #[test]
    fn the_word_is_held_while_somebody_waits() {
        let rules = rules();
        let gate = Gate::new(&rules, NOW);
        glance(&gate, &rules, 2);
        let late = NOW.after(Duration::from_secs(1));
        let Arrival::Waits(ticket, _) = gate.with(|lane| lane.arrive(&rules, NOW, 1, Some(late)))
        else {
            panic!("it may wait");
        };
        assert_eq!(glance(&gate, &rules, 0), Glance::Held);
        gate.with(|lane| lane.leave(&rules, NOW, ticket)).run();
        assert!(matches!(glance(&gate, &rules, 1), Glance::Spent { .. }));
    }

    #[test]
    fn a_refund_through_the_lane_is_seen_at_the_word() {
        let rules = rules();
        let gate = Gate::new(&rules, NOW);
        let Glance::Taken { mark, .. } = glance(&gate, &rules, 2) else {
            panic!("it is full")
        };
        gate.with(|lane| lane.refund(&rules, NOW, mark, 2)).run();
        let Glance::Taken { mark, .. } = glance(&gate, &rules, 2) else {
            panic!("it was refunded")
        };
        gate.with(|lane| lane.refund(&rules, NOW, mark, 1)).run();
        assert!(matches!(glance(&gate, &rules, 1), Glance::Taken { .. }));
        assert!(matches!(glance(&gate, &rules, 1), Glance::Spent { .. }));
    }

    #[test]
    fn waking_runs_outside_the_lock() {
        use std::sync::Arc;
        struct Nosy(Arc<Gate>);
        impl std::task::Wake for Nosy {
            fn wake(self: Arc<Self>) {
                self.0.with(|lane| assert_eq!(lane.waiting(), 1));
            }
        }
        let rules = rules();
        let gate = Arc::new(Gate::new(&rules, NOW));
        let Glance::Taken { mark, .. } = glance(&gate, &rules, 2) else {
            panic!("it is full")
        };
        let late = NOW.after(Duration::from_secs(1));
        let Arrival::Waits(ticket, give_up) =
            gate.with(|lane| lane.arrive(&rules, NOW, 1, Some(late)))
        else {
            panic!("it may wait");
        };
        let waker = Waker::from(Arc::new(Nosy(Arc::clone(&gate))));
        let (_, aftermath) = gate.with(|lane| lane.look(&rules, NOW, ticket, give_up, &waker));
        aftermath.run();
        gate.with(|lane| lane.refund(&rules, NOW, mark, 2)).run();
    }
}

#[cfg(all(test, steadfast_loom))]
mod models {
    use std::{
        task::{Wake, Waker},
        time::Duration,
    };

    use super::*;
    use crate::{
        algorithm::limit::Limit,
        policy::rate_limiter::{RateLimiterSettings, lane::Arrival},
        queue::Ticket,
        rate::Rate,
        sync::{Arc, AtomicU32},
        waiter::Progress,
    };

    const NOW: Nanos = Nanos(1 << 60);
    const INTERVAL: Duration = Duration::from_millis(100);

    struct Room {
        gate: Gate,
        rules: Rules,
        kept: AtomicU32,
    }

    struct Unpark(loom::thread::Thread);

    impl Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }

    fn waker() -> Waker {
        Waker::from(std::sync::Arc::new(Unpark(loom::thread::current())))
    }

    impl Room {
        fn new(burst: u32) -> Arc<Self> {
            let settings = RateLimiterSettings::new()
                .rate(Rate::new(1, INTERVAL))
                .burst(burst);
            let rules = Rules::new(&settings);
            let gate = Gate::new(&rules, NOW);
            Arc::new(Self {
                gate,
                rules,
                kept: AtomicU32::new(0),
            })
        }

        fn bucket(&self) -> &Gcra {
            match &self.rules.limit {
                Limit::Bucket(bucket) => bucket,
                _ => unreachable!(),
            }
        }

        fn keep(&self) {
            self.kept.fetch_add(1, Ordering::Relaxed);
        }

        fn kept(&self) -> u32 {
            self.kept.load(Ordering::Relaxed)
        }

        /// As the policy does for one who does not wait. The mark, if there was a permit.
        fn attempt(&self, now: Nanos) -> Option<u64> {
            match self.gate.glance(self.bucket(), now, 1) {
                Glance::Taken { mark, .. } => Some(mark),
                Glance::Spent { .. } => None,
                Glance::Held => match self
                    .gate
                    .with(|lane| lane.arrive(&self.rules, now, 1, None))
                {
                    Arrival::Ended(decision) if decision.allowed => Some(decision.mark),
                    _ => None,
                },
            }
        }

        fn refund(&self, mark: u64) {
            self.gate
                .with(|lane| lane.refund(&self.rules, NOW, mark, 1))
                .run();
        }

        /// A place in the line, or `None` where there was a permit at once.
        fn line_up(&self) -> Option<Ticket> {
            match self
                .gate
                .with(|lane| lane.arrive(&self.rules, NOW, 1, Some(Nanos::NEVER)))
            {
                Arrival::Waits(ticket, _) => Some(ticket),
                Arrival::Ended(decision) => {
                    assert!(decision.allowed);
                    None
                }
            }
        }

        fn look(&self, ticket: Ticket, now: Nanos) -> Progress<bool> {
            let waker = waker();
            let (look, aftermath) = self
                .gate
                .with(|lane| lane.look(&self.rules, now, ticket, Nanos::NEVER, &waker));
            aftermath.run();
            match look {
                Progress::Ready(decision) => Progress::Ready(decision.allowed),
                Progress::Until(until) => Progress::Until(until),
            }
        }

        /// Waits for a permit. Never gives up: a lost wake-up is a deadlock, which loom reports. `timer`:
        /// whether time passes, or only a wake-up helps.
        fn wait(&self, timer: bool) {
            let Some(ticket) = self.line_up() else {
                return self.keep();
            };
            let mut now = NOW;
            loop {
                match self.look(ticket, now) {
                    Progress::Ready(allowed) => {
                        assert!(allowed);
                        return self.keep();
                    }
                    Progress::Until(until) if timer && until != Nanos::NEVER => now = until,
                    Progress::Until(_) => loom::thread::park(),
                }
            }
        }

        fn leave(&self, ticket: Ticket) {
            self.gate
                .with(|lane| lane.leave(&self.rules, NOW, ticket))
                .run();
        }

        /// Nobody waits, and the word is free.
        fn is_quiet(&self) -> bool {
            self.gate.with(|lane| lane.waiting()) == 0
                && self.gate.glance(self.bucket(), NOW, 0) != Glance::Held
        }
    }

    fn spawn(room: &Arc<Room>, act: impl FnOnce(&Room) + 'static) -> loom::thread::JoinHandle<()> {
        let room = Arc::clone(room);
        loom::thread::spawn(move || act(&room))
    }

    fn model(preemptions: usize, run: impl Fn() + Sync + Send + 'static) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(preemptions);
        model.check(run);
    }

    fn attempt_and_keep(room: &Room) {
        if room.attempt(NOW).is_some() {
            room.keep();
        }
    }

    #[test]
    fn the_word_never_gives_out_more_than_the_burst() {
        loom::model(|| {
            let room = Room::new(2);
            let others = [
                spawn(&room, attempt_and_keep),
                spawn(&room, attempt_and_keep),
            ];
            attempt_and_keep(&room);
            others.into_iter().for_each(|other| other.join().unwrap());
            assert_eq!(room.kept(), 2);
        });
    }

    #[test]
    fn the_lane_and_the_word_never_give_out_more_than_the_burst_together() {
        model(3, || {
            let room = Room::new(2);
            let lane = |room: &Room| {
                let arrival = room
                    .gate
                    .with(|lane| lane.arrive(&room.rules, NOW, 1, None));
                if matches!(arrival, Arrival::Ended(decision) if decision.allowed) {
                    room.keep();
                }
            };
            let others = [spawn(&room, lane), spawn(&room, attempt_and_keep)];
            attempt_and_keep(&room);
            others.into_iter().for_each(|other| other.join().unwrap());
            assert_eq!(room.kept(), 2);
            assert!(room.is_quiet());
        });
    }

    #[test]
    fn refunds_never_lift_it_over_the_burst() {
        model(3, || {
            let room = Room::new(2);
            let refunds = |room: &Room| {
                if let Some(mark) = room.attempt(NOW) {
                    room.refund(mark);
                }
            };
            let others = [spawn(&room, refunds), spawn(&room, attempt_and_keep)];
            refunds(&room);
            attempt_and_keep(&room);
            others.into_iter().for_each(|other| other.join().unwrap());
            while room.attempt(NOW).is_some() {
                room.keep();
            }
            // A permit taken between a look at the word and a swap that finds it as before gives back
            // less than it could: the safe side.
            assert!((1..=2).contains(&room.kept()));
        });
    }

    #[test]
    fn two_who_wait_are_served_one_after_the_other() {
        model(3, || {
            let room = Room::new(1);
            assert!(room.attempt(NOW).is_some());
            let other = spawn(&room, |room| room.wait(true));
            room.wait(true);
            other.join().unwrap();
            assert_eq!(room.kept(), 2);
            assert!(room.is_quiet());
            assert!(
                room.attempt(NOW.after(INTERVAL * 3).before(Duration::from_nanos(1)))
                    .is_none()
            );
            assert!(room.attempt(NOW.after(INTERVAL * 3)).is_some());
        });
    }

    #[test]
    fn a_dropped_waiter_wakes_the_next() {
        model(3, || {
            let room = Room::new(1);
            assert!(room.attempt(NOW).is_some());
            let leaves = room.line_up().unwrap();
            let waits = spawn(&room, |room| room.wait(true));
            let drops = spawn(&room, move |room| {
                let _ = room.look(leaves, NOW);
                room.leave(leaves);
            });
            drops.join().unwrap();
            waits.join().unwrap();
            assert_eq!(room.kept(), 1);
            assert!(room.is_quiet());
        });
    }

    #[test]
    fn a_refund_wakes_the_first_in_line() {
        model(3, || {
            let room = Room::new(1);
            let mark = room.attempt(NOW).unwrap();
            let waits = spawn(&room, |room| room.wait(false));
            room.refund(mark);
            waits.join().unwrap();
            assert_eq!(room.kept(), 1);
            assert!(room.is_quiet());
        });
    }

    #[test]
    fn a_newcomer_does_not_overtake_one_who_waits() {
        model(3, || {
            let room = Room::new(1);
            let mark = room.attempt(NOW).unwrap();
            let ticket = room.line_up().unwrap();
            let newcomer = spawn(&room, attempt_and_keep);
            room.refund(mark);
            newcomer.join().unwrap();
            assert_eq!(room.kept(), 0);
            assert_eq!(room.look(ticket, NOW), Progress::Ready(true));
            assert!(room.is_quiet());
        });
    }
}
