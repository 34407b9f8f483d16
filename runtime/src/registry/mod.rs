//! Which policies there are, by kind and name.

mod catalog;
mod checks;
mod declared;
mod describe;
mod health;
pub(crate) mod listing;
mod names;
mod policies;
mod registry;
mod shelf;
mod site;
mod slot;
mod snapshot;

pub use checks::HealthCheck;
pub use declared::{AnySettings, Declared};
pub use health::{CheckHealth, Health, PolicyHealth};
pub use registry::{Registry, registry};
pub use site::{Registered, Site};
pub use slot::{Resolve, Slot, Stacked, Supplied};
pub use snapshot::{PolicySnapshot, Snapshot};
