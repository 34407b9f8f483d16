//! The scripts against a model, and in both languages; what a store of a test's own sees.

#[cfg(feature = "test-util")]
mod instances;
mod model;
mod redis;
mod step;
