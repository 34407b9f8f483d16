//! Names and values as a TOML file spells them.

use crate::policy::spelling::Shape;

/// A key of a table.
pub(crate) fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !name.is_empty() && name.chars().all(is_bare) {
        true => name.to_owned(),
        false => text(name),
    }
}

/// A text, in quotes.
pub(crate) fn text(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A value that is shown of a setting.
pub(crate) fn value(shape: Shape, shown: &str) -> String {
    let is_bare = match shape {
        Shape::Flag => true,
        Shape::Count | Shape::Number | Shape::Window | Shape::WordOrNumber(_) => {
            shown.parse::<f64>().is_ok_and(f64::is_finite)
        }
        Shape::Duration | Shape::Rate | Shape::Word(_) => false,
    };
    match is_bare && shown != "none" {
        true => shown.to_owned(),
        false => text(shown),
    }
}
