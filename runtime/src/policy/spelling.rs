//! How the values of settings are written outside of Rust: in a configuration file, or a variable.
//!
//! The inverse of [`Show`](super::settings::Show): what is shown can be written.

#[cfg(all(test, not(steadfast_loom)))]
mod tests;

use std::time::Duration;

use super::{
    circuit_breaker::{Cancelled, CircuitPreset, Window},
    rate_limiter::Algorithm,
    retry::RetryPreset,
    settings::PRESET,
    shared::{Mode, OnStoreError},
};
use crate::{
    algorithm::{backoff::Backoff, jitter::Jitter},
    nearest::nearest,
    rate::Rate,
    units,
};

/// A value as it is given.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Given {
    /// A whole number.
    Whole(i64),
    /// Another number.
    Number(f64),
    /// `true` or `false`.
    Flag(bool),
    /// A text.
    Text(String),
    /// The text of a variable, which can be any of these.
    Variable(String),
    /// What no setting is: its name, with an article.
    Other(&'static str),
}

/// What values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A whole number.
    Count,
    /// A number.
    Number,
    /// `true` or `false`.
    Flag,
    /// A duration.
    Duration,
    /// A rate.
    Rate,
    /// A number of calls, or a duration.
    Window,
    /// One of these words.
    Word(&'static [&'static str]),
    /// One of these words, or a fraction.
    WordOrNumber(&'static [&'static str]),
}

/// A type of value that can be given.
pub(crate) trait Read: Sized {
    const SHAPE: Shape;

    /// The value, or what is wrong and what to write.
    fn read(given: &Given) -> Result<Self, String>;
}

/// A setting of a kind of policy, for those who list them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Described {
    /// Its name.
    pub(crate) name: &'static str,
    /// The text of its documentation.
    #[cfg_attr(not(feature = "cli"), allow(dead_code))] // nobody shows it
    pub(crate) doc: &'static str,
    /// Its values.
    pub(crate) shape: Shape,
}

/// The presets among the settings of a kind that need not be defined.
pub(crate) fn built_in_presets(settings: &[Described]) -> &'static [&'static str] {
    let preset = settings.iter().find(|each| each.name == PRESET);
    match preset.map(|each| each.shape) {
        Some(Shape::Word(words)) => words,
        _ => &[],
    }
}

/// Settings of which each can be written by its name.
pub(crate) trait Spelt {
    /// All of them.
    const DESCRIBED: &'static [Described];

    /// Writes a value. A setting that there is not is left out.
    fn write(&mut self, setting: &str, given: &Given) -> Result<(), String>;

    /// Writes what `from` writes, or nothing where that writes nothing.
    fn copy(&mut self, setting: &str, from: &Self);

    /// Takes away what is written.
    fn clear(&mut self, setting: &str)
    where
        Self: Default,
    {
        self.copy(setting, &Self::default());
    }

    /// These settings, and those of `others` where nothing is written.
    #[must_use]
    fn over(self, others: Self) -> Self;
}

impl Given {
    /// Its text, where it is one; of a variable without the blanks around it.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Variable(text) => Some(text.trim()),
            _ => None,
        }
    }

    /// As it is found, for an error.
    pub(crate) fn found(&self) -> String {
        match self {
            Self::Whole(number) => number.to_string(),
            Self::Number(number) => format!("{number:?}"),
            Self::Flag(flag) => flag.to_string(),
            Self::Text(text) | Self::Variable(text) => format!("{text:?}"),
            Self::Other(what) => (*what).to_owned(),
        }
    }

    fn wrong(&self, write: &str) -> String {
        format!("write {write}, not {}", self.found())
    }
}

impl Read for u32 {
    const SHAPE: Shape = Shape::Count;

    fn read(given: &Given) -> Result<Self, String> {
        let number = match given {
            Given::Whole(number) => Self::try_from(*number).ok(),
            Given::Variable(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| match given {
            Given::Text(text) if text.parse::<Self>().is_ok() => {
                given.wrong(&format!("the number without quotes: {text}"))
            }
            _ => given.wrong(&format!("a whole number, at most {}", Self::MAX)),
        })
    }
}

impl Read for f64 {
    const SHAPE: Shape = Shape::Number;

    fn read(given: &Given) -> Result<Self, String> {
        let number = match given {
            Given::Number(number) => Some(*number),
            #[allow(clippy::cast_precision_loss)] // as of a literal
            Given::Whole(number) => Some(*number as Self),
            Given::Variable(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| match given {
            Given::Text(text) if text.parse().is_ok_and(Self::is_finite) => {
                given.wrong(&format!("the number without quotes: {text}"))
            }
            _ => given.wrong("a number, such as 0.5"),
        })
    }
}

impl Read for bool {
    const SHAPE: Shape = Shape::Flag;

