//! One instance's part of a shared bulkhead: who waits here, which of the fleet's places are its own, and
//! what it has asked the store for.
//!
//! A place is *held* from the moment the store says so. It is good until its lease, counted from the
//! moment when the question was *sent*, has passed on this instance's own clock: the store counts from
//! later on, so it gives the place to nobody else before. Whatever is sent is described by an [`Effect`],
//! which the owner carries out after it has let go of its lock; every answer comes back as a call. So the
//! whole is a machine that can be explored.
//!
//! Callers stand in one line. At most two questions are under way, and they are for those in front: a place
//! that comes, from the store or from a call that ended, goes to the head of the line whoever asked for it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use crate::clock::Nanos;

/// What was agreed on, as it is at this moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Calls of the whole fleet that may run at once.
    pub(crate) limit: u32,
    /// Nobody is refused, only told of.
    pub(crate) watches: bool,
    /// Callers wait where there is no place.
    pub(crate) waits: bool,
    /// So many at most.
    pub(crate) max_queue: u32,
    pub(crate) lease: Duration,
    /// Within which the store answers.
    pub(crate) deadline: Duration,
    /// What happens without the store.
    pub(crate) alone: Alone,
    /// As far as is known it answers.
    pub(crate) up: bool,
}

/// What an instance does without its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alone {
    /// It lets so many calls run, those included that hold a place of the fleet.
    Share(u32),
    /// It lets every call run.
    Open,
    /// It lets none run.
    Shut,
}

/// Under what a call runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pass {
    /// A place of the fleet. The number is the call's own only where it asked for one.
    Place { id: u64, fence: u64, over: bool },
    /// No place of the fleet: the store is away.
    Alone { over: bool },
}

/// What became of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Turn {
    In(Pass),
    /// No place, and no point in waiting for one behind so many.
    Full {
        waiting: u32,
    },
    /// The store is away, and that is that.
    Away,
}

/// What a newcomer finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entrance {
    Turn(Turn),
    /// A place in the line.
    Line(u64),
}

/// How it stands with a caller in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Turn(Turn),
    Line {
        /// The store has been asked for it, and said no: from now on it waits for others to leave.
        denied: bool,
        /// When [`nudge`](Desk::nudge) is worth calling.
        at: Option<Nanos>,
    },
}

/// What is to be done, outside the lock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Effect {
    /// Ask the store for these places; [`landed`](Desk::landed) takes the answer.
    Ask {
        flight: u64,
        ids: Vec<u64>,
        within: Duration,
    },
    /// Renew these; [`renewed`](Desk::renewed) takes the answer.
    Renew {
        flight: u64,
        ids: Vec<u64>,
    },
    /// Give these back; [`released`](Desk::released) takes the answer.
    Release {
        flight: u64,
        ids: Vec<u64>,
    },
    Wake(u64),
    /// A call runs on without its place.
    Lost {
        fence: u64,
    },
}

/// The store's answer to [`Effect::Ask`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Granted {
    /// For each, its fencing number if it was given.
    pub(crate) fences: Vec<Option<u64>>,
    /// Places held by the fleet.
    pub(crate) in_flight: u32,
    /// Until the first lease of all ends.
    pub(crate) first_end: Duration,
}

