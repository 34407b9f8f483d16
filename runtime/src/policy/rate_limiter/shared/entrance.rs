//! How a request to a shared limit begins, waits and ends.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Shared,
    core::{Core, InForce},
    lane::{Arrival, Lane, Outcome},
    locals,
    turn::Turn,
};
use crate::{
    algorithm::decision::Decision,
    call::Call,
    clock::{self, Nanos},
    event::{Event, Refused},
    key::{Shown, with_bytes},
    keyed::Place,
    kind::PolicyKind,
    policy::{
        Switch,
        rate_limiter::{
            Allowance, RateLimiter,
            admission::Taken,
            entrance::{Begun, Ended},
            limiter::{ALLOWED, REJECTED},
            patience::{Patience, Stay},
            rules::Rules,
            turn::{Spot, Turn as LocalTurn},
        },
        shared::OnStoreError,
    },
    rate::Rate,
    rejection::{Rejection, StoreUnavailable},
    store::{StoreError, StoreStatus},
    sync::lock,
    waiter::{wait, wait_blocking},
};

/// How a request began.
pub(in super::super) enum Start<'p> {
    Landed(Landed<'p>),
    /// The store is being asked, or it is not its turn.
    Asks(Asking<'p>),
    /// The store is away, and it is not its turn here.
    Waits(&'p RateLimiter, LocalTurn<'p>, u32),
}

/// What a request came to.
pub(in super::super) enum Landed<'p> {
    /// The store's decision, at this key, by these rules.
    Decided(Decision, Option<Place>, &'p Rules),
    /// That of the limit that is this instance's own.
    Local(&'p RateLimiter, Ended<'p>),
    /// There is no decision, for want of the store.
    Undecided(Absent, OnStoreError, &'p Rules),
}

/// Why the store does not decide.
#[derive(Debug)]
pub(in super::super) enum Absent {
    NotSet,
    /// It is known to be away.
    Away,
    /// It was asked, and this came of it.
    Failed(Arc<StoreError>),
}

/// A request that the store decides.
pub(in super::super) struct Asking<'p> {
    limiter: &'p RateLimiter,
    shared: &'p Shared,
    turn: Turn,
    wish: Wish,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
struct Wish {
    cost: u32,
    rate: Option<Rate>,
    patience: Option<Patience>,
}

/// A call that was let through: by whom, and what it holds there.
pub(in super::super) struct Pass<'p> {
    pub(in super::super) limiter: &'p RateLimiter,
    pub(in super::super) allowance: Allowance,
    pub(in super::super) taken: Option<Taken<'p>>,
}

/// After this it is worth asking again for a store that is away.
const AGAIN: Duration = Duration::from_secs(1);

impl RateLimiter {
    /// Asks for permits of a shared limit.
    #[inline(never)]
    pub(in super::super) fn start<'p>(
        &'p self,
        shared: &'p Shared,
        key: Option<Shown<'_>>,
        cost: u32,
        rate: Option<Rate>,
        patience: Option<Patience>,
    ) -> Start<'p> {
        let wish = Wish {
            cost,
            rate,
            patience,
        };
        match key {
            None => self.start_at(shared, None, wish),
            Some(key) => with_bytes(key, |key| self.start_at(shared, Some(key), wish)),
        }
    }

    fn start_at<'p>(&'p self, shared: &'p Shared, key: Option<&[u8]>, wish: Wish) -> Start<'p> {
        let now = clock::now();
        // Whatever it waits for, it waits no longer than from now on.
        let patience = wish.patience.map(|patience| patience.from(now));
        let wish = Wish { patience, ..wish };
        if let Err(absent) = shared.is_up() {
            return self.without_store(shared, key, wish, absent);
        }
        let core = &shared.core;
        match key {
            None => self.start_in(shared, &core.alone, now, wish),
            Some(key) => {
                let edition = || core.in_force.edition();
                let known = core.lanes.with(key, edition, |lane| {
                    // Most who are refused keep nothing.
                    glance(core, lane, now, wish).ok_or_else(|| Arc::clone(lane))
                });
                match known {
                    Ok(landed) => Start::Landed(landed),
                    Err(lane) => self.start_in(shared, &lane, now, wish),
                }
            }
        }
    }

    fn start_in<'p>(
        &'p self,
        shared: &'p Shared,
        lane: &Arc<Lane>,
        now: Nanos,
        wish: Wish,
    ) -> Start<'p> {
        let core = &shared.core;
        let Wish { cost, rate, .. } = wish;
        let (arrival, rules) = {
            let mut books = lane.books();
            let in_force = core.in_force.of(books.edition);
            let rules = &in_force.rules;
            let terms = in_force.terms(rate);
            let stay = wish.stay(rules, now);
            let give_up = stay.map(|stay| stay.give_up);
            let arrival = match terms.filter(|terms| cost <= terms.limit) {
                _ if rules.off => Arrival::Ended(rules.past()),
                None => Arrival::Ended(hopeless(terms.map_or(0, |terms| terms.limit), cost)),
                Some(terms) => match books.glance(now, cost, rate, give_up) {
                    Some(decision) => Arrival::Ended(decision),
                    None => books.arrive(&terms, now, cost, rate, stay),
                },
            };
            (arrival, rules)
        };
        let ticket = match arrival {
            Arrival::Asks(ticket) => ticket,
            Arrival::Ended(decision) => {
                if decision.allowed {
                    core.refill(lane, now);
                }
                return Start::Landed(Landed::Decided(decision, lane.place(), rules));
            }
        };
        let mut turn = Turn::new(Arc::clone(core), Arc::clone(lane), ticket);
        core.pump(lane, now, false);
        // A store in memory has answered.
        match turn.peek(now) {
            Some(outcome) => self.came_to(shared, lane, wish, outcome),
            None => Start::Asks(Asking {
                limiter: self,
                shared,
                turn,
                wish,
            }),
        }
    }

    fn came_to<'p>(
        &'p self,
        shared: &'p Shared,
        lane: &Arc<Lane>,
        wish: Wish,
        outcome: Outcome,
    ) -> Start<'p> {
        match outcome {
            Outcome::Decided(decision, edition) => {
                let rules = &shared.core.in_force.of(edition).rules;
                Start::Landed(Landed::Decided(decision, lane.place(), rules))
            }
            Outcome::Failed(error) => {
                let key = lane.key.as_deref();
                self.without_store(shared, key, wish, Absent::Failed(error))
            }
        }
    }

    /// Permits now or never, of those that are held here.
    pub(in super::super) fn attempt_shared<'p>(
        &'p self,
        shared: &'p Shared,
        key: Option<Shown<'_>>,
        cost: u32,
    ) -> (Decision, &'p Rules) {
        match key {
            None => self.attempt_shared_at(shared, None, cost),
            Some(key) => with_bytes(key, |key| self.attempt_shared_at(shared, Some(key), cost)),
        }
    }

    fn attempt_shared_at<'p>(
        &'p self,
        shared: &'p Shared,
        key: Option<&[u8]>,
        cost: u32,
    ) -> (Decision, &'p Rules) {
        let core = &shared.core;
        let in_force = core.in_force();
        if in_force.rules.off {
            return (in_force.rules.past(), &in_force.rules);
        }
        if let Err(absent) = shared.is_up() {
            return self.attempt_without_store(shared, key, cost, &absent);
        }
        let now = clock::now();
        let lane = match key {
            None => Arc::clone(&core.alone),
            Some(key) => {
                let edition = || core.in_force.edition();
                core.lanes.with(key, edition, Arc::clone)
            }
        };
        let (here, rules) = ask_here(core, &lane, now, cost);
        if let Some(decision) = here {
            if decision.allowed {
                core.refill(&lane, now);
            }
            return (decision, rules);
        }
        core.pump(&lane, now, false);
        // A store in memory has answered. Another's answer is there in about the time that it takes.
        let mut books = lane.books();
        let in_force = core.in_force.of(books.edition);
        let decision = books.glance(now, cost, None, None).unwrap_or_else(|| {
            let soon = now.after(core.usual());
            let remaining = books.held(now, None);
            Decision {
                limit: in_force.limit(),
                remaining,
                ..books.behind(now, soon)
            }
        });
        (decision, &in_force.rules)
    }

    fn attempt_without_store<'p>(
        &'p self,
        shared: &'p Shared,
        key: Option<&[u8]>,
        cost: u32,
        absent: &Absent,
    ) -> (Decision, &'p Rules) {
        let in_force = shared.core.in_force();
        let limit = in_force.limit();
        let decision = match self.on_store_error(shared, in_force, absent) {
            OnStoreError::Local => {
                let local = self.local(shared);
                return match key {
                    None => local.attempt(cost),
                    Some(key) => local.attempt_at_key(Shown::Text(&text(key)), cost),
                };
            }
            OnStoreError::Allow => Decision {
                allowed: true,
                limit,
                retry_after: Some(Duration::ZERO),
                ..Decision::NOTHING
            },
            OnStoreError::Deny if matches!(absent, Absent::NotSet) => Decision::NOTHING,
            OnStoreError::Deny => Decision {
                limit,
                retry_after: Some(AGAIN),
                ..Decision::NOTHING
            },
        };
        (decision, &in_force.rules)
    }

    /// A request that the store cannot decide, or whose decision never came.
    #[cold]
    fn without_store<'p>(
        &'p self,
        shared: &'p Shared,
        key: Option<&[u8]>,
        wish: Wish,
        absent: Absent,
    ) -> Start<'p> {
        let in_force = shared.core.in_force();
        match self.on_store_error(shared, in_force, &absent) {
            OnStoreError::Local => {
                let local = self.local(shared);
                let key = key.map(text);
                let key = key.as_deref().map(Shown::Text);
                let instances = shared.core.instances();
                let rate = wish.rate.map(|rate| locals::share_of(rate, instances));
                match local.begin_at(key, wish.cost, rate, wish.patience) {
                    Begun::Ended(ended) => Start::Landed(Landed::Local(local, ended)),
                    Begun::Waits(turn, cost) => Start::Waits(local, turn, cost),
                    Begun::Past => {
                        let rules = local.rules();
                        Start::Landed(Landed::Decided(rules.past(), None, rules))
                    }
                    Begun::Shared(_) => {
                        let (choice, rules) = (OnStoreError::Allow, &in_force.rules);
                        Start::Landed(Landed::Undecided(absent, choice, rules))
                    }
                }
            }
            choice => Start::Landed(Landed::Undecided(absent, choice, &in_force.rules)),
        }
    }

    /// What to do without the store. Where there never was one, nothing is let through, and that is told
    /// once.
    fn on_store_error(&self, shared: &Shared, in_force: &InForce, absent: &Absent) -> OnStoreError {
        if !matches!(absent, Absent::NotSet) {
            return in_force.settings().on_store_error.unwrap_or_default();
        }
        let (kind, told) = (PolicyKind::RateLimiter, &shared.told_no_store);
        self.0.sink.tell_no_store(kind, self.name(), told);
        OnStoreError::Deny
    }

    /// The limit that is this instance's own.
    fn local<'p>(&'p self, shared: &'p Shared) -> &'p RateLimiter {
        let instances = shared.core.instances();
        if let Some(local) = shared.locals.find(instances) {
            return local;
        }
        let _changing = lock(&self.0.changing);
        let rules = &shared.core.in_force().rules;
        let switch = if rules.off { Switch::Off } else { Switch::On };
        let settings = (rules.settings(), switch);
        shared
            .locals
            .of(instances, self.name(), settings, &self.0.sink)
    }

    /// Waits until a request has come to something.
    pub(in super::super) async fn landed<'p>(
        &'p self,
        call: &Call,
        start: Start<'p>,
    ) -> Landed<'p> {
        let before = call.waited_nanos();
        let start = match start {
            Start::Asks(asking) => {
                let began = clock::now();
                let Asking {
                    limiter,
                    shared,
                    turn,
                    wish,
                } = asking;
                let lane = Arc::clone(&turn.lane);
                let outcome = wait(turn).await;
                call.add_waited(clock::now().since(began));
                limiter.came_to(shared, &lane, wish, outcome)
            }
            start => start,
        };
        let landed = match start {
            Start::Landed(landed) => landed,
            Start::Waits(local, turn, cost) => {
                Landed::Local(local, local.wait(call, turn, cost).await)
            }
            Start::Asks(_) => unreachable!("it was asked once"),
        };
        self.tell_wait(call, before);
        landed
    }

    /// The same, blocking the thread.
    pub(in super::super) fn landed_blocking<'p>(
        &'p self,
        call: &Call,
        start: Start<'p>,
    ) -> Landed<'p> {
        let before = call.waited_nanos();
        let start = match start {
            Start::Asks(asking) => {
                let began = Instant::now();
                let Asking {
                    limiter,
                    shared,
                    turn,
                    wish,
                } = asking;
                let lane = Arc::clone(&turn.lane);
                let outcome = wait_blocking(turn);
                call.add_waited(began.elapsed());
                limiter.came_to(shared, &lane, wish, outcome)
            }
            start => start,
        };
        let landed = match start {
            Start::Landed(landed) => landed,
            Start::Waits(local, turn, cost) => {
                Landed::Local(local, local.wait_blocking(call, turn, cost))
            }
            Start::Asks(_) => unreachable!("it was asked once"),
        };
        self.tell_wait(call, before);
        landed
    }

    /// Tells how long a call has waited since it had waited so long.
    #[cfg_attr(not(feature = "metrics"), allow(unused_variables, clippy::unused_self))]
    fn tell_wait(&self, call: &Call, before: u64) {
        #[cfg(feature = "metrics")]
        {
            let waited = call.waited_nanos().saturating_sub(before);
            if waited > 0 {
                self.0.meter.tell(waited);
            }
        }
    }

    /// Counts and tells what a request came to.
    pub(in super::super) fn pass<'p>(&'p self, landed: Landed<'p>) -> Result<Pass<'p>, Rejection> {
        match landed {
            Landed::Decided(decision, place, rules) => {
                self.conclude(&decision, rules)?;
                let told = rules.is_adaptive() && !decision.is_past();
                let taken = told.then(|| Taken {
                    spot: self.fleet_spot(place),
                    mark: 0,
                    cost: 0,
                });
                Ok(Pass {
                    limiter: self,
                    allowance: decision.into(),
                    taken,
                })
            }
            Landed::Local(limiter, ended) => {
                self.conclude(ended.decision(), ended.rules())?;
                Ok(Pass {
                    limiter,
                    allowance: (*ended.decision()).into(),
                    taken: Some(*ended.taken()),
                })
            }
            Landed::Undecided(absent, choice, rules) => self.undecided(absent, choice, rules),
        }
    }

    fn fleet_spot(&self, place: Option<Place>) -> Spot<'_> {
        match &self.0.shared {
            Some(shared) => Spot::Fleet(shared, place),
            None => self.spot(),
        }
    }

    fn cause(&self, absent: Absent) -> Arc<StoreError> {
        let store = self.0.sink.store().get();
        match (absent, store.map(|store| store.health().status)) {
            (Absent::Failed(error), _) => error,
            (Absent::NotSet, _) | (_, None) => StoreError::NotSet.into(),
            (Absent::Away, Some(StoreStatus::Down { cause, .. })) => cause.into(),
            (Absent::Away, Some(_)) => StoreError::Unreachable {
                problem: "there is no connection yet".to_owned(),
            }
            .into(),
        }
    }

    #[cold]
    fn undecided(
        &self,
        absent: Absent,
        choice: OnStoreError,
        rules: &Rules,
    ) -> Result<Pass<'_>, Rejection> {
        let enforced = choice == OnStoreError::Deny && rules.enforce;
        let unavailable = StoreUnavailable {
            policy: self.name().clone(),
            retry_after: (!matches!(absent, Absent::NotSet)).then_some(AGAIN),
            cause: self.cause(absent),
        };
        let counter = match choice {
            OnStoreError::Deny => REJECTED,
            _ => ALLOWED,
        };
        self.0.gate.totals.add(counter, 1);
        self.0.sink.tell_debug(|| {
            Event::Refused(Refused {
                policy: self.name().clone(),
                kind: PolicyKind::RateLimiter,
                rejection: Rejection::StoreUnavailable(unavailable.clone()),
                enforced,
            })
        });
        if enforced {
            return Err(Rejection::StoreUnavailable(unavailable));
        }
        let limit = rules.settings().rate.map_or(0, Rate::count);
        Ok(Pass {
            limiter: self,
            allowance: Decision {
                limit,
                ..Decision::NOTHING
            }
            .into(),
            taken: None,
        })
    }
}

