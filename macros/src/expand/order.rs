//! The order in which functions are expanded.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// How many functions of each name have been expanded.
static EXPANDED: Mutex<Option<HashMap<String, u32>>> = Mutex::new(None);

/// The place of the next function of this name among those of its crate. The compiler expands them as they
/// stand in the source, the linker brings them in any order: this is what tells apart those that one macro
/// call writes, which share file, line and column.
///
/// Counted by name: else one function more would change what is emitted for all that follow it, and have
/// them compiled again.
pub(crate) fn next(name: &str) -> u32 {
    if !proc_macro::is_available() {
        return 0; // Not inside a compiler: nothing else is expanded.
    }
    let mut expanded = EXPANDED.lock().unwrap_or_else(PoisonError::into_inner);
    let count = expanded.get_or_insert_default().entry(name.to_owned());
    let next = count.or_default();
    *next += 1;
    *next - 1
}
