//! Leases of threads that meet at any point.

use std::{
    cell::Cell,
    task::{Wake, Waker},
    time::Duration,
};

use super::*;
use crate::{
    policy::rate_limiter::{RateLimiterSettings, lane::Arrival, patience::Stay},
    queue::Ticket,
    rate::Rate,
    sync::{Arc, AtomicU32},
    waiter::Progress,
};

const START: Nanos = Nanos(1 << 60);
const INTERVAL: Duration = Duration::from_millis(100);

/// Two lessees get half of the burst each.
const SIZES: Sizes = Sizes {
    part: 1,
    least: 1,
    room: 1,
};

thread_local! {
    // The threads of a model are one thread to this.
    static NOW: Cell<Nanos> = const { Cell::new(START) };
}

fn now() -> Nanos {
    NOW.get()
}

fn pass(intervals: u32) {
    NOW.set(NOW.get().after(INTERVAL * intervals));
}

struct Unpark(loom::thread::Thread);

impl Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

struct Room {
    gate: Gate,
    kept: AtomicU32,
}

impl Room {
    fn new(burst: u32) -> Arc<Self> {
        NOW.set(START);
        let gate = Gate::of_sizes(&rules(burst, INTERVAL), START, SIZES, now);
        Arc::new(Self {
            gate,
            kept: AtomicU32::new(0),
        })
    }

    /// What is in force, read once as a call does.
    fn terms(&self) -> (&Terms, &Gcra) {
        let terms = self.gate.terms.get();
        (terms, terms.bucket.as_ref().expect("it is a bucket"))
    }

    fn till(&self, lane: u32) -> &Till {
        self.gate.totals.at(lane).expect("a lane")
    }

    fn keep(&self, mark: Option<u64>) -> Option<u64> {
        if mark.is_some() {
            self.kept.fetch_add(1, Ordering::Relaxed);
        }
        mark
    }

    fn kept(&self) -> u32 {
        self.kept.load(Ordering::Relaxed)
    }

    /// A lease, and the first permit of it.
    fn lease(&self, lane: u32) -> Option<u64> {
        let (terms, bucket) = self.terms();
        let at = bucket.at(now());
        self.keep(self.gate.lease(terms, self.till(lane), at, 1, true))
    }

    fn draw(&self, lane: u32) -> Option<u64> {
        self.keep(self.gate.draw(self.till(lane), now, 1))
    }

    /// As a call does.
    fn attempt(&self, lane: u32) -> Option<u64> {
        self.draw(lane).or_else(|| self.ask())
    }

    /// As those do who refuse without the lock where they can.
    fn glance(&self) -> Option<u64> {
        let (terms, bucket) = self.terms();
        match terms.glance(bucket, now(), 1) {
            Glance::Taken { mark, .. } => self.keep(Some(mark)),
            Glance::Spent { .. } => None,
            Glance::Held => self.ask(),
        }
    }

    fn ask(&self) -> Option<u64> {
        let arrive = |lane: &mut Lane, rules: &Rules| lane.arrive(rules, now(), 1, None);
        match self.gate.with(arrive) {
            Arrival::Ended(decision) if decision.allowed => self.keep(Some(decision.mark)),
            _ => None,
        }
    }

    fn refund(&self, mark: u64) {
        self.gate
            .with(|lane, rules| lane.refund(rules, now(), mark, 1))
            .run();
    }

    fn line_up(&self) -> Option<Ticket> {
        let arrive = |lane: &mut Lane, rules: &Rules| {
            lane.arrive(rules, now(), 1, Some(Stay::between(now(), Nanos::NEVER)))
        };
        match self.gate.with(arrive) {
            Arrival::Waits(ticket, _) => Some(ticket),
            Arrival::Ended(_) => {
                self.keep(Some(0));
                None
            }
        }
    }

    fn look(&self, ticket: Ticket) -> bool {
        let waker = Waker::from(std::sync::Arc::new(Unpark(loom::thread::current())));
        let look = |lane: &mut Lane, rules: &Rules| lane.look(rules, now(), ticket, &waker);
        let (look, aftermath) = self.gate.with(look);
        aftermath.run();
        matches!(look, Progress::Ready(decision) if decision.allowed)
    }

    /// Other rules, and who has something to do for it.
    fn change(&self, burst: u32, interval: Duration) {
        if let Some(aftermath) = self.gate.change(rules(burst, interval)) {
            aftermath.run();
        }
    }

    /// What is left, all leases recalled.
    fn drain(&self) -> u32 {
        let mut taken = 0;
        while self.ask().is_some() {
            taken += 1;
        }
        taken
    }
}

fn rules(burst: u32, interval: Duration) -> Rules {
    let settings = RateLimiterSettings::new()
        .rate(Rate::new(1, interval))
        .burst(burst);
    Rules::new(&settings)
}

