//! Which policies there are, by kind and name.

mod catalog;
#[cfg(feature = "config")]
mod changes;
mod checks;
#[cfg(feature = "config")]
pub(crate) mod configuration;
mod declared;
mod describe;
mod health;
mod in_force;
pub(crate) mod listing;
mod logins;
mod names;
mod policies;
mod registry;
mod shelf;
mod site;
mod slot;
mod snapshot;
mod teller;
#[cfg(feature = "config")]
mod trail;
#[cfg(feature = "config")]
mod watch;

pub use checks::HealthCheck;
pub use declared::{AnySettings, Declared};
pub use health::{CheckHealth, Health, PolicyHealth};
pub use registry::{Registry, registry};
pub use site::{Registered, Site};
pub use slot::{Resolve, Slot, Stacked, Supplied};
pub use snapshot::{PolicySnapshot, Snapshot};
#[cfg(feature = "config")]
pub use watch::Watch;
