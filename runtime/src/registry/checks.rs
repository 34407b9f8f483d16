//! The user's own health checks.

use std::{
    cell::Cell,
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::timeout;

use super::{health::CheckHealth, logins::without_logins};
use crate::{
    clock::{self, Nanos},
    health::{HealthStatus, Verdict},
    lock::lock,
    units,
};

/// Less than the second that probes usually give a service, so that there is an answer in time.
const TIMEOUT: Duration = Duration::from_millis(500);

/// How often a run that was given up is looked at.
const GLANCE: Duration = Duration::from_millis(2);

type Ask = dyn Fn() -> Pin<Box<dyn Future<Output = Verdict> + Send>> + Send + Sync;

/// The checks of one registry, in the order of their registration.
#[derive(Default)]
pub(super) struct Checks(Mutex<Vec<Arc<Check>>>);

struct Check {
    name: String,
    ask: Box<Ask>,
    timeout: Mutex<Duration>,
    critical: AtomicBool,
    /// Runs that nobody waits for any more, as long as they go on. There is no other until they have
    /// ended: a check that blocks its thread must not take a thread more with every look.
    given_up: Mutex<Vec<Weak<()>>>,
}

/// A run of a check.
struct Run {
    task: Task<Verdict>,
    check: Arc<Check>,
    /// Alive until it has ended.
    mark: Weak<()>,
}

impl Future for Run {
    type Output = Option<Verdict>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Verdict>> {
        Pin::new(&mut self.task).poll(context)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.mark.strong_count() > 0 {
            lock(&self.check.given_up).push(Weak::clone(&self.mark));
        }
    }
}

/// Keeps a health check registered: dropping it takes the check out again.
///
/// From [`Registry::register_check`](crate::Registry::register_check).
#[must_use = "dropping it takes the check out: keep it, or `.keep()` the check for good"]
pub struct HealthCheck {
    checks: Weak<Checks>,
    check: Arc<Check>,
}

impl HealthCheck {
    /// How long the check may take before it counts as failed. Default: 500 ms.
    pub fn timeout(self, timeout: Duration) -> Self {
        *lock(&self.check.timeout) = timeout;
        self
    }

    /// The program can do its work without what is checked: where the check fails, the program is
    /// degraded, and not unhealthy.
    pub fn optional(self) -> Self {
        self.check.critical.store(false, Relaxed);
        self
    }

    /// Leaves the check registered for good.
    pub fn keep(mut self) {
        self.checks = Weak::new();
    }
}

impl Drop for HealthCheck {
    fn drop(&mut self) {
        if let Some(checks) = self.checks.upgrade() {
            let removed = checks.remove(&self.check);
            // What the check holds is the user's: it is dropped outside the lock.
            drop(removed);
        }
    }
}

impl fmt::Debug for HealthCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthCheck")
            .field("name", &self.check.name)
            .finish_non_exhaustive()
    }
}

impl Checks {
    pub(super) fn register<F, Fut>(self: &Arc<Self>, name: String, check: F) -> HealthCheck
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Into<Verdict>> + Send + 'static,
    {
        let ask = move || -> Pin<Box<dyn Future<Output = Verdict> + Send>> {
            let answer = check();
            Box::pin(async move { answer.await.into() })
        };
        let check = Arc::new(Check {
            name,
            ask: Box::new(ask),
            timeout: Mutex::new(TIMEOUT),
            critical: AtomicBool::new(true),
            given_up: Mutex::default(),
        });
        lock(&self.0).push(Arc::clone(&check));
        HealthCheck {
            checks: Arc::downgrade(self),
            check,
        }
    }

    fn remove(&self, check: &Arc<Check>) -> Option<Arc<Check>> {
        let mut checks = lock(&self.0);
        let place = checks.iter().position(|other| Arc::ptr_eq(other, check))?;
        Some(checks.remove(place))
    }

