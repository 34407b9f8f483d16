//! One limit, as this instance sees it: who asks the store, who waits, what is held, what was refused.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicBool},
    task::Waker,
    time::{Duration, Instant},
};

use super::{
    answers::Answers,
    core::InForce,
    denial::Denial,
    lots::{Lot, Lots},
    terms::Terms,
};
use crate::{
    algorithm::decision::Decision,
    clock::Nanos,
    policy::{
        rate_limiter::{patience::Stay, rules::Rules as LocalRules},
        reloadable::Edition,
    },
    queue::{Queue, Ticket, Waiter},
    rate::Rate,
    store::{Reply, StoreError},
    sync::{Mutex, MutexGuard, lock},
    waiter::wake,
};

/// A limit of the store's. Kept by those who are at it; see [`Lanes`](super::lanes::Lanes).
pub(super) struct Lane {
    pub(super) hash: u64,
    /// `None`: the one that all calls without a key share.
    pub(super) key: Option<Box<[u8]>>,
    /// Whether anybody has come since the last sweep.
    pub(super) used: AtomicBool,
    books: Mutex<Books>,
}

/// What is behind the lock. Pure: takes the time, and leaves to others what must happen outside.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// What all of it is under.
    pub(super) edition: Edition<InForce>,
    denial: Option<Denial>,
    pub(super) told: Option<Told>,
    /// How calls ended since the store was told.
    ended: Ended,
    /// The rate of the last call.
    rate: Option<Rate>,
    /// Made when somebody asks, gone when nobody does.
    line: Option<Box<Line>>,
}

/// What the store has said last of how the limit stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) limit: u32,
    pub(super) share: Option<f64>,
    pub(super) remaining: u32,
    pub(super) reset: Nanos,
}

#[derive(Debug, Clone, Copy, Default)]
struct Ended {
    well: u32,
    badly: u32,
}

/// Those who ask, in the order in which they came.
#[derive(Debug, Default)]
struct Line {
    /// Those whose question has not been sent.
    queue: Queue<Want>,
    /// Those whose question has, until they come for the answer.
    seats: BTreeMap<Ticket, Seat>,
    /// Questions that are under way.
    flights: u32,
    /// Of these, those that somebody is just sending, and will look after the queue when it is done.
    starting: u32,
    /// When the newest of them was sent.
    newest: Nanos,
    /// The first in line is to wait until then.
    not_before: Nanos,
    /// Somebody who cannot wait has had permits fetched.
    fetching: bool,
    lots: Lots,
}

/// What somebody wants.
#[derive(Debug, Clone, Copy)]
pub(super) struct Want {
    pub(super) rate: Option<Rate>,
    /// How long it may wait; `None`: not at all.
    stay: Option<Stay>,
    /// When it came.
    since: Nanos,
    /// Nobody: the permits are for the next one who cannot wait.
    ahead: bool,
}

impl Want {
    /// How long it may wait; `None`: not at all.
    pub(super) fn give_up(&self) -> Option<Nanos> {
        Some(self.stay?.give_up)
    }

    /// The same by other rules. Who may not wait any longer is told what the store says now.
    fn change(&mut self, rules: &LocalRules, now: Nanos) {
        let stay = self.stay.filter(|_| rules.max_wait.is_some());
        let stay = stay.map(|stay| stay.under(rules));
        let is_over = stay.is_none_or(|stay| stay.give_up <= now);
        if self.stay.is_some() && is_over {
            self.since = now;
        }
        self.stay = stay.filter(|_| !is_over);
    }
}

#[derive(Debug)]
enum Seat {
    Asked(Waker),
    /// With what was asked for, for the next one if the caller goes.
    Answered(Outcome, u32, Option<Rate>),
}

/// What a question came to.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// By the rules of this.
    Decided(Decision, Edition<InForce>),
    /// Whether anything was taken is not known.
    Failed(Arc<StoreError>),
}

/// What a caller finds on arrival.
#[derive(Debug)]
pub(super) enum Arrival {
    Ended(Decision),
    /// The store has to be asked.
    Asks(Ticket),
}

/// What somebody finds who looks for the answer.
#[derive(Debug)]
pub(super) enum Look {
    Ready(Outcome),
    Until(Nanos),
    /// It is time to send the question.
    Send,
}

