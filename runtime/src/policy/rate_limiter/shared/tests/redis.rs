//! A Redis server of a test's own, and just enough of its protocol to run a script at a time of the
//! test's own.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::store::{Arg, PRELUDE, Script, Value};

pub(super) struct Server {
    process: Child,
    connection: BufReader<TcpStream>,
}

impl Server {
    pub(super) fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let process = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .args(["--bind", "127.0.0.1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        // Generous: a machine that is busy takes long to start a process.
        let deadline = Instant::now() + Duration::from_secs(20);
        let connection = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(connection) => break connection,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            std::thread::yield_now();
        };
        connection.set_nodelay(true).expect("a socket");
        Self {
            process,
            connection: BufReader::new(connection),
        }
    }

    /// Runs a script at a time in microseconds.
    pub(super) fn eval(
        &mut self,
        script: &Script,
        key: &[u8],
        args: &[Arg],
        now: i64,
    ) -> Result<Vec<i64>, String> {
        let source = format!("{PRELUDE}{}", script.lua);
        let mut words = vec![
            b"EVAL".to_vec(),
            source.into_bytes(),
            b"1".to_vec(),
            key.to_vec(),
            now.to_string().into_bytes(),
        ];
        words.extend(args.iter().map(|arg| match arg {
            Arg::Int(int) => int.to_string().into_bytes(),
            Arg::Bytes(bytes) => bytes.clone(),
        }));
        self.send(&words);
        match self.read()? {
            Answer::Many(values) => values
                .into_iter()
                .map(|value| match value {
                    Value::Int(int) => Ok(int),
                    other => Err(format!("{other:?}")),
                })
                .collect(),
            other => Err(format!("{other:?}")),
        }
    }

    /// Any command that is answered with a number or a word.
    pub(super) fn command(&mut self, words: &[&[u8]]) -> Result<i64, String> {
        self.send(&words.iter().map(|word| word.to_vec()).collect::<Vec<_>>());
        match self.read()? {
            Answer::One(Value::Int(int)) => Ok(int),
            _ => Ok(0),
        }
    }

    fn send(&mut self, words: &[Vec<u8>]) {
        let mut text = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            text.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            text.extend_from_slice(word);
            text.extend_from_slice(b"\r\n");
        }
        self.connection
            .get_mut()
            .write_all(&text)
            .expect("the server is there");
    }

    fn read(&mut self) -> Result<Answer, String> {
        let mut line = String::new();
        self.connection
            .read_line(&mut line)
            .expect("the server is there");
        let (kind, rest) = line.trim_end().split_at(1);
        let number = || rest.parse::<i64>().expect("a number");
        Ok(match kind {
            "-" => return Err(rest.to_owned()),
            ":" => Answer::One(Value::Int(number())),
            "+" => Answer::One(Value::Bytes(rest.as_bytes().to_vec())),
            "$" if number() < 0 => Answer::One(Value::Nil),
            "$" => {
                let mut bytes = vec![0; usize::try_from(number()).expect("a length") + 2];
                self.connection
                    .read_exact(&mut bytes)
                    .expect("the server is there");
                bytes.truncate(bytes.len() - 2);
                Answer::One(Value::Bytes(bytes))
            }
            _ => {
                let mut values = Vec::new();
                for _ in 0..number() {
                    match self.read()? {
                        Answer::One(value) => values.push(value),
                        other => return Err(format!("{other:?}")),
                    }
                }
                Answer::Many(values)
            }
        })
    }
}

#[derive(Debug)]
enum Answer {
    One(Value),
    Many(Vec<Value>),
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