/// What can be said without asking, and needs nothing fetched after it.
fn glance<'p>(core: &'p Core, lane: &Arc<Lane>, now: Nanos, wish: Wish) -> Option<Landed<'p>> {
    let books = lane.books();
    let rules = &core.in_force.of(books.edition).rules;
    let give_up = wish.stay(rules, now).map(|stay| stay.give_up);
    let refused = books.refusal(now, wish.cost, wish.rate, give_up)?;
    Some(Landed::Decided(refused, lane.place(), rules))
}

/// What can be said of permits now or never; where nothing can, some are fetched.
fn ask_here<'p>(
    core: &'p Core,
    lane: &Lane,
    now: Nanos,
    cost: u32,
) -> (Option<Decision>, &'p Rules) {
    let mut books = lane.books();
    let in_force = core.in_force.of(books.edition);
    let rules = &in_force.rules;
    let here = match in_force.terms(None).filter(|terms| cost <= terms.limit) {
        _ if rules.off => Some(rules.past()),
        None => Some(hopeless(in_force.limit(), cost)),
        Some(terms) if cost == 0 => {
            let granted = books.nothing_asked(now);
            let limit = granted.limit.max(terms.limit);
            Some(Decision { limit, ..granted })
        }
        Some(terms) => books.glance(now, cost, None, None).or_else(|| {
            let ready = books.ready(&terms, now, cost)?;
            Some(books.behind(now, ready))
        }),
    };
    if here.is_none() {
        books.fetch(now, cost, None);
    }
    (here, rules)
}

impl Wish {
    fn stay(&self, rules: &Rules, now: Nanos) -> Option<Stay> {
        self.patience?.stay(rules, now)
    }
}

impl Shared {
    /// Whether the store can be asked.
    #[inline]
    fn is_up(&self) -> Result<(), Absent> {
        match self.core.store() {
            Ok(store) if store.is_up() => Ok(()),
            Ok(_) => Err(Absent::Away),
            Err(_) => Err(Absent::NotSet),
        }
    }
}

impl Lane {
    /// Where it is among the keys.
    fn place(&self) -> Option<Place> {
        self.key.as_ref().map(|_| Place::own(self.hash))
    }
}

/// The refusal of more than the limit ever holds.
fn hopeless(limit: u32, cost: u32) -> Decision {
    Decision {
        allowed: cost == 0,
        limit,
        retry_after: (cost == 0).then_some(Duration::ZERO),
        ..Decision::NOTHING
    }
}

/// Keys are text.
fn text(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}
