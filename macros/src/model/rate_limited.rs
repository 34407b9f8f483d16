//! What `#[rate_limited]` may say.

use super::{
    setting::{Choice, Range},
    shared::shared,
};
use crate::parse::reader::Reader;
use syn::Expr;

const ALGORITHM: Choice = Choice {
    of: "Algorithm",
    words: &[
        ("token_bucket", "TokenBucket"),
        ("leaky_bucket", "LeakyBucket"),
        ("fixed_window", "FixedWindow"),
        ("sliding_window", "SlidingWindow"),
        ("sliding_window_counter", "SlidingWindowCounter"),
        ("adaptive", "Adaptive"),
    ],
};

const MODE: Choice = Choice {
    of: "Mode",
    words: &[("exact", "Exact"), ("lease", "Lease")],
};

/// The site arguments of `#[rate_limited]`.
pub(crate) struct RateLimited {
    pub(crate) key: Option<Expr>,
    pub(crate) cost: Option<Expr>,
    pub(crate) bypass: Option<Expr>,
    /// A rate that sees the parameters; found out once the parameters are known.
    pub(crate) rate: Option<Expr>,
}

impl RateLimited {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        reader.rate("rate", "200/s");
        reader.count("burst", "50");
        reader.choice("algorithm", ALGORITHM);
        reader.count("max_keys", "100_000");
        reader.duration("max_wait", "250ms");
        reader.rate("min_rate", "20/s");
        reader.duration("interval", "1s");
        reader.number("adaptive_threshold", Range::SHARE, "0.8");
        reader.number("backoff_factor", Range::SHRINKS, "0.7");
        reader.number("recovery_factor", Range::GROWS, "1.2");
        reader.switch("enforce", "false");
        shared(reader);
        reader.choice("mode", MODE);
        reader.count("instances", "4");
        Self {
            key: reader.expression("key", "tenant"),
            cost: reader.expression("cost", "batch.len() as u32"),
            bypass: reader.expression("bypass", "is_urgent"),
            rate: None,
        }
    }
}
