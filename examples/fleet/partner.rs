//! The partner: a TCP service that answers `ok` or `no` to each line, and remembers when it came.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// The partner, alive as long as the program.
pub(crate) struct Partner {
    address: SocketAddr,
    ledger: Arc<Ledger>,
}

struct Ledger {
    start: Instant,
    fails: AtomicBool,
    arrivals: Mutex<Vec<Duration>>,
}

impl Partner {
    /// Opens a free port.
    pub(crate) fn start(start: Instant) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let ledger = Arc::new(Ledger {
            start,
            fails: AtomicBool::new(false),
            arrivals: Mutex::default(),
        });
        let listening = Arc::clone(&ledger);
        thread::Builder::new()
            .name("partner".into())
            .spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    let ledger = Arc::clone(&listening);
                    // A worker that hangs up ends its thread.
                    thread::spawn(move || drop(serve(&ledger, stream)));
                }
            })?;
        Ok(Self { address, ledger })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Fails every call from now on, or no longer.
    pub(crate) fn set_fails(&self, fails: bool) {
        self.ledger.fails.store(fails, Relaxed);
    }

    /// When calls came, since the start, in order.
    pub(crate) fn arrivals(&self) -> Vec<Duration> {
        self.ledger.lock().clone()
    }
}

impl Ledger {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Duration>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(ledger: &Ledger, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut answer = stream.try_clone()?;
    for line in BufReader::new(stream).lines() {
        line?;
        {
            // Read under the lock, so that they are in order.
            let mut arrivals = ledger.lock();
            arrivals.push(ledger.start.elapsed());
        }
        let fails = ledger.fails.load(Relaxed);
        answer.write_all(if fails { b"no\n" } else { b"ok\n" })?;
    }
    Ok(())
}
