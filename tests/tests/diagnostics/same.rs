//! A mistake in a body is reported as without the attributes: the same code, line, caret and words.

use std::{
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
    compiler::{Diagnostic, compile},
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
    if !bare
        .iter()
        .any(|diagnostic| diagnostic.code == case.expected)
    {
        let _ = writeln!(report, "{}: no {} when bare", case.name, case.expected);
        bare.iter()
            .for_each(|diagnostic| report.push_str(&diagnostic.to_string()));
    }
    for name in names.into_iter().skip(1) {
        let found = of(name);
        if compared(case, &found) == compared(case, &bare) {
            continue;
        }
        let _ = writeln!(report, "{}: under `{name}`", case.name);
        found.iter().filter(|d| !bare.contains(d)).for_each(|d| {
            let _ = write!(report, "  more\n{d}");
        });
        bare.iter().filter(|d| !found.contains(d)).for_each(|d| {
            let _ = write!(report, "  less\n{d}");
        });
    }
    if let Some((file, more)) = said.into_iter().next() {
        let _ = writeln!(report, "{}: in {file}: {more:?}", case.name);
    }
    report
}

/// Diagnostics without the parts that differ by design.
fn compared(case: &Case, diagnostics: &[Diagnostic]) -> Vec<Diagnostic> {
    let differs = |part: &str| case.may_differ.contains(&part);
    let mut diagnostics = diagnostics.to_vec();
    for diagnostic in &mut diagnostics {
        if differs("code") {
            diagnostic.code.clear();
        }
        if differs("message") {
            diagnostic.message.clear();
        }
        if differs("details") {
            diagnostic.details.clear();
        }
    }
    diagnostics
}
