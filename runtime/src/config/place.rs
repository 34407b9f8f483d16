//! Where in the configuration something is written.

use std::fmt;

/// A place in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(tag = "in", rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ConfigPlace {
    /// In a file, or a text.
    File(FilePlace),
    /// In the environment.
    Environment {
        /// The variable.
        variable: String,
    },
}

/// A place in a configuration file, or in a text that the program gave.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct FilePlace {
    /// The file, as its path was given; none in a text.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

#[cfg(feature = "config")]
impl ConfigPlace {
    /// The line of a file.
    pub(super) fn line(&self) -> Option<u32> {
        match self {
            Self::File(place) => Some(place.line),
            Self::Environment { .. } => None,
        }
    }
}

impl ConfigPlace {
    /// The order in which mistakes are told.
    pub(crate) fn order(&self) -> impl Ord + use<> {
        match self {
            Self::File(FilePlace { file, line, column }) => (file.clone(), *line, *column),
            Self::Environment { variable } => (Some(variable.clone()), 0, 0),
        }
    }
}

#[cfg(feature = "config")]
impl FilePlace {
    /// The place of a byte of `text`.
    pub(super) fn of(file: Option<&str>, text: &str, byte: usize) -> Self {
        let before = text.get(..byte).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        // No editor shows the mark that some begin a file with.
        let line = line.strip_prefix('\u{feff}').unwrap_or(line);
        let number = |n: usize| u32::try_from(n + 1).unwrap_or(u32::MAX);
        Self {
            file: file.map(str::to_owned),
            line: number(before.matches('\n').count()),
            column: number(line.chars().count()),
        }
    }
}

impl fmt::Display for FilePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column } = self;
        match file {
            Some(file) => write!(f, "{file}:{line}:{column}"),
            None => write!(f, "line {line}, column {column}"),
        }
    }
}

impl fmt::Display for ConfigPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(place) => place.fmt(f),
            Self::Environment { variable } => f.write_str(variable),
        }
    }
}
