//! What the attributes of one function say, known before the program runs.

use super::declared::Declared;
use crate::place::Place;

/// One annotated function.
#[derive(Debug)]
pub struct Site {
    /// `module::path::function`.
    pub function: &'static str,
    /// The source file.
    pub file: &'static str,
    /// The line of the attributes.
    pub line: u32,
    /// The column of the attributes.
    pub column: u32,
    /// Its place among all functions of its crate, in the order of the source: those that one macro call
    /// writes share line and column.
    pub order: u32,
    /// The package that it is compiled in.
    pub package: &'static str,
    /// The stack, outermost first.
    pub policies: &'static [Declared],
}

/// What links a site into the program's catalog.
pub struct Registered(pub &'static Site);

inventory::collect!(Registered);

impl Site {
    pub(crate) fn place(&self) -> Place {
        Place {
            function: self.function,
            file: self.file,
            line: self.line,
        }
    }

    /// The order in which sites are asked: by place, the same in every run and every build.
    pub(crate) fn order(&self) -> impl Ord + use<> {
        (self.file, self.line, self.column, self.order, self.function)
    }
}
