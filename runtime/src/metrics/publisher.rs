//! Who brings the numbers to the recorder.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, Once, Weak},
    thread,
    time::Duration,
};

use ::metrics::{Recorder, with_recorder};

use super::{
    duration::Times,
    meter::{self, Metered},
};
use crate::lock::lock;

/// How old a figure may be. A scrape comes every few seconds.
const INTERVAL: Duration = Duration::from_millis(250);

/// Whoever has something to publish.
#[derive(Clone)]
enum Source {
    Policy(Weak<dyn Metered>),
    Function(&'static Times),
}

static SOURCES: Mutex<Vec<Source>> = Mutex::new(Vec::new());

/// Has the policy published from now on: at once to the recorder in force on this thread, if there is one.
pub(crate) fn attend(policy: &Arc<dyn Metered>) {
    recording(|recorder| meter::publish(&**policy, Some(recorder)));
    add(Source::Policy(Arc::downgrade(policy)));
}

/// The same of the times of a function.
pub(crate) fn attend_times(times: &'static Times) {
    recording(|recorder| times.register(recorder));
    add(Source::Function(times));
}

fn add(source: Source) {
    sources(|sources| sources.push(source));
    start();
}

fn sources<T>(act: impl FnOnce(&mut Vec<Source>) -> T) -> T {
    act(&mut lock(&SOURCES))
}

/// Brings every figure to the recorder now, which happens four times a second anyway: for those who render
/// what they have right after a test or at the end of the program, and for tests.
///
/// When it returns, everything that was counted before is there, also what another thread was just bringing:
/// it waits for that. A recorder that calls it from within gets nothing more than the round that is under way.
/// In a test with a registry of its own, call it on the test's thread: only there it is known what time it is,
/// and so in which state circuits are.
///
/// ```
/// steadfast::metrics::publish();
/// ```
pub fn publish() {
    let Some(_round) = Round::begin() else {
        return;
    };
    let present = sources(|sources| {
        sources.retain(Source::is_alive);
        sources.clone()
    });
    let publish = |recorder: Option<&dyn Recorder>| {
        for source in &present {
            // A recorder that panics must not end it for all others.
            drop(catch_unwind(AssertUnwindSafe(|| source.publish(recorder))));
        }
    };
    if recording(|recorder| publish(Some(recorder))).is_none() {
        publish(None);
    }
}

/// One at a time: what somebody has noted as published, and not yet told the recorder, would be missing for
/// whoever comes after.
struct Round {
    _alone: MutexGuard<'static, ()>,
}

static ROUND: Mutex<()> = Mutex::new(());

thread_local! {
    static IN_ROUND: Cell<bool> = const { Cell::new(false) };
}

impl Round {
    /// `None` within one of this thread's own.
    fn begin() -> Option<Self> {
        if IN_ROUND.replace(true) {
            return None;
        }
        Some(Self {
            _alone: lock(&ROUND),
        })
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        IN_ROUND.set(false);
    }
}

impl Source {
    fn is_alive(&self) -> bool {
        match self {
            Self::Policy(policy) => policy.strong_count() > 0,
            Self::Function(_) => true,
        }
    }

    fn publish(&self, recorder: Option<&dyn Recorder>) {
        match (self, recorder) {
            (Self::Policy(policy), recorder) => {
                if let Some(policy) = policy.upgrade() {
                    meter::publish(&*policy, recorder);
                }
            }
            (Self::Function(times), recorder) => times.publish(recorder),
        }
    }
}

/// Acts on the recorder in force on this thread; `None` where none is installed.
///
/// The facade does not tell; but what it has then is without size, and one that records is not.
pub(super) fn recording<T>(act: impl FnOnce(&dyn Recorder) -> T) -> Option<T> {
    with_recorder(|recorder| (size_of_val(recorder) > 0).then(|| act(recorder)))
}

/// A thread of its own: figures arrive without any runtime, and also while nothing is called.
fn start() {
    static START: Once = Once::new();
    START.call_once(|| {
        // Without a thread, `publish` can still be called.
        let _ = thread::Builder::new()
            .name("steadfast-metrics".to_owned())
            .spawn(|| {
                loop {
                    thread::sleep(INTERVAL);
                    publish();
                }
            });
    });
}
