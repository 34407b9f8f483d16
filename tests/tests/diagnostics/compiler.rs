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
    /// What stands at the caret.
    pub(crate) label: String,
    /// What it suggests to write, and where.
    pub(crate) suggestions: BTreeSet<(Place, String)>,
    /// Its other labels, notes and helps, with the places that they point at.
    pub(crate) details: BTreeSet<(Place, String)>,
}

/// From where to where, lines and columns from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    line: u64,
    column: u64,
    end_line: u64,
    end_column: u64,
}

impl Place {
    /// Line and column, from 1.
    pub(crate) fn start(&self) -> (usize, usize) {
        let number = |n: u64| usize::try_from(n).unwrap_or(0);
        (number(self.line), number(self.column))
    }
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
            label,
            suggestions,
            details,
        } = self;
        writeln!(f, "    {place} {level}[{code}]: {message} ({label})")?;
        for (place, text) in suggestions {
            writeln!(f, "        write at {place}: {text:?}")?;
        }
        for (place, text) in details {
            writeln!(f, "        at {place}: {text}")?;
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
    let mut diagnostic = Diagnostic {
        place: place(primary),
        level: text(&message["level"]),
        code: text(&message["code"]["code"]),
        message: plain(&text(&message["message"]), &file),
        label: plain(&text(&primary["label"]), &file),
        suggestions: BTreeSet::new(),
        details: BTreeSet::new(),
    };
    for span in spans.iter().filter(|span| *span != primary) {
        let said = plain(&text(&span["label"]), &file);
        diagnostic.details.insert((place(span), said));
    }
    for child in message["children"].as_array()? {
        diagnostic.add(child, &file);
    }
    Some((file, diagnostic))
}

impl Diagnostic {
    /// Whether anything in it points at `line`, or says that a macro made it.
    pub(crate) fn points_at(&self, line: u64) -> bool {
        let mut details = self.details.iter();
        self.place.line == line
            || details.any(|(place, text)| place.line == line || text.contains("attribute macro"))
    }

    /// Adds a note or help.
    fn add(&mut self, child: &Value, file: &str) {
        let said = plain(&text(&child["message"]), file);
        let spans = child["spans"].as_array().map(Vec::as_slice);
        for span in spans.unwrap_or_default() {
            match &span["suggested_replacement"] {
                Value::String(text) => {
                    self.suggestions.insert((place(span), text.clone()));
                }
                _ => {
                    let label = plain(&text(&span["label"]), file);
                    let said = format!("{said} {label}").trim_end().to_owned();
                    self.details.insert((place(span), said));
                }
            }
        }
        // Said once for the whole program: which group a lint belongs to.
        let is_about_levels = ["by default", "implied by", "to override"];
        let is_about_levels = is_about_levels.iter().any(|words| said.contains(words));
        if spans.unwrap_or_default().is_empty() && !is_about_levels {
            self.details.insert((Place::default(), said));
        }
    }
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
