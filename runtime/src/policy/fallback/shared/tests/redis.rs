//! The scripts on a real server, step by step beside their twins.

use std::{
    cell::RefCell,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use proptest::{prelude::*, test_runner::TestRunner};

use super::{
    model::Twin,
    step::{Reply, SECOND, START, Step, steps},
};
use crate::store::{Arg, PRELUDE, Value};

/// A server of the test's own.
struct Server(Child, u16);

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        Self(child, port)
    }

    fn connect(&self) -> Connection {
        // A loaded machine may take seconds to start it.
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match TcpStream::connect(("127.0.0.1", self.1)) {
                Ok(stream) => return Connection(BufReader::new(stream)),
                Err(error) if Instant::now() > deadline => panic!("no server: {error}"),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

struct Connection(BufReader<TcpStream>);

#[derive(Debug, PartialEq)]
enum Answer {
    Value(Value),
    List(Vec<Value>),
    Error(String),
}

impl Connection {
    fn ask(&mut self, words: &[&[u8]]) -> Answer {
        let mut message = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            message.extend(format!("${}\r\n", word.len()).into_bytes());
            message.extend_from_slice(word);
            message.extend_from_slice(b"\r\n");
        }
        self.0.get_mut().write_all(&message).expect("sent");
        self.answer()
    }

    fn answer(&mut self) -> Answer {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("an answer");
        let (kind, rest) = line.trim_end().split_at(1);
        let number = || rest.parse::<i64>().expect("a number");
        match kind {
            ":" => Answer::Value(Value::Int(number())),
            "$" if number() < 0 => Answer::Value(Value::Nil),
            "$" => {
                let mut bytes = vec![0; number() as usize + 2];
                self.0.read_exact(&mut bytes).expect("the rest");
                bytes.truncate(bytes.len() - 2);
                Answer::Value(Value::Bytes(bytes))
            }
            "*" => Answer::List(
                (0..number())
                    .map(|_| match self.answer() {
                        Answer::Value(value) => value,
                        other => panic!("in a list: {other:?}"),
                    })
                    .collect(),
            ),
            "+" => Answer::Value(Value::Bytes(rest.into())),
            _ => Answer::Error(rest.to_owned()),
        }
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
            Answer::List(values) => Ok(values),
            Answer::Error(problem) if problem.contains("WRONGTYPE") => Err(()),
            other => panic!("{}: {other:?}", script.name),
        }
    }

    fn clear(&mut self) {
        let keys = Twin::keys();
        self.ask(&[b"DEL", &keys[0], &keys[1]]);
    }

    /// Milliseconds that are left to a key.
    fn left(&mut self, nth: usize) -> i64 {
        match self.ask(&[b"PTTL", &Twin::keys()[nth]]) {
            Answer::Value(Value::Int(left)) => left,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn both_languages_decide_alike_and_every_write_expires() {
    let server = Server::start();
    let redis = RefCell::new(server.connect());
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
            // The server's own clock stands as good as still.
            if expires <= now {
                redis.clear();
            }
            continue;
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
    let server = Server::start();
    let mut redis = server.connect();
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
    let server = Server::start();
    let mut redis = server.connect();
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
        assert_eq!(other, Answer::Value(Value::Int(0)));
    }
}
