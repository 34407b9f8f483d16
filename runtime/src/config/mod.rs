//! Settings from outside: files and the environment, over those of the attributes.

#[cfg(feature = "config")]
mod document;
#[cfg(feature = "config")]
mod environment;
#[cfg(feature = "config")]
mod file;
#[cfg(feature = "config")]
mod layers;
mod place;
#[cfg(feature = "config")]
mod resolve;
mod resolved;

#[cfg(feature = "config")]
pub(crate) use layers::{Layers, Source};
pub use place::{ConfigPlace, FilePlace};
pub(crate) use resolved::{Base, ENABLED, FORCE, Resolved};
