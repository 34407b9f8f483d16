//! How a caller waits, written once for async and blocking callers: the policy says "ready" or "not
//! before then", the adaptor owns the timer.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

use pin_project_lite::pin_project;

use crate::{
    clock::{self, Nanos},
    lock::lock,
};

/// What became of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress<T> {
    Ready(T),
    /// Ask again at this time at the latest, and whenever woken. [`Nanos::NEVER`]: only when woken.
    Until(Nanos),
}

/// A place in some line. Its `Drop` gives the place back, and with it whatever it was handed and
/// has not yet passed on.
pub(crate) trait Wait {
    type Output;

    /// Is it my turn? `now` never lies before an `Until` whose time has come.
    fn poll(&mut self, waker: &Waker, now: Nanos) -> Progress<Self::Output>;
}

pin_project! {
    /// Waits on the tokio timer. Dropped before it is ready, it drops the [`Wait`].
    #[must_use = "futures do nothing unless awaited"]
    pub(crate) struct Waiting<W> {
        wait: W,
        // Made at the first `Until` that names a time, re-armed when that time changes.
        #[pin]
        sleep: Option<tokio::time::Sleep>,
        until: Nanos,
    }
}

/// Waits without blocking the thread.
pub(crate) fn wait<W: Wait>(wait: W) -> Waiting<W> {
    Waiting {
        wait,
        sleep: None,
        until: Nanos::NEVER,
    }
}

impl<W: Wait> Future for Waiting<W> {
    type Output = W::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<W::Output> {
        let mut this = self.project();
        let mut now = clock::now();
        loop {
            let until = match this.wait.poll(context.waker(), now) {
                Progress::Ready(output) => return Poll::Ready(output),
                Progress::Until(until) => until,
            };
            if *this.until != until || this.sleep.is_none() {
                *this.until = until;
                arm(this.sleep.as_mut(), until, now);
            }
            if until <= now {
                // Not its turn although the time has come: let the others run before asking again.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            match this.sleep.as_mut().as_pin_mut() {
                Some(sleep) if until != Nanos::NEVER => std::task::ready!(sleep.poll(context)),
                _ => return Poll::Pending,
            }
            // The timer says that the time has come; a clock that reads earlier (another core's, a
            // coarser one) must not send the caller back to sleep.
            now = clock::now().max(until);
        }
    }
}

fn arm(mut sleep: Pin<&mut Option<tokio::time::Sleep>>, until: Nanos, now: Nanos) {
    if until == Nanos::NEVER {
        return;
    }
    let delay = until.since(now);
    match sleep.as_mut().as_pin_mut() {
        Some(sleep) => sleep.reset(deadline(delay)),
        None => sleep.set(Some(tokio::time::sleep(delay))),
    }
}

fn deadline(delay: Duration) -> tokio::time::Instant {
    let now = tokio::time::Instant::now();
    // Beyond what an `Instant` can hold is as good as thirty years.
    let far = || now + Duration::from_secs(86_400 * 365 * 30);
    now.checked_add(delay).unwrap_or_else(far)
}

/// Wakes a caller who waits. If its waker panics, that must hurt nobody who only gave something back: it
/// goes no further than the panic hook.
pub(crate) fn wake(waker: Waker) {
    drop(catch_unwind(AssertUnwindSafe(|| waker.wake())));
}

/// Waits by blocking this thread, in real time.
pub(crate) fn wait_blocking<W: Wait>(mut wait: W) -> W::Output {
    let parker = Arc::new(Parker::default());
    let waker = Waker::from(Arc::clone(&parker));
    let (start, real_start) = (clock::now(), Instant::now());
    loop {
        // A paused clock stands still while its thread is blocked: real time goes on regardless.
        let now = clock::now().max(start.after(real_start.elapsed()));
        match wait.poll(&waker, now) {
            Progress::Ready(output) => return output,
            Progress::Until(Nanos::NEVER) => {
                note_blocking_wait();
                parker.park(None);
            }
            Progress::Until(until) => {
                note_blocking_wait();
                parker.park(Some(until.since(now)));
            }
        }
    }
}

