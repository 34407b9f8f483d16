//! Every way that a fleet of a few instances can go, up to a size: reports lost, repeated and late, answers
//! lost, instances dying, the store forgetting everything or going away, commands given by hand. The fleet's
//! record and the instances are the real ones; only the callers and the network are made up.
//!
//! Short as it runs in CI; `STEADFAST_MODEL_STATES=1000000 cargo test --release -p steadfast --lib
//! exhaustive` goes further.

use std::{
    collections::{HashSet, VecDeque},
    hash::{BuildHasher, Hash},
    time::Duration,
};

use super::*;
use crate::{
    algorithm::{circuit::Phase, window::Tally},
    clock::Nanos,
};

const SECOND: Micros = 1_000_000;
const PROBE: Duration = Duration::from_secs(1);
/// Consecutive failures of one instance.
const THRESHOLD: u8 = 2;

fn rules(quorum: i64, places: i64, successes: i64) -> Rules {
    Rules {
        reach: Reach::count(4),
        failure_rate: Some(0.75),
        slow_rate: None,
        minimum_calls: 4,
        quorum,
        recovery: 2 * SECOND,
        longest_recovery: 0,
        places,
        successes,
        lease: 2 * SECOND,
        keep: 3_600 * SECOND,
    }
}

/// What may still go wrong, so that the number of worlds is finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Luck {
    misses: u8,
    repeats: u8,
    deaths: u8,
    floods: u8,
    outages: u8,
    commands: u8,
    seconds: u8,
    calls: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    rules: usize,
    now: i64,
    fleet: Option<Fleet>,
    /// Of all records that there were.
    highest: i64,
    nodes: Vec<Node>,
    /// Reports that have not arrived (or may arrive again), and answers.
    reports: Vec<(usize, u32, Report)>,
    replies: Vec<(usize, u32, Reply)>,
    numbers: i64,
    luck: Luck,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Node {
    instance: Instance,
    unsent: Tally,
    streak: u8,
    /// The report that is under way.
    flight: u32,
    /// Calls that are probes.
    probes: Vec<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Call(usize, bool),
    End(usize, usize, End),
    Speak(usize),
    Arrive(usize),
    Repeat(usize),
    Hear(usize),
    Miss(usize),
    Outage(usize),
    Die(usize),
    Flood,
    Command(usize, Command),
    /// While it decides by itself.
    OpenAlone(usize),
    Second,
}

impl Node {
    fn new(who: i64) -> Self {
        Self {
            instance: Instance::new(who),
            unsent: Tally::default(),
            streak: 0,
            flight: 0,
            probes: Vec::new(),
        }
    }

    fn forget(&mut self) {
        self.unsent = Tally::default();
        self.streak = 0;
    }
}

impl World {
    fn new(rules: usize, nodes: usize, luck: Luck) -> Self {
        Self {
            rules,
            now: 100,
            fleet: None,
            highest: 0,
            nodes: (1..=nodes as i64).map(Node::new).collect(),
            reports: Vec::new(),
            replies: Vec::new(),
            numbers: 1_000,
            luck,
        }
    }

    fn here(&self) -> Nanos {
        Nanos(self.now as u64 * 1_000_000_000)
    }

    fn there(&self) -> Micros {
        self.now * SECOND
    }

    fn number(&mut self) -> i64 {
        self.numbers += 1;
        self.numbers
    }

