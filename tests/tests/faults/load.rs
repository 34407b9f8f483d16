//! Callers that go on and on.

use std::{
    future::Future,
    ops::AddAssign,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use steadfast::{Rejection, StoreError};
use steadfast_servers::wait_until;
use tokio::task::JoinHandle;

use crate::SOON;

/// How calls ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) granted: u64,
    pub(crate) refused: u64,
    /// For want of the store.
    pub(crate) away: u64,
    pub(crate) causes: Vec<StoreError>,
    pub(crate) longest: Duration,
}

impl Tally {
    pub(crate) fn calls(&self) -> u64 {
        self.granted + self.refused + self.away
    }

    fn count<T>(&mut self, outcome: &Result<T, Rejection>, took: Duration) {
        self.longest = self.longest.max(took);
        match outcome {
            Ok(_) => self.granted += 1,
            Err(Rejection::StoreUnavailable(unavailable)) => {
                self.away += 1;
                let cause = (*unavailable.cause).clone();
                if !self.causes.contains(&cause) {
                    self.causes.push(cause);
                }
            }
            Err(_) => self.refused += 1,
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.granted += other.granted;
        self.refused += other.refused;
        self.away += other.away;
        self.causes.extend(other.causes);
        self.longest = self.longest.max(other.longest);
    }
}

/// Makes calls one after the other, and counts them.
pub(crate) async fn in_turn<T, F>(calls: usize, call: impl Fn() -> F) -> Tally
where
    F: Future<Output = Result<T, Rejection>>,
{
    let mut tally = Tally::default();
    for _ in 0..calls {
        let start = Instant::now();
        let outcome = call().await;
        tally.count(&outcome, start.elapsed());
    }
    tally
}

/// Callers on other threads than the test's, until they are told to stop.
pub(crate) struct Load {
    shared: Arc<Shared>,
    callers: Vec<JoinHandle<Tally>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    granted: AtomicU64,
    ended: AtomicU64,
}

impl Load {
    /// So many callers; who is refused pauses for a moment before the next call.
    pub(crate) fn begin<T, F>(callers: usize, call: impl Fn() -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = Result<T, Rejection>> + Send + 'static,
        T: Send + 'static,
    {
        let shared = Arc::new(Shared::default());
        let callers = (0..callers)
            .map(|_| tokio::spawn(go_on(Arc::clone(&shared), call.clone())))
            .collect();
        Self { shared, callers }
    }

    /// Waits, blocking this thread, until so many more calls were let through.
    #[track_caller]
    pub(crate) fn wait_for_granted(&self, more: u64) {
        let until = self.shared.granted.load(Relaxed) + more;
        wait_until("calls are let through", SOON, || {
            self.shared.granted.load(Relaxed) >= until
        });
    }

    /// Waits, blocking this thread, until so many more calls have ended somehow.
    #[track_caller]
    pub(crate) fn wait_for_ended(&self, more: u64) {
        let until = self.shared.ended.load(Relaxed) + more;
        wait_until("calls end", SOON, || {
            self.shared.ended.load(Relaxed) >= until
        });
    }

    pub(crate) async fn end(self) -> Tally {
        self.shared.stop.store(true, Relaxed);
        let mut all = Tally::default();
        for caller in self.callers {
            all += caller.await.expect("a caller that does not panic");
        }
        all
    }
}

async fn go_on<T, F>(shared: Arc<Shared>, call: impl Fn() -> F) -> Tally
where
    F: Future<Output = Result<T, Rejection>>,
{
    let mut tally = Tally::default();
    while !shared.stop.load(Relaxed) {
        let start = Instant::now();
        let outcome = call().await;
        tally.count(&outcome, start.elapsed());
        shared.ended.fetch_add(1, Relaxed);
        let pause = match outcome {
            // A body that takes next to no time; callers that never stop would starve the servers.
            Ok(_) => {
                shared.granted.fetch_add(1, Relaxed);
                Duration::from_micros(200)
            }
            Err(_) => Duration::from_millis(1),
        };
        tokio::time::sleep(pause).await;
    }
    tally
}
