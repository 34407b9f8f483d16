//! The warning for a sync function that waits on a thread of an async runtime. Once in a process, so
//! this file has one test.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use steadfast::{Jitter, Retry};
use tracing::{Event, Level, Metadata, Subscriber, span};

/// Counts the warnings of the library.
struct Warnings(Arc<AtomicU32>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "steadfast" && *metadata.level() == Level::WARN
    }

    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// Real time: what blocks a thread sleeps for real. Some milliseconds.
#[test]
fn a_blocking_wait_inside_a_runtime_is_warned_of_once() {
    let warnings = Arc::new(AtomicU32::new(0));
    let retry = Retry::builder("sync")
        .jitter(Jitter::None)
        .base_delay(Duration::from_millis(1))
        .build()
        .unwrap();
    let call = || {
        let mut failed = false;
        retry.call_blocking(|| {
            if std::mem::replace(&mut failed, true) {
                Ok(())
            } else {
                Err(())
            }
        })
    };
    tracing::subscriber::with_default(Warnings(Arc::clone(&warnings)), || {
        assert_eq!(call(), Ok(()));
        assert_eq!(
            warnings.load(Ordering::Relaxed),
            0,
            "a thread of its own may block"
        );
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            assert_eq!(call(), Ok(()));
            assert_eq!(call(), Ok(()));
        });
    });
    assert_eq!(warnings.load(Ordering::Relaxed), 1);
}
