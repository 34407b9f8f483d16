//! A setting: the value that belongs to the policy, not to the site.

use std::time::Duration;
use syn::{Expr, Ident};

/// What the macro can see of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    /// A const expression: the compiler knows it, the macro does not.
    Expression,
    Count(u32),
    Number(f64),
    Switch(bool),
    Duration(Duration),
    Rate(u32, Duration),
    /// Enum and variant.
    Choice(&'static str, &'static str),
}

/// How a value becomes the argument of its setter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Plain,
    /// A number of calls or a duration.
    Window,
    /// A jitter given as a number.
    Fraction,
}

/// `key = source`
pub(crate) struct Setting {
    pub(crate) key: Ident,
    pub(crate) source: Expr,
    pub(crate) value: Value,
    pub(crate) shape: Shape,
}

impl Setting {
    pub(crate) fn new(key: Ident, source: Expr, value: Value, shape: Shape) -> Self {
        Self {
            key,
            source,
            value,
            shape,
        }
    }
}

/// The settings of one layer, in the order in which its policy lists them.
#[derive(Default)]
pub(crate) struct Settings {
    good: Vec<Setting>,
    /// The names of all, also of those with a mistake: what was meant to be there is not missing.
    written: Vec<&'static str>,
}

impl Settings {
    pub(crate) fn push(&mut self, setting: Setting) {
        self.good.push(setting);
    }

    /// Notes that a setting is there, whatever it says.
    pub(crate) fn note(&mut self, name: &'static str) {
        self.written.push(name);
    }

    /// Is it there, whatever it says?
    pub(crate) fn is_written(&self, name: &str) -> bool {
        self.written.contains(&name)
    }

    /// Moves all of `other` here.
    pub(crate) fn append(&mut self, other: Self) {
        self.good.extend(other.good);
        self.written.extend(other.written);
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Setting> {
        self.good.iter().find(|setting| setting.key == name)
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<Setting> {
        let place = self.good.iter().position(|setting| setting.key == name)?;
        Some(self.good.remove(place))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.good.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    pub(crate) fn value(&self, name: &str) -> Option<Value> {
        self.find(name).map(|setting| setting.value)
    }

    /// A duration that is known here.
    pub(crate) fn duration(&self, name: &str) -> Option<Duration> {
        match self.value(name)? {
            Value::Duration(value) => Some(value),
            _ => None,
        }
    }

    /// A count that is known here.
    pub(crate) fn count(&self, name: &str) -> Option<u32> {
        match self.value(name)? {
            Value::Count(value) => Some(value),
            _ => None,
        }
    }

    /// The word that was chosen.
    pub(crate) fn choice(&self, name: &str) -> Option<&'static str> {
        match self.value(name)? {
            Value::Choice(_, variant) => Some(variant),
            _ => None,
        }
    }
}

/// The words of a choice, each with its variant.
#[derive(Clone, Copy)]
pub(crate) struct Choice {
    pub(crate) of: &'static str,
    pub(crate) words: &'static [(&'static str, &'static str)],
}

impl Choice {
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.words.iter().map(|(word, _)| *word).collect()
    }

    pub(crate) fn variant(&self, word: &str) -> Option<&'static str> {
        self.words
            .iter()
            .find(|(name, _)| *name == word)
            .map(|(_, variant)| *variant)
    }
}

/// Where a number must lie, in words and as a test.
#[derive(Clone, Copy)]
pub(crate) struct Range {
    pub(crate) says: &'static str,
    test: fn(f64) -> bool,
}

impl Range {
    /// A part of the whole, never nothing.
    pub(crate) const SHARE: Self = Self {
        says: "above 0 and at most 1",
        test: |value| value > 0.0 && value <= 1.0,
    };
    /// A part of the whole, also nothing.
    pub(crate) const PART: Self = Self {
        says: "between 0 and 1",
        test: |value| (0.0..=1.0).contains(&value),
    };
    pub(crate) const SHRINKS: Self = Self {
        says: "above 0 and below 1",
        test: |value| value > 0.0 && value < 1.0,
    };
    pub(crate) const GROWS: Self = Self {
        says: "above 1",
        test: |value| value > 1.0 && value.is_finite(),
    };
    pub(crate) const AT_LEAST_ONE: Self = Self {
        says: "of at least 1",
        test: |value| value >= 1.0 && value.is_finite(),
    };
    pub(crate) const POSITIVE: Self = Self {
        says: "above 0",
        test: |value| value > 0.0 && value.is_finite(),
    };

    pub(crate) fn holds(&self, value: f64) -> bool {
        (self.test)(value)
    }
}
