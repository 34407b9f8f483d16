//! Why a call may not begin, where the store has a say in it.

use std::sync::Arc;

use crate::{
    algorithm::circuit::Refusal,
    rejection::{CircuitOpen, Rejection, StoreUnavailable},
    store::StoreError,
};

/// What a caller is refused with.
#[derive(Debug, Clone)]
pub(in super::super) enum Denial {
    /// The circuit is open.
    Open(Refusal),
    /// There is no store, or it is away and `on_store_error` is `deny`.
    Store(Arc<StoreError>),
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        Self::Open(refusal)
    }
}

/// The type of error in which a refusal is wanted.
pub(in super::super) trait Refused: From<CircuitOpen> {
    fn unavailable(error: StoreUnavailable) -> Self;
}

impl Refused for Rejection {
    fn unavailable(error: StoreUnavailable) -> Self {
        error.into()
    }
}

/// There is no room for more than that it must not be called.
impl Refused for CircuitOpen {
    fn unavailable(error: StoreUnavailable) -> Self {
        Self {
            policy: error.policy,
            retry_after: error.retry_after,
        }
    }
}
