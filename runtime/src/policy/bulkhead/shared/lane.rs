//! The places of a shared bulkhead, or of one of its keys, as this instance sees them.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock, Weak},
    task::Waker,
    time::Duration,
};

use super::{
    home::Home,
    scripts::{self, ACQUIRE, RELEASE, RENEW},
    shared::Shared,
};
use crate::{
    algorithm::desk::{Desk, Effect, Entrance, Failed, Look, Pass, Terms, Turn},
    clock::Nanos,
    keyed::Room,
    store::{Arg, Job, Reply, Script, StoreError, StoreStatus},
    sync::{Mutex, lock},
    waiter::wake,
};

/// A [`Desk`] under a lock, the wakers of those who wait at it, and the way to the store.
///
/// Whatever is decided under the lock is carried out after it: the store may answer at once, on this very
/// thread.
#[derive(Debug)]
pub(in crate::policy::bulkhead) struct Lane {
    this: Weak<Self>,
    home: Arc<Home>,
    shared: Weak<Shared>,
    /// What its holders are called, between the length of their leases and their numbers.
    tag: String,
    /// Its holders and its fencing number in the store.
    keys: OnceLock<Vec<Vec<u8>>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    desk: Desk,
    wakers: BTreeMap<u64, Waker>,
    /// It is among those that are told of the passing of time.
    is_listed: bool,
    /// Why the store last failed.
    cause: Option<Arc<StoreError>>,
}

/// What is to be done for the desk outside its lock.
enum Errand {
    Acquire {
        flight: u64,
        places: Vec<Place>,
        within: Duration,
    },
    Renew {
        flight: u64,
        places: Vec<Place>,
    },
    Release {
        flight: u64,
        places: Vec<Place>,
    },
    Tell {
        fence: u64,
    },
}

/// A place, and how long its lease is in microseconds.
struct Place {
    id: u64,
    lease: i64,
}

impl Errand {
    fn of(effect: Effect, desk: &Desk) -> Option<Self> {
        let places = |ids: Vec<u64>| {
            let place = |id| Place {
                id,
                lease: micros(desk.lease_of(id).unwrap_or_default()),
            };
            ids.into_iter().map(place).collect()
        };
        Some(match effect {
            Effect::Wake(_) => return None,
            Effect::Lost { fence } => Self::Tell { fence },
            Effect::Ask {
                flight,
                ids,
                within,
            } => Self::Acquire {
                flight,
                places: places(ids),
                within,
            },
            Effect::Renew { flight, ids } => Self::Renew {
                flight,
                places: places(ids),
            },
            Effect::Release { flight, ids } => Self::Release {
                flight,
                places: places(ids),
            },
        })
    }
}

/// Of places that are asked for together: all have one lease.
fn lease(places: &[Place]) -> i64 {
    places.first().map_or(0, |place| place.lease)
}

fn micros(lease: Duration) -> i64 {
    i64::try_from(lease.as_micros())
        .unwrap_or(LONGEST)
        .min(LONGEST)
}

/// Ten years: sums of it stay whole numbers in every language.
const LONGEST: i64 = 10 * 365 * 86_400 * 1_000_000;

