//! A line of a file, with a mark under what is wrong in it.

use std::fmt;

use unicode_width::UnicodeWidthChar as _;

/// No more of a line is shown before the mark, and after it: what a program wrote may have no other line.
const SHOWN: usize = 100;

pub(super) struct Excerpt<'l> {
    pub(super) line: &'l str,
    /// From 1.
    pub(super) number: u32,
    /// In characters, from 1.
    pub(super) column: u32,
}

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number.to_string();
        let margin = " ".repeat(number.len());
        let before = (self.column as usize).saturating_sub(1);
        let left_out = before.saturating_sub(SHOWN);
        let mut shown = self.line.chars().skip(left_out);
        let until_mark: String = shown
            .by_ref()
            .take(before - left_out)
            .map(visible)
            .collect();
        let mut rest: String = shown.by_ref().take(SHOWN).map(visible).collect();
        if shown.next().is_some() {
            rest.push_str(" ..");
        }
        let begin = if left_out > 0 { ".. " } else { "" };
        let blank = blank(begin) + &self::blank(&until_mark);
        write!(
            f,
            "{margin} |\n{number} | {begin}{until_mark}{rest}\n{margin} | {blank}^"
        )
    }
}

/// What would move the mark, or more of the terminal, is not sent to it.
pub(super) fn visible(c: char) -> char {
    match c.is_control() && c != '\t' {
        true => char::REPLACEMENT_CHARACTER,
        false => c,
    }
}

/// As wide as `text`. Tabs stay: they are as wide as they are in the line.
fn blank(text: &str) -> String {
    let blank = |c: char| match c {
        '\t' => "\t",
        c => &"  "[..c.width().unwrap_or(0).min(2)],
    };
    text.chars().map(blank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(line: &str, column: u32) -> String {
        let number = 7;
        let excerpt = Excerpt {
            line,
            number,
            column,
        };
        excerpt.to_string()
    }

    #[test]
    fn the_mark_stands_under_what_is_wrong_however_wide_it_is_before() {
        for (line, column, mark) in [
            ("a = 0", 5, "    ^"),
            ("\ta\t= 0", 6, "\t \t  ^"),
            ("\"你好\" = 0", 8, "         ^"),
            ("\"e\u{301}\" = 0", 8, "      ^"),
            ("", 1, "^"),
            ("a =", 4, "   ^"),
        ] {
            assert_eq!(
                excerpt(line, column),
                format!("  |\n7 | {line}\n  | {mark}")
            );
        }
    }

    #[test]
    fn of_a_long_line_what_is_wrong_is_shown() {
        let line = format!("{}!{}", "a".repeat(500), "b".repeat(500));
        let (before, after) = ("a".repeat(100), "b".repeat(99));
        let blank = " ".repeat(103);
        let expected = format!("  |\n7 | .. {before}!{after} ..\n  | {blank}^");
        assert_eq!(excerpt(&line, 501), expected);
    }

    #[test]
    fn what_a_terminal_would_obey_is_not_sent_to_it() {
        assert_eq!(
            excerpt("\u{1b}[2J\u{7f}", 2),
            "  |\n7 | \u{fffd}[2J\u{fffd}\n  |  ^"
        );
    }
}