fn spawn<R: 'static>(
    room: &Arc<Room>,
    act: impl FnOnce(&Room) -> R + 'static,
) -> loom::thread::JoinHandle<R> {
    let room = Arc::clone(room);
    loom::thread::spawn(move || act(&room))
}

fn model(preemptions: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(run);
}

#[test]
fn two_who_spend_and_one_who_recalls_get_the_burst_and_no_more() {
    model(2, || {
        let room = Room::new(4);
        room.lease(0);
        room.lease(1);
        let first = spawn(&room, |room| room.attempt(0).is_some());
        let second = spawn(&room, |room| room.attempt(1).is_some());
        let third = room.ask().is_some();
        let all = [first.join().unwrap(), second.join().unwrap(), third];
        // Two of the three: somebody was refused, and rightly.
        assert_eq!(all.into_iter().filter(|one| *one).count(), 2);
        assert_eq!(room.kept() + room.drain(), 4);
    });
}

#[test]
fn nobody_is_refused_while_permits_are_leased() {
    model(3, || {
        let room = Room::new(4);
        let lessee = spawn(&room, |room| {
            room.lease(0);
            room.draw(0);
        });
        assert!(room.glance().is_some());
        assert!(room.glance().is_some());
        lessee.join().unwrap();
        room.drain();
        assert_eq!(room.kept(), 4);
    });
}

#[test]
fn a_refusal_without_the_lock_is_right_whoever_leases_and_recalls() {
    model(2, || {
        let room = Room::new(4);
        let lessee = spawn(&room, |room| {
            room.lease(0);
        });
        let recalls = spawn(&room, |room| assert!(room.ask().is_some()));
        // There are as many as are asked for, so nobody may be refused.
        assert!(room.glance().is_some());
        assert!(room.glance().is_some());
        lessee.join().unwrap();
        recalls.join().unwrap();
        room.drain();
        assert_eq!(room.kept(), 4);
    });
}

#[test]
fn a_lease_and_the_word_never_give_out_the_same_permit() {
    model(3, || {
        let room = Room::new(4);
        let others = [0, 1].map(|lane| {
            spawn(&room, move |room| {
                room.lease(lane);
                room.draw(lane);
            })
        });
        room.draw(2);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert!(room.kept() <= 4);
        room.drain();
        assert_eq!(room.kept(), 4);
    });
}

#[test]
fn one_who_waits_is_served_before_those_who_lease() {
    model(3, || {
        let room = Room::new(2);
        room.lease(0);
        let spends = spawn(&room, |room| room.attempt(0).is_some());
        let ticket = room.line_up();
        let spent = spends.join().unwrap();
        assert_eq!(spent, ticket.is_some(), "one of them has the last");
        assert_eq!(room.kept(), 2);
        if let Some(ticket) = ticket {
            pass(1);
            assert!(room.draw(0).is_none() && room.lease(1).is_none() && room.ask().is_none());
            assert!(room.look(ticket));
            assert!(room.ask().is_none());
        }
    });
}

#[test]
fn a_lessee_never_overtakes_one_who_waits() {
    model(3, || {
        let room = Room::new(2);
        room.ask();
        room.ask();
        let ticket = room.line_up().unwrap();
        pass(1);
        let lessee = spawn(&room, |room| {
            assert!(room.attempt(0).is_none() || room.kept() >= 3);
            room.lease(0);
        });
        assert!(room.look(ticket));
        room.keep(Some(0));
        lessee.join().unwrap();
        assert_eq!(room.kept(), 3);
    });
}

#[test]
fn refunds_of_leased_permits_never_lift_it_over_the_burst() {
    model(2, || {
        let room = Room::new(4);
        room.lease(0);
        let refunds = |lane| {
            move |room: &Room| {
                if let Some(mark) = room.attempt(lane) {
                    room.kept.fetch_sub(1, Ordering::Relaxed);
                    room.refund(mark);
                }
            }
        };
        let other = spawn(&room, refunds(0));
        let third = spawn(&room, |room| {
            room.lease(1);
        });
        refunds(2)(&room);
        other.join().unwrap();
        third.join().unwrap();
        room.drain();
        assert!(room.kept() <= 4, "{}", room.kept());
        // What was refunded is there again, but for one that another refund moved.
        assert!(room.kept() >= 3, "{}", room.kept());
    });
}

/// The marks are right wherever the lease lay, and whenever it was recalled: what was refilled in the
/// meantime is not given a second time.
#[test]
fn a_refund_gives_back_nothing_that_was_refilled() {
    model(2, || {
        let room = Room::new(6);
        room.lease(0);
        let takes = spawn(&room, |room| room.draw(2));
        let recalls = spawn(&room, |room| room.gate.with(|_, _| ()));
        let mark = room.attempt(1);
        let marks = [takes.join().unwrap(), mark];
        recalls.join().unwrap();
        // So many have been taken, and are refilled now.
        room.gate.with(|_, _| ());
        pass(room.kept());
        for _ in 0..6 {
            assert!(room.ask().is_some());
        }
        marks
            .into_iter()
            .flatten()
            .for_each(|mark| room.refund(mark));
        assert!(room.ask().is_none());
    });
}

