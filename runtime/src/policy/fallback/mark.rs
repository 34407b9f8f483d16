//! Says in a [`Served`] value where it came from, wherever a function returns one.
//!
//! The same ladder as for error types: emitted code calls `Mark::of(&step).__marks()`, and method lookup
//! finds the rung for `Served<V>`, or the one that does nothing.

use std::{marker::PhantomData, ops::Deref, time::Duration};

use crate::{
    outcome::Outcome,
    served::{Served, Source},
    step::Step,
};

/// What can be said in a value type.
pub struct Marks<T> {
    mark: fn(&mut T, Source, Option<Duration>),
    is_primary: fn(&T) -> bool,
}

impl<T> Clone for Marks<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Marks<T> {}

impl<T> Marks<T> {
    /// A value type that says nothing.
    pub(crate) const fn none() -> Self {
        Self {
            mark: |_, _, _| (),
            is_primary: |_| true,
        }
    }

    pub(super) fn mark(&self, value: &mut T, source: Source, age: Option<Duration>) {
        (self.mark)(value, source, age);
    }

    /// Whether the value is an answer of the call itself: only such are worth remembering.
    pub(super) fn is_primary(&self, value: &T) -> bool {
        (self.is_primary)(value)
    }
}

/// The value type of a step.
pub struct Mark<T>(PhantomData<fn() -> T>);

/// A value type that is no [`Served`].
pub struct Unmarked<T>(PhantomData<fn() -> T>);

impl<T> Mark<T> {
    /// Names the value type of a step.
    #[inline]
    pub const fn of<R: Outcome<Value = T>, X>(_: &Step<R, X>) -> Self {
        Self(PhantomData)
    }
}

impl<V> Mark<Served<V>> {
    /// How to mark it.
    #[inline]
    pub fn __marks(&self) -> Marks<Served<V>> {
        Marks {
            mark: mark_served,
            is_primary: |served| !served.degraded(),
        }
    }
}

impl<T> Deref for Mark<T> {
    type Target = Unmarked<T>;

    #[inline]
    fn deref(&self) -> &Unmarked<T> {
        const { &Unmarked(PhantomData) }
    }
}

impl<T> Unmarked<T> {
    /// There is nothing to mark.
    #[inline]
    pub fn __marks(&self) -> Marks<T> {
        Marks::none()
    }
}

fn mark_served<V>(served: &mut Served<V>, source: Source, age: Option<Duration>) {
    served.source = source;
    served.age = age;
    let warning = match (source, age) {
        (Source::Cache, Some(age)) => format!("an earlier answer, {age:.0?} old"),
        (Source::StaleCache, Some(age)) => format!("a stale answer, {age:.0?} old"),
        (Source::Fallback, _) => "the fallback's answer".to_owned(),
        _ => return,
    };
    served.warnings.push(warning);
}
