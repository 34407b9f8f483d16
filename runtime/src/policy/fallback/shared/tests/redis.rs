//! The scripts on a real server, step by step beside their twins.

use std::cell::RefCell;

use proptest::{prelude::*, test_runner::TestRunner};
use steadfast_servers::{Client, RedisServer, Reply as Said};

use super::{
    model::Twin,
    step::{Reply, SECOND, START, Step, steps},
};
use crate::{
    policy::fallback::shared::script::REMEMBER,
    store::{Arg, Value, on_server::eval},
};

struct Connection(Client);

impl Connection {
    fn to(server: &RedisServer) -> Self {
        Self(Client::connect(server.port()).expect("it has started"))
    }

    fn ask(&mut self, words: &[&[u8]]) -> Said {
        self.0.command(words).expect("an answer")
    }

    fn run(&mut self, step: &Step, now: Option<i64>) -> Reply {
        let keys = Twin::keys();
        if let Step::Lose(nth) = step {
            self.ask(&[b"DEL", &keys[*nth]]);
        }
        let Some((script, args)) = step.job() else {
            return Ok(vec![Value::Int(1)]);
        };
        match eval(&mut self.0, script, &keys, &args, now) {
            Ok(reply) => Ok(reply.0),
            Err(problem) if problem.contains("WRONGTYPE") => Err(()),
            Err(problem) => panic!("{}: {problem}", script.name),
        }
    }

    fn clear(&mut self) {
        let keys = Twin::keys();
        self.ask(&[b"DEL", &keys[0], &keys[1]]);
    }

    /// Milliseconds that are left to a key.
    fn left(&mut self, nth: usize) -> i64 {
        self.ask(&[b"PTTL", &Twin::keys()[nth]]).integer()
    }
}

#[test]
fn both_languages_decide_alike_and_every_write_expires() {
    let server = RedisServer::start();
    let redis = RefCell::new(Connection::to(&server));
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&steps(80), |steps| {
        redis_and_twin(&mut redis.borrow_mut(), steps)
    });
    outcome.unwrap();
}

fn redis_and_twin(redis: &mut Connection, steps: Vec<Step>) -> Result<(), TestCaseError> {
    redis.clear();
    let (mut twin, mut now, mut expires) = (Twin::default(), START, i64::MAX);
    for step in steps {
        if let Step::Wait(time) = step {
            now += time;
            continue;
        }
        // The server's own clock stands as good as still.
        if expires <= now {
            redis.clear();
        }
        let (said, expected) = (redis.run(&step, Some(now)), twin.run(&step, now));
        prop_assert_eq!(said, expected, "{:?}", step);
        if let Step::Remember { stale, .. } = step {
            let whole = stale / 1_000 + 1;
            expires = now + whole * 1_000;
            for nth in 0..2 {
                // A minute of slack for a machine under load.
                let left = redis.left(nth);
                prop_assert!(
                    (whole - 60_000..=whole).contains(&left),
                    "{left} of {whole}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn without_a_time_of_the_tests_the_servers_own_counts() {
    let server = RedisServer::start();
    let mut redis = Connection::to(&server);
    let put = Step::Remember {
        field: 1,
        json: 7,
        stale: 60 * SECOND,
        most: 3,
    };
    let get = Step::Recall {
        field: 1,
        stale: 60 * SECOND,
        known: -1,
    };
    assert_eq!(redis.run(&put, None), Ok(vec![Value::Int(1)]));
    let said = redis.run(&get, None).unwrap();
    // Generous: two calls of one connection, on a machine under load.
    let (Value::Int(age), 2) = (&said[0], said.len()) else {
        panic!("{said:?}");
    };
    assert!((0..60 * SECOND).contains(age), "{age}");
}

#[test]
fn a_key_of_another_type_is_an_error_and_nothing_is_written() {
    let server = RedisServer::start();
    let mut redis = Connection::to(&server);
    let keys = Twin::keys();
    for nth in 0..2 {
        redis.clear();
        redis.ask(&[b"SET", &keys[nth], b"a string"]);
        let put = Step::Remember {
            field: 1,
            json: 7,
            stale: 60 * SECOND,
            most: 3,
        };
        assert_eq!(redis.run(&put, Some(START)), Err(()));
        let other = redis.ask(&[b"EXISTS", &keys[1 - nth]]);
        assert_eq!(other.integer(), 0);
    }
}

#[test]
fn a_full_server_takes_no_answer_and_gives_those_it_has() {
    let server = RedisServer::start();
    let mut redis = Connection::to(&server);
    let put = |field, json| Step::Remember {
        field,
        json,
        stale: 60 * SECOND,
        most: 3,
    };
    let get = |field| Step::Recall {
        field,
        stale: 60 * SECOND,
        known: -1,
    };
    redis.run(&put(1, 7), Some(START)).unwrap();
    redis.ask(&[b"CONFIG", b"SET", b"maxmemory", b"1"]);
    let (field, json) = (Arg::Bytes(b"f".to_vec()), Arg::Bytes(b"j".to_vec()));
    let args = [field, json, Arg::Int(60 * SECOND), Arg::Int(3)];
    let said = eval(&mut redis.0, &REMEMBER, &Twin::keys(), &args, Some(START));
    assert!(said.is_err(), "{said:?}");
    let there = redis.run(&get(1), Some(START)).unwrap();
    assert_eq!(there.len(), 2);
    redis.ask(&[b"CONFIG", b"SET", b"maxmemory", b"0"]);
    assert_eq!(redis.run(&put(2, 8), Some(START)), Ok(vec![Value::Int(2)]));
}