    fn acts(&self) -> Vec<Act> {
        let mut acts = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            if self.luck.calls > 0 {
                acts.push(Act::Call(at, false));
                acts.push(Act::Call(at, true));
            }
            for probe in 0..node.probes.len() {
                for end in [End::Passed, End::Failed, End::Unused] {
                    acts.push(Act::End(at, probe, end));
                }
            }
            if !node.instance.is_on_its_way() {
                acts.push(Act::Speak(at));
            } else if self.luck.misses > 0 {
                acts.push(Act::Miss(at));
            }
            if self.luck.outages > 0 {
                acts.push(Act::Outage(at));
            }
            if self.luck.deaths > 0 {
                acts.push(Act::Die(at));
            }
            if self.luck.commands > 0 {
                for command in [Command::ForceOpen, Command::Disable, Command::Reset] {
                    acts.push(Act::Command(at, command));
                }
                // The configuration takes back what it has set, as far as is known here.
                match node.instance.phase() {
                    Phase::ForcedOpen => acts.push(Act::Command(at, Command::EndForcedOpen)),
                    Phase::Disabled => acts.push(Act::Command(at, Command::EndDisabled)),
                    Phase::Closed | Phase::Open | Phase::HalfOpen => {}
                }
            }
            let alone = node.instance.standing() != Standing::Joined;
            if alone && node.instance.phase() == Phase::Closed {
                acts.push(Act::OpenAlone(at));
            }
        }
        acts.extend((0..self.reports.len()).map(Act::Arrive));
        if self.luck.repeats > 0 {
            acts.extend((0..self.reports.len()).map(Act::Repeat));
        }
        acts.extend((0..self.replies.len()).map(Act::Hear));
        if self.luck.floods > 0 && self.fleet.is_some() {
            acts.push(Act::Flood);
        }
        if self.luck.seconds > 0 {
            acts.push(Act::Second);
        }
        acts
    }

    fn act(&mut self, all: &[Rules], act: Act) {
        let rules = &all[self.rules];
        let here = self.here();
        match act {
            Act::Call(at, good) => {
                self.luck.calls -= 1;
                self.call(rules, at, good);
            }
            Act::End(at, probe, end) => {
                let node = &mut self.nodes[at];
                let number = node.probes.swap_remove(probe);
                node.instance.end(here, number, end);
            }
            Act::Speak(at) => self.speak(rules, at),
            Act::Arrive(report) => {
                let (at, flight, report) = self.reports.swap_remove(report);
                self.arrive(rules, at, flight, &report);
            }
            Act::Repeat(report) => {
                self.luck.repeats -= 1;
                let (at, flight, report) = self.reports[report].clone();
                self.arrive(rules, at, flight, &report);
            }
            Act::Hear(reply) => {
                let (at, flight, reply) = self.replies.swap_remove(reply);
                self.hear(at, flight, &reply);
            }
            Act::Miss(at) => {
                self.luck.misses -= 1;
                self.nodes[at].flight += 1;
                self.nodes[at].instance.miss(true);
            }
            Act::Outage(at) => {
                self.luck.outages -= 1;
                let node = &mut self.nodes[at];
                node.flight += 1;
                node.instance.miss(false);
                node.instance.go_alone();
                node.forget();
            }
            Act::Die(at) => {
                self.luck.deaths -= 1;
                let who = self.number();
                let flight = self.nodes[at].flight + 1;
                self.nodes[at] = Node::new(who);
                self.nodes[at].flight = flight;
            }
            Act::Flood => {
                self.luck.floods -= 1;
                self.fleet = None;
                // A restart takes some time: more microseconds than there were changes.
                self.second();
            }
            Act::Command(at, command) => {
                self.luck.commands -= 1;
                self.command(at, command);
            }
            Act::OpenAlone(at) => {
                let instance = &mut self.nodes[at].instance;
                instance.moved(Phase::Open, instance.generation() + 1);
            }
            Act::Second => {
                self.luck.seconds -= 1;
                self.second();
            }
        }
    }

    fn second(&mut self) {
        self.now += 1;
        let here = self.here();
        for node in &mut self.nodes {
            node.instance.tick(here);
        }
    }

    fn call(&mut self, rules: &Rules, at: usize, good: bool) {
        let here = self.here();
        let node = &mut self.nodes[at];
        if node.instance.standing() != Standing::Joined {
            return;
        }
        match node.instance.admit(here, PROBE) {
            Answer::Refused { .. } => {}
            Answer::Probe(number) => node.probes.push(number),
            Answer::Admitted if node.instance.phase() == Phase::Disabled => {}
            Answer::Admitted => {
                node.unsent.calls += 1;
                node.unsent.failures += u64::from(!good);
                node.streak = if good {
                    0
                } else {
                    (node.streak + 1).min(THRESHOLD)
                };
                if rules.quorum == 1 && node.streak >= THRESHOLD {
                    let generation = node.instance.generation() + 1;
                    let until = here.after(Duration::from_secs(2));
                    node.instance.opened(generation, here, until);
                    node.streak = 0;
                }
            }
        }
    }

    fn speak(&mut self, rules: &Rules, at: usize) {
        let here = self.here();
        let mut numbers = self.numbers;
        let node = &mut self.nodes[at];
        let speech = Speech {
            batch: node.unsent,
            reached: rules.quorum > 1 && node.streak >= THRESHOLD,
            jitter: 0,
            callers: true,
            epoch: 0,
        };
        let report = node.instance.speak(here, rules, speech, || {
            numbers += 1;
            numbers
        });
        if let Some(report) = report {
            node.unsent = Tally::default();
            node.flight += 1;
            self.reports.push((at, node.flight, report));
        }
        self.numbers = numbers;
    }

    fn arrive(&mut self, rules: &Rules, at: usize, flight: u32, report: &Report) {
        let (before, now) = (self.fleet.take(), self.there());
        if let Some(before) = &before {
            check_lateness(before, now, rules, report);
        }
        let was_lost = before.is_none();
        let generation = before.as_ref().map_or(0, Fleet::generation);
        let (fleet, reply) = Fleet::exchange(before, now, rules, report);
        assert!(fleet.generation() >= generation, "a generation went back");
        assert!(
            !was_lost || fleet.generation() > self.highest,
            "a lost record begins below what there was"
        );
        assert!(
            fleet.places().len() as i64 <= rules.places,
            "too many places"
        );
        self.highest = self.highest.max(fleet.generation());
        self.fleet = Some(fleet);
        self.replies.push((at, flight, reply));
    }

    fn hear(&mut self, at: usize, flight: u32, reply: &Reply) {
        let here = self.here();
        let node = &mut self.nodes[at];
        if node.flight != flight || !node.instance.is_on_its_way() {
            return;
        }
        let was_alone = node.instance.standing() != Standing::Joined;
        let (phase, generation) = (node.instance.phase(), node.instance.generation());
        let news = node.instance.hear(here, reply);
        if let Some(News { from }) = news {
            assert_eq!(from, phase);
            assert!(node.instance.generation() > generation, "told out of order");
        } else {
            assert_eq!(node.instance.phase(), phase, "changed without telling");
        }
        if news.is_some() || was_alone {
            node.forget();
        }
    }

    fn command(&mut self, at: usize, command: Command) {
        let (here, id) = (self.here(), self.number());
        let node = &mut self.nodes[at];
        let phase = match command {
            Command::ForceOpen => Phase::ForcedOpen,
            Command::Disable => Phase::Disabled,
            Command::Reset | Command::EndForcedOpen | Command::EndDisabled => Phase::Closed,
        };
        let generation = node.instance.generation() + 1;
        node.instance.command(here, command, id, phase, generation);
        node.forget();
    }

    /// What must hold at any time.
    fn check(&self, all: &[Rules]) {
        let rules = &all[self.rules];
        let Some(fleet) = &self.fleet else { return };
        let here = self.here();
        let mut probes = 0;
        for node in &self.nodes {
            let current = node.instance.seen() == fleet.generation();
            if current && node.instance.standing() == Standing::Joined {
                let running =
                    |(number, until): &(i64, Nanos)| node.probes.contains(number) && here <= *until;
                probes += node.instance.probes().filter(running).count();
                probes += node.instance.spares(here);
                if !node.instance.has_news() {
                    assert_eq!(
                        node.instance.phase(),
                        fleet.phase(),
                        "acts by another state"
                    );
                }
            }
        }
        assert!(
            probes as i64 <= rules.places,
            "{probes} probes in flight: {self:#?}"
        );
    }

    fn is_well(&self) -> bool {
        let Some(fleet) = &self.fleet else {
            return false;
        };
        fleet.phase() == Phase::Closed
            && self.nodes.iter().all(|node| {
                node.instance.standing() == Standing::Joined
                    && node.instance.phase() == Phase::Closed
                    && node.instance.seen() == fleet.generation()
                    // What was told alone has been made up for.
                    && node.instance.generation() == fleet.generation()
            })
    }

    /// From here, when nothing goes wrong any more, callers come and their calls succeed.
    fn recovers(mut self, all: &[Rules]) {
        let rules = &all[self.rules];
        let start = self.clone();
        for round in 0..40 {
            while !self.reports.is_empty() {
                self.act(all, Act::Arrive(0));
            }
            while !self.replies.is_empty() {
                self.act(all, Act::Hear(0));
            }
            for at in 0..self.nodes.len() {
                // What is under way has a deadline.
                self.nodes[at].instance.miss(true);
                while !self.nodes[at].probes.is_empty() {
                    self.act(all, Act::End(at, 0, End::Passed));
                }
                self.call(rules, at, true);
                self.speak(rules, at);
                self.check(all);
            }
            let by_hand = |phase| matches!(phase, Phase::ForcedOpen | Phase::Disabled);
            if round == 5 && by_hand(self.fleet.as_ref().map_or(Phase::Closed, Fleet::phase)) {
                self.command(0, Command::Reset);
            }
            if self.is_well() && self.nodes.iter().all(|node| !node.instance.has_news()) {
                return;
            }
            self.second();
        }
        panic!("no way back to a closed circuit from {start:#?}\n\nstuck at {self:#?}");
    }
}

