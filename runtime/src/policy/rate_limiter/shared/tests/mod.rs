//! Shared limits, as a whole.

mod redis;
mod twins;
