//! What is to be reached, and how: everything checked.

use std::time::Duration;

use crate::store::StoreError;

use super::url::{Login, Target};

/// All that does not change while a store lives.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) target: Target,
    pub(super) login: Option<Login>,
    pub(super) db: u32,
    pub(super) prefix: Vec<u8>,
    /// What a job may take, all in all.
    pub(super) deadline: Duration,
    /// Connections to each server.
    pub(super) connections: usize,
    #[cfg(feature = "redis-tls")]
    pub(super) tls: Option<super::tls::Tls>,
}

impl Plan {
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.target, Target::Cluster(_))
    }

    /// How long it may take to make a connection and to prove it. Long enough for a distant server, and
    /// short enough to find one again within a second that came back from a black hole.
    pub(super) fn patience(&self) -> Duration {
        (self.deadline * 10).clamp(Duration::from_millis(500), Duration::from_secs(5))
    }

    /// The same for all sentinels together: one that swallows everything must leave time for the others.
    pub(super) fn patience_with_sentinels(&self) -> Duration {
        match &self.target {
            Target::Sentinel { .. } => self.patience(),
            Target::Single(_) | Target::Cluster(_) => Duration::ZERO,
        }
    }

    /// How long a connection may be silent, while it owes answers, before it is taken for dead. Longer
    /// than the deadline: a server that answers late is slow, and a new connection would not be faster.
    pub(super) fn silence(&self, round_trip: Duration) -> Duration {
        let least = Duration::from_millis(150);
        (self.deadline * 3).max(round_trip * 3).max(least)
    }

    pub(super) fn too_late(&self) -> StoreError {
        StoreError::TimedOut {
            deadline: self.deadline,
        }
    }
}
