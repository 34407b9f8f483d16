//! The stores.

mod memory;

pub use memory::MemoryStore;
