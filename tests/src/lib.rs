//! A downstream user of Steadfast. Everything is under `tests/`.
