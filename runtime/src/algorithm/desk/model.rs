//! Every state that a small fleet can get into, with the machines that run: desks, holders and what is
//! between them, where messages are lost, late, repeated and out of order, instances die, and the server
//! forgets everything or is away.
//!
//! The states are walked breadth first, without their duplicates. In each of them:
//!
//! - no more calls run under places that are good than may run, by whoever's clock;
//! - fencing numbers rise: those that the server gives, those that callers of one instance are shown, and
//!   where only one call may run, those that callers are shown at all;
//! - if from here on every call ends and messages arrive, then whoever waits gets its turn, and in the end
//!   all places are free, nothing is owed, and nothing is under way.
//!
//! `STEADFAST_MODEL_STATES` sets how many states are looked at, in each of the settings below.

use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use super::*;
use crate::algorithm::holders::{Fence, Holders};

const SECOND: Duration = Duration::from_secs(1);
const LEASE: Duration = Duration::from_secs(3);
const LEASE_MICROS: i64 = 3_000_000;
/// The server's clock where an instance's stands at zero.
const EPOCH: i64 = 1_000_000_000;

/// What there is, and how often each thing may happen.
#[derive(Clone, Copy, Debug)]
struct Setting {
    instances: usize,
    limit: u32,
    waits: bool,
    fenced: bool,
    tries: bool,
    callers: u8,
    seconds: u64,
    timeouts: u8,
    repeats: u8,
    flushes: u8,
    deaths: u8,
    absences: u8,
}

impl Setting {
    const fn plain() -> Self {
        Self {
            instances: 2,
            limit: 1,
            waits: false,
            fenced: true,
            tries: false,
            callers: 2,
            seconds: 4,
            timeouts: 1,
            repeats: 0,
            flushes: 0,
            deaths: 0,
            absences: 0,
        }
    }

