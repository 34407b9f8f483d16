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
    /// Whether who looks at one sees the other.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(other)) => one.file == other.file,
            _ => false,
        }
    }

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

/// The places of one text.
#[cfg(feature = "config")]
pub(super) struct Places<'t> {
    file: Option<&'t str>,
    text: &'t str,
    /// Where lines begin, found once: each key and value has a place.
    lines: Vec<usize>,
}

#[cfg(feature = "config")]
impl<'t> Places<'t> {
    pub(super) fn of(file: Option<&'t str>, text: &'t str) -> Self {
        let ends = text.match_indices('\n').map(|(end, _)| end + 1);
        let lines = std::iter::once(0).chain(ends).collect();
        Self { file, text, lines }
    }

    /// The place of a byte.
    pub(super) fn at(&self, byte: usize) -> FilePlace {
        let line = self.lines.partition_point(|begin| *begin <= byte).max(1);
        let before = self
            .text
            .get(self.lines[line - 1]..byte)
            .unwrap_or_default();
        // No editor shows the mark that some begin a file with.
        let before = before.strip_prefix('\u{feff}').unwrap_or(before);
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        FilePlace {
            file: self.file.map(str::to_owned),
            line: number(line),
            column: number(before.chars().count() + 1),
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