    fn read(given: &Given) -> Result<Self, String> {
        match given {
            Given::Flag(flag) => Ok(*flag),
            Given::Variable(text) if text.trim() == "true" => Ok(true),
            Given::Variable(text) if text.trim() == "false" => Ok(false),
            Given::Text(text) if text == "true" || text == "false" => {
                Err(given.wrong(&format!("it without quotes: {text}")))
            }
            _ => Err(given.wrong("true or false")),
        }
    }
}

impl Read for Duration {
    const SHAPE: Shape = Shape::Duration;

    fn read(given: &Given) -> Result<Self, String> {
        match given {
            Given::Text(text) | Given::Variable(text) => {
                units::parse(text).map_err(|error| error.to_string())
            }
            Given::Whole(n) if *n >= 0 => {
                Err(given.wrong(&format!("a duration with its unit: \"{n}s\" or \"{n}ms\"")))
            }
            _ => Err(given.wrong("a duration, such as \"250ms\", \"1.5s\" or \"2m\"")),
        }
    }
}

impl Read for Rate {
    const SHAPE: Shape = Shape::Rate;

    fn read(given: &Given) -> Result<Self, String> {
        match given {
            Given::Text(text) | Given::Variable(text) => {
                text.parse().map_err(|error| format!("{error}"))
            }
            Given::Whole(n) if *n >= 0 => Err(given.wrong(&format!("a rate: \"{n}/s\""))),
            _ => Err(given.wrong("a rate, such as \"200/s\" or \"1000/10m\"")),
        }
    }
}

impl Read for Window {
    const SHAPE: Shape = Shape::Window;

    fn read(given: &Given) -> Result<Self, String> {
        match given {
            Given::Variable(text) if text.trim().parse::<u32>().is_ok() => {
                u32::read(given).map(Self::Count)
            }
            Given::Text(text) if text.parse::<u32>().is_ok() => Err(given.wrong(&format!(
                "{text} for so many calls, or \"{text}s\" for so many seconds"
            ))),
            Given::Text(_) | Given::Variable(_) => Duration::read(given).map(Self::Time),
            Given::Whole(_) => u32::read(given).map(Self::Count),
            _ => Err(given.wrong("a number of calls, or a duration such as \"30s\"")),
        }
    }
}

/// One of the words that a choice has.
fn choose<T: Copy>(given: &Given, words: &[&'static str], choices: &[T]) -> Result<T, String> {
    let Some(text) = given.text() else {
        return Err(given.wrong(&one_of(words)));
    };
    let is_it = |(word, _): &(&&str, &T)| **word == text.trim();
    let found = words.iter().zip(choices).find(is_it);
    found
        .map(|(_, choice)| *choice)
        .ok_or_else(|| match nearest(text, words.iter().copied()) {
            Some(near) => format!(
                "unknown word `{text}`: did you mean `{near}`? ({})",
                one_of(words)
            ),
            None => format!("unknown word `{text}`: write {}", one_of(words)),
        })
}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match &quoted[..] {
        [one] => one.clone(),
        [one, other] => format!("{one} or {other}"),
        _ => format!("one of {}", quoted.join(", ")),
    }
}

macro_rules! read_words {
    ($($Choice:ident { $($Variant:ident),* })*) => {$(
        impl Read for $Choice {
            const SHAPE: Shape = Shape::Word(&[$(Self::$Variant.as_str()),*]);

            fn read(given: &Given) -> Result<Self, String> {
                choose(given, &[$(Self::$Variant.as_str()),*], &[$(Self::$Variant),*])
            }
        }
    )*};
}
read_words! {
    Backoff { Exponential, Linear, Fixed }
    Cancelled { Ignore, Failure }
    Algorithm { TokenBucket, LeakyBucket, FixedWindow, SlidingWindow, SlidingWindowCounter, Adaptive }
    RetryPreset { FastApi, SlowBatch, Critical, Streaming }
    CircuitPreset { LowVolume, HighVolume }
    Mode { Exact, Lease }
    OnStoreError { Local, Allow, Deny }
}

const JITTERS: [&str; 4] = ["full", "equal", "decorrelated", "none"];

impl Read for Jitter {
    const SHAPE: Shape = Shape::WordOrNumber(&JITTERS);

    fn read(given: &Given) -> Result<Self, String> {
        let is_number = match given {
            Given::Whole(_) | Given::Number(_) => true,
            Given::Variable(text) => text.trim().parse::<f64>().is_ok(),
            // Told to be written without quotes.
            Given::Text(text) => text.parse().is_ok_and(f64::is_finite),
            _ => false,
        };
        if is_number {
            return f64::read(given).map(Self::Fraction);
        }
        let choices = [Self::Full, Self::Equal, Self::Decorrelated, Self::None];
        let chosen = choose(given, &JITTERS, &choices);
        chosen.map_err(|error| format!("{error}, or a fraction such as 0.1"))
    }
}