    fn terms(&self, up: bool) -> Terms {
        Terms {
            limit: self.limit,
            watches: false,
            waits: self.waits,
            max_queue: 9,
            lease: LEASE,
            deadline: Duration::from_millis(50),
            alone: Alone::Share(1),
            up,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    now: u64,
    limit: i64,
    up: bool,
    holders: Holders,
    fence: Fence,
    instances: Vec<Option<Instance>>,
    net: Vec<Message>,
    /// What is left of each kind of fault.
    timeouts: u8,
    repeats: u8,
    flushes: u8,
    deaths: u8,
    absences: u8,
    /// The highest number that the server gave, and that a caller was shown.
    given: u64,
    shown: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Instance {
    desk: Desk,
    callers: u8,
    waiting: BTreeSet<u64>,
    calls: Vec<(Pass, bool)>,
    shown: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Message {
    from: usize,
    flight: u64,
    kind: Kind,
    ids: Vec<u64>,
    sent: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    Ask,
    Renew,
    Release,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum State {
    /// On its way to the server.
    Asked,
    /// On its way back.
    Answered(Vec<i64>),
    /// Nobody waits for it any more, but it may get there.
    Late,
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Enter(usize),
    Try(usize),
    Take(usize, u64),
    Cancel(usize, u64),
    Leave(usize, usize),
    Tick(usize),
    Nudge(usize),
    /// The server does what a message says, the message stays.
    Repeat(usize),
    Arrive(usize),
    Deliver(usize),
    TimeOut(usize),
    Lose(usize),
    Pass,
    Flush,
    Die(usize),
    GoAway,
    ComeBack,
}

impl Instance {
    fn is_good(&self, id: u64, now: Nanos) -> bool {
        self.desk.held.get(&id).is_some_and(|held| held.until > now)
    }
}

impl World {
    fn new(setting: &Setting) -> Self {
        let instance = Instance {
            desk: Desk::new(),
            callers: setting.callers,
            waiting: BTreeSet::new(),
            calls: Vec::new(),
            shown: 0,
        };
        Self {
            now: 1,
            limit: setting.limit.into(),
            up: true,
            holders: Holders::default(),
            fence: Fence::default(),
            instances: vec![Some(instance); setting.instances],
            net: Vec::new(),
            timeouts: setting.timeouts,
            repeats: setting.repeats,
            flushes: setting.flushes,
            deaths: setting.deaths,
            absences: setting.absences,
            given: 0,
            shown: 0,
        }
    }

    fn clock(&self) -> Nanos {
        Nanos(0).after(SECOND * u32::try_from(self.now).unwrap())
    }

    fn server_clock(&self) -> i64 {
        EPOCH + i64::try_from(self.now).unwrap() * 1_000_000
    }

    fn actions(&self, setting: &Setting) -> Vec<Action> {
        let mut actions = Vec::new();
        for (i, instance) in self.instances.iter().enumerate() {
            let Some(instance) = instance else { continue };
            if instance.callers > 0 {
                actions.push(Action::Enter(i));
                if setting.tries {
                    actions.push(Action::Try(i));
                }
            }
            for ticket in &instance.waiting {
                if instance.desk.turns.contains_key(ticket) {
                    actions.push(Action::Take(i, *ticket));
                }
                actions.push(Action::Cancel(i, *ticket));
            }
            for call in 0..instance.calls.len() {
                actions.push(Action::Leave(i, call));
            }
            if !instance.desk.is_quiet() {
                actions.push(Action::Tick(i));
                if !instance.desk.line.is_empty() {
                    actions.push(Action::Nudge(i));
                }
            }
            if self.deaths > 0 {
                actions.push(Action::Die(i));
            }
        }
        for (at, message) in self.net.iter().enumerate() {
            match message.state {
                State::Asked => {
                    actions.push(Action::Arrive(at));
                    if self.timeouts > 0 {
                        actions.push(Action::TimeOut(at));
                    }
                    if self.repeats > 0 {
                        actions.push(Action::Repeat(at));
                    }
                }
                State::Answered(_) => {
                    actions.push(Action::Deliver(at));
                    if self.timeouts > 0 {
                        actions.push(Action::TimeOut(at));
                    }
                }
                State::Late => {
                    actions.push(Action::Lose(at));
                    // No network keeps one for longer than a lease.
                    if self.now <= message.sent + LEASE.as_secs() {
                        actions.push(Action::Arrive(at));
                    }
                }
            }
        }
        if self.now < setting.seconds {
            actions.push(Action::Pass);
            if self.flushes > 0 {
                actions.push(Action::Flush);
            }
        }
        match self.up {
            true if self.absences > 0 => actions.push(Action::GoAway),
            false => actions.push(Action::ComeBack),
            true => {}
        }
        actions
    }

    fn act(&mut self, action: Action, setting: &Setting) {
        match action {
            Action::Enter(i) => self.enter(i, setting),
            Action::Try(i) => {
                let turn = self.at(i, setting, |desk, now, terms, out| {
                    desk.try_enter(now, terms, out)
                });
                self.instance(i).callers -= 1;
                self.check_given(i, turn);
                self.begin(i, turn, true);
            }
            Action::Take(i, ticket) => {
                let terms = setting.terms(self.up);
                let instance = self.instance(i);
                instance.waiting.remove(&ticket);
                let Look::Turn(turn) = instance.desk.look(ticket, &terms) else {
                    panic!("no turn");
                };
                self.begin(i, turn, setting.fenced);
            }
            Action::Cancel(i, ticket) => {
                self.instance(i).waiting.remove(&ticket);
                self.at(i, setting, |desk, now, terms, out| {
                    desk.cancel(ticket, now, terms, out);
                });
            }
            Action::Leave(i, call) => {
                let (pass, _) = self.instance(i).calls.remove(call);
                self.at(i, setting, |desk, now, terms, out| {
                    desk.leave(pass, now, terms, out);
                });
            }
            Action::Tick(i) => self.at(i, setting, Desk::tick),
            Action::Nudge(i) => self.at(i, setting, Desk::nudge),
            Action::Repeat(at) => {
                self.repeats -= 1;
                self.serve(at);
            }
            Action::Arrive(at) => {
                let answer = self.serve(at);
                match self.net[at].state {
                    State::Late => drop(self.net.remove(at)),
                    _ => self.net[at].state = State::Answered(answer),
                }
            }
            Action::Deliver(at) => {
                let message = self.net.remove(at);
                let State::Answered(answer) = &message.state else {
                    panic!("no answer");
                };
                self.hear(&message, Some(answer), setting);
            }
            Action::TimeOut(at) => {
                self.timeouts -= 1;
                let mut message = self.net.remove(at);
                self.hear(&message.clone(), None, setting);
                if message.state == State::Asked {
                    message.state = State::Late;
                    self.net.push(message);
                }
            }
            Action::Lose(at) => drop(self.net.remove(at)),
            Action::Pass => self.now += 1,
            Action::Flush => {
                self.flushes -= 1;
                // Two numbers of one moment, and a flush between them, are not to be had.
                self.now += 1;
                self.holders = Holders::default();
                self.fence = Fence::default();
            }
            Action::Die(i) => {
                self.deaths -= 1;
                self.instances[i] = None;
                for message in &mut self.net {
                    if message.from == i {
                        message.state = State::Late;
                    }
                }
                // Those that were answered have been done.
            }
            Action::GoAway => {
                self.absences -= 1;
                self.up = false;
            }
            Action::ComeBack => {
                self.up = true;
                for i in 0..self.instances.len() {
                    if self.instances[i].is_some() {
                        self.at(i, setting, Desk::hurry);
                    }
                }
            }
        }
        self.net.sort();
    }

    fn instance(&mut self, i: usize) -> &mut Instance {
        self.instances[i].as_mut().unwrap()
    }

    fn enter(&mut self, i: usize, setting: &Setting) {
        self.instance(i).callers -= 1;
        let entrance = self.at(i, setting, |desk, now, terms, out| {
            desk.enter(now, terms, setting.fenced, out)
        });
        match entrance {
            Entrance::Turn(turn) => {
                self.check_given(i, turn);
                self.begin(i, turn, setting.fenced);
            }
            Entrance::Line(ticket) => drop(self.instance(i).waiting.insert(ticket)),
        }
    }

    fn begin(&mut self, i: usize, turn: Turn, fenced: bool) {
        let Turn::In(pass) = turn else { return };
        let now = self.clock();
        self.instance(i).calls.push((pass, fenced));
        let Pass::Place { id, fence, .. } = pass else {
            return;
        };
        let instance = self.instance(i);
        if !fenced {
            return;
        }
        let is_good = instance.is_good(id, now);
        if is_good {
            // Who looks late, when another has looked meanwhile, may see the lower number.
            assert_ne!(fence, instance.shown, "a number is shown to one caller");
            instance.shown = instance.shown.max(fence);
            self.shown = self.shown.max(fence);
        }
    }

    fn at<R>(
        &mut self,
        i: usize,
        setting: &Setting,
        act: impl FnOnce(&mut Desk, Nanos, &Terms, &mut Vec<Effect>) -> R,
    ) -> R {
        let (now, terms, mut out) = (self.clock(), setting.terms(self.up), Vec::new());
        let sent = self.now;
        let before: BTreeSet<_> = self.instance(i).desk.turns.keys().copied().collect();
        let result = act(&mut self.instance(i).desk, now, &terms, &mut out);
        self.check_turns(i, &before, setting);
        for effect in out {
            let (kind, flight, ids) = match effect {
                Effect::Ask { flight, ids, .. } => (Kind::Ask, flight, ids),
                Effect::Renew { flight, ids } => (Kind::Renew, flight, ids),
                Effect::Release { flight, ids } => (Kind::Release, flight, ids),
                Effect::Wake(_) | Effect::Lost { .. } => continue,
            };
            self.net.push(Message {
                from: i,
                flight,
                kind,
                ids,
                sent,
                state: State::Asked,
            });
        }
        result
    }

    fn check_given(&self, i: usize, turn: Turn) {
        if let Turn::In(Pass::Place { id, .. }) = turn {
            let instance = self.instances[i].as_ref().unwrap();
            assert!(instance.is_good(id, self.clock()), "a place that is lost");
        }
    }

    /// Nobody is given a place that is not good any more. Where one call may run, each that gets its turn has a higher number than all before.
    fn check_turns(&self, i: usize, before: &BTreeSet<u64>, setting: &Setting) {
        let instance = self.instances[i].as_ref().unwrap();
        let turns = &instance.desk.turns;
        for (_, turn) in turns.iter().filter(|(ticket, _)| !before.contains(ticket)) {
            let Turn::In(Pass::Place { id, fence, .. }) = turn else {
                continue;
            };
            assert!(instance.is_good(*id, self.clock()), "a place that is lost");
            // What was given before a flush may be told after what was given since.
            if setting.limit == 1 && setting.fenced && setting.flushes == self.flushes {
                assert!(*fence > self.shown, "{fence} after {}", self.shown);
            }
        }
    }

    /// The server does what a message says.
    fn serve(&mut self, at: usize) -> Vec<i64> {
        let now = self.server_clock();
        let message = &self.net[at];
        let name = |id: &u64| format!("{LEASE_MICROS}:{}.{id}", message.from).into_bytes();
        let ids: Vec<_> = message.ids.iter().map(name).collect();
        match message.kind {
            Kind::Ask => {
                let limit = self.limit;
                let acquired =
                    self.holders
                        .acquire(&mut self.fence, now, limit, LEASE_MICROS, &ids);
                for fence in acquired.fences.iter().flatten() {
                    let fence = u64::try_from(*fence).unwrap();
                    assert!(fence > self.given, "the server's numbers rise");
                    self.given = fence;
                }
                let fences = acquired.fences.into_iter().map(Option::unwrap_or_default);
                [acquired.in_flight, acquired.first_end]
                    .into_iter()
                    .chain(fences)
                    .collect()
            }
            Kind::Renew => {
                let renewed = self.holders.renew(now, LEASE_MICROS, &ids);
                [self.holders.len()]
                    .into_iter()
                    .chain(renewed.into_iter().map(i64::from))
                    .collect()
            }
            Kind::Release => {
                let released = self.holders.release(now, &ids);
                released.into_iter().map(i64::from).collect()
            }
        }
    }

    fn hear(&mut self, message: &Message, answer: Option<&Vec<i64>>, setting: &Setting) {
        if self.instances[message.from].is_none() {
            return;
        }
        let flight = message.flight;
        self.at(
            message.from,
            setting,
            |desk, now, terms, out| match message.kind {
                Kind::Ask => {
                    let answer = answer.map(|ints| Granted {
                        fences: ints[2..]
                            .iter()
                            .map(|f| u64::try_from(*f).ok().filter(|f| *f > 0))
                            .collect(),
                        in_flight: u32::try_from(ints[0]).unwrap(),
                        first_end: Duration::from_micros(u64::try_from(ints[1]).unwrap()),
                    });
                    desk.landed(flight, answer.ok_or(Failed::Perhaps), 0, now, terms, out);
                }
                Kind::Renew => {
                    let answer = answer.map(|ints| {
                        let renewed = ints[1..].iter().map(|int| *int == 1).collect();
                        (u32::try_from(ints[0]).unwrap(), renewed)
                    });
                    desk.renewed(flight, answer, now, terms, out);
                }
                Kind::Release => {
                    let answer = answer.map(|ints| ints.iter().map(|int| *int == 1).collect());
                    desk.released(flight, answer, now, terms, out);
                }
            },
        );
    }

    /// Calls that run, by their own instances' clocks, under places that are good.
    fn good_calls(&self) -> usize {
        let now = self.clock();
        let instances = self.instances.iter().flatten();
        let good = |instance: &Instance| {
            let held = instance.desk.held.values();
            held.filter(|held| held.until > now && held.used == Used::Call)
                .count()
        };
        instances.map(good).sum()
    }

    fn check(&self, setting: &Setting) {
        let limit = setting.limit as usize;
        assert!(
            self.holders.unexpired(self.server_clock()) <= limit,
            "too many holders"
        );
        // Those that the server forgot are not told at once.
        let times = usize::from(setting.flushes - self.flushes) + 1;
        assert!(
            self.good_calls() <= limit * times,
            "too many calls under good places"
        );
        for instance in self.instances.iter().flatten() {
            assert!(instance.desk.flights.len() <= 2);
        }
        // Nobody forgets what the server counts. (A message that is done twice may take a place that was
        // found and given back; no store sends one twice.)
        if setting.repeats > 0 {
            return;
        }
        let is_idle = |instance: &Option<Instance>| {
            instance
                .as_ref()
                .is_some_and(|i| i.desk.is_idle() && i.calls.is_empty())
        };
        if self.net.is_empty() && self.instances.iter().all(is_idle) {
            let left = self.holders.unexpired(self.server_clock());
            assert_eq!(left, 0, "a place that nobody knows of");
        }
    }

    /// From here on all goes well: messages arrive at once, calls end, time passes.
    fn recover(mut self, setting: &Setting) {
        let setting = Setting {
            seconds: u64::MAX,
            ..*setting
        };
        if !self.up {
            self.act(Action::ComeBack, &setting);
        }
        for _ in 0..40 {
            self.settle(&setting);
            for i in 0..self.instances.len() {
                if self.instances[i].is_none() {
                    continue;
                }
                while let Some(ticket) = self.told(i) {
                    self.act(Action::Take(i, ticket), &setting);
                }
                while !self.instance(i).calls.is_empty() {
                    self.act(Action::Leave(i, 0), &setting);
                    self.settle(&setting);
                }
                self.act(Action::Tick(i), &setting);
                self.settle(&setting);
            }
            if self.is_over() {
                return;
            }
            self.act(Action::Pass, &setting);
        }
        panic!("it does not come to rest");
    }

    fn told(&mut self, i: usize) -> Option<u64> {
        let instance = self.instance(i);
        let turns = &instance.desk.turns;
        instance
            .waiting
            .iter()
            .find(|ticket| turns.contains_key(ticket))
            .copied()
    }

    fn settle(&mut self, setting: &Setting) {
        for _ in 0..200 {
            let Some(message) = self.net.first() else {
                return;
            };
            match message.state {
                State::Answered(_) => self.act(Action::Deliver(0), setting),
                _ => self.act(Action::Arrive(0), setting),
            }
        }
        panic!("there is no end of messages");
    }

    fn is_over(&self) -> bool {
        let is_idle = |instance: &Instance| {
            instance.desk.is_idle() && instance.waiting.is_empty() && instance.desk.in_flight() == 0
        };
        self.holders.unexpired(self.server_clock()) == 0
            && self.instances.iter().flatten().all(is_idle)
    }
}

/// Whether all states of a setting were looked at.
fn explore(setting: Setting) -> bool {
    let most = std::env::var("STEADFAST_MODEL_STATES")
        .ok()
        .and_then(|n| n.parse().ok());
    let most: usize = most.unwrap_or(2_000);
    let mut is_all = true;
    let hasher = RandomState::new();
    let first = World::new(&setting);
    let mut seen = HashSet::from([hasher.hash_one(&first)]);
    let mut next = VecDeque::from([(first, Vec::new())]);
    while let Some((world, path)) = next.pop_front() {
        for action in world.actions(&setting) {
            let mut after = world.clone();
            let mut path = path.clone();
            path.push(action);
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                after.act(action, &setting);
                after.check(&setting);
                let is_new = seen.insert(hasher.hash_one(&after));
                if is_new {
                    after.clone().recover(&setting);
                }
                is_new
            }));
            match outcome {
                Ok(true) if seen.len() < most => next.push_back((after, path)),
                Ok(is_new) => is_all &= !is_new,
                Err(panic) => {
                    eprintln!("{setting:?}: {path:#?}");
                    std::panic::resume_unwind(panic);
                }
            }
        }
    }
    let all = if is_all { "all" } else { "the first" };
    println!("{all} {} states of {setting:?}", seen.len());
    is_all
}

#[test]
fn one_place_and_answers_that_are_lost() {
    explore(Setting::plain());
}

#[test]
fn a_call_of_each_of_two_instances() {
    let is_all = explore(Setting {
        callers: 1,
        seconds: 3,
        ..Setting::plain()
    });
    println!("all: {is_all}");
}

#[test]
fn one_place_and_callers_who_wait() {
    explore(Setting {
        waits: true,
        ..Setting::plain()
    });
}

#[test]
fn one_place_that_is_handed_over_without_a_number() {
    explore(Setting {
        waits: true,
        fenced: false,
        ..Setting::plain()
    });
}

#[test]
fn one_place_a_flush_and_a_death() {
    explore(Setting {
        flushes: 1,
        deaths: 1,
        ..Setting::plain()
    });
}

#[test]
fn one_place_and_messages_that_come_twice() {
    explore(Setting {
        repeats: 2,
        waits: true,
        ..Setting::plain()
    });
}

#[test]
fn one_place_and_callers_who_cannot_wait() {
    explore(Setting {
        tries: true,
        ..Setting::plain()
    });
}

#[test]
fn one_place_and_a_store_that_goes_away() {
    explore(Setting {
        absences: 1,
        waits: true,
        timeouts: 0,
        ..Setting::plain()
    });
}

#[test]
fn three_instances_and_two_places() {
    explore(Setting {
        instances: 3,
        limit: 2,
        deaths: 1,
        ..Setting::plain()
    });
}

/// Far from the beginning, where breadth does not get: long ways at random, all faults on the way.
#[test]
fn long_ways_of_a_larger_fleet() {
    let ways = std::env::var("STEADFAST_MODEL_WAYS")
        .ok()
        .and_then(|n| n.parse().ok());
    for seed in 0..ways.unwrap_or(600) {
        let mut random = fastrand::Rng::with_seed(seed);
        let setting = Setting {
            instances: random.usize(2..4),
            limit: random.u32(1..3),
            waits: random.bool(),
            fenced: random.bool(),
            tries: random.bool(),
            callers: random.u8(2..9),
            seconds: random.u64(4..30),
            timeouts: random.u8(0..6),
            repeats: random.u8(0..3),
            flushes: random.u8(0..2),
            deaths: random.u8(0..2),
            absences: random.u8(0..3),
        };
        let mut world = World::new(&setting);
        let mut way = Vec::new();
        let walk = std::panic::AssertUnwindSafe(|| {
            for _ in 0..random.usize(1..150) {
                let actions = world.actions(&setting);
                let Some(action) = random.choice(&actions) else {
                    break;
                };
                way.push(*action);
                world.act(*action, &setting);
                world.check(&setting);
            }
            world.recover(&setting);
        });
        if let Err(panic) = std::panic::catch_unwind(walk) {
            eprintln!("seed {seed}, {setting:?}: {way:?}");
            std::panic::resume_unwind(panic);
        }
    }
}
