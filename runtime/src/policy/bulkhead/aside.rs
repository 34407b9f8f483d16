//! Where calls are that a bulkhead let by while it was switched off.

use std::sync::Arc;

use super::{
    gate::{Gate, MAX_CONCURRENT},
    places::Places,
    striped::Striped,
};

/// Places that nobody counts: what is given back here is no place of the bulkhead, whatever is in force
/// by then.
#[derive(Debug)]
pub(super) struct Aside {
    places: Striped,
    /// For those who hold the places of a key.
    gate: Arc<Gate>,
}

impl Aside {
    pub(super) fn new() -> Self {
        Self {
            places: Striped::new(MAX_CONCURRENT),
            gate: Arc::new(Gate::new(MAX_CONCURRENT)),
        }
    }

    /// For a caller, who owes a release.
    pub(super) fn places(&self) -> &Striped {
        enter(&self.places);
        &self.places
    }

    /// The same, for a caller with a key.
    pub(super) fn gate(&self) -> Arc<Gate> {
        enter(&*self.gate);
        Arc::clone(&self.gate)
    }

    /// For a caller with a key who has yet to enter.
    pub(super) fn gate_to_enter(&self) -> Arc<Gate> {
        Arc::clone(&self.gate)
    }
}

fn enter(places: &impl Places) {
    if !places.try_enter() {
        places.force();
    }
}
