//! What the compiler says about annotated functions: what it says without the attributes, and nothing
//! else.

mod artifacts;
mod case;
mod compiler;
mod lints;
mod once;
mod same;
mod silence;