/// A question that is sent.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) edition: Edition<InForce>,
    pub(super) calls: Vec<Call>,
    pub(super) rate: Option<Rate>,
    pub(super) sent: Nanos,
    pub(super) started: Instant,
    /// Less time than the store gives, where one of the calls has waited already.
    pub(super) within: Option<Duration>,
    /// Permits to take on top.
    pub(super) extra: u32,
    pub(super) well: u32,
    pub(super) badly: u32,
    /// Whether some of them may wait.
    pub(super) waits: bool,
}

#[derive(Debug)]
pub(super) struct Call {
    ticket: Ticket,
    pub(super) cost: u32,
    pub(super) want: Want,
}

/// What a lane goes by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// The most that is held ahead; zero where nothing is.
    pub(super) ahead: u32,
    pub(super) life: Duration,
    /// How long the store may take, and how long it does.
    pub(super) deadline: Duration,
    pub(super) usual: Duration,
    /// Whether how calls end is told.
    pub(super) adapts: bool,
    /// Whether callers may wait for their turn.
    pub(super) waits: bool,
}

/// So many calls are decided at once: what a script takes is bounded, and with it what others wait.
pub(super) const BATCH: usize = 512;
/// Questions under way at a time, where one after another would take too long.
const FLIGHTS: u32 = 4;
/// Time that nobody misses.
const MOMENT: Duration = Duration::from_millis(1);

/// What is left to do when it goes by other rules.
#[derive(Debug)]
pub(super) struct Changed {
    /// What it went by.
    pub(super) former: Edition<InForce>,
    pub(super) wakes: Wakes,
    /// What was held, by its rate.
    pub(super) held: Option<(Option<Rate>, Vec<Lot>)>,
}

/// What is left to do when a question has come back.
#[derive(Debug, Default)]
pub(super) struct Landing {
    pub(super) wakes: Wakes,
    /// Whether nobody else looks after the queue.
    pub(super) go_on: bool,
    /// Permits that are to be given back.
    pub(super) unwanted: Vec<Lot>,
}

/// To be run outside the lock: waking or dropping a waker may run foreign code.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Wakes {
    woken: Vec<Waker>,
    gone: Option<Waker>,
}

impl Wakes {
    pub(super) fn run(self) {
        self.woken.into_iter().for_each(wake);
        drop(self.gone);
    }
}

impl Lane {
    pub(super) fn alone() -> Self {
        Self::new(0, None, Edition::default())
    }

    pub(super) fn of_key(hash: u64, key: &[u8], edition: Edition<InForce>) -> Self {
        Self::new(hash, Some(key.into()), edition)
    }

    fn new(hash: u64, key: Option<Box<[u8]>>, edition: Edition<InForce>) -> Self {
        Self {
            hash,
            key,
            used: AtomicBool::new(false),
            books: Mutex::new(Books {
                edition,
                ..Books::default()
            }),
        }
    }

    pub(super) fn is(&self, hash: u64, key: &[u8]) -> bool {
        self.hash == hash && self.key.as_deref() == Some(key)
    }

    #[inline]
    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        lock(&self.books)
    }
}

impl Books {
    /// What can be said without asking, by a refusal that is remembered or permits that are held.
    #[inline]
    pub(super) fn glance(
        &mut self,
        now: Nanos,
        cost: u32,
        rate: Option<Rate>,
        give_up: Option<Nanos>,
    ) -> Option<Decision> {
        if let Some(refusal) = self.refusal(now, cost, rate, give_up) {
            return Some(refusal);
        }
        let line = self.line.as_mut()?;
        if !line.queue.is_empty() || !line.lots.take(now, cost, rate) {
            return None;
        }
        let left = line.lots.held(now, rate);
        Some(self.granted(now, left))
    }

    /// The refusal that is remembered.
    #[inline]
    pub(super) fn refusal(
        &self,
        now: Nanos,
        cost: u32,
        rate: Option<Rate>,
        give_up: Option<Nanos>,
    ) -> Option<Decision> {
        self.denial.as_ref()?.answer(now, cost, rate, give_up)
    }

    /// The answer to one who wants no permits.
    pub(super) fn nothing_asked(&mut self, now: Nanos) -> Decision {
        let held = self.held(now, None);
        self.granted(now, held)
    }

