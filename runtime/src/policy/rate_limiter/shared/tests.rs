//! Shared limits, as a whole.
