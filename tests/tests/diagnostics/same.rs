//! A mistake in a body is reported as without the attributes: the same code, line, caret and words.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use crate::{
    artifacts::artifacts,
    case::Case,
    compiler::{Diagnostic, Place, compile, release},
};

#[test]
fn type_errors_are_the_same() {
    all_are_the_same(include_str!("cases/types.rs"));
}

#[test]
fn errors_in_names_are_the_same() {
    all_are_the_same(include_str!("cases/names.rs"));
}

#[test]
fn borrow_errors_are_the_same() {
    all_are_the_same(include_str!("cases/borrows.rs"));
}

#[test]
fn lints_are_the_same() {
    all_are_the_same(include_str!("cases/lints.rs"));
}

#[test]
fn errors_of_callers_are_the_same() {
    all_are_the_same(include_str!("cases/callers.rs"));
}

/// The release that the codes of the cases are those of.
fn is_blessed() -> bool {
    release().starts_with("1.95.")
}

fn all_are_the_same(file: &'static str) {
    artifacts();
    let cases = Case::all(file);
    let next = AtomicUsize::new(0);
    let report = Mutex::new(String::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Relaxed)) {
                    let found = differences(case);
                    report.lock().expect("no panic").push_str(&found);
                }
            });
        }
    });
    let report = report.into_inner().expect("no panic");
    assert!(report.is_empty(), "\n{report}");
}

/// What a case shows under attributes that it does not show bare, or the reverse.
fn differences(case: &Case) -> String {
    let (root, names) = case.write();
    let mut said = compile("rustc", &root, &["-Wunused"]);
    let mut of = |name: &str| said.remove(&format!("{name}_.rs")).unwrap_or_default();
    let bare = of("bare");
    let mut report = String::new();
    // What is made of a mistake changes from release to release; that nothing is made of it is a
    // mistake of the case.
    let is_made = bare.iter().any(|found| found.code == case.expected);
    if bare.is_empty() || !is_made && is_blessed() {
        let _ = writeln!(report, "{}: no {} when bare", case.name, case.expected);
        bare.iter()
            .for_each(|found| report.push_str(&found.to_string()));
    }
    let mut seen: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for name in names.into_iter().skip(1) {
        let difference = difference(case, &bare, &of(name));
        if !difference.is_empty() {
            seen.entry(difference).or_default().push(name);
        }
    }
    for (difference, names) in seen {
        let _ = write!(report, "{}, under {names:?}\n{difference}", case.name);
    }
    if let Some((file, more)) = said.into_iter().next() {
        let _ = writeln!(report, "{}: in {file}: {more:?}", case.name);
    }
    report
}

fn difference(case: &Case, bare: &[Diagnostic], found: &[Diagnostic]) -> String {
    let mut report = String::new();
    let (expected, compared) = (parts(case, bare), parts(case, found));
    for (diagnostic, parts) in found.iter().zip(&compared) {
        if !expected.contains(parts) {
            let _ = write!(report, "  more\n{diagnostic}");
        } else if diagnostic.points_at(case.line_of_attributes()) {
            let _ = write!(report, "  points at an attribute\n{diagnostic}");
        }
    }
    for (diagnostic, parts) in bare.iter().zip(&expected) {
        if !compared.contains(parts) {
            let _ = write!(report, "  less\n{diagnostic}");
        }
    }
    report
}

/// What is compared of each diagnostic: all that a user acts on, without the parts that differ by
/// design. Its secondary labels and notes are free, but may not point at an attribute.
fn parts(case: &Case, diagnostics: &[Diagnostic]) -> Vec<Diagnostic> {
    let differs = |part: &str| case.may_differ.contains(&part);
    let mut diagnostics = diagnostics.to_vec();
    for diagnostic in &mut diagnostics {
        diagnostic.details.clear();
        if differs("place") {
            diagnostic.place = Place::default();
        }
        if differs("code") {
            diagnostic.code.clear();
        }
        if differs("message") {
            diagnostic.message.clear();
        }
        if differs("label") {
            diagnostic.label.clear();
        }
        if differs("suggestions") {
            diagnostic.suggestions.clear();
        }
    }
    diagnostics
}
