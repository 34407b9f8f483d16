//! The script on a real server against its twin: the same answers to the same reports at the same times.

use std::{
    cell::{Cell, RefCell},
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command as Process, Stdio},
    time::{Duration, Instant},
};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::script::{EXCHANGE, answer, args};
use crate::{
    algorithm::fleet_circuit::brute::{rules, said, step},
    store::{Arg, PRELUDE, Reply, Table, Value},
};

/// A server of the test's own.
struct Server {
    process: Child,
    connection: BufReader<TcpStream>,
}

impl Server {
    fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let process = Process::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .stdout(Stdio::null())
            .spawn()
            .expect("`redis-server` is installed");
        let start = Instant::now();
        let connection = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(connection) => break BufReader::new(connection),
                // It takes some milliseconds; on a machine under load perhaps a hundred times that.
                Err(_) if start.elapsed() < Duration::from_secs(20) => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(error) => panic!("no server: {error}"),
            }
        };
        connection.get_ref().set_nodelay(true).unwrap();
        Self {
            process,
            connection,
        }
    }

    fn ask(&mut self, words: &[Vec<u8>]) -> Vec<i64> {
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            request.extend_from_slice(word);
            request.extend_from_slice(b"\r\n");
        }
        self.connection.get_mut().write_all(&request).unwrap();
        self.answer()
    }

    /// Integers, or the length of a text.
    fn answer(&mut self) -> Vec<i64> {
        let mut line = String::new();
        self.connection.read_line(&mut line).unwrap();
        let (kind, rest) = line.trim_end().split_at(1);
        match kind {
            "+" => Vec::new(),
            ":" => vec![rest.parse().unwrap()],
            "*" => (0..rest.parse().unwrap())
                .flat_map(|_: u32| self.answer())
                .collect(),
            "$" => {
                let length: usize = rest.parse().unwrap();
                let mut text = vec![0; length + 2];
                self.connection.read_exact(&mut text).unwrap();
                vec![length as i64]
            }
            _ => panic!("{line}"),
        }
    }

    fn exchange(&mut self, key: &[u8], now: i64, args: &[Arg]) -> Vec<i64> {
        let mut words = vec![
            b"EVAL".to_vec(),
            format!("{PRELUDE}{}", EXCHANGE.lua).into_bytes(),
            b"1".to_vec(),
            key.to_vec(),
            now.to_string().into_bytes(),
        ];
        words.extend(args.iter().map(|arg| match arg {
            Arg::Int(int) => int.to_string().into_bytes(),
            Arg::Bytes(bytes) => bytes.clone(),
        }));
        self.ask(&words)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[test]
fn the_script_and_its_twin_answer_alike() {
    let server = RefCell::new(Server::start());
    let key = Cell::new(0_u32);
    let config = Config {
        cases: 60,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let steps = (rules(), prop::collection::vec((step(), said()), 1..120));
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&steps, |(rules, steps)| {
        let mut server = server.borrow_mut();
        key.set(key.get() + 1);
        let keys = vec![key.get().to_string().into_bytes()];
        let (mut table, mut now) = (Table::default(), 1_700_000_000_000_000_i64);
        let (mut generation, mut epoch, mut numbers) = (now, 0, Vec::new());
        for (step, said) in steps {
            let report = said.report(generation, epoch, &mut numbers);
            let args = args(&rules, &report);
            let twin = (EXCHANGE.twin)(&mut table.records(&keys, now), &args).unwrap();
            let lua = server.exchange(&keys[0], now, &args);
            let lua = Reply(lua.into_iter().map(Value::Int).collect());
            prop_assert_eq!(&lua, &Reply(twin));
            let answer = answer(&lua).unwrap();
            (generation, epoch) = (answer.generation, answer.epoch);
            // Not beyond the life of a record: the server's goes by a clock that is not the test's.
            now += step.clamp(-1_000_000_000, 1_000_000_000);
        }
        let ttl = server.ask(&[b"PTTL".to_vec(), keys[0].clone()]);
        prop_assert!(ttl[0] > 0, "written without an end");
        Ok(())
    });
    outcome.unwrap();
}
