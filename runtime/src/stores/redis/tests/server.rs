//! A server of a test's own, and a proxy before it.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{Mutex, mpsc},
    time::{Duration, Instant},
};

use super::{super::resp, eventually};
use resp::Resp;

/// A `redis-server` without persistence, which ends with the test.
pub(super) struct Server {
    port: u16,
    options: Vec<String>,
    process: Child,
    /// A connection for the test's own commands.
    line: Mutex<Option<TcpStream>>,
}

impl Server {
    pub(super) fn start() -> Self {
        Self::with(&[])
    }

    pub(super) fn with(options: &[&str]) -> Self {
        let port = free_port();
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let server = Self {
            port,
            process: spawn(port, &options),
            options,
            line: Mutex::default(),
        };
        server.wait();
        server
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub(super) fn url_as(&self, login: &str) -> String {
        format!("redis://{login}@127.0.0.1:{}/", self.port)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// With SIGKILL: connections break.
    pub(super) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        *self.line.lock().unwrap() = None;
    }

    /// Again on the same port; says when it was open.
    pub(super) fn restart(&mut self) -> Instant {
        self.process = spawn(self.port, &self.options);
        self.wait();
        Instant::now()
    }

    pub(super) fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        let status = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(status.success());
    }

    fn wait(&self) {
        eventually("the server is there", || {
            TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
    }

    /// Runs a command, past the store.
    pub(super) fn say(&self, parts: &[&str]) -> Resp {
        let mut line = self.line.lock().unwrap();
        let line =
            line.get_or_insert_with(|| TcpStream::connect(("127.0.0.1", self.port)).unwrap());
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        let mut bytes = Vec::new();
        resp::command(&mut bytes, &parts);
        line.write_all(&bytes).unwrap();
        let (mut answer, mut chunk) = (Vec::new(), [0; 4096]);
        loop {
            if let Some((resp, _)) = resp::parse(&answer).unwrap() {
                return resp;
            }
            let read = line.read(&mut chunk).unwrap();
            assert!(read > 0, "the server closed the connection");
            answer.extend_from_slice(&chunk[..read]);
        }
    }

    pub(super) fn int(&self, parts: &[&str]) -> i64 {
        match self.say(parts) {
            Resp::Int(int) => int,
            other => panic!("{other:?}"),
        }
    }

    /// A number in a key, 0 where there is none.
    pub(super) fn number(&self, key: &str) -> i64 {
        match self.say(&["GET", key]) {
            Resp::Bytes(bytes) => String::from_utf8(bytes).unwrap().parse().unwrap(),
            Resp::Nil => 0,
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(port: u16, options: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no"])
        .args(options)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed")
}

pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A way to a server that takes its time in both directions. It ends with the test's process.
pub(super) fn slow_way_to(port: u16, delay: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for near in listener.incoming() {
            let (near, far) = (
                near.unwrap(),
                TcpStream::connect(("127.0.0.1", port)).unwrap(),
            );
            forward(near.try_clone().unwrap(), far.try_clone().unwrap(), delay);
            forward(far, near, delay);
        }
    });
    own
}

fn forward(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(read @ 1..) = from.read(&mut chunk) {
            let _ = sender.send((Instant::now() + delay, chunk[..read].to_vec()));
        }
    });
    std::thread::spawn(move || {
        for (at, bytes) in receiver {
            // The delay is what is tested: a distant server cannot be had otherwise.
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
}