#[test]
fn a_reset_leaves_no_lease_behind() {
    model(3, || {
        let room = Room::new(4);
        let before = room.lease(0).unwrap();
        let other = spawn(&room, |room| {
            room.draw(0);
            room.lease(1)
        });
        let (kept, aftermath) = room.gate.with(|lane, rules| {
            let kept = room.kept();
            (kept, lane.reset(rules, now()))
        });
        aftermath.run();
        other.join().unwrap();
        room.refund(before);
        let after = room.drain();
        // Two of the other's may have come after the reset, and one may not have counted by then.
        assert!((2..=4).contains(&after));
        assert!(room.kept() <= kept + 1 + 4);
    });
}

/// The clock of a recall is read when nobody can spend any more: else what has expired below a stretch
/// that was taken since would come back.
#[test]
fn what_expires_during_a_recall_does_not_come_back() {
    model(3, || {
        let room = Room::new(6);
        // Two permits unspent, below those of the second.
        room.lease(0);
        room.lease(1);
        let spends = spawn(&room, |room| {
            pass(3);
            [room.draw(1), room.draw(1)].into_iter().flatten().count() as u32
        });
        let recalls = spawn(&room, |room| room.gate.with(|_, _| ()));
        let spent = spends.join().unwrap();
        recalls.join().unwrap();
        // At this one moment: what the second spent of its lease, and all that is left.
        assert!(spent + room.drain() <= 6);
    });
}

/// At other rates permits have other units: what is in the word before a change means nothing after it.
const OTHER: Duration = Duration::from_millis(1_700);

#[test]
fn a_change_of_rules_loses_no_permit_and_gives_none_out_twice() {
    // Neither from the first word, which nobody has used, nor from one that is.
    for used in [false, true] {
        model(2, move || {
            let room = Room::new(4);
            if used {
                room.attempt(2);
            }
            let leases = spawn(&room, |room| {
                room.lease(0);
                room.draw(0);
            });
            let draws = spawn(&room, |room| {
                room.attempt(1);
            });
            room.change(4, OTHER);
            leases.join().unwrap();
            draws.join().unwrap();
            assert_eq!(room.kept() + room.drain(), 4);
        });
    }
}

#[test]
fn rules_that_come_back_find_every_permit_that_was_taken_meanwhile() {
    model(2, || {
        let room = Room::new(4);
        let draws = spawn(&room, |room| {
            room.draw(1);
            room.lease(1);
        });
        let others = spawn(&room, |room| {
            room.glance();
        });
        room.change(4, OTHER);
        room.attempt(0);
        room.change(4, INTERVAL);
        draws.join().unwrap();
        others.join().unwrap();
        assert_eq!(room.kept() + room.drain(), 4);
    });
}

#[test]
fn a_smaller_bucket_never_gives_out_more_than_it_holds_after_the_change() {
    model(2, || {
        let room = Room::new(4);
        room.lease(0);
        let spends = spawn(&room, |room| {
            room.draw(0);
            room.draw(0)
        });
        let before = {
            room.change(2, OTHER);
            room.kept()
        };
        spends.join().unwrap();
        // One of the lessee's may not have been counted yet.
        let all = room.kept() + room.drain();
        assert!(all - before <= 2 + 1 && all <= 4, "{before} {all}");
    });
}

#[test]
fn a_refund_after_a_change_never_lifts_it_over_the_burst() {
    model(2, || {
        let room = Room::new(4);
        let refunds = |lane| {
            move |room: &Room| {
                if let Some(mark) = room.attempt(lane) {
                    room.kept.fetch_sub(1, Ordering::Relaxed);
                    room.refund(mark);
                }
            }
        };
        let leases = spawn(&room, |room| {
            room.lease(0);
        });
        let other = spawn(&room, refunds(1));
        room.change(4, OTHER);
        leases.join().unwrap();
        other.join().unwrap();
        assert!(room.kept() + room.drain() <= 4);
    });
}

#[test]
fn one_who_waits_is_woken_by_a_change_that_serves_it() {
    model(3, || {
        let room = Room::new(1);
        room.ask();
        let waits = spawn(&room, |room| {
            let Some(ticket) = room.line_up() else { return };
            while !room.look(ticket) {
                loom::thread::park();
            }
            room.keep(Some(0));
        });
        room.change(2, OTHER);
        waits.join().unwrap();
        assert_eq!(room.kept(), 2);
        assert!(room.ask().is_none());
    });
}