    /// Asks all of them at the same time; none from inside one, which would wait for itself.
    pub(super) async fn ask(&self) -> Vec<CheckHealth> {
        if IS_INSIDE.get() {
            return Vec::new();
        }
        let checks = lock(&self.0).clone();
        // All are started before any is waited for.
        let runs: Vec<_> = checks
            .into_iter()
            .map(|check| (Arc::clone(&check), Task::spawn(check.run())))
            .collect();
        let mut health = Vec::with_capacity(runs.len());
        for (check, run) in runs {
            health.push(match run {
                Some(run) => run.await.unwrap_or_else(|| check.failed(NO_TIME)),
                None => check.failed(NO_RUNTIME),
            });
        }
        health
    }
}

const NO_RUNTIME: &str = "not asked: there is no Tokio runtime here";
const NO_TIME: &str = "not asked: the Tokio runtime has no timer";
const PANICKED: &str = "the check panicked";

impl Check {
    async fn run(self: Arc<Self>) -> CheckHealth {
        let start = clock::now();
        let verdict = self.verdict(start).await;
        self.health(verdict, clock::now().since(start))
    }

    async fn verdict(self: &Arc<Self>, start: Nanos) -> Verdict {
        let limit = *lock(&self.timeout);
        let late =
            |why| Verdict::unhealthy(format!("no answer within {}{why}", units::format(limit)));
        if timeout(limit, self.former_runs()).await.is_err() {
            return late(": an earlier run has not ended");
        }
        let Some(run) = self.start() else {
            return Verdict::unhealthy(NO_RUNTIME);
        };
        let left = limit.saturating_sub(clock::now().since(start));
        match timeout(left, run).await {
            Ok(Some(verdict)) => verdict,
            Ok(None) => Verdict::unhealthy(PANICKED),
            Err(_) => late(""),
        }
    }

    /// Waits until those that were given up have ended: nearly at once, unless one blocks its thread.
    async fn former_runs(&self) {
        let are_going = || {
            let mut given_up = lock(&self.given_up);
            given_up.retain(|run| run.strong_count() > 0);
            !given_up.is_empty()
        };
        while are_going() {
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Asks, in a task of its own: it may block its thread, or panic.
    fn start(self: &Arc<Self>) -> Option<Run> {
        let going = Arc::new(());
        let mark = Arc::downgrade(&going);
        let check = Arc::clone(self);
        let task = Task::spawn(inside(async move {
            let _going = going;
            (check.ask)().await
        }))?;
        let check = Arc::clone(self);
        Some(Run { task, check, mark })
    }

    fn failed(&self, why: &str) -> CheckHealth {
        self.health(Verdict::unhealthy(why), Duration::ZERO)
    }

    fn health(&self, verdict: Verdict, took: Duration) -> CheckHealth {
        let critical = self.critical.load(Relaxed);
        let worst = match critical {
            true => HealthStatus::Unhealthy,
            false => HealthStatus::Degraded,
        };
        CheckHealth {
            name: self.name.clone(),
            status: verdict.status.min(worst),
            detail: verdict.detail.as_deref().map(without_logins),
            critical,
            took,
        }
    }
}

thread_local! {
    /// Whether this thread is inside a check.
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Puts back what was before.
struct Leave(bool);

impl Drop for Leave {
    fn drop(&mut self) {
        IS_INSIDE.set(self.0);
    }
}

/// Runs a check so that what it calls knows.
async fn inside<F: Future>(check: F) -> F::Output {
    let mut check = pin!(check);
    poll_fn(|context| {
        let _leave = Leave(IS_INSIDE.replace(true));
        check.as_mut().poll(context)
    })
    .await
}

/// A task that ends with whoever waits for it.
struct Task<T>(tokio::task::JoinHandle<T>);

impl<T: Send + 'static> Task<T> {
    /// None without a runtime.
    fn spawn(future: impl Future<Output = T> + Send + 'static) -> Option<Self> {
        #[cfg(feature = "test-util")]
        let future = crate::test::inherit(future);
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        Some(Self(runtime.spawn(future)))
    }
}

impl<T> Future for Task<T> {
    /// None if it panicked, or its runtime came to its end.
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.0).poll(context).map(Result::ok)
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
