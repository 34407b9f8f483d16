//! Each script does in Redis what its twin does in memory, and says the same.

use std::time::Duration;

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use steadfast_servers::{Client, RedisServer};

use crate::{
    policy::rate_limiter::{
        Algorithm, RateLimiterSettings,
        shared::{scripts, terms::Terms},
    },
    rate::Rate,
    store::{Arg, Reply, Script, Table, on_server::eval},
};

const START: i64 = 1_766_000_000_000_000;
const HOUR: i64 = 3_600_000_000;

#[derive(Debug, Clone)]
struct Step {
    /// By how much the server's clock moves, in thousandths of a period or in hours.
    pass: i64,
    hours: i64,
    /// Which of the rates.
    rate: usize,
    waits: bool,
    extra: u32,
    calls: Vec<(u32, i64)>,
    ended: (u32, u32),
    /// Permits to give back of the last that were taken.
    back: Option<u32>,
}

fn step() -> impl Strategy<Value = Step> {
    let pass = prop_oneof![4 => 0i64..400, 2 => Just(0), 1 => 0i64..4_000, 1 => -300i64..0];
    let hours = prop_oneof![20 => Just(0i64), 1 => -1i64..=1];
    let call = (0u32..12, prop_oneof![0i64..2_000_000, Just(0)]);
    (
        pass,
        hours,
        prop_oneof![6 => Just(0usize), 1 => 0usize..3],
        any::<bool>(),
        prop_oneof![Just(0u32), 0u32..5],
        prop::collection::vec(call, 0..8),
        (0u32..4, 0u32..4),
        prop::option::weighted(0.1, 1u32..4),
    )
        .prop_map(
            |(pass, hours, rate, waits, extra, calls, ended, back)| Step {
                pass,
                hours,
                rate,
                waits,
                extra,
                calls,
                ended,
                back,
            },
        )
}

/// What both are told.
fn args(terms: &Terms, step: &Step) -> Vec<Arg> {
    let head = [i64::from(step.waits), i64::from(step.extra)];
    let mut args: Vec<_> = head.into_iter().map(Arg::Int).chain(terms.args()).collect();
    if terms.adapts {
        args.extend([Arg::from(step.ended.0), Arg::from(step.ended.1)]);
    }
    for (cost, patience) in &step.calls {
        args.push(Arg::from(*cost));
        if step.waits {
            args.push(Arg::Int(*patience));
        }
    }
    args
}

struct Both {
    client: Client,
    table: Table,
    keys: Vec<Vec<u8>>,
    now: i64,
}

impl Both {
    /// A record that has expired by the test's clock, which the server does not know.
    fn expire(&mut self) {
        let _ = self.table.records(&self.keys, self.now);
        if self.table.len() == 0 {
            command(&mut self.client, &[b"DEL", &self.keys[0]]);
        }
    }

    fn run(&mut self, script: &Script, args: &[Arg]) -> (Vec<i64>, Vec<i64>) {
        self.expire();
        let mut records = self.table.records(&self.keys, self.now);
        let here = (script.twin)(&mut records, args).expect("it is told what it wants");
        let there = eval(&mut self.client, script, &self.keys, args, Some(self.now))
            .unwrap_or_else(|error| panic!("{}: {error}", script.name));
        let ints = |reply: Reply| reply.ints().expect("integers alone");
        (ints(Reply(here)), ints(there))
    }
}

fn command(client: &mut Client, words: &[&[u8]]) {
    let reply = client.command(words).expect("it answers");
    reply.expect_ok("as it was asked");
}