/// Our own instead of `thread::park`, whose single token may belong to an executor further up this
/// very stack: taking it would let that executor sleep through its wake-up.
#[derive(Default)]
struct Parker {
    woken: Mutex<bool>,
    bell: Condvar,
}

impl Parker {
    fn park(&self, timeout: Option<Duration>) {
        let woken = lock(&self.woken);
        let asleep = |woken: &mut bool| !*woken;
        let mut woken = match timeout {
            None => self
                .bell
                .wait_while(woken, asleep)
                .unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                self.bell
                    .wait_timeout_while(woken, timeout, asleep)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        *woken = false;
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        *lock(&self.woken) = true;
        self.bell.notify_one();
    }
}

/// Sleeps on the runtime's timer: virtual time where a test has paused it.
pub(crate) fn sleep(delay: Duration) -> tokio::time::Sleep {
    tokio::time::sleep(delay)
}

/// Sleeps until a point on the clock's line.
pub(crate) fn sleep_until(until: Nanos) -> tokio::time::Sleep {
    sleep(until.since(clock::now()))
}

/// Blocks this thread, in real time.
pub(crate) fn sleep_blocking(delay: Duration) {
    if delay.is_zero() {
        return;
    }
    note_blocking_wait();
    std::thread::sleep(delay);
}

/// Says once in a process that a blocking wait takes place on a thread of an async runtime, where it
/// holds up every task of that thread.
pub(crate) fn note_blocking_wait() {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if TOLD.load(Ordering::Relaxed) || tokio::runtime::Handle::try_current().is_err() {
        return;
    }
    if !TOLD.swap(true, Ordering::Relaxed) {
        warn_of_blocking();
    }
}

fn warn_of_blocking() {
    // `spawn_blocking` threads look the same from here; hence the hint instead of an accusation.
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: "steadfast",
        "a sync function waits inside an async runtime and blocks its thread: make the function \
         async, or call it through `spawn_blocking` (if it is, all is well); told once"
    );
}

