//! Runnable examples of Steadfast, one idea each.
