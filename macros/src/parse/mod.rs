//! From tokens to arguments and items. Nothing here knows a policy.

pub(crate) mod argument;
pub(crate) mod duration;
pub(crate) mod fragment;
pub(crate) mod item;
pub(crate) mod literal;
pub(crate) mod nearest;
pub(crate) mod rate;
pub(crate) mod reader;
pub(crate) mod siblings;
