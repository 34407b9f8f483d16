//! Lints that are off by default, and all of clippy's: an annotated function sets off none that the bare
//! function does not.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    artifacts::{artifacts, scratch},
    compiler::{Diagnostic, compile},
};

/// Everything that is off by default and says something about ordinary code.
const LINTS: &[&str] = &[
    "-Wunused",
    "-Wfuture-incompatible",
    "-Wrust-2018-idioms",
    "-Wrust-2024-compatibility",
    "-Wabsolute-paths-not-starting-with-crate",
    "-Wambiguous-negative-literals",
    "-Wclosure-returning-async-block",
    "-Wexplicit-outlives-requirements",
    "-Wimpl-trait-redundant-captures",
    "-Wlet-underscore-drop",
    "-Wmacro-use-extern-crate",
    "-Wmeta-variable-misuse",
    "-Wmissing-abi",
    "-Wmissing-copy-implementations",
    "-Wmissing-debug-implementations",
    "-Wmissing-docs",
    "-Wnon-ascii-idents",
    "-Wredundant-imports",
    "-Wredundant-lifetimes",
    "-Wsingle-use-lifetimes",
    "-Wtrivial-casts",
    "-Wtrivial-numeric-casts",
    "-Wunit-bindings",
    "-Wunnameable-types",
    "-Wunreachable-pub",
    "-Wunsafe-code",
    "-Wunused-crate-dependencies",
    "-Wunused-import-braces",
    "-Wunused-lifetimes",
    "-Wunused-qualifications",
    "-Wunused-results",
    "-Wvariant-size-differences",
    "-Wclippy::all",
    "-Wclippy::pedantic",
    "-Wclippy::nursery",
    "-Wclippy::restriction",
    // It is about groups of lints, not about code.
    "-Aclippy::blanket_clippy_restriction_lints",
    // It wants the opposite of `needless_return`, and emitted code can obey only one.
    "-Aclippy::implicit_return",
    // An attribute inside of the body is put above the function, where this sees it.
    "-Aclippy::allow_attributes",
    // A function that an attribute names is used.
    "-Aclippy::single_call_fn",
];

/// The fixture, with our attributes and with blanks in their place.
struct Twins {
    annotated: PathBuf,
    bare: PathBuf,
    /// The lines of each file, annotated and bare.
    lines: BTreeMap<String, (Vec<String>, Vec<String>)>,
}

#[test]
fn no_lint_of_any_group_is_set_off_by_an_attribute() {
    artifacts();
    let twins = Twins::write();
    let annotated = compile("clippy-driver", &twins.annotated.join("lib.rs"), LINTS);
    let bare = compile("clippy-driver", &twins.bare.join("lib.rs"), LINTS);
    let report = twins.more(&annotated, &bare);
    assert!(report.is_empty(), "\n{report}");
    assert!(!bare.is_empty(), "a restriction always finds something");
}

impl Twins {
    fn write() -> Self {
        let twins = Self {
            annotated: scratch().join("lints/annotated"),
            bare: scratch().join("lints/bare"),
            lines: BTreeMap::new(),
        };
        for directory in [&twins.annotated, &twins.bare] {
            fs::create_dir_all(directory).expect("a directory");
        }
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/silence/src");
        let entries = fs::read_dir(&fixture).expect("the fixture");
        entries.fold(twins, |twins, entry| {
            twins.with(&entry.expect("an entry").path())
        })
    }

    fn with(mut self, path: &Path) -> Self {
        let name = path.file_name().expect("a name");
        let text = fs::read_to_string(path).expect("a file");
        // Its own levels would end the comparison at the first lint.
        let text = text.replace("#![deny(", "#![warn(");
        // What an attribute binds is not there without it.
        let text = text.replace("pub mod bindings;", "");
        let bare = without_attributes(&text);
        fs::write(self.annotated.join(name), &text).expect("a file");
        fs::write(self.bare.join(name), &bare).expect("a file");
        let lines = |text: &str| text.lines().map(str::to_owned).collect();
        let name = name.to_string_lossy().into_owned();
        self.lines.insert(name, (lines(&text), lines(&bare)));
        self
    }

    /// What is said of the annotated functions and not of the bare ones. The other way round, a lint
    /// may well fall silent: a parameter is used by an argument, an `async fn` awaits.
    fn more(
        &self,
        annotated: &BTreeMap<String, Vec<Diagnostic>>,
        bare: &BTreeMap<String, Vec<Diagnostic>>,
    ) -> String {
        let nothing = Vec::new();
        let mut report = String::new();
        for (file, diagnostics) in annotated {
            let known = bare.get(file).unwrap_or(&nothing);
            let is_known = |found: &Diagnostic| {
                let mut known = known.iter();
                known.any(|known| known.code == found.code && known.place == found.place)
            };
            let new = diagnostics.iter().filter(|found| !is_known(found));
            for diagnostic in new.filter(|found| !self.is_of_an_argument(file, found)) {
                let _ = write!(report, "{file}\n{diagnostic}");
            }
        }
        report
    }

    /// Is it about an expression that the user has written in an attribute? The bare file has a blank
    /// there. What is about emitted code stands at the `#` of the attribute.
    fn is_of_an_argument(&self, file: &str, found: &Diagnostic) -> bool {
        let (line, column) = found.place.start();
        let at = |lines: &[String]| {
            let line = lines.get(line.checked_sub(1)?)?;
            line.chars().nth(column.checked_sub(1)?)
        };
        let Some((annotated, bare)) = self.lines.get(file) else {
            return false;
        };
        at(bare) == Some(' ') && at(annotated) != Some('#')
    }
}

const ATTRIBUTES: [&str; 6] = [
    "retry",
    "circuit_breaker",
    "rate_limited",
    "bulkhead",
    "timeout",
    "fallback",
];

/// `text` with blanks in place of our attributes, so that every place stays what it is.
fn without_attributes(text: &str) -> String {
    let mut left = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("#[") {
        let (before, from) = rest.split_at(start);
        left.push_str(before);
        let path = from[2..].trim_start_matches("::");
        let path = path.strip_prefix("steadfast::").unwrap_or(path);
        let word: String = path
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let length = if ATTRIBUTES.contains(&word.as_str()) {
            attribute_length(from)
        } else {
            2
        };
        let (attribute, after) = from.split_at(length);
        if length == 2 {
            left.push_str(attribute);
        } else {
            left.extend(attribute.chars().map(|c| if c == '\n' { c } else { ' ' }));
        }
        rest = after;
    }
    left.push_str(rest);
    left
}

/// How long the attribute is that `text` begins with. No string in the fixture holds a bracket.
fn attribute_length(text: &str) -> usize {
    let mut depth = 0_u32;
    for (at, c) in text.char_indices() {
        match c {
            '[' => depth += 1,
            ']' if depth == 1 => return at + 1,
            ']' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}