/// What belongs to an earlier generation does not change the record: it is as if nothing had been said.
fn check_lateness(before: &Fleet, now: Micros, rules: &Rules, report: &Report) {
    if report.seen >= before.generation() || report.floor > before.generation() {
        return;
    }
    let held = |number: &i64| before.places().iter().any(|(held, _)| held == number);
    let late = Report {
        control: None,
        asks: Vec::new(),
        ends: report
            .ends
            .iter()
            .filter(|(n, _)| !held(n))
            .copied()
            .collect(),
        ..report.clone()
    };
    let silence = Report {
        batch: Tally::default(),
        streak: Streak::Below,
        opened: false,
        ends: Vec::new(),
        ..late.clone()
    };
    let after = |report| Fleet::exchange(Some(before.clone()), now, rules, report).0;
    assert_eq!(
        after(&late),
        after(&silence),
        "a late report changed something"
    );
}

fn explore(all: &[Rules], starts: Vec<World>, most: usize) -> (usize, u32) {
    let hasher = foldhash::fast::FixedState::default();
    let mut known = HashSet::new();
    let mut queue = VecDeque::new();
    for world in starts {
        if known.insert(hasher.hash_one(&world)) {
            queue.push_back((world, 0_u32));
        }
    }
    let mut deepest = 0;
    while let Some((world, depth)) = queue.pop_front() {
        deepest = depth;
        for act in world.acts() {
            let mut next = world.clone();
            next.act(all, act);
            next.check(all);
            if known.len() < most && known.insert(hasher.hash_one(&next)) {
                next.clone().recovers(all);
                queue.push_back((next, depth + 1));
            }
        }
    }
    (known.len(), deepest)
}

