//! Locks of the standard library that outlive a panic: where no model goes, and in statics. Files that have
//! models go through `sync.rs`.

use std::sync::{Mutex, MutexGuard};

/// Locks, and goes on with the data of a poisoned lock: no code of ours panics while it holds one,
/// and a policy that stopped working because somebody else panicked would be worse than the panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    match mutex.lock() {
        Ok(guard) => guard,
        Err(poisoned) => poisoned.into_inner(),
    }
}
