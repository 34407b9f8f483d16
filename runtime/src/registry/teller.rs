//! What happens to the store of shared state, as the registry tells it.

use std::{sync::Arc, time::Duration};

use crate::{
    event::{Event, Sink, StoreDown, StoreUp},
    store::{Member, StoreError},
};
#[cfg(feature = "metrics")]
use crate::{
    metrics::{self, Line, Lines, Meter},
    store::StoreStatus,
};

/// Tells of the store's outages.
pub(super) struct Teller {
    sink: Sink,
    #[cfg(feature = "metrics")]
    meter: Meter,
}

impl Teller {
    pub(super) fn new(sink: Sink) -> Self {
        Self {
            #[cfg(feature = "metrics")]
            meter: Meter::new(&STORE, None, sink.levels()),
            sink,
        }
    }
}

#[cfg(feature = "metrics")]
static STORE: std::sync::LazyLock<Lines> = std::sync::LazyLock::new(|| Lines {
    lines: vec![Line::new(metrics::STORE_UP)],
    told: None,
});

#[cfg(feature = "metrics")]
impl metrics::Metered for Teller {
    fn meter(&self) -> &Meter {
        &self.meter
    }

    fn read(&self) -> Vec<u64> {
        let store = self.sink.store().get();
        let is_up = store.is_some_and(|store| store.health().status == StoreStatus::Up);
        vec![u64::from(is_up)]
    }
}

#[cfg(feature = "metrics")]
impl Drop for Teller {
    fn drop(&mut self) {
        metrics::close(self);
    }
}

impl Member for Teller {
    fn tick(self: Arc<Self>) {}

    fn down(self: Arc<Self>, cause: &StoreError) {
        let cause = cause.clone();
        self.sink.tell(&Event::StoreDown(StoreDown { cause }));
    }

    fn up(self: Arc<Self>, away: Duration) {
        self.sink.tell(&Event::StoreUp(StoreUp { away }));
    }
}