    fn granted(&self, now: Nanos, left: u32) -> Decision {
        let told = self.told.as_ref();
        Decision {
            allowed: true,
            limit: told.map_or(0, |told| told.limit),
            remaining: told.map_or(0, |told| told.remaining).max(left),
            retry_after: Some(Duration::ZERO),
            reset_after: told.map_or(Duration::ZERO, |told| told.reset.since(now)),
            mark: 0,
        }
    }

    /// A caller comes whom [`glance`](Self::glance) could not answer.
    pub(super) fn arrive(
        &mut self,
        terms: &Terms,
        now: Nanos,
        cost: u32,
        rate: Option<Rate>,
        stay: Option<Stay>,
    ) -> Arrival {
        self.rate = rate;
        let line = self.line.get_or_insert_default();
        if let Some(ready) = line.ready(terms, now, cost)
            && stay.is_none_or(|stay| ready > stay.give_up)
        {
            return Arrival::Ended(self.behind(now, ready));
        }
        let want = Want {
            rate,
            stay,
            since: now,
            ahead: false,
        };
        // Its own waker comes with its first look.
        Arrival::Asks(line.queue.push(want, cost, Waker::noop().clone()))
    }

    /// One who cannot wait has found nothing: has permits fetched for the next time, unless that is being
    /// done.
    pub(super) fn fetch(&mut self, now: Nanos, cost: u32, rate: Option<Rate>) {
        self.rate = rate;
        let line = self.line.get_or_insert_default();
        let missing = cost.saturating_sub(line.lots.held(now, rate));
        if line.fetching || missing == 0 || !line.queue.is_empty() {
            return;
        }
        line.fetching = true;
        let want = Want {
            rate,
            stay: None,
            since: now,
            ahead: true,
        };
        line.queue.push(want, missing, Waker::noop().clone());
    }

    /// The refusal of one who found others waiting.
    pub(super) fn behind(&self, now: Nanos, ready: Nanos) -> Decision {
        Decision {
            allowed: false,
            remaining: 0,
            retry_after: Some(ready.since(now)),
            ..self.granted(now, 0)
        }
    }

    /// When one could be served who comes now and finds others waiting, at best.
    pub(super) fn ready(&self, terms: &Terms, now: Nanos, cost: u32) -> Option<Nanos> {
        self.line.as_ref()?.ready(terms, now, cost)
    }

    /// Permits that are held here.
    pub(super) fn held(&mut self, now: Nanos, rate: Option<Rate>) -> u32 {
        self.line
            .as_mut()
            .map_or(0, |line| line.lots.held(now, rate))
    }

    /// Whether so few permits are held that some should be taken before they run out.
    pub(super) fn is_short(&mut self, rules: &Rules, now: Nanos) -> bool {
        let rate = self.rate;
        rules.ahead > 0
            && self.line.as_mut().is_some_and(|line| {
                line.flights == 0 && line.lots.short(now, rules.ahead, rate) > 0
            })
    }

    /// The next question, if it is time for one. `due`: even if nobody asks anything.
    pub(super) fn launch(&mut self, rules: &Rules, now: Nanos, due: bool) -> Option<Flight> {
        let told = rules.adapts && self.ended.well + self.ended.badly > 0;
        let line = match due {
            true => self.line.get_or_insert_default(),
            false => self.line.as_mut()?,
        };
        if !line.may_ask(rules, now, due) {
            self.tidy();
            return None;
        }
        let rate = line
            .queue
            .front()
            .map_or(self.rate, |first| first.data.rate);
        let mut flight = Flight {
            edition: self.edition,
            calls: Vec::new(),
            rate,
            sent: now,
            started: Instant::now(),
            within: None,
            extra: match rules.ahead {
                0 => 0,
                most => line.lots.fill(now, most, rate, rules.life),
            },
            well: 0,
            badly: 0,
            waits: false,
        };
        line.board(&mut flight, rules);
        if flight.calls.is_empty() && flight.extra == 0 && !told {
            self.tidy();
            return None;
        }
        line.flights += 1;
        line.starting += 1;
        line.newest = now;
        if told {
            let Ended { well, badly } = std::mem::take(&mut self.ended);
            (flight.well, flight.badly) = (well, badly);
        }
        Some(flight)
    }

