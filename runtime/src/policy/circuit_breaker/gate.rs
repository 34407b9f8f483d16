//! What every caller may know of a circuit without its lock, in one word.

use crate::{
    algorithm::circuit::{Circuit, Pass, Phase},
    circuit_state::CircuitState,
};

/// Generation, state, and whether a success would change anything. One load is one consistent view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gate(pub(super) u64);

const CLEAN: u64 = 1 << 3;
const PHASE: u64 = CLEAN - 1;
/// In place of a phase: whoever comes has to ask under the lock, whatever the state is.
const SEALED: u64 = 5;

impl Gate {
    pub(super) fn of(circuit: &Circuit) -> Self {
        let clean = if circuit.is_clean() { CLEAN } else { 0 };
        Self(Pass::ordinary(circuit.generation()).word() | clean | circuit.phase() as u64)
    }

    /// The same, where nobody passes who has not asked under the lock.
    pub(super) fn sealed(self) -> Self {
        Self(self.0 & !(CLEAN | PHASE) | SEALED)
    }

    pub(super) fn is_sealed(self) -> bool {
        self.0 & PHASE == SEALED
    }

    /// The same, where every success has to be told.
    pub(super) fn never_clean(self) -> Self {
        Self(self.0 & !CLEAN)
    }

    /// The state. A sealed gate is as that of a half-open circuit: there is nothing to say without the lock.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn phase(self) -> Phase {
        match self.0 & PHASE {
            phase if phase == Phase::Closed as u64 => Phase::Closed,
            phase if phase == Phase::Open as u64 => Phase::Open,
            phase if phase == Phase::ForcedOpen as u64 => Phase::ForcedOpen,
            phase if phase == Phase::Disabled as u64 => Phase::Disabled,
            _ => Phase::HalfOpen,
        }
    }

    /// Of a call that is admitted in this state, and is no probe.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn pass(self) -> Pass {
        Pass::ordinary(self.0 >> Pass::SHIFT)
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn is_closed(self) -> bool {
        self.0 & PHASE == Phase::Closed as u64
    }

    /// Closed, in the state that gave this pass, and the window is full of nothing but quick successes.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn is_clean_since(self, pass: Pass) -> bool {
        self.0 == pass.word() | CLEAN | Phase::Closed as u64
    }

    /// Closed, and the window is full of nothing but quick successes.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn is_clean(self) -> bool {
        self.0 & CLEAN != 0
    }
}

impl From<Phase> for CircuitState {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Closed => Self::Closed,
            Phase::Open => Self::Open,
            Phase::HalfOpen => Self::HalfOpen,
            Phase::ForcedOpen => Self::ForcedOpen,
            Phase::Disabled => Self::Disabled,
        }
    }
}
