//! How a store is doing.

use std::time::Duration;

use super::StoreError;

/// Whether a store answers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreStatus {
    /// It has not been reached yet.
    Connecting,
    /// It answers.
    Up,
    /// It does not.
    Down {
        /// Why.
        cause: StoreError,
        /// For how long.
        since: Duration,
    },
}

impl StoreStatus {
    /// The status in a word.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Up => "up",
            Self::Down { .. } => "down",
        }
    }
}

/// How a store is doing, and has done since its start.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreHealth {
    /// Whether it answers.
    pub status: StoreStatus,
    /// Scripts that were run.
    pub commands: u64,
    /// Those that were not answered in time.
    pub timeouts: u64,
    /// Those that came to an error.
    pub errors: u64,
    /// Those that were not even sent, since the store was known to be away.
    pub refused: u64,
    /// Connections made, the first included.
    pub connections: u64,
    /// How often it went away.
    pub outages: u64,
    /// Scripts that wait for their answer now.
    pub in_flight: u64,
}

impl StoreHealth {
    pub(crate) const fn new(status: StoreStatus) -> Self {
        Self {
            status,
            commands: 0,
            timeouts: 0,
            errors: 0,
            refused: 0,
            connections: 0,
            outages: 0,
            in_flight: 0,
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for StoreHealth {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;

        let mut fields = serializer.serialize_struct("StoreHealth", 9)?;
        fields.serialize_field("status", self.status.as_str())?;
        let cause = match &self.status {
            StoreStatus::Down { cause, .. } => Some(cause.to_string()),
            _ => None,
        };
        fields.serialize_field("cause", &cause)?;
        fields.serialize_field("commands", &self.commands)?;
        fields.serialize_field("timeouts", &self.timeouts)?;
        fields.serialize_field("errors", &self.errors)?;
        fields.serialize_field("refused", &self.refused)?;
        fields.serialize_field("connections", &self.connections)?;
        fields.serialize_field("outages", &self.outages)?;
        fields.serialize_field("in_flight", &self.in_flight)?;
        fields.end()
    }
}
