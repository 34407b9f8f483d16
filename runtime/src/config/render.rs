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

/// A text, in quotes and in one line.
pub(crate) fn text(text: &str) -> String {
    let escape = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04X}", u32::from(c)),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(escape).collect::<String>())
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

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    #![allow(clippy::unwrap_used)] // clippy does not see that this module is for tests

    use super::*;

    #[test]
    fn any_name_is_a_key_in_one_line() {
        for name in [
            "plain-1_a",
            "",
            " ",
            "a b",
            "a.b",
            "shop::quote",
            "é",
            "\"",
            "'",
            "'\"",
            "\\",
            "a\nb",
            "a\r\n",
            "\t",
            "\u{7f}",
            "\u{0}",
            "\u{85}",
            "\u{2028}",
            "#",
            "[x]",
            "a@src/lib.rs:3",
        ] {
            let line = format!("[retry.{}]", key(name));
            assert!(!line.contains(['\n', '\r']), "{line}");
            let table =
                toml::de::DeTable::parse(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
            let names = table.get_ref()["retry"].get_ref().as_table().unwrap();
            assert!(names.contains_key(name), "{line}");
        }
    }
}