#[cfg(all(test, not(steadfast_loom)))]
#[allow(clippy::unwrap_used)] // clippy does not see that this module is for tests
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    /// Ready at a time, or when told; counts its polls and its drop.
    struct Turn {
        until: Nanos,
        told: Arc<Told>,
    }

    #[derive(Default)]
    struct Told {
        ready: AtomicBool,
        polls: AtomicU32,
        dropped: AtomicBool,
        waker: Mutex<Option<Waker>>,
        next_until: Mutex<Option<Nanos>>,
    }

    impl Told {
        fn wake(&self) {
            if let Some(waker) = self.waker.lock().unwrap().take() {
                waker.wake();
            }
        }
    }

    impl Wait for Turn {
        type Output = Nanos;

        fn poll(&mut self, waker: &Waker, now: Nanos) -> Progress<Nanos> {
            self.told.polls.fetch_add(1, Ordering::Relaxed);
            *self.told.waker.lock().unwrap() = Some(waker.clone());
            if let Some(until) = self.told.next_until.lock().unwrap().take() {
                self.until = until;
            }
            if self.told.ready.load(Ordering::Acquire) || now >= self.until {
                Progress::Ready(now)
            } else {
                Progress::Until(self.until)
            }
        }
    }

    impl Drop for Turn {
        fn drop(&mut self) {
            self.told.dropped.store(true, Ordering::Relaxed);
        }
    }

    fn turn(until: Nanos) -> (Turn, Arc<Told>) {
        let told = Arc::new(Told::default());
        let turn = Turn {
            until,
            told: Arc::clone(&told),
        };
        (turn, told)
    }

    #[cfg(feature = "test-util")]
    mod in_virtual_time {
        use super::*;

        #[tokio::test(start_paused = true)]
        async fn is_ready_at_its_time_after_two_polls() {
            let start = clock::now();
            let (turn, told) = turn(start.after(Duration::from_secs(5)));
            assert_eq!(wait(turn).await.since(start), Duration::from_secs(5));
            assert_eq!(told.polls.load(Ordering::Relaxed), 2);
        }

        #[tokio::test(start_paused = true)]
        async fn a_wake_up_comes_before_the_time() {
            let start = clock::now();
            let (turn, told) = turn(start.after(Duration::from_secs(5)));
            let waiting = tokio::spawn(wait(turn));
            tokio::time::sleep(Duration::from_secs(2)).await;
            told.ready.store(true, Ordering::Release);
            told.wake();
            assert_eq!(waiting.await.unwrap().since(start), Duration::from_secs(2));
        }

        #[tokio::test(start_paused = true)]
        async fn a_changed_time_re_arms_the_timer() {
            let start = clock::now();
            let (turn, told) = turn(start.after(Duration::from_secs(50)));
            let waiting = tokio::spawn(wait(turn));
            tokio::time::sleep(Duration::from_secs(2)).await;
            *told.next_until.lock().unwrap() = Some(start.after(Duration::from_secs(3)));
            told.wake();
            assert_eq!(waiting.await.unwrap().since(start), Duration::from_secs(3));
        }

        #[tokio::test(start_paused = true)]
        async fn a_wait_without_a_time_sleeps_until_woken_and_may_get_one_later() {
            let start = clock::now();
            let (turn, told) = turn(Nanos::NEVER);
            let waiting = tokio::spawn(wait(turn));
            tokio::time::sleep(Duration::from_secs(3600)).await;
            assert_eq!(told.polls.load(Ordering::Relaxed), 1);
            *told.next_until.lock().unwrap() = Some(start.after(Duration::from_secs(3601)));
            told.wake();
            assert_eq!(
                waiting.await.unwrap().since(start),
                Duration::from_secs(3601)
            );
        }

        #[tokio::test(start_paused = true)]
        async fn a_dropped_wait_gives_its_place_back() {
            let (turn, told) = turn(Nanos::NEVER);
            let outcome = tokio::time::timeout(Duration::from_secs(1), wait(turn)).await;
            assert!(outcome.is_err() && told.dropped.load(Ordering::Relaxed));
        }

        /// The paused clock stands still while the thread blocks: the wait must end all the same.
        #[tokio::test(start_paused = true)]
        async fn a_blocking_wait_ends_under_a_paused_clock() {
            let (turn, _) = turn(clock::now().after(Duration::from_millis(5)));
            wait_blocking(turn);
        }
    }

    // Blocking waits are in real time by contract, so these two sleep for real, a few milliseconds.
    #[test]
    fn a_blocking_wait_ends_at_its_time() {
        let start = clock::now();
        let (turn, told) = turn(start.after(Duration::from_millis(10)));
        assert!(wait_blocking(turn).since(start) >= Duration::from_millis(10));
        assert!(told.polls.load(Ordering::Relaxed) >= 2);
    }

    #[test]
    fn a_blocking_wait_is_woken_from_another_thread() {
        let (turn, told) = turn(Nanos::NEVER);
        let waiting = std::thread::spawn(move || wait_blocking(turn));
        while told.polls.load(Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
        told.ready.store(true, Ordering::Release);
        while told.waker.lock().unwrap().is_none() {
            std::thread::yield_now();
        }
        told.wake();
        waiting.join().unwrap();
    }

    #[test]
    fn a_token_that_belongs_to_somebody_else_is_left_alone() {
        std::thread::current().unpark();
        let (turn, _) = turn(clock::now().after(Duration::from_millis(2)));
        wait_blocking(turn);
        let start = Instant::now();
        std::thread::park_timeout(Duration::from_secs(20));
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}
