//! The policy.

use std::{future::Future, sync::Arc, time::Duration};

use super::{
    Elapsed, Run, TimeoutBuilder, TimeoutSettings,
    run::{Bare, LONGEST, Layers, Outer, Outermost},
};
#[cfg(feature = "metrics")]
use crate::metrics::{Meter, Metered};
use crate::{
    call::Call,
    clock::nanos,
    counter::Counters,
    event::{CutOff, Event, Sink},
    name::PolicyName,
    outcome::Outcome,
    policy::{
        Later, Policy, Switch,
        reloadable::Reloadable,
        settings::{PolicySettings, Setting, Value},
    },
    rejection::{FromRejection, Rejection, TimedOut},
    step::reject,
};

/// Drops a call at its deadline, so that nobody waits for an answer that has lost its worth.
///
/// The value behind `#[timeout]`. Cheap to clone; clones are one policy.
///
/// ```
/// use std::time::Duration;
/// use steadfast::{Rejection, Timeout};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let timeout = Timeout::builder("search").after(Duration::from_millis(5)).build()?;
/// let result: Result<(), Rejection> = timeout.call(std::future::pending()).await;
/// assert!(matches!(result, Err(Rejection::TimedOut(_))));
/// # Ok(())
/// # }
/// ```
///
/// # Configuration
/// The time can be replaced while calls run (feature `config`): a call that has begun keeps the one it began
/// with. `enabled = false`: no call is cut off, whatever its site says.
///
/// # Cancellation
/// At the deadline the future is dropped, at the `.await` where it stands; what it holds is dropped
/// with it. A future that never yields cannot be cut off.
#[derive(Debug, Clone)]
pub struct Timeout(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: PolicyName,
    terms: Reloadable<Terms>,
    totals: Counters<1>,
    sink: Sink,
    #[cfg(feature = "metrics")]
    meter: Meter,
}

/// What is in force.
#[derive(Debug, PartialEq)]
struct Terms {
    settings: TimeoutSettings,
    switch: Switch,
    /// In nanoseconds, at most [`LONGEST`].
    after: u64,
}

impl Terms {
    fn new(settings: TimeoutSettings, switch: Switch) -> Self {
        Self {
            settings,
            switch,
            after: match (switch, settings.after) {
                (Switch::Off, _) | (_, None) => LONGEST,
                (_, Some(after)) => bounded(after),
            },
        }
    }

    /// The time that a site gives, if any is to be kept.
    fn given(&self, after: Duration) -> u64 {
        match self.switch {
            Switch::Off => LONGEST,
            _ => bounded(after),
        }
    }
}

/// What a timeout counted since its start.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TimeoutMetrics {
    /// Calls that were cut off.
    pub timed_out: u64,
}

impl Timeout {
    /// Begins a timeout of that name.
    pub fn builder(name: impl Into<PolicyName>) -> TimeoutBuilder {
        TimeoutBuilder::new(name)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &PolicyName {
        &self.0.name
    }

    /// The time that a call has.
    #[must_use]
    pub fn after(&self) -> Duration {
        self.0.terms.get().settings.after.unwrap_or(Duration::MAX)
    }

    /// What it counted.
    #[must_use]
    pub fn metrics(&self) -> TimeoutMetrics {
        TimeoutMetrics {
            timed_out: self.0.totals.sum(0),
        }
    }

    /// Makes the call, and drops it at the deadline.
    ///
    /// # Errors
    /// The call's own, or [`TimedOut`] in its type.
    pub async fn call<F>(&self, future: F) -> F::Output
    where
        F: Future<Output: Outcome<Error: FromRejection>>,
    {
        let call = Call::new();
        match self.run_body::<Outermost, _>(&call, future).await {
            Ok(outcome) => outcome,
            Err(elapsed) => F::Output::from_result(Err(reject(self.elapsed(&call, elapsed)))),
        }
    }

    #[doc(hidden)]
    /// Runs the layers inside under this timeout.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn run<'c, O: Outer, F>(&self, call: &'c Call, layers: F) -> Run<'c, O, Layers<F>> {
        Run::new(call, self.0.terms.get().after, Layers::new(layers))
    }

    #[doc(hidden)]
    /// The same with a time that the site gives.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn run_for<'c, O: Outer, F>(
        &self,
        call: &'c Call,
        after: Duration,
        layers: F,
    ) -> Run<'c, O, Layers<F>> {
        // The expression at the site may have taken its time.
        call.time_passes();
        Run::new(call, self.0.terms.get().given(after), Layers::new(layers))
    }

    #[doc(hidden)]
    /// Runs the body under this timeout.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn run_body<'c, O: Outer, F>(&self, call: &'c Call, body: F) -> Run<'c, O, Bare<F>> {
        let run = Run::new(call, self.0.terms.get().after, Bare::new(body));
        call.begin_body();
        run
    }

    #[doc(hidden)]
    /// The same with a time that the site gives.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn run_body_for<'c, O: Outer, F>(
        &self,
        call: &'c Call,
        after: Duration,
        body: F,
    ) -> Run<'c, O, Bare<F>> {
        call.time_passes();
        let run = Run::new(call, self.0.terms.get().given(after), Bare::new(body));
        call.begin_body();
        run
    }

    #[doc(hidden)]
    /// The rejection of a call that it cut off.
    #[cold]
    pub fn elapsed(&self, call: &Call, Elapsed(after): Elapsed) -> Rejection {
        call.has_been_cut();
        self.timed_out(Duration::from_nanos(after))
    }

    fn timed_out(&self, after: Duration) -> Rejection {
        self.0.totals.add(0, 1);
        self.0.sink.tell_debug(|| {
            Event::TimedOut(CutOff {
                policy: self.0.name.clone(),
                after,
            })
        });
        Rejection::TimedOut(TimedOut {
            policy: self.0.name.clone(),
            after,
        })
    }
}

fn bounded(after: Duration) -> u64 {
    nanos(after).min(LONGEST)
}

impl Policy for Timeout {
    type Settings = TimeoutSettings;

    fn assemble(name: PolicyName, settings: &TimeoutSettings, sink: Sink) -> Self {
        Self(Arc::new(Inner {
            #[cfg(feature = "metrics")]
            meter: Meter::new(&metered::LINES, Some(&name), sink.levels()),
            name,
            terms: Reloadable::new(Terms::new(*settings, Switch::On)),
            totals: Counters::new(),
            sink,
        }))
    }

    fn settings(&self) -> Vec<Setting> {
        self.0.terms.get().settings.effective()
    }

    fn configure(&self, settings: &TimeoutSettings, switch: Switch) -> Later {
        self.0.terms.set(Terms::new(*settings, switch));
        Later::NOTHING
    }

    fn observe(&self) -> Vec<(&'static str, Value)> {
        vec![("timed_out", self.metrics().timed_out.into())]
    }

    fn reset(&self) {
        self.0.totals.reset();
    }

    #[cfg(feature = "metrics")]
    fn metered(&self) -> Arc<dyn Metered> {
        self.0.clone()
    }
}

#[cfg(feature = "metrics")]
mod metered {
    use std::sync::LazyLock;

    use super::*;
    use crate::metrics::*;

    pub(super) static LINES: LazyLock<Lines> = LazyLock::new(|| Lines {
        lines: vec![Line::new(TIMEOUT)],
        told: None,
    });

    impl Metered for Inner {
        fn meter(&self) -> &Meter {
            &self.meter
        }

        fn read(&self) -> Vec<u64> {
            vec![self.totals.ever(0)]
        }
    }

    impl Drop for Inner {
        fn drop(&mut self) {
            close(self);
        }
    }
}
