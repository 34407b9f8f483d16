//! What emitted code names. Not for users: it changes without notice.

pub use inventory;

pub use crate::{
    call::{Body, Call},
    judge::Judge,
    policy::{
        bulkhead::{BulkheadSettings, Entry},
        rate_limiter::{Admission, RateLimiterSettings, Request},
        timeout::{Run, TimeoutSettings},
    },
    probe::{
        ClassifiedDynamic, ClassifiedOpaque, Dynamic, Opaque, Probe, Traits, Unclassified,
        UnclassifiedDynamic,
    },
    registry::{AnySettings, Declared, Registered, Resolve, Site, Slot},
    rejection::{FromRejection, RejectionKind},
    step::{Rejected, Step, reject},
};