    /// A question has been sent.
    pub(super) fn launched(&mut self) {
        if let Some(line) = &mut self.line {
            line.starting -= 1;
        }
        self.tidy();
    }

    /// A question has been answered, or came to nothing. `rules` are those in force here now.
    pub(super) fn land(
        &mut self,
        terms: &Terms,
        rules: &LocalRules,
        flight: Flight,
        outcome: Result<Reply, StoreError>,
        now: Nanos,
    ) -> Landing {
        let reply = outcome.and_then(|reply| Answers::read(&reply, flight.calls.len()));
        let mut landing = Landing::default();
        let is_former = flight.edition != self.edition;
        let Some(line) = &mut self.line else {
            return landing;
        };
        line.flights -= 1;
        line.lots.arrived(flight.extra);
        line.fetching &= !flight.calls.iter().any(|call| call.want.ahead);
        match reply {
            Err(error) => line.fail(&flight, error, &mut landing.wakes),
            Ok(answers) if is_former => {
                landing.unwanted =
                    line.seat_former(terms, rules, flight, &answers, now, &mut landing.wakes);
            }
            Ok(answers) => {
                self.told = Some(answers.told(self.told, now));
                let denied = line.seat(terms, flight, &answers, now, &mut landing.wakes);
                for denial in denied {
                    if self.denial.is_none_or(|held| denial.replaces(&held, now)) {
                        self.denial = Some(denial);
                    }
                }
            }
        }
        landing.go_on = line.starting == 0;
        landing
    }

    /// Goes over to other rules: forgets what is known, and hands out what is held, for it to be given
    /// back. Those who wait ask anew, or go on where there is no limit.
    pub(super) fn change(
        &mut self,
        edition: Edition<InForce>,
        rules: &LocalRules,
        now: Nanos,
    ) -> Changed {
        let former = std::mem::replace(&mut self.edition, edition);
        let held = self.drain(now);
        self.denial = None;
        self.told = None;
        let mut wakes = Wakes::default();
        if let Some(line) = &mut self.line {
            line.not_before = Nanos(0);
            match rules.off {
                true => line.let_go(rules, edition, &mut wakes),
                false => line.judge(rules, now, &mut wakes),
            }
        }
        self.tidy();
        Changed {
            former,
            wakes,
            held,
        }
    }

    /// Somebody looks for the answer.
    pub(super) fn look(
        &mut self,
        rules: &Rules,
        ticket: Ticket,
        waker: &Waker,
        now: Nanos,
    ) -> (Look, Wakes) {
        let mut wakes = Wakes::default();
        let Some(line) = &mut self.line else {
            return (Look::Until(Nanos::NEVER), wakes);
        };
        match line.seats.get_mut(&ticket) {
            Some(Seat::Asked(held)) => {
                if !held.will_wake(waker) {
                    wakes.gone = Some(std::mem::replace(held, waker.clone()));
                }
                return (Look::Until(Nanos::NEVER), wakes);
            }
            Some(Seat::Answered(..)) => {
                let look = match line.seats.remove(&ticket) {
                    Some(Seat::Answered(outcome, ..)) => Look::Ready(outcome),
                    _ => Look::Until(Nanos::NEVER),
                };
                self.tidy();
                return (look, wakes);
            }
            None => {}
        }
        let Some(want) = line.queue.get(ticket).map(|waiter| waiter.data) else {
            return (Look::Until(Nanos::NEVER), wakes);
        };
        let give_up = want.give_up().unwrap_or(Nanos::NEVER);
        if give_up <= now {
            let ready = line.not_before.max(now);
            wakes = line.leave(ticket);
            let refused = self.behind(now, ready);
            self.tidy();
            let outcome = Outcome::Decided(refused, self.edition);
            return (Look::Ready(outcome), wakes);
        }
        wakes.gone = line.queue.set_waker(ticket, waker);
        let until = match line.queue.is_front(ticket) {
            true if line.may_ask(rules, now, false) => return (Look::Send, wakes),
            true if line.not_before > now => line.not_before.min(give_up),
            _ => give_up,
        };
        (Look::Until(until), wakes)
    }

