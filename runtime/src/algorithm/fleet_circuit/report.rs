//! What an instance tells the fleet, and what it gets back.

use super::Micros;
use crate::algorithm::{circuit::Phase, window::Tally};

/// What one instance has to tell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Report {
    /// The generation that the rest belongs to; zero where none is known yet.
    pub(crate) seen: i64,
    /// The highest generation that this instance has told anybody of: the fleet's must be above it.
    pub(crate) floor: i64,
    /// That of the last reset of the whole breaker that it knows of, where this is the circuit of a key.
    pub(crate) epoch: i64,
    pub(crate) who: i64,
    /// Calls that ended since the last report.
    pub(crate) batch: Tally,
    pub(crate) streak: Streak,
    /// It has opened by itself, at the consecutive failures that one instance suffices for.
    pub(crate) opened: bool,
    /// What is added to an open time that begins now, in millionths of it.
    pub(crate) jitter: i64,
    pub(crate) control: Option<Control>,
    /// Ends of probes, by the numbers of their places.
    pub(crate) ends: Vec<(i64, End)>,
    /// Numbers for places that it asks for.
    pub(crate) asks: Vec<i64>,
}

/// What has become of an instance's consecutive failures since its last report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Streak {
    Below,
    Reached,
    /// They had been reached, and a call has succeeded.
    Ended,
}

/// How a probe ended, or a place that was taken for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum End {
    Passed,
    Failed,
    /// It said nothing, came too late, or never began.
    Unused,
}

/// What somebody has set by hand, or written into the configuration of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Control {
    pub(crate) command: Command,
    /// No other command has it.
    pub(crate) id: i64,
    /// How long ago that was: the last one counts, in whatever order they arrive.
    pub(crate) age: Micros,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Command {
    ForceOpen,
    Disable,
    Reset,
    /// A reset where it is forced open still; else others were faster, or wanted something else meanwhile.
    EndForcedOpen,
    /// The same where it is disabled.
    EndDisabled,
}

impl Command {
    /// Whether this ends the state, if only that.
    pub(crate) fn resets(self, phase: Phase) -> bool {
        match self {
            Self::ForceOpen | Self::Disable => false,
            Self::Reset => true,
            Self::EndForcedOpen => phase == Phase::ForcedOpen,
            Self::EndDisabled => phase == Phase::Disabled,
        }
    }
}

/// How the fleet's circuit stands after a report.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reply {
    pub(crate) generation: i64,
    pub(crate) phase: Phase,
    /// Until there may be a place for a probe.
    pub(crate) wait: Micros,
    pub(crate) failed_recoveries: i64,
    pub(crate) successes: i64,
    pub(crate) epoch: i64,
    pub(crate) tally: Tally,
    /// The places that were asked for and are given.
    pub(crate) granted: Vec<i64>,
}
