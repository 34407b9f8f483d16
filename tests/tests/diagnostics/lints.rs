//! Lints that are off by default, and all of clippy's: an annotated function sets off none that the bare
//! function does not.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

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
];

#[test]
fn no_lint_of_any_group_is_set_off_by_an_attribute() {
    artifacts();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/silence/src");
    let annotated = scratch().join("lints/annotated");
    let bare = scratch().join("lints/bare");
    for directory in [&annotated, &bare] {
        fs::create_dir_all(directory).expect("a directory");
    }
    for entry in fs::read_dir(&fixture).expect("the fixture") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name");
        let text = fs::read_to_string(&path).expect("a file");
        // Its own levels would end the comparison at the first lint.
        let text = text.replace("#![deny(", "#![warn(");
        // What an attribute binds is not there without it.
        let text = text.replace("pub mod bindings;", "");
        fs::write(annotated.join(name), &text).expect("a file");
        fs::write(bare.join(name), without_attributes(&text)).expect("a file");
    }
    let annotated = compile("clippy-driver", &annotated.join("lib.rs"), LINTS);
    let bare = compile("clippy-driver", &bare.join("lib.rs"), LINTS);
    let report = more(&annotated, &bare);
    assert!(report.is_empty(), "\n{report}");
    assert!(!bare.is_empty(), "a restriction always finds something");
}

/// What is said of the annotated functions and not of the bare ones. The other way round, a lint may
/// well fall silent: a parameter is used by an argument, an `async fn` awaits.
fn more(
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
        for diagnostic in diagnostics.iter().filter(|found| !is_known(found)) {
            let _ = write!(report, "{file}\n{diagnostic}");
        }
    }
    report
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
