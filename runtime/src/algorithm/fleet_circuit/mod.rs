//! A circuit that several processes share: the fleet's one record of it, which a store keeps and changes
//! only by [`Fleet::exchange`], and what each instance knows of it and does about it, [`Instance`].
//!
//! Every message is a [`Report`], every answer a [`Reply`]. A generation begins with each change of the
//! record's state, and whatever a report says belongs to one generation: in any other it changes nothing.

mod fleet;
mod instance;
mod report;
mod rules;
mod slots;

#[cfg(all(test, not(steadfast_loom)))]
#[allow(clippy::unwrap_used)] // clippy does not see that this module is for tests
pub(crate) mod brute;
#[cfg(all(test, not(steadfast_loom)))]
#[allow(clippy::unwrap_used)]
mod exhaustive;

pub(crate) use fleet::Fleet;
#[cfg(all(test, not(steadfast_loom)))]
pub(crate) use instance::News;
pub(crate) use instance::{Answer, Instance, Speech, Standing};
pub(crate) use report::{Command, Control, End, Reply, Report, Streak};
pub(crate) use rules::{Micros, Reach, Rules};