fn compare(settings: RateLimiterSettings, rates: [Rate; 3], scale: u32) {
    let server = RedisServer::start();
    let mut both = Both {
        client: server.client().expect("it has started"),
        table: Table::default(),
        keys: vec![b"rate_limiter:{a}:x".to_vec()],
        now: START,
    };
    let terms = rates.map(|rate| Terms::new(&settings, rate).expect("a rate"));
    // The same steps in every run: a difference is to be seen again.
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let (strategy, mut mark, mut let_through, mut refused) = (step(), 0, 0, 0);
    for _ in 0..STEPS {
        let mut step = strategy.new_tree(&mut runner).expect("a step").current();
        for (cost, _) in &mut step.calls {
            *cost *= scale;
        }
        step.extra *= scale;
        let per = i64::try_from(rates[0].per().as_micros()).expect("a time");
        both.now += step.hours * HOUR + step.pass * per / 1_000 + step.pass % 7;
        let terms = &terms[step.rate];
        let (here, there) = both.run(terms.script, &args(terms, &step));
        assert_eq!(
            here, there,
            "{} at {}: {step:?}",
            terms.script.name, both.now
        );
        let_through += here[4..].chunks(3).filter(|call| call[0] == 0).count();
        refused += here[4..].chunks(3).filter(|call| call[0] != 0).count();
        if let (Some(back), Some(bucket)) = (step.back, terms.bucket()) {
            let args = bucket.into_iter().chain([i64::from(back), mark]);
            let args: Vec<_> = args.map(Arg::Int).collect();
            let (here, there) = both.run(&scripts::REFUND, &args);
            assert_eq!(here, there, "a refund at {}: {step:?}", both.now);
        }
        mark = here[1];
    }
    assert!(
        let_through > 100 && refused > 100,
        "{let_through} {refused}"
    );
}

/// Long ones, so that nothing expires on the server before it does here.
const RATES: [Rate; 3] = [
    Rate::new(10, Duration::from_secs(600)),
    Rate::new(7, Duration::from_secs(600)),
    Rate::new(1_000_003, Duration::from_secs(7_001)),
];

fn of(algorithm: Algorithm) -> RateLimiterSettings {
    RateLimiterSettings::new().algorithm(algorithm)
}

const STEPS: u32 = 4_000;

#[test]
fn a_bucket_is_the_same_in_both() {
    compare(of(Algorithm::TokenBucket).burst(9), RATES, 1);
}

#[test]
fn a_bucket_whose_units_are_coarse_is_the_same_in_both() {
    let rate = |count| Rate::new(count, Duration::from_secs(4_001));
    let rates = [rate(u32::MAX - 4), rate(999_999_937), rate(5)];
    compare(
        of(Algorithm::LeakyBucket).burst(u32::MAX / 3),
        rates,
        100_000_007,
    );
}

#[test]
fn a_fixed_window_is_the_same_in_both() {
    compare(of(Algorithm::FixedWindow), RATES, 1);
}

#[test]
fn an_exact_log_is_the_same_in_both() {
    compare(of(Algorithm::SlidingWindow), RATES, 1);
}

#[test]
fn two_counters_are_the_same_in_both() {
    compare(of(Algorithm::SlidingWindowCounter), RATES, 1);
}

#[test]
fn an_adaptive_limit_is_the_same_in_both() {
    let settings = of(Algorithm::Adaptive)
        .interval(Duration::from_secs(120))
        .min_rate(Rate::new(1, Duration::from_secs(600)));
    compare(settings, RATES, 1);
}

#[test]
fn a_record_of_another_kind_is_an_error_and_stays_as_it_is() {
    let server = RedisServer::start();
    let mut client = server.client().expect("it has started");
    for algorithm in [
        Algorithm::TokenBucket,
        Algorithm::FixedWindow,
        Algorithm::SlidingWindow,
        Algorithm::SlidingWindowCounter,
        Algorithm::Adaptive,
    ] {
        let terms = Terms::new(&of(algorithm), RATES[0]).expect("a rate");
        let step = Step {
            pass: 0,
            hours: 0,
            rate: 0,
            waits: false,
            extra: 0,
            calls: vec![(1, 0)],
            ended: (0, 0),
            back: None,
        };
        for foreign in [
            &[b"SADD" as &[u8], b"key", b"x"] as &[&[u8]],
            &[b"SET", b"key", b"x y"],
        ] {
            command(&mut client, &[b"DEL", b"key"]);
            command(&mut client, foreign);
            let (keys, args) = ([b"key".to_vec()], args(&terms, &step));
            let error = eval(&mut client, terms.script, &keys, &args, Some(START))
                .expect_err("it is not ours");
            assert!(
                error.starts_with("WRONGTYPE"),
                "{}: {error}",
                terms.script.name
            );
        }
    }
}
