//! Places for a number of callers.

use std::fmt::Debug;

use super::{gate::Gate, line::Line};

/// What a bulkhead asks of its own places and of those of a key alike.
pub trait Places: Debug + Sync {
    /// Where the limit is kept, and the line of those who wait.
    fn gate(&self) -> &Gate;

    /// Takes a place if one is free and nobody waits for it. The caller owes a
    /// [`release`](Self::release).
    fn try_enter(&self) -> bool;

    /// Lets a caller in whatever the limit.
    fn force(&self);

    /// Gives a place back, from any thread: to the first waiter, if there is one.
    fn release(&self);

    /// How many are in; exact when nobody enters or leaves.
    fn in_flight(&self) -> u32;

    /// Under the lock of the line, before somebody joins it: makes the gate know of every free place,
    /// and of all that come free from now on until the line is empty.
    fn recall(&self, line: &Line);
}
