//! What `#[circuit_breaker]` may say.

use super::{
    retry,
    setting::{Choice, Range},
    shared::shared,
};
use crate::parse::reader::Reader;
use syn::Expr;

const CANCELLED: Choice = Choice {
    of: "Cancelled",
    words: &[("ignore", "Ignore"), ("failure", "Failure")],
};

pub(super) const PRESET: Choice = Choice {
    of: "CircuitPreset",
    words: &[("low_volume", "LowVolume"), ("high_volume", "HighVolume")],
};

/// The site arguments of `#[circuit_breaker]`.
pub(crate) struct CircuitBreaker {
    pub(crate) when: Option<Expr>,
    pub(crate) when_value: Option<Expr>,
    pub(crate) ignore: Option<Expr>,
    pub(crate) key: Option<Expr>,
}

impl CircuitBreaker {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        reader.preset(PRESET, ("#[retry]", retry::PRESET));
        reader.count("failure_threshold", "5");
        reader.number("failure_rate", Range::SHARE, "0.5");
        reader.window("window");
        reader.count("minimum_calls", "10");
        reader.duration("slow_call", "2s");
        reader.number("slow_call_rate", Range::SHARE, "0.5");
        reader.duration("recovery_timeout", "30s");
        reader.number("recovery_jitter", Range::PART, "0.1");
        reader.duration("max_recovery_timeout", "10m");
        reader.count("half_open_requests", "3");
        reader.count("success_threshold", "3");
        reader.duration("half_open_timeout", "30s");
        reader.choice("cancelled", CANCELLED);
        reader.count("max_keys", "10_000");
        reader.switch("enforce", "false");
        shared(reader);
        reader.count("quorum", "2");
        Self {
            when: reader.function("when", "error"),
            when_value: reader.function("when_value", "value"),
            ignore: reader.function("ignore", "error"),
            key: reader.expression("key", "host"),
        }
    }
}