    /// A caller has gone. What was taken for it goes to the next one who wants as much, if there is one.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Wakes {
        let Some(line) = &mut self.line else {
            return Wakes::default();
        };
        let wakes = line.leave(ticket);
        self.tidy();
        wakes
    }

    /// How a call ended; whether it is the first since the store was told.
    pub(super) fn report(&mut self, success: bool) -> bool {
        let first = self.ended.well + self.ended.badly == 0;
        let count = match success {
            true => &mut self.ended.well,
            false => &mut self.ended.badly,
        };
        *count = count.saturating_add(1).min(u32::MAX / 4);
        first
    }

    pub(super) fn waiting(&self) -> usize {
        self.line
            .as_ref()
            .map_or(0, |line| line.queue.len() + line.seats.len())
    }

    /// Forgets what is known and held; those who wait ask anew.
    pub(super) fn reset(&mut self) -> Wakes {
        self.denial = None;
        self.ended = Ended::default();
        self.told = None;
        let Some(line) = &mut self.line else {
            return Wakes::default();
        };
        line.lots.clear();
        line.not_before = Nanos(0);
        let mut wakes = Wakes::default();
        wakes.woken.extend(line.first());
        self.tidy();
        wakes
    }

    /// Takes what is held out, to give it back.
    pub(super) fn drain(&mut self, now: Nanos) -> Option<(Option<Rate>, Vec<Lot>)> {
        let (rate, lots) = self.line.as_mut()?.lots.drain(now);
        (!lots.is_empty()).then_some((rate, lots))
    }

    /// A key that nobody is at takes little memory. No ticket is out then: they can begin anew.
    fn tidy(&mut self) {
        let idle = self.line.as_ref().is_some_and(|line| {
            line.queue.is_empty()
                && line.seats.is_empty()
                && line.flights + line.starting == 0
                && line.lots.is_empty()
        });
        if idle {
            self.line = None;
        }
    }
}

impl Line {
    /// When one could be served who comes now, at best; `None` where nobody waits.
    fn ready(&self, terms: &Terms, now: Nanos, cost: u32) -> Option<Nanos> {
        let first = self.queue.front().filter(|_| self.not_before > now)?;
        let behind = self.queue.weight() - u64::from(first.weight) + u64::from(cost);
        Some(self.not_before.after(terms.at_least(first.weight, behind)))
    }

    /// Whether it is time to ask: one question at a time, and what comes meanwhile goes together as the
    /// next one. A second one goes beside it only where waiting for the first could cost the deadline, and
    /// nobody could be overtaken by that.
    fn may_ask(&self, rules: &Rules, now: Nanos, due: bool) -> bool {
        let Some(first) = self.queue.front() else {
            return self.flights == 0 && due;
        };
        if now < self.not_before {
            return false;
        }
        match self.flights {
            0 => true,
            FLIGHTS.. => false,
            _ if rules.waits => false,
            _ => {
                let passed = now.since(self.newest);
                let first_ends = match passed > (rules.usual * 2).max(rules.deadline / 4) {
                    // It hangs.
                    true => rules.deadline,
                    false => rules.usual,
                };
                let waited = now.since(first.data.since);
                let expected = waited + first_ends.saturating_sub(passed) + rules.usual;
                expected > rules.deadline * 3 / 4
            }
        }
    }

    /// Takes those who ask for the same rate out of the queue.
    fn board(&mut self, flight: &mut Flight, rules: &Rules) {
        let now = flight.sent;
        while flight.calls.len() < BATCH {
            if self
                .queue
                .front()
                .is_none_or(|first| first.data.rate != flight.rate)
            {
                break;
            }
            let (Some(ticket), Some(waiter)) = (self.queue.front_ticket(), self.queue.pop_front())
            else {
                break;
            };
            let Waiter {
                data: want,
                weight: cost,
                waker,
            } = waiter;
            // Waiting for its turn is not waiting for the store.
            let waited = now.since(want.since.max(self.not_before));
            if want.stay.is_none() && waited >= MOMENT {
                let left = rules.deadline.saturating_sub(waited).max(MOMENT);
                flight.within = Some(flight.within.map_or(left, |within| within.min(left)));
            }
            flight.waits |= want.stay.is_some();
            self.seats.insert(ticket, Seat::Asked(waker));
            flight.calls.push(Call { ticket, cost, want });
        }
        self.not_before = Nanos(0);
    }

