//! What emitted code names. Not for users: it changes without notice.

pub use inventory;

pub use crate::{
    admission::{Admits, Fenced, Permit, Waits},
    call::{Body, Call},
    emitted::{answer, hint, let_go, never, on_retry, succeeded},
    entered::Entered,
    judge::Judge,
    key::{AnyKey, Key, Plain, Shown},
    policy::{
        bulkhead::{BulkheadSettings, Entry},
        circuit_breaker::{CircuitBreakerSettings, CircuitPermit, WindowArg},
        fallback::{CacheKey, FallbackSettings, Mark, Marks, Serving, Taken, Unmarked},
        rate_limiter::{Admission, OnePermit, RateLimiterSettings, Request},
        retry::{Attempts, Next, RetrySettings},
        timeout::{Elapsed, Outermost, Run, TimeoutSettings, Within},
    },
    probe::{
        ClassifiedDynamic, ClassifiedOpaque, Dynamic, Opaque, Probe, Traits, Unclassified,
        UnclassifiedDynamic,
    },
    registry::{AnySettings, Declared, Registered, Resolve, Site, Slot, Stacked, Supplied},
    rejection::{FromRejection, RejectionKind},
    step::{Rejected, Step, reject},
    store::{Job, Member},
    timed::Timed,
};