/// Beyond the depth that can be exhausted: long ways, at random.
fn wander(all: &[Rules], starts: &[World], walks: usize) {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..walks {
        let mut world = starts[random.usize(..starts.len())].clone();
        world.luck = Luck {
            misses: 6,
            repeats: 4,
            deaths: 2,
            floods: 2,
            outages: 2,
            commands: 2,
            seconds: 30,
            calls: 40,
        };
        for step in 0..120 {
            let acts = world.acts();
            world.act(all, acts[random.usize(..acts.len())]);
            world.check(all);
            if step % 20 == 19 {
                world.clone().recovers(all);
            }
        }
    }
}

fn states() -> usize {
    std::env::var("STEADFAST_MODEL_STATES")
        .ok()
        .and_then(|states| states.parse().ok())
        .unwrap_or(12_000)
}

const LUCK: Luck = Luck {
    misses: 2,
    repeats: 1,
    deaths: 1,
    floods: 1,
    outages: 1,
    commands: 1,
    seconds: 6,
    calls: 4,
};

/// Worlds to start from, each reached by what usually happens.
fn starts(all: &[Rules], rules: usize, nodes: usize) -> Vec<World> {
    let fresh = World::new(rules, nodes, LUCK);
    let talk = |world: &mut World, at| {
        world.act(all, Act::Speak(at));
        while !world.reports.is_empty() {
            world.act(all, Act::Arrive(0));
        }
        while !world.replies.is_empty() {
            world.act(all, Act::Hear(0));
        }
    };
    let mut joined = fresh.clone();
    (0..nodes).for_each(|at| talk(&mut joined, at));
    let mut open = joined.clone();
    for at in 0..nodes {
        for _ in 0..4 {
            open.call(&all[rules], at, false);
        }
        talk(&mut open, at);
    }
    (0..nodes).for_each(|at| talk(&mut open, at));
    let mut due = open.clone();
    for _ in 0..3 {
        due.second();
    }
    let mut half_open = due.clone();
    half_open.call(&all[rules], 0, true);
    talk(&mut half_open, 0);
    let mut probing = half_open.clone();
    probing.call(&all[rules], 0, true);
    (0..nodes).for_each(|at| talk(&mut probing, at));
    // The call that is a probe hangs, and another instance has asked for the place since.
    let mut hung = probing.clone();
    for _ in 0..3 {
        hung.second();
    }
    hung.call(&all[rules], nodes - 1, true);
    talk(&mut hung, nodes - 1);
    assert_eq!(joined.fleet.as_ref().unwrap().phase(), Phase::Closed);
    assert_eq!(due.fleet.as_ref().unwrap().phase(), Phase::Open);
    assert_eq!(probing.fleet.as_ref().unwrap().phase(), Phase::HalfOpen);
    assert_eq!(probing.nodes[0].probes.len(), 1);
    assert!(probing.fleet.as_ref().unwrap().window().failures >= 2);
    vec![fresh, joined, open, due, half_open, probing, hung]
}

fn explore_with(quorum: i64, places: i64, successes: i64, nodes: usize) {
    let all = [rules(quorum, places, successes)];
    let starts = starts(&all, 0, nodes);
    wander(&all, &starts, states() / 50);
    let (states, depth) = explore(&all, starts, states());
    println!("{nodes} instances, quorum {quorum}, {places} places: {states} states, depth {depth}");
}

#[test]
fn exhaustive_two_instances_one_probe() {
    explore_with(1, 1, 1, 2);
}

#[test]
fn exhaustive_two_instances_two_probes_of_two_successes() {
    explore_with(1, 2, 2, 2);
}

#[test]
fn exhaustive_three_instances_and_a_quorum() {
    explore_with(2, 1, 1, 3);
}

#[test]
fn exhaustive_three_instances_two_probes() {
    explore_with(1, 2, 1, 3);
}