    fn fail(&mut self, flight: &Flight, error: StoreError, wakes: &mut Wakes) {
        let error = Arc::new(error);
        for call in &flight.calls {
            let outcome = Outcome::Failed(Arc::clone(&error));
            self.answer(call, outcome, wakes);
        }
    }

    /// Hands an outcome to whoever asked; `false` where nobody is there any more.
    fn answer(&mut self, call: &Call, outcome: Outcome, wakes: &mut Wakes) -> bool {
        if call.want.ahead {
            wakes.woken.extend(self.take_seat(call.ticket));
            return false;
        }
        let Some(waker) = self.take_seat(call.ticket) else {
            return false;
        };
        let answered = Seat::Answered(outcome, call.cost, call.want.rate);
        self.seats.insert(call.ticket, answered);
        wakes.woken.push(waker);
        true
    }

    /// Takes one out who has not been answered.
    fn take_seat(&mut self, ticket: Ticket) -> Option<Waker> {
        if !matches!(self.seats.get(&ticket), Some(Seat::Asked(_))) {
            return None;
        }
        match self.seats.remove(&ticket) {
            Some(Seat::Asked(waker)) => Some(waker),
            _ => None,
        }
    }

    /// Whether its caller is still there.
    fn is_there(&self, call: &Call) -> bool {
        matches!(self.seats.get(&call.ticket), Some(Seat::Asked(_))) && !call.want.ahead
    }

    /// Hands all the answers out; returns the refusals to be remembered.
    fn seat(
        &mut self,
        terms: &Terms,
        flight: Flight,
        answers: &Answers,
        now: Nanos,
        wakes: &mut Wakes,
    ) -> Vec<Denial> {
        let Flight {
            edition,
            calls,
            rate,
            sent,
            extra,
            ..
        } = flight;
        let (mut denied, mut back) = (Vec::new(), Vec::new());
        let until = sent.after(terms.life);
        let lot = |permits| Lot {
            permits,
            until,
            mark: answers.mark,
        };
        for (index, call) in calls.into_iter().enumerate() {
            let Some(decision) = answers.decision(index) else {
                back.push(call);
                continue;
            };
            if decision.allowed {
                if call.want.ahead {
                    self.lots.put(lot(call.cost), rate);
                }
                let outcome = Outcome::Decided(decision, edition);
                let is_there = self.answer(&call, outcome, wakes);
                if !is_there && !call.want.ahead {
                    self.pass_on(call.cost, rate, (decision, edition), wakes);
                }
                continue;
            }
            denied.extend(Denial::new(call.cost, rate, &decision, sent));
            let ready = decision
                .retry_after
                .map_or(Nanos::NEVER, |wait| now.after(wait));
            let waits = call.want.give_up().is_some_and(|give_up| ready <= give_up);
            if waits && self.is_there(&call) && index + 1 == answers.len() {
                self.not_before = ready;
                back.push(call);
            } else {
                self.answer(&call, Outcome::Decided(decision, edition), wakes);
            }
        }
        self.put_back(back, wakes);
        if answers.granted < extra {
            self.lots.ran_dry(now, terms.life);
        }
        if answers.granted > 0 {
            self.lots.put(lot(answers.granted), rate);
        }
        denied
    }

    /// The same of answers that were given by rules which are not in force any more: what was taken is
    /// taken, who was refused and may wait asks anew, and nothing is remembered. Permits that nobody asked
    /// for are returned.
    fn seat_former(
        &mut self,
        terms: &Terms,
        rules: &LocalRules,
        flight: Flight,
        answers: &Answers,
        now: Nanos,
        wakes: &mut Wakes,
    ) -> Vec<Lot> {
        let Flight {
            edition,
            calls,
            rate,
            sent,
            ..
        } = flight;
        let (mut back, mut unwanted) = (Vec::new(), answers.granted);
        for (index, mut call) in calls.into_iter().enumerate() {
            call.want.change(rules, now);
            let Some(decision) = answers.decision(index) else {
                back.push(call);
                continue;
            };
            if !decision.allowed && call.want.stay.is_some() {
                back.push(call);
                continue;
            }
            let is_there = self.answer(&call, Outcome::Decided(decision, edition), wakes);
            match (decision.allowed, call.want.ahead) {
                (true, true) => unwanted = unwanted.saturating_add(call.cost),
                (true, false) if !is_there => {
                    self.pass_on(call.cost, rate, (decision, edition), wakes);
                }
                _ => {}
            }
        }
        self.put_back(back, wakes);
        let lot = Lot {
            permits: unwanted,
            until: sent.after(terms.life),
            mark: answers.mark,
        };
        if unwanted > 0 { vec![lot] } else { Vec::new() }
    }

