//! Settings from outside: files and the environment, over those of the attributes.

#[cfg(feature = "config")]
mod blame;
#[cfg(feature = "config")]
mod document;
#[cfg(feature = "config")]
mod draft;
#[cfg(feature = "config")]
mod environment;
#[cfg(feature = "config")]
mod file;
#[cfg(feature = "config")]
mod layers;
mod place;
#[cfg(feature = "cli")]
pub(crate) mod render;
#[cfg(feature = "config")]
mod resolve;
mod resolved;
#[cfg(feature = "config")]
mod source;
#[cfg(all(test, feature = "config", not(steadfast_loom)))]
mod tests;

#[cfg(feature = "cli")]
pub(crate) use environment::prefix;
#[cfg(feature = "config")]
pub(crate) use layers::Layers;
pub use place::{ConfigPlace, FilePlace};
#[cfg(feature = "cli")]
pub(crate) use resolve::NONE;
#[cfg(feature = "config")]
pub(crate) use resolve::{ENABLED, FORCE};
pub(crate) use resolved::{Base, Resolved};
#[cfg(feature = "config")]
pub(crate) use source::{ConfigFile, Source};
