//! What `#[timeout]` may say.

use crate::parse::{
    literal::{Literal, literal},
    reader::Reader,
};
use syn::{Expr, LitStr};

/// The site arguments of `#[timeout]`.
pub(crate) struct Timeout {
    /// A duration that sees the parameters; found out once the parameters are known.
    pub(crate) after: Option<Expr>,
}

impl Timeout {
    /// A lone string is the duration; the first of two is the name.
    pub(crate) fn name(reader: &mut Reader<'_>) -> Option<LitStr> {
        match reader.leads("after") {
            true => reader.name(),
            false => None,
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        if let Some(value) = reader.unclaimed(&["after", "with", "reject_with", "crate"]) {
            Self::positional(reader, value);
        }
        reader.duration("after", "2s");
        Self { after: None }
    }

    fn positional(reader: &mut Reader<'_>, value: Expr) {
        let is_name = match literal(&value) {
            Some(Literal::Text(text)) => !text.value().starts_with(|c: char| c.is_ascii_digit()),
            _ => false,
        };
        if is_name {
            reader.settings_mut().note("after");
            reader.errors.on(
                value,
                "a lone string is the duration: write `#[timeout(\"2s\")]`, or with a name `#[timeout(\"quotes\", \"2s\")]`",
            );
            return;
        }
        reader.positional_duration("after", value);
    }
}
