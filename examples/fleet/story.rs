//! What happens when.

use std::time::Duration;

pub(crate) const WORKERS: usize = 4;

/// Calls that each worker would make in a second: together more than twice the limit.
pub(crate) const WISHES: u32 = 60;

/// The limit of the fleet, as the attribute in `worker.rs` says.
pub(crate) const RATE: u32 = 100;
pub(crate) const BURST: u32 = 20;

/// Probes of a half-open circuit.
pub(crate) const PROBES: u32 = 3;

pub(crate) const HELP: &str = "Takes no arguments: `cargo run --example fleet`";

pub(crate) const STORY: &str = "\
Four worker processes call one partner. Each would make 60 calls a second; the partner allows the
service as a whole 100 a second, in bursts of 20. The workers share that limit and one circuit
breaker on Redis. The partner counts what really reaches it.
";

/// What the world does to the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chapter {
    Calm,
    PartnerFails,
    PartnerIsBack,
    RedisIsKilled,
    RedisIsBack,
    End,
}

impl Chapter {
    pub(crate) const ALL: [Self; 6] = [
        Self::Calm,
        Self::PartnerFails,
        Self::PartnerIsBack,
        Self::RedisIsKilled,
        Self::RedisIsBack,
        Self::End,
    ];

    /// Since the start.
    pub(crate) fn begins(self) -> Duration {
        Duration::from_millis(match self {
            Self::Calm => 0,
            Self::PartnerFails => 4_000,
            Self::PartnerIsBack => 7_000,
            Self::RedisIsKilled => 12_000,
            Self::RedisIsBack => 16_000,
            Self::End => 20_000,
        })
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Calm => "all is well",
            Self::PartnerFails => "the partner fails every call",
            Self::PartnerIsBack => "the partner is well again",
            Self::RedisIsKilled => "kill -9 redis-server: each worker goes on with its share",
            Self::RedisIsBack => "redis-server is started again, empty",
            Self::End => "the end",
        }
    }
}
