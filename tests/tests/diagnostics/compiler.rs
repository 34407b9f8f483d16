//! Runs the compiler and reads what it says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
    process::Command,
};

use serde_json::Value;

use crate::artifacts::{artifacts, tool};

/// One diagnostic, so far as a user sees where it points and what it says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Diagnostic {
    pub(crate) place: Place,
    pub(crate) level: String,
    pub(crate) code: String,
    pub(crate) message: String,
    /// The texts at its carets, and its notes and helps, each with the places it points at.
    pub(crate) details: BTreeSet<String>,
}

/// From where to where, lines and columns from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    line: u64,
    column: u64,
    end_line: u64,
    end_column: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            column,
            end_line,
            end_column,
        } = self;
        write!(f, "{line}:{column}-{end_line}:{end_column}")
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            place,
            level,
            code,
            message,
            details,
        } = self;
        writeln!(f, "    {place} {level}[{code}]: {message}")?;
        for detail in details {
            writeln!(f, "        {detail}")?;
        }
        Ok(())
    }
}

/// Compiles a library of several modules with `driver` (`rustc` or `clippy-driver`), and answers with
/// what was said of each file, by its name.
pub(crate) fn compile(
    driver: &str,
    root: &Path,
    arguments: &[&str],
) -> BTreeMap<String, Vec<Diagnostic>> {
    let output = Command::new(tool(driver))
        .arg(root)
        .args(["--crate-name=user", "--crate-type=lib", "--edition=2024"])
        .args(["--emit=metadata", "--error-format=json", "--out-dir"])
        .arg(root.with_extension("out"))
        .args(&artifacts().arguments)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{driver}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut files: BTreeMap<String, Vec<Diagnostic>> = BTreeMap::new();
    for message in said.lines() {
        let message: Value =
            serde_json::from_str(message).unwrap_or_else(|_| panic!("{driver} said {message}"));
        if let Some((file, diagnostic)) = diagnostic(&message) {
            files.entry(file).or_default().push(diagnostic);
        }
    }
    for diagnostics in files.values_mut() {
        diagnostics.sort();
    }
    files
}

/// A message, and the file that it is about. What has no place ("aborting due to..") is left out.
fn diagnostic(message: &Value) -> Option<(String, Diagnostic)> {
    let spans = message["spans"].as_array()?;
    let primary = spans.iter().find(|span| span["is_primary"] == true)?;
    let file = file_of(primary)?;
    let mut details = BTreeSet::new();
    for span in spans {
        details.extend(detail(span, &file, "caret"));
    }
    for child in message["children"].as_array()? {
        let level = text(&child["level"]);
        let said = plain(&text(&child["message"]), &file);
        let spans = child["spans"].as_array()?;
        if spans.is_empty() {
            details.insert(format!("{level}: {said}"));
        }
        for span in spans {
            let at = place(span);
            let instead = match &span["suggested_replacement"] {
                Value::String(text) => format!(" `{text}`"),
                _ => String::new(),
            };
            details.insert(format!("{level}: {said} @{at}{instead}"));
            details.extend(detail(span, &file, &level));
        }
    }
    let diagnostic = Diagnostic {
        place: place(primary),
        level: text(&message["level"]),
        code: text(&message["code"]["code"]),
        message: plain(&text(&message["message"]), &file),
        details,
    };
    Some((file, diagnostic))
}

fn detail(span: &Value, file: &str, kind: &str) -> Option<String> {
    let label = span["label"].as_str()?;
    Some(format!("{kind} @{}: {}", place(span), plain(label, file)))
}

/// The name of the file without its directory, where the place is in the user's code: for what points
/// into a macro that is where the macro is called.
fn file_of(span: &Value) -> Option<String> {
    let path = span["file_name"].as_str()?;
    Some(Path::new(path).file_name()?.to_string_lossy().into_owned())
}

/// The module's own name is no part of what is compared.
fn plain(text: &str, file: &str) -> String {
    let module = file.trim_end_matches(".rs");
    text.replace(&format!("{module}::"), "")
        .split(' ')
        .map(|word| match word.split_once(file) {
            Some((before, after)) => {
                let before = before
                    .rfind(['@', '`', '{'])
                    .map_or("", |at| &before[..=at]);
                format!("{before}{after}")
            }
            None => word.to_owned(),
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn place(span: &Value) -> Place {
    let number = |key: &str| span[key].as_u64().unwrap_or(0);
    Place {
        line: number("line_start"),
        column: number("column_start"),
        end_line: number("line_end"),
        end_column: number("column_end"),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
