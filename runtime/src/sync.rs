//! One shim between the standard library and loom, so that every file of atomics can be modelled.
//!
//! A test build with `--cfg steadfast_loom` swaps in loom's types; everything else compiles unchanged.

#[cfg(steadfast_loom)]
#[allow(unused_imports)]
pub(crate) use loom::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};
#[cfg(not(steadfast_loom))]
#[allow(unused_imports)]
pub(crate) use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};

/// Locks, and goes on with the data of a poisoned lock: no code of ours panics while it holds one,
/// and a policy that stopped working because somebody else panicked would be worse than the panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    match mutex.lock() {
        Ok(guard) => guard,
        Err(poisoned) => poisoned.into_inner(),
    }
}
