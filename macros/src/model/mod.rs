//! A stack as it was written: what each layer sets, and what belongs to its site.

pub(crate) mod bulkhead;
pub(crate) mod circuit_breaker;
pub(crate) mod fallback;
pub(crate) mod layer;
pub(crate) mod rate_limited;
pub(crate) mod retry;
pub(crate) mod setting;
pub(crate) mod shared;
pub(crate) mod stack;
pub(crate) mod timeout;
