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
    store::{Arg, PRELUDE, Value},
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
        let lua = format!("{PRELUDE}{}", script.lua);
        let now = now.map(|now| now.to_string()).unwrap_or_default();
        let args: Vec<Vec<u8>> = args
            .into_iter()
            .map(|arg| match arg {
                Arg::Int(int) => int.to_string().into_bytes(),
                Arg::Bytes(bytes) => bytes,
            })
            .collect();
        let mut words: Vec<&[u8]> = vec![b"EVAL", lua.as_bytes(), b"2", &keys[0], &keys[1]];
        words.push(now.as_bytes());
        words.extend(args.iter().map(Vec::as_slice));
        match self.ask(&words) {
            Said::Array(values) => Ok(values.into_iter().map(value).collect()),
            Said::Error(problem) if problem.contains("WRONGTYPE") => Err(()),
            other => panic!("{}: {other:?}", script.name),
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

fn value(said: Said) -> Value {
    match said {
        Said::Integer(int) => Value::Int(int),
        Said::Bulk(bytes) => Value::Bytes(bytes),
        other => panic!("{other:?}"),
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
    let lua = format!("{PRELUDE}{}", REMEMBER.lua);
    let (keys, now) = (Twin::keys(), START.to_string());
    let said = redis.ask(&[
        b"EVAL",
        lua.as_bytes(),
        b"2",
        &keys[0],
        &keys[1],
        now.as_bytes(),
        b"f",
        b"j",
        b"60000000",
        b"3",
    ]);
    assert!(said.is_error(), "{said:?}");
    let there = redis.run(&get(1), Some(START)).unwrap();
    assert_eq!(there.len(), 2);
    redis.ask(&[b"CONFIG", b"SET", b"maxmemory", b"0"]);
    assert_eq!(redis.run(&put(2, 8), Some(START)), Ok(vec![Value::Int(2)]));
}