/// There is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Failed {
    /// And nothing was done.
    Surely,
    /// But it may be done all the same, even later.
    Perhaps,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Desk {
    /// The next ticket, place or question: their order is that of coming.
    next: u64,
    /// How long the leases are of places from that number on.
    leases: Vec<(u64, Duration)>,
    line: VecDeque<Waiter>,
    /// Those who left the line and have not looked since.
    turns: BTreeMap<u64, Turn>,
    held: BTreeMap<u64, Held>,
    /// Places that were lost before their calls ended.
    lost: BTreeSet<u64>,
    /// Calls that run without one.
    alone: u32,
    /// At most two, in the order of sending.
    flights: Vec<Flight>,
    renewals: BTreeMap<u64, (Nanos, Vec<u64>)>,
    owed: BTreeMap<u64, Owed>,
    /// Under way; one at a time.
    release: Option<(u64, Vec<u64>)>,
    /// How often in a row the head of the line was denied.
    denials: u32,
    /// When it asks again; nothing where it waits for something else.
    retry: Option<Nanos>,
    /// The last answer was none.
    failing: bool,
    /// Places of the fleet that were held when it was last heard of.
    fleet: u32,
    /// The highest fencing number that a caller was shown.
    shown: u64,
    /// Callers who cannot wait: for whom to ask ahead, how many came of late, and until when that counts.
    fetch: u32,
    tried: u32,
    tried_until: Nanos,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Waiter {
    ticket: u64,
    fenced: bool,
    denied: bool,
    came: Nanos,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Flight {
    number: u64,
    sent: Nanos,
    ids: Vec<u64>,
    /// For so many of the line.
    wishes: usize,
    /// It was asked by terms that are not in force any more: nobody is denied a place for it.
    is_old: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Held {
    /// The question that it was last granted or renewed by, and when that was sent.
    by: u64,
    since: Nanos,
    until: Nanos,
    fence: u64,
    /// Beyond the limit, where that is only watched.
    over: bool,
    used: Used,
    renewing: bool,
    /// A question for it may yet be answered, and have it taken after it was given back.
    doubtful: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Used {
    Call,
    /// By nobody, from then on.
    Spare(Nanos),
    /// By nobody, while the store is asked for a new number.
    Asked,
}

/// A place to be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Owed {
    next: Nanos,
    /// When it has come back by itself.
    end: Nanos,
    settled: Settled,
}

/// What it takes for a place to be given back for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Settled {
    /// That the store has said anything.
    Answered,
    /// That it was there: until then it may be taken yet, by a question that is late.
    Found,
    /// Nothing but time: it was taken once, and may be taken again by a question that is late.
    Never,
}

/// In one script.
pub(crate) const BATCH: usize = 128;
/// A place that is kept for those who cannot wait.
pub(crate) const SPARE: Duration = Duration::from_secs(1);
const MOST_OWED: usize = 1_024;
const FIRST_RETRY: Duration = Duration::from_millis(10);
const DOUBLINGS: u32 = 4;

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            next: 0,
            leases: Vec::new(),
            line: VecDeque::new(),
            turns: BTreeMap::new(),
            held: BTreeMap::new(),
            lost: BTreeSet::new(),
            alone: 0,
            flights: Vec::new(),
            renewals: BTreeMap::new(),
            owed: BTreeMap::new(),
            release: None,
            denials: 0,
            retry: None,
            failing: false,
            fleet: 0,
            shown: 0,
            fetch: 0,
            tried: 0,
            tried_until: Nanos(0),
        }
    }

    /// Calls that run here, whatever under.
    pub(crate) fn in_flight(&self) -> u32 {
        let held = self.held.values().filter(|held| held.used == Used::Call);
        count(held.count() + self.lost.len()).saturating_add(self.alone)
    }

    pub(crate) fn waiting(&self) -> u32 {
        count(self.line.len())
    }

    /// Nothing would be missed if this were gone.
    pub(crate) fn is_idle(&self) -> bool {
        self.is_quiet() && self.alone == 0 && self.lost.is_empty() && self.turns.is_empty()
    }

    /// Nothing will be to do until somebody comes or leaves.
    pub(crate) fn is_quiet(&self) -> bool {
        self.line.is_empty()
            && self.held.is_empty()
            && self.flights.is_empty()
            && self.renewals.is_empty()
            && self.owed.is_empty()
            && self.release.is_none()
    }

    /// A caller comes. `fenced`: it wants a number of its own.
    pub(crate) fn enter(
        &mut self,
        now: Nanos,
        terms: &Terms,
        fenced: bool,
        out: &mut Vec<Effect>,
    ) -> Entrance {
        if self.line.is_empty() {
            if let Some(id) = self.spare_for(fenced, now) {
                return Entrance::Turn(Turn::In(self.give(id, fenced)));
            }
            if !terms.up
                && let Some(turn) = self.turn_alone(terms)
            {
                return Entrance::Turn(turn);
            }
        }
        let is_full = self.denials > 0 || self.has_all(terms, now) || !terms.up;
        let has_no_chance = match terms.waits {
            true => self.line.len() >= terms.max_queue as usize,
            // An answer that is under way may yet bring one.
            false => self.flights.is_empty(),
        };
        if is_full && has_no_chance {
            return Entrance::Turn(self.refused(terms));
        }
        let ticket = self.number();
        self.line.push_back(Waiter {
            ticket,
            fenced,
            denied: is_full && terms.waits,
            came: now,
        });
        self.ask(now, terms, out);
        Entrance::Line(ticket)
    }

    /// A caller comes who cannot wait. If there is nothing for it, something is asked for: it may come
    /// again.
    pub(crate) fn try_enter(&mut self, now: Nanos, terms: &Terms, out: &mut Vec<Effect>) -> Turn {
        self.tried = self.tried.saturating_add(1).min(terms.limit);
        self.tried_until = now.after(SPARE);
        if self.line.is_empty() {
            if let Some(id) = self.spare_for(true, now) {
                return Turn::In(self.give(id, true));
            }
            if !terms.up {
                return self.turn_alone(terms).unwrap_or_else(|| self.refusal());
            }
        }
        self.fetch = self.fetch.saturating_add(1).min(terms.limit);
        self.ask(now, terms, out);
        self.refused(terms)
    }

    /// A caller comes who is let in whatever is said of it.
    pub(crate) fn force(&mut self) -> Pass {
        self.alone += 1;
        Pass::Alone { over: true }
    }

    /// How it stands with a caller. A turn is told once.
    pub(crate) fn look(&mut self, ticket: u64, terms: &Terms) -> Look {
        if let Some(turn) = self.turns.remove(&ticket) {
            return Look::Turn(turn);
        }
        let Ok(place) = self.place_of(ticket) else {
            return Look::Turn(self.refusal());
        };
        let denied = self.line.get(place).is_some_and(|waiter| waiter.denied);
        let second = self
            .flights
            .first()
            .filter(|_| self.flights.len() == 1 && !denied && place >= self.covered());
        let at = match (place, self.retry) {
            (0, Some(retry)) => Some(retry),
            _ => second.map(|first| first.sent.after(terms.deadline / 2)),
        };
        Look::Line { denied, at }
    }

    /// A caller goes who waited. What it was given in the meantime is its own all the same.
    pub(crate) fn give_up(&mut self, ticket: u64, out: &mut Vec<Effect>) -> Turn {
        if let Some(turn) = self.turns.remove(&ticket) {
            return turn;
        }
        if let Ok(place) = self.place_of(ticket) {
            self.line.remove(place);
            if place == 0 {
                self.wake_head(out);
            }
        }
        self.calm_down();
        self.refusal()
    }

    /// A caller is dropped who waited: what it was given goes on.
    pub(crate) fn cancel(&mut self, ticket: u64, now: Nanos, terms: &Terms, out: &mut Vec<Effect>) {
        if let Turn::In(pass) = self.give_up(ticket, out) {
            self.leave(pass, now, terms, out);
        }
    }

    /// A call has ended.
    pub(crate) fn leave(&mut self, pass: Pass, now: Nanos, terms: &Terms, out: &mut Vec<Effect>) {
        match pass {
            Pass::Alone { .. } => self.alone = self.alone.saturating_sub(1),
            Pass::Place { id, .. } => match self.held.get_mut(&id) {
                Some(held) if held.until > now => held.used = Used::Spare(now),
                _ => {
                    self.lose(id, out);
                    self.lost.remove(&id);
                    // A renewal that was late may have kept it.
                    self.owe(id, now, Settled::Never, terms);
                }
            },
        }
        self.go_on(now, terms, out);
    }

    /// The time has come that [`look`](Self::look) named.
    pub(crate) fn nudge(&mut self, now: Nanos, terms: &Terms, out: &mut Vec<Effect>) {
        self.go_on(now, terms, out);
    }

    /// Other terms are in force: those who wait are judged anew, as if all came now in their order.
    #[cfg_attr(not(feature = "config"), allow(dead_code))] // nobody changes them
    pub(crate) fn judge_again(&mut self, now: Nanos, terms: &Terms, out: &mut Vec<Effect>) {
        self.denials = 0;
        self.retry = None;
        for flight in &mut self.flights {
            flight.is_old = true;
        }
        for waiter in &mut self.line {
            waiter.denied = false;
            // It looks at how long it waits, too.
            out.push(Effect::Wake(waiter.ticket));
        }
        self.go_on(now, terms, out);
        if !terms.up && terms.waits && !self.line.is_empty() {
            self.deny_all(terms, out);
        }
    }

    /// The terms have changed for the better: it is worth asking at once.
    pub(crate) fn hurry(&mut self, now: Nanos, terms: &Terms, out: &mut Vec<Effect>) {
        if self.denials > 0 {
            self.retry = Some(now);
        }
        self.go_on(now, terms, out);
    }

    /// Some time has passed.
    pub(crate) fn tick(&mut self, now: Nanos, terms: &Terms, out: &mut Vec<Effect>) {
        self.expire(now, terms, out);
        self.renew(now, terms, out);
        self.go_on(now, terms, out);
    }

    /// The store has answered, or has not. `random`: what the next delay is drawn by.
    pub(crate) fn landed(
        &mut self,
        flight: u64,
        answer: Result<Granted, Failed>,
        random: u32,
        now: Nanos,
        terms: &Terms,
        out: &mut Vec<Effect>,
    ) {
        let Some(at) = self.flights.iter().position(|f| f.number == flight) else {
            return;
        };
        let flight = self.flights.remove(at);
        match answer {
            Ok(granted) => self.granted(&flight, &granted, random, now, terms, out),
            Err(failed) => self.failed(&flight, failed, random, now, terms, out),
        }
        self.go_on(now, terms, out);
    }

    /// Which were renewed; `None`: no answer. And how many the fleet holds.
    pub(crate) fn renewed(
        &mut self,
        flight: u64,
        answer: Option<(u32, Vec<bool>)>,
        now: Nanos,
        terms: &Terms,
        out: &mut Vec<Effect>,
    ) {
        let Some((sent, ids)) = self.renewals.remove(&flight) else {
            return;
        };
        for id in &ids {
            if let Some(held) = self.held.get_mut(id) {
                held.renewing = false;
            }
        }
        if let Some((fleet, renewed)) = answer {
            self.fleet = fleet;
            for (id, renewed) in ids.into_iter().zip(renewed) {
                self.hear_of(id, renewed, (flight, sent), now, terms, out);
            }
        }
        self.go_on(now, terms, out);
    }

    /// Which were held until then; `None`: no answer.
    pub(crate) fn released(
        &mut self,
        flight: u64,
        answer: Option<Vec<bool>>,
        now: Nanos,
        terms: &Terms,
        out: &mut Vec<Effect>,
    ) {
        let Some((_, ids)) = self.release.take_if(|(number, _)| *number == flight) else {
            return;
        };
        match answer {
            None => self.release_again(&ids, now, terms.lease / 30),
            Some(found) => {
                let gone = |id: &u64, found: bool| match self.owed.get(id).map(|o| o.settled) {
                    None | Some(Settled::Answered) => true,
                    Some(Settled::Found) => found,
                    Some(Settled::Never) => false,
                };
                let (gone, left): (Vec<_>, Vec<_>) = ids
                    .into_iter()
                    .zip(found)
                    .partition(|(id, found)| gone(id, *found));
                for (id, _) in gone {
                    self.owed.remove(&id);
                }
                let left: Vec<_> = left.into_iter().map(|(id, _)| id).collect();
                self.release_again(&left, now, terms.lease / 3);
            }
        }
        self.go_on(now, terms, out);
    }

    /// Gives back what is only kept.
    pub(crate) fn let_go(&mut self, now: Nanos, terms: &Terms, out: &mut Vec<Effect>) {
        self.tried_until = Nanos(0);
        self.go_on(now, terms, out);
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn place_of(&self, ticket: u64) -> Result<usize, usize> {
        self.line
            .binary_search_by_key(&ticket, |waiter| waiter.ticket)
    }

    fn refusal(&self) -> Turn {
        Turn::Full {
            waiting: self.waiting(),
        }
    }

    /// What becomes of a caller for whom there is no place.
    fn refused(&mut self, terms: &Terms) -> Turn {
        match terms.watches {
            true => Turn::In(self.force()),
            false => self.refusal(),
        }
    }

    /// How long the lease of a place is, from when it was first asked for until it is given back: what
    /// holds it in the store is called by that.
    pub(crate) fn lease_of(&self, id: u64) -> Option<Duration> {
        let mut leases = self.leases.iter().rev();
        Some(leases.find(|(from, _)| *from <= id)?.1)
    }

    /// Places that are asked for from now on have the lease that is in force.
    fn settle_on_lease(&mut self, terms: &Terms) {
        if self
            .leases
            .last()
            .is_some_and(|(_, lease)| *lease == terms.lease)
        {
            return;
        }
        let all = self.held.keys().chain(self.owed.keys()).chain(&self.lost);
        let asked = self.flights.iter().flat_map(|flight| &flight.ids);
        let paid = self.release.iter().flat_map(|(_, ids)| ids);
        let oldest = all.chain(asked).chain(paid).min().copied();
        let is_past = |until: u64| oldest.is_none_or(|oldest| until <= oldest);
        // Each is of use until the next one begins.
        let ends = self.leases.iter().skip(1).map(|(from, _)| *from);
        let past = ends.chain([self.next + 1]).take_while(|end| is_past(*end));
        let past = past.count().min(self.leases.len());
        self.leases.drain(..past);
        self.leases.push((self.next + 1, terms.lease));
    }

    /// How many of the line questions are under way for.
    fn covered(&self) -> usize {
        self.flights.iter().map(|flight| flight.wishes).sum()
    }

    /// Every place of the fleet is this instance's: there is nothing to ask for.
    fn has_all(&self, terms: &Terms, now: Nanos) -> bool {
        !terms.watches && self.good(now) >= terms.limit as usize
    }

    fn good(&self, now: Nanos) -> usize {
        self.held.values().filter(|held| held.until > now).count()
    }

    /// Whether places have to go back to the store, since there are more than may be.
    fn must_drain(&self, terms: &Terms) -> bool {
        !terms.watches && self.fleet > terms.limit
    }

    fn spare_for(&self, fenced: bool, now: Nanos) -> Option<u64> {
        let suits = |held: &Held| {
            matches!(held.used, Used::Spare(_))
                && held.until > now
                && (!fenced || held.fence > self.shown)
        };
        let spares = self.held.iter().filter(|(_, held)| suits(held));
        // The lowest number first: whoever comes later must get a higher one.
        spares.min_by_key(|(_, held)| held.fence).map(|(id, _)| *id)
    }

    fn give(&mut self, id: u64, fenced: bool) -> Pass {
        let Some(held) = self.held.get_mut(&id) else {
            return Pass::Alone { over: false };
        };
        held.used = Used::Call;
        if fenced {
            self.shown = self.shown.max(held.fence);
        }
        Pass::Place {
            id,
            fence: held.fence,
            over: held.over,
        }
    }

    /// What becomes of a caller without the store; nothing where it has to wait.
    fn turn_alone(&mut self, terms: &Terms) -> Option<Turn> {
        let has_room = match terms.alone {
            Alone::Share(share) => self.in_flight() < share,
            Alone::Open => true,
            Alone::Shut => false,
        };
        if has_room || terms.watches {
            self.alone += 1;
            return Some(Turn::In(Pass::Alone { over: !has_room }));
        }
        match terms.alone {
            Alone::Shut => Some(Turn::Away),
            _ if terms.waits => None,
            _ => Some(self.refusal()),
        }
    }

    fn tell(&mut self, ticket: u64, turn: Turn, out: &mut Vec<Effect>) {
        self.turns.insert(ticket, turn);
        out.push(Effect::Wake(ticket));
    }

    fn wake_head(&self, out: &mut Vec<Effect>) {
        out.extend(self.line.front().map(|head| Effect::Wake(head.ticket)));
    }

    fn calm_down(&mut self) {
        if self.line.is_empty() {
            self.denials = 0;
            self.retry = None;
        }
    }

    /// Whatever has changed: who is next, what is left over, what is to be asked.
    fn go_on(&mut self, now: Nanos, terms: &Terms, out: &mut Vec<Effect>) {
        if self.must_drain(terms) {
            self.drain(now, terms);
        }
        self.serve(now, terms, out);
        self.calm_down();
        if !terms.up {
            // Nothing to ask again: it is told when the store is back.
            self.retry = None;
        }
        self.ask(now, terms, out);
        self.clear_away(now, terms);
        self.pay(now, terms, out);
    }

    fn serve(&mut self, now: Nanos, terms: &Terms, out: &mut Vec<Effect>) {
        while let Some(head) = self.line.front() {
            let (ticket, fenced) = (head.ticket, head.fenced);
            let turn = match self.spare_for(fenced, now) {
                Some(id) => Some(Turn::In(self.give(id, fenced))),
                None if self.covered() > 0 => None,
                None if !terms.up => self.turn_alone(terms),
                None if self.failing && head.denied => self.share_alone(terms),
                None => None,
            };
            let Some(turn) = turn else { return };
            self.line.pop_front();
            self.tell(ticket, turn, out);
            if self.denials > 0 {
                self.wake_head(out);
            }
        }
    }

    /// After a failure of a store that is not known to be away: only what is free of the share.
    fn share_alone(&mut self, terms: &Terms) -> Option<Turn> {
        match terms.alone {
            Alone::Share(share) if self.in_flight() < share => self.turn_alone(terms),
            _ => None,
        }
    }

    /// Asks for those of the line that nobody has asked for yet.
    fn ask(&mut self, now: Nanos, terms: &Terms, out: &mut Vec<Effect>) {
        if !terms.up || !self.may_ask(now, terms) {
            return;
        }
        self.settle_on_lease(terms);
        let covered = self.covered().min(self.line.len());
        let uncovered = self.line.len() - covered;
        let mut ids = self.exchange(uncovered, now, terms);
        let room = match terms.watches {
            true => BATCH,
            false => (terms.limit as usize).saturating_sub(self.good(now)),
        };
        let is_patient = self.denials > 0 && self.retry.is_some_and(|retry| retry > now);
        let fresh = match is_patient && terms.waits {
            true => 0,
            false => uncovered.saturating_sub(ids.len()).min(room),
        };
        let wishes = uncovered.min(ids.len() + fresh);
        let fetch = (self.fetch as usize).min(room - fresh);
        for _ in 0..(fresh + fetch).min(BATCH.saturating_sub(ids.len())) {
            let id = self.number();
            ids.push(id);
        }
        self.fetch = 0;
        if ids.is_empty() {
            self.settle_for_full(room, terms, out);
            return;
        }
        let wishes = wishes.min(ids.len());
        let oldest = self.line.iter().skip(covered).take(wishes);
        let came = oldest
            .filter(|waiter| !waiter.denied)
            .map(|waiter| waiter.came)
            .min();
        let spent = came.map_or(Duration::ZERO, |came| now.since(came));
        let flight = self.number();
        self.retry = None;
        self.flights.push(Flight {
            number: flight,
            sent: now,
            ids: ids.clone(),
            wishes,
            is_old: false,
        });
        out.push(Effect::Ask {
            flight,
            ids,
            within: terms.deadline.saturating_sub(spent).max(LEAST),
        });
    }

    /// One question at a time, and a second where waiting for the first could cost the deadline.
    fn may_ask(&self, now: Nanos, terms: &Terms) -> bool {
        match self.flights.as_slice() {
            [] => true,
            [first] => now >= first.sent.after(terms.deadline / 2),
            _ => false,
        }
    }

    /// Spares whose numbers have been used, for callers who want their own.
    fn exchange(&mut self, uncovered: usize, now: Nanos, terms: &Terms) -> Vec<u64> {
        let kept = self.kept(now);
        let fenced = self
            .line
            .iter()
            .filter(|waiter| waiter.fenced)
            .count()
            .min(uncovered);
        let most = fenced.max(kept).min(BATCH);
        if self.must_drain(terms) {
            return Vec::new();
        }
        let shown = self.shown;
        // All of one question have one lease.
        let first = self.leases.last().map_or(0, |(from, _)| *from);
        let stale = self.held.range_mut(first..).filter(|(_, held)| {
            matches!(held.used, Used::Spare(_)) && held.until > now && held.fence <= shown
        });
        let mut ids = Vec::new();
        for (id, held) in stale.take(most) {
            held.used = Used::Asked;
            ids.push(*id);
        }
        ids
    }

    /// How many spares are kept for those who cannot wait.
    fn kept(&self, now: Nanos) -> usize {
        match self.tried_until > now {
            true => self.tried as usize,
            false => 0,
        }
    }

    /// Nothing was asked, since all there is is here and in use.
    fn settle_for_full(&mut self, room: usize, terms: &Terms, out: &mut Vec<Effect>) {
        if room > 0 || !self.flights.is_empty() || self.line.is_empty() || terms.watches {
            return;
        }
        if self.held.values().any(|held| held.used != Used::Call) {
            return;
        }
        if terms.waits {
            self.deny_all(terms, out);
        } else {
            while let Some(waiter) = self.line.pop_front() {
                let turn = self.refusal();
                self.tell(waiter.ticket, turn, out);
            }
        }
    }

    /// Everybody in the line waits for others to leave from now on, and only so many.
    fn deny_all(&mut self, terms: &Terms, out: &mut Vec<Effect>) {
        self.denials = self.denials.max(1);
        while self.line.len() > terms.max_queue as usize {
            if let Some(last) = self.line.pop_back() {
                let turn = self.refusal();
                self.tell(last.ticket, turn, out);
            }
        }
        for waiter in &mut self.line {
            if !waiter.denied {
                waiter.denied = true;
                out.push(Effect::Wake(waiter.ticket));
            }
        }
    }

    fn granted(
        &mut self,
        flight: &Flight,
        granted: &Granted,
        random: u32,
        now: Nanos,
        terms: &Terms,
        out: &mut Vec<Effect>,
    ) {
        self.failing = false;
        self.fleet = granted.in_flight;
        self.take(flight, granted, now, terms);
        let given = granted.fences.iter().flatten().count();
        let all = given >= flight.ids.len();
        self.serve(now, terms, out);
        if all {
            self.denials = 0;
            self.retry = None;
            return;
        }
        match terms.waits {
            _ if flight.is_old => {}
            true => self.put_off(granted.first_end, random, now, terms, out),
            false => self.refuse(flight, flight.wishes.saturating_sub(given), terms, out),
        }
    }

    /// Notes the places that were given.
    fn take(&mut self, flight: &Flight, granted: &Granted, now: Nanos, terms: &Terms) {
        let first = flight.ids.first().and_then(|id| self.lease_of(*id));
        let until = flight.sent.after(first.unwrap_or(terms.lease));
        let is_new = |id: &u64| !self.held.contains_key(id);
        let answers = || flight.ids.iter().zip(&granted.fences);
        let new = answers()
            .filter(|(id, fence)| fence.is_some() && is_new(id))
            .count();
        let mut position = (granted.in_flight as usize).saturating_sub(new);
        for (id, fence) in answers() {
            let Some(fence) = *fence else {
                self.forget(*id, now, terms);
                continue;
            };
            let was = self.held.remove(id);
            position += usize::from(was.is_none());
            let over = terms.watches && position > terms.limit as usize;
            if until <= now {
                self.owe(*id, now, Settled::Found, terms);
                continue;
            }
            self.held.insert(
                *id,
                Held {
                    by: flight.number,
                    since: flight.sent,
                    until,
                    fence,
                    over,
                    used: Used::Spare(now),
                    renewing: false,
                    doubtful: was.is_some_and(|held| held.doubtful),
                },
            );
        }
    }

    /// The head of the line asks again after a while.
    fn put_off(
        &mut self,
        first_end: Duration,
        random: u32,
        now: Nanos,
        terms: &Terms,
        out: &mut Vec<Effect>,
    ) {
        if self.line.is_empty() {
            return;
        }
        let delay = FIRST_RETRY * (1 << self.denials.min(DOUBLINGS));
        let jittered = delay / 2 + (delay / 2).mul_f64(f64::from(random) / f64::from(u32::MAX));
        let after = match first_end.is_zero() {
            true => jittered,
            false => jittered.min(first_end),
        };
        self.denials = self.denials.saturating_add(1);
        self.retry = Some(now.after(after));
        self.deny_all(terms, out);
        self.wake_head(out);
    }

    /// Refuses so many of those a question was for, who stand behind those that another one is for.
    fn refuse(&mut self, flight: &Flight, number: usize, terms: &Terms, out: &mut Vec<Effect>) {
        let behind = self.covered();
        for _ in 0..number {
            // Who came later has not been asked for.
            let due = self
                .line
                .get(behind)
                .filter(|waiter| waiter.ticket < flight.number);
            let Some(ticket) = due.map(|waiter| waiter.ticket) else {
                return;
            };
            self.line.remove(behind);
            let turn = self.refused(terms);
            self.tell(ticket, turn, out);
        }
    }

    fn failed(
        &mut self,
        flight: &Flight,
        failed: Failed,
        random: u32,
        now: Nanos,
        terms: &Terms,
        out: &mut Vec<Effect>,
    ) {
        self.failing = true;
        for id in &flight.ids {
            match self.held.get_mut(id) {
                // As good as it was.
                Some(held) => {
                    held.used = Used::Spare(now);
                    held.doubtful |= failed == Failed::Perhaps;
                }
                None if failed == Failed::Perhaps => {
                    self.owe(*id, now, Settled::Found, terms);
                }
                None => {}
            }
        }
        self.serve(now, terms, out);
        let behind = self.covered();
        for _ in 0..flight.wishes {
            let due = self
                .line
                .get(behind)
                .filter(|waiter| waiter.ticket < flight.number);
            let Some(ticket) = due.map(|waiter| waiter.ticket) else {
                return;
            };
            let Some(turn) = self.turn_alone(terms) else {
                self.put_off(Duration::ZERO, random, now, terms, out);
                return;
            };
            self.line.remove(behind);
            self.tell(ticket, turn, out);
        }
    }

    fn expire(&mut self, now: Nanos, terms: &Terms, out: &mut Vec<Effect>) {
        let ended = self.held.iter().filter(|(_, held)| held.until <= now);
        // What is being asked for may be given anew.
        let ended = ended.filter(|(_, held)| held.used != Used::Asked);
        let ended: Vec<_> = ended.map(|(id, held)| (*id, held.used)).collect();
        for (id, used) in ended {
            match used {
                Used::Call => self.lose(id, out),
                _ => self.forget(id, now, terms),
            }
        }
        self.owed.retain(|_, owed| owed.end > now);
    }

    fn lose(&mut self, id: u64, out: &mut Vec<Effect>) {
        if let Some(held) = self.held.remove(&id)
            && held.used == Used::Call
        {
            self.lost.insert(id);
            out.push(Effect::Lost { fence: held.fence });
        }
    }

    fn hear_of(
        &mut self,
        id: u64,
        renewed: bool,
        (flight, sent): (u64, Nanos),
        now: Nanos,
        terms: &Terms,
        out: &mut Vec<Effect>,
    ) {
        let lease = self.lease_of(id).unwrap_or(terms.lease);
        let Some(held) = self.held.get_mut(&id) else {
            return;
        };
        // Given anew since then, or about to be.
        if held.by > flight || held.used == Used::Asked {
            return;
        }
        if renewed {
            held.by = flight;
            held.since = sent;
            held.until = sent.after(lease);
        } else if held.used == Used::Call {
            self.lose(id, out);
        } else {
            self.forget(id, now, terms);
        }
    }

    fn renew(&mut self, now: Nanos, terms: &Terms, out: &mut Vec<Effect>) {
        if !terms.up {
            return;
        }
        // The places of one question have one lease.
        let mut due: BTreeMap<Duration, Vec<u64>> = BTreeMap::new();
        for (id, held) in &mut self.held {
            let lease = held.until.since(held.since);
            let is_due = held.since.after(lease / 3) <= now;
            if is_due && !held.renewing && held.used != Used::Asked {
                held.renewing = true;
                due.entry(lease).or_default().push(*id);
            }
        }
        for ids in due.values().flat_map(|ids| ids.chunks(BATCH)) {
            let (flight, ids) = (self.number(), ids.to_vec());
            self.renewals.insert(flight, (now, ids.clone()));
            out.push(Effect::Renew { flight, ids });
        }
    }

    /// More places are held than may be: those that are not in use go back.
    fn drain(&mut self, now: Nanos, terms: &Terms) {
        let spares = self
            .held
            .iter()
            .filter(|(_, held)| matches!(held.used, Used::Spare(_)));
        let over = self.fleet.saturating_sub(terms.limit) as usize;
        let ids: Vec<_> = spares.map(|(id, _)| *id).take(over).collect();
        for id in ids {
            self.give_back(id, now, terms);
        }
    }

    /// What nobody here has a use for goes back to the fleet.
    fn clear_away(&mut self, now: Nanos, terms: &Terms) {
        let mut keep = match terms.up {
            true => self.kept(now).max(self.line.len()),
            false => 0,
        };
        let first = self.leases.last().map_or(0, |(from, _)| *from);
        let mut back = Vec::new();
        for (id, held) in &self.held {
            let Used::Spare(since) = held.used else {
                continue;
            };
            let is_of_use = !self.line.is_empty() || since.after(SPARE) > now;
            // One whose lease is not in force cannot get a new number: it is given back, and asked for.
            let is_of_use = is_of_use && *id >= first;
            match keep > 0 && is_of_use {
                true => keep -= 1,
                false => back.push(*id),
            }
        }
        for id in back {
            self.give_back(id, now, terms);
        }
    }

    fn give_back(&mut self, id: u64, now: Nanos, terms: &Terms) {
        self.fleet = self.fleet.saturating_sub(1);
        self.forget(id, now, terms);
    }

    /// It is not this instance's any more. The store may think otherwise: by its clock a lease ends a
    /// little later, and a question that is late may yet be answered.
    fn forget(&mut self, id: u64, now: Nanos, terms: &Terms) {
        if let Some(held) = self.held.remove(&id) {
            let settled = match held.doubtful {
                true => Settled::Never,
                false => Settled::Answered,
            };
            self.owe(id, now, settled, terms);
        }
    }

    /// Whatever was asked before now is at its end after one lease; and what is late, after two.
    fn owe(&mut self, id: u64, now: Nanos, settled: Settled, terms: &Terms) {
        let lease = self.lease_of(id).unwrap_or(terms.lease);
        let (next, end) = (now, now.after(lease.saturating_mul(2)));
        if self.owed.len() >= MOST_OWED {
            // It comes back by itself.
            self.owed.pop_first();
        }
        self.owed.insert(id, Owed { next, end, settled });
    }

    /// Sends back what is owed, one batch at a time.
    fn pay(&mut self, now: Nanos, terms: &Terms, out: &mut Vec<Effect>) {
        if self.release.is_some() || !terms.up {
            return;
        }
        let due = self.owed.iter().filter(|(_, owed)| owed.next <= now);
        let ids: Vec<_> = due.map(|(id, _)| *id).take(BATCH).collect();
        if ids.is_empty() {
            return;
        }
        let flight = self.number();
        self.release = Some((flight, ids.clone()));
        out.push(Effect::Release { flight, ids });
    }

    fn release_again(&mut self, ids: &[u64], now: Nanos, after: Duration) {
        for id in ids {
            if let Some(owed) = self.owed.get_mut(id) {
                owed.next = now.after(after);
            }
        }
    }
}

/// A question whose caller has no time left is asked all the same: who comes next gains by it.
const LEAST: Duration = Duration::from_millis(1);

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(all(test, not(steadfast_loom)))]
#[allow(clippy::unwrap_used)] // clippy does not see that this module is for tests
mod model;

#[cfg(all(test, not(steadfast_loom)))]
#[allow(clippy::unwrap_used)] // clippy does not see that this module is for tests
mod tests;