impl Lane {
    pub(super) fn new(home: &Arc<Home>, shared: &Weak<Shared>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            home: Arc::clone(home),
            shared: shared.clone(),
            tag: home.tag(),
            keys: OnceLock::new(),
            state: Mutex::new(State {
                desk: Desk::new(),
                wakers: BTreeMap::new(),
                is_listed: false,
                cause: None,
            }),
        })
    }

    /// Of the bulkhead's own places.
    pub(super) fn name(&self) {
        self.keys.get_or_init(|| {
            let key = |part| self.home.link.key(part);
            vec![key("holders"), key("fence")]
        });
    }

    /// Of a key's, or of those that all keys have in common for which there is no room here.
    pub(super) fn name_for(&self, key: &[u8], room: Room) {
        self.keys.get_or_init(|| {
            let parts = match room {
                Room::Own => ["holders", "fence"],
                Room::Shared => ["overflow", "overflow_fence"],
            };
            let key = match room {
                Room::Own => key,
                Room::Shared => &[],
            };
            parts.map(|part| self.home.link.key_of(key, part)).to_vec()
        });
    }

    pub(super) fn now(&self) -> Nanos {
        self.home.now()
    }

    pub(super) fn in_flight(&self) -> u32 {
        lock(&self.state).desk.in_flight()
    }

    pub(super) fn waiting(&self) -> u32 {
        lock(&self.state).desk.waiting()
    }

    pub(super) fn is_idle(&self) -> bool {
        lock(&self.state).desk.is_idle()
    }

    /// Why there is no answer: the store is away, or else it failed last for that reason.
    pub(super) fn cause(&self) -> Arc<StoreError> {
        let status = self.home.link.store().map(|store| store.health().status);
        if let Ok(StoreStatus::Down { cause, .. }) = status {
            return Arc::new(cause);
        }
        let known = lock(&self.state).cause.clone();
        known.unwrap_or_else(|| {
            let problem = "no answer yet".to_owned();
            Arc::new(StoreError::Unreachable { problem })
        })
    }

    pub(super) fn enter(&self, fenced: bool) -> Entrance {
        self.act(|desk, now, terms, out| desk.enter(now, terms, fenced, out))
    }

    pub(super) fn try_enter(&self) -> Turn {
        self.act(|desk, now, terms, out| desk.try_enter(now, terms, out))
    }

    /// Other terms are in force: the callers who are returned are to be woken.
    #[cfg_attr(not(feature = "config"), allow(dead_code))] // nobody changes the terms
    pub(super) fn judge_again(&self) -> Vec<Waker> {
        let mut woken = Vec::new();
        self.act_and(Desk::judge_again, |waker| woken.push(waker));
        woken
    }

    /// Lets a caller in, whatever the limit and without a place.
    pub(super) fn force(&self) -> Pass {
        lock(&self.state).desk.force()
    }

    /// How it stands with a caller who is to be woken when that changes.
    pub(super) fn look(&self, ticket: u64, waker: &Waker) -> Look {
        let mut state = lock(&self.state);
        let terms = self.home.terms();
        let look = state.desk.look(ticket, &terms);
        let is_known = |held: &Waker| held.will_wake(waker);
        // Dropped below, outside the lock.
        let _replaced = match look {
            Look::Turn(_) => state.wakers.remove(&ticket),
            Look::Line { .. } if state.wakers.get(&ticket).is_some_and(is_known) => None,
            Look::Line { .. } => state.wakers.insert(ticket, waker.clone()),
        };
        drop(state);
        look
    }

    pub(super) fn nudge(&self) {
        self.act(Desk::nudge);
    }

    pub(super) fn give_up(&self, ticket: u64) -> Turn {
        let turn = self.act(|desk, _, _, out| desk.give_up(ticket, out));
        self.forget(ticket);
        turn
    }

    pub(super) fn cancel(&self, ticket: u64) {
        self.act(|desk, now, terms, out| desk.cancel(ticket, now, terms, out));
        self.forget(ticket);
    }

    pub(super) fn leave(&self, pass: Pass) {
        self.act(|desk, now, terms, out| desk.leave(pass, now, terms, out));
    }

    pub(super) fn hurry(&self) {
        self.act(Desk::hurry);
    }

    pub(super) fn let_go(&self) {
        self.act(Desk::let_go);
    }

    /// Some time has passed. Whether there is anything to do later on; if not, it is off the list.
    pub(super) fn tick(&self) -> bool {
        self.act(Desk::tick);
        let mut state = lock(&self.state);
        state.is_listed = !state.desk.is_quiet();
        state.is_listed
    }

    fn forget(&self, ticket: u64) {
        let waker = lock(&self.state).wakers.remove(&ticket);
        drop(waker);
    }

    fn act<R>(&self, act: impl FnOnce(&mut Desk, Nanos, &Terms, &mut Vec<Effect>) -> R) -> R {
        let mut woken = Vec::new();
        let result = self.act_and(act, |waker| woken.push(waker));
        woken.into_iter().for_each(wake);
        result
    }

    fn act_and<R>(
        &self,
        act: impl FnOnce(&mut Desk, Nanos, &Terms, &mut Vec<Effect>) -> R,
        wake: impl FnMut(Waker),
    ) -> R {
        let now = self.home.now();
        let mut effects = Vec::new();
        let mut state = lock(&self.state);
        // Under the lock: whoever puts other terms in force comes by here afterwards.
        let terms = self.home.terms();
        let result = act(&mut state.desk, now, &terms, &mut effects);
        let is_new = !state.is_listed && !state.desk.is_quiet();
        state.is_listed |= is_new;
        let wakers: Vec<_> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Wake(ticket) => state.wakers.remove(ticket),
                _ => None,
            })
            .collect();
        let errands: Vec<_> = effects
            .into_iter()
            .filter_map(|effect| Errand::of(effect, &state.desk))
            .collect();
        drop(state);
        if is_new && let Some(shared) = self.shared.upgrade() {
            shared.list(self.this.clone());
        }
        wakers.into_iter().for_each(wake);
        errands.into_iter().for_each(|errand| self.run(errand));
        result
    }

    fn run(&self, errand: Errand) {
        match errand {
            Errand::Tell { fence } => self.home.tell_lost(fence),
            Errand::Acquire {
                flight,
                places,
                within,
            } => self.acquire(flight, &places, within),
            Errand::Renew { flight, places } => self.renew(flight, &places),
            Errand::Release { flight, places } => self.release(flight, &places),
        }
    }

    fn acquire(&self, flight: u64, places: &[Place], within: Duration) {
        let head = vec![self.home.most().into(), lease(places).into()];
        let asked = places.len();
        self.send(
            &ACQUIRE,
            head,
            places,
            Some(within),
            move |lane, outcome| {
                let granted = outcome.and_then(|reply| scripts::granted(&reply, asked));
                let answer = granted.map_err(|error| lane.note(error));
                let random = fastrand::u32(..);
                lane.act(|desk, now, terms, out| {
                    desk.landed(flight, answer, random, now, terms, out);
                });
            },
        );
    }

    fn renew(&self, flight: u64, places: &[Place]) {
        let head = vec![lease(places).into()];
        let asked = places.len();
        self.send(&RENEW, head, places, None, move |lane, outcome| {
            let renewed = outcome.and_then(|reply| scripts::renewed(&reply, asked));
            let answer = renewed.map_err(|error| lane.note(error)).ok();
            lane.act(|desk, now, terms, out| desk.renewed(flight, answer, now, terms, out));
        });
    }

    fn release(&self, flight: u64, places: &[Place]) {
        let asked = places.len();
        self.send(&RELEASE, Vec::new(), places, None, move |lane, outcome| {
            let released = outcome.and_then(|reply| scripts::released(&reply, asked));
            let answer = released.map_err(|error| lane.note(error)).ok();
            lane.act(|desk, now, terms, out| desk.released(flight, answer, now, terms, out));
        });
    }

    fn send(
        &self,
        script: &'static Script,
        head: Vec<Arg>,
        places: &[Place],
        within: Option<Duration>,
        done: impl FnOnce(&Self, Result<Reply, StoreError>) + Send + 'static,
    ) {
        let (Some(this), Some(keys)) = (self.this.upgrade(), self.keys.get()) else {
            return;
        };
        let Ok(store) = self.home.link.store() else {
            return;
        };
        let holders = places.iter().map(|place| Arg::Bytes(self.holder(place)));
        let args = head.into_iter().chain(holders).collect();
        let job = Job::new(script, keys.clone(), args, move |outcome| {
            done(&this, outcome);
        });
        store.run(match within {
            Some(within) => job.within(within),
            None => job,
        });
    }

    fn holder(&self, place: &Place) -> Vec<u8> {
        format!("{}:{}{}", place.lease, self.tag, place.id).into_bytes()
    }

    /// Whether something may have been done in spite of an error, which is kept for those it refuses.
    fn note(&self, error: StoreError) -> Failed {
        let failed = match error {
            StoreError::Overloaded { .. }
            | StoreError::Login { .. }
            | StoreError::Forbidden { .. }
            | StoreError::WrongType
            | StoreError::Full
            | StoreError::NotSet => Failed::Surely,
            _ => Failed::Perhaps,
        };
        let before = lock(&self.state).cause.replace(Arc::new(error));
        drop(before);
        failed
    }
}
