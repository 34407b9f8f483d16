//! The attribute macros of Steadfast.
