//! The order in which functions are expanded.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The place of the next function among all of its crate. The compiler expands them as they stand in the
/// source, the linker brings them in any order: this is what tells apart those that one macro call writes,
/// which share file, line and column.
pub(crate) fn next() -> u32 {
    match proc_macro::is_available() {
        true => NEXT.fetch_add(1, Relaxed),
        // Not inside a compiler: nothing else is expanded.
        false => 0,
    }
}
