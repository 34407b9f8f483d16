//! Where in the source something is written.

use std::fmt;

/// A place in a program's source.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Place {
    /// `module::path::function`.
    pub function: &'static str,
    /// The source file.
    pub file: &'static str,
    /// The line of the attributes.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            function,
            file,
            line,
        } = self;
        write!(f, "`{function}` ({file}:{line})")
    }
}
