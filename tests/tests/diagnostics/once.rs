//! A mistake in an attribute is one error, and the function is there all the same: its callers and its
//! body are compiled as ever, in a terminal and in an editor.

use std::{fmt::Write as _, fs};

use crate::{
    artifacts::{artifacts, scratch},
    compiler::compile,
};

/// Attributes with one mistake each.
const MISTAKES: [&str; 14] = [
    "steadfast::retry(max_atempts = 3)",
    "steadfast::retry(max_attempts = 0)",
    "steadfast::retry(max_attempts = )",
    "steadfast::retry(max_attempts = 3, max_attempts = 4)",
    "steadfast::retry(base_delay = \"10 parsecs\")",
    "steadfast::retry(jitter = ful)",
    "steadfast::circuit_breaker(failure_rate = 50)",
    "steadfast::rate_limited",
    "steadfast::bulkhead(max_concurrent: 3)",
    "steadfast::timeout(\"0s\")",
    "steadfast::timeout",
    "steadfast::fallback",
    "steadfast::retry] #[steadfast::timeout(\"1s\", \"2s\", \"3s\")",
    "steadfast::retry] #[steadfast::fallback(default)",
];

#[test]
fn one_mistake_in_an_attribute_is_one_error() {
    artifacts();
    let report = errors_beside("once", "", "    Ok(n)\n", 0);
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn the_body_is_compiled_beside_a_mistake_in_an_attribute() {
    artifacts();
    let body = "    let text: String = n;\n    Ok(text.len() as u32)\n";
    let report = errors_beside("once_body", "", body, 1);
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn imports_stay_used_beside_a_mistake_in_an_attribute() {
    artifacts();
    let imports = "use std::collections::BTreeMap;\n";
    let body = "    Ok(n + BTreeMap::<u32, u32>::new().len() as u32)\n";
    let report = errors_beside("once_imports", imports, body, 0);
    assert!(report.is_empty(), "\n{report}");
}

/// Compiles a method with that body under each mistake, and a caller; says where there are not exactly
/// `more` diagnostics besides the one about the mistake.
fn errors_beside(name: &str, imports: &str, body: &str, more: usize) -> String {
    let directory = scratch().join(name);
    fs::create_dir_all(&directory).expect("a directory");
    let mut root = String::new();
    for (number, mistake) in MISTAKES.iter().enumerate() {
        let text = format!(
            "{imports}pub struct Client;\nimpl Client {{\n    #[{mistake}]\n    \
             pub async fn call(&self, n: u32) -> Result<u32, steadfast::Rejection> {{\n{body}    }}\n}}\n\
             pub async fn caller() -> Result<u32, steadfast::Rejection> {{\n    \
             Client.call(1).await\n}}\n"
        );
        fs::write(directory.join(format!("m{number}.rs")), text).expect("a file");
        let _ = writeln!(root, "pub mod m{number};");
    }
    let root_path = directory.join("lib.rs");
    fs::write(&root_path, root).expect("a file");
    let said = compile("rustc", &root_path, &["-Wunused"]);
    let mut report = String::new();
    for (number, mistake) in MISTAKES.iter().enumerate() {
        let file = format!("m{number}.rs");
        let found = said.get(&file).map_or(&[][..], Vec::as_slice);
        if found.len() != 1 + more {
            let _ = writeln!(report, "#[{mistake}]: {} diagnostics", found.len());
            found
                .iter()
                .for_each(|one| report.push_str(&one.to_string()));
        }
    }
    report
}
