//! Which metrics and labels an expression names.

use std::collections::{BTreeMap, BTreeSet};

/// What an expression mentions.
#[derive(Debug, Default)]
pub(crate) struct Mentioned {
    /// Metrics, and the labels that they are chosen by.
    pub(crate) metrics: BTreeMap<String, BTreeSet<String>>,
    /// Labels that are kept, dropped or matched by.
    pub(crate) grouped: BTreeSet<String>,
}

/// Words that are followed by labels in parentheses.
const GROUPING: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];
const OPERATORS: [&str; 5] = ["and", "or", "unless", "bool", "offset"];

/// Reads an expression as far as it takes to find its names; good enough for those that are tested here.
pub(crate) fn mentioned(expression: &str) -> Mentioned {
    let mut found = Mentioned::default();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let word = self::word(rest);
        if word.is_empty() {
            // Ranges are times, and numbers no names.
            rest = match first {
                '[' => &rest[rest.find(']').map_or(rest.len(), |end| end + 1)..],
                '0'..='9' => {
                    rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.')
                }
                _ => &rest[first.len_utf8()..],
            };
            continue;
        }
        rest = rest[word.len()..].trim_start();
        let is_function = rest.starts_with('(') || GROUPING.contains(&self::word(rest));
        if GROUPING.contains(&word) {
            let end = rest.find(')').unwrap_or(rest.len());
            let labels = rest[..end].trim_start_matches('(').split(',');
            found.grouped.extend(
                labels
                    .map(|label| label.trim().to_owned())
                    .filter(|label| !label.is_empty()),
            );
            rest = &rest[end..];
        } else if !is_function && !OPERATORS.contains(&word) {
            let labels = found.metrics.entry(word.to_owned()).or_default();
            if let Some(selector) = rest.strip_prefix('{') {
                rest = select(selector, labels);
            }
        }
    }
    found
}

/// Collects the labels up to the closing brace; what follows it.
fn select<'e>(mut rest: &'e str, labels: &mut BTreeSet<String>) -> &'e str {
    loop {
        rest = rest.trim_start_matches([' ', ',', '\n']);
        let label = word(rest);
        if label.is_empty() {
            return rest.trim_start_matches('}');
        }
        labels.insert(label.to_owned());
        // No value here holds a quotation mark.
        rest = rest.splitn(3, '"').nth(2).unwrap_or_default();
    }
}

fn word(text: &str) -> &str {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    let is_other = |c: char| is_first(c) || c.is_ascii_digit();
    match text.chars().next() {
        Some(first) if is_first(first) => {
            &text[..text.find(|c| !is_other(c)).unwrap_or(text.len())]
        }
        _ => "",
    }
}

#[test]
fn names_are_found() {
    let found = mentioned(
        r#"sum by (job, le) (rate(a_total{x="1 {", y=~"b"}[5m])) / on(job) group_left() c > 0.2 or vector(0)"#,
    );
    let metrics: Vec<_> = found.metrics.iter().collect();
    assert_eq!(
        format!("{metrics:?} {:?}", found.grouped),
        r#"[("a_total", {"x", "y"}), ("c", {})] {"job", "le"}"#
    );
}
