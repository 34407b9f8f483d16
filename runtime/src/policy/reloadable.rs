//! A value that can be replaced while calls run under it.

use std::sync::Mutex;

#[cfg(not(steadfast_loom))]
use crossbeam_utils::atomic::AtomicCell;

use crate::lock::lock;

/// A value that is read on every call and replaced when the configuration is loaded again.
///
/// Reading costs one load: either there is no other value than the first, or here is where it is. Who has
/// read keeps what it has read, whole, as long as it likes. Therefore values that were in force are kept,
/// one of each: what it costs is bounded by how many different values there ever were.
#[derive(Debug)]
pub(crate) struct Reloadable<T: 'static> {
    first: T,
    /// What is in force instead of the first.
    other: Cell<T>,
    /// All that ever were. Taken by those who replace: one at a time.
    #[cfg_attr(not(feature = "config"), allow(dead_code))] // nobody has others
    others: Mutex<Vec<&'static T>>,
}

/// Where the value in force is.
#[cfg(not(steadfast_loom))]
type Cell<T> = AtomicCell<Option<&'static T>>;

/// The same in a model, which has to know of it.
#[cfg(steadfast_loom)]
#[derive(Debug)]
struct Cell<T: 'static> {
    place: crate::sync::AtomicUsize,
    values: Mutex<Vec<Option<&'static T>>>,
}

#[cfg(steadfast_loom)]
impl<T> Cell<T> {
    fn new(value: Option<&'static T>) -> Self {
        Self {
            place: crate::sync::AtomicUsize::new(0),
            values: Mutex::new(vec![value]),
        }
    }

    fn load(&self) -> Option<&'static T> {
        let place = self.place.load(crate::sync::Ordering::Acquire);
        lock(&self.values)[place]
    }

    fn store(&self, value: Option<&'static T>) {
        let mut values = lock(&self.values);
        values.push(value);
        let place = values.len() - 1;
        drop(values);
        self.place.store(place, crate::sync::Ordering::Release);
    }
}

/// Which of a [`Reloadable`]'s values it is: for those who keep what goes by one of them.
#[derive(Debug)]
pub(crate) struct Edition<T: 'static>(Option<&'static T>);

impl<T> Clone for Edition<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Edition<T> {}

/// The first.
impl<T> Default for Edition<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> PartialEq for Edition<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.map(std::ptr::from_ref) == other.0.map(std::ptr::from_ref)
    }
}

impl<T: PartialEq + 'static> Reloadable<T> {
    #[cfg(not(steadfast_loom))]
    const IS_ONE_LOAD: () = assert!(AtomicCell::<Option<&'static T>>::is_lock_free());

    pub(crate) fn new(first: T) -> Self {
        #[cfg(not(steadfast_loom))]
        {
            () = Self::IS_ONE_LOAD;
        }
        Self {
            first,
            other: Cell::new(None),
            others: Mutex::new(Vec::new()),
        }
    }

    /// What is in force now.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn get(&self) -> &T {
        self.other.load().unwrap_or(&self.first)
    }

    /// Which value is in force now.
    pub(crate) fn edition(&self) -> Edition<T> {
        Edition(self.other.load())
    }

    /// That one of its values.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn of(&self, edition: Edition<T>) -> &T {
        edition.0.unwrap_or(&self.first)
    }

    /// Puts `value` in force, for those who read from now on.
    #[cfg_attr(not(feature = "config"), allow(dead_code))] // nobody has others
    pub(crate) fn set(&self, value: T) {
        let mut others = lock(&self.others);
        if value == self.first {
            return self.other.store(None);
        }
        let known = others.iter().copied().find(|other| **other == value);
        let other = known.unwrap_or_else(|| {
            let new: &'static T = Box::leak(Box::new(value));
            others.push(new);
            new
        });
        self.other.store(Some(other));
    }
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering::Relaxed},
        thread,
    };

    use super::*;

    #[test]
    fn what_was_read_stays_as_it_was() {
        let value = Reloadable::new(1);
        let first = value.get();
        value.set(2);
        let second = value.get();
        value.set(3);
        assert_eq!((*first, *second, *value.get()), (1, 2, 3));
    }

    #[test]
    fn a_value_that_comes_again_is_kept_once() {
        let value = Reloadable::new(0);
        for n in 0..1_000 {
            value.set(n % 3);
            assert_eq!(*value.get(), n % 3);
        }
        assert_eq!(value.others.lock().map(|others| others.len()).ok(), Some(2));
    }

    #[test]
    fn readers_see_each_value_whole() {
        let value = Reloadable::new((0_u64, 0_u64));
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !done.load(Relaxed) {
                        let (a, b) = *value.get();
                        assert_eq!(a * 3, b);
                    }
                });
            }
            for n in 0..20_000 {
                value.set((n % 100, n % 100 * 3));
            }
            done.store(true, Relaxed);
        });
    }
}