    /// All go on: there is no limit.
    fn let_go(&mut self, rules: &LocalRules, edition: Edition<InForce>, wakes: &mut Wakes) {
        let past = || Seat::Answered(Outcome::Decided(rules.past(), edition), 0, None);
        for seat in self.seats.values_mut() {
            // Of permits that are fetched ahead nobody comes for the answer: the question's is enough.
            match std::mem::replace(seat, past()) {
                Seat::Asked(waker) => wakes.woken.push(waker),
                answered => *seat = answered,
            }
        }
        while let Some(ticket) = self.queue.front_ticket() {
            let Some(waiter) = self.queue.pop_front() else {
                break;
            };
            match waiter.data.ahead {
                true => self.fetching = false,
                false => drop(self.seats.insert(ticket, past())),
            }
            wakes.woken.push(waiter.waker);
        }
    }

    /// Judges those whose question has not been sent by other rules. All are woken, for they have other
    /// times to wait for.
    fn judge(&mut self, rules: &LocalRules, now: Nanos, wakes: &mut Wakes) {
        for ticket in self.queue.tickets() {
            if let Some(waiter) = self.queue.get_mut(ticket) {
                waiter.data.change(rules, now);
                wakes.woken.push(waiter.waker.clone());
            }
        }
    }

    /// Those who are to wait go back to where they were in line. They are woken, for they have timers to
    /// set.
    fn put_back(&mut self, back: Vec<Call>, wakes: &mut Wakes) {
        for call in back.into_iter().rev() {
            let Some(waker) = self.take_seat(call.ticket) else {
                continue;
            };
            wakes.woken.push(waker.clone());
            let waiter = Waiter {
                data: call.want,
                weight: call.cost,
                waker,
            };
            self.queue.put_back(call.ticket, waiter);
        }
    }

    /// Permits whose caller has gone: they are taken in the store, so the next who wants as many has them.
    /// Where there is none they are lost.
    fn pass_on(
        &mut self,
        cost: u32,
        rate: Option<Rate>,
        (decision, edition): (Decision, Edition<InForce>),
        wakes: &mut Wakes,
    ) {
        let wants = |waiter: &Waiter<Want>| {
            waiter.weight == cost && waiter.data.rate == rate && !waiter.data.ahead
        };
        let next = self.queue.find(wants);
        let Some((ticket, waiter)) =
            next.and_then(|ticket| Some((ticket, self.queue.remove(ticket)?)))
        else {
            return;
        };
        let outcome = Outcome::Decided(decision, edition);
        self.seats
            .insert(ticket, Seat::Answered(outcome, cost, rate));
        wakes.woken.push(waiter.waker);
        wakes.woken.extend(self.first());
    }

    fn leave(&mut self, ticket: Ticket) -> Wakes {
        let mut wakes = Wakes::default();
        match self.seats.remove(&ticket) {
            // Its question goes on without it.
            Some(Seat::Asked(waker)) => wakes.gone = Some(waker),
            Some(Seat::Answered(Outcome::Decided(decision, edition), cost, rate))
                if decision.allowed && !decision.is_past() =>
            {
                self.pass_on(cost, rate, (decision, edition), &mut wakes);
            }
            Some(_) => {}
            None => {
                let was_first = self.queue.is_front(ticket);
                wakes.gone = self.queue.remove(ticket).map(|waiter| waiter.waker);
                if was_first {
                    // The next one may be waiting for less.
                    self.not_before = Nanos(0);
                    wakes.woken.extend(self.first());
                }
            }
        }
        wakes
    }

    /// The first in line, to be woken: its turn may come sooner than it knows.
    fn first(&self) -> Option<Waker> {
        Some(self.queue.front()?.waker.clone())
    }
}
