//! An annotated function causes no warning.

use std::process::Command;

use serde_json::Value;

use crate::artifacts::{cargo, has_clippy};

/// Every line that a command says as JSON, and all that it says, where it fails.
fn said(command: &mut Command) -> (bool, String) {
    let output = command.output().expect("cargo runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

/// The fixture denies all warnings, `clippy::pedantic` and missing documentation.
#[test]
fn a_user_who_denies_every_warning_hears_nothing() {
    if !has_clippy() {
        return;
    }
    let mut command = cargo("clippy");
    command.args(["--no-deps", "--message-format=json"]);
    let (succeeded, said) = said(&mut command);
    let heard: Vec<String> = said.lines().filter_map(rendered).collect();
    assert!(heard.is_empty(), "\n{}", heard.join("\n"));
    assert!(succeeded, "\n{said}");
}

fn rendered(line: &str) -> Option<String> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-message" {
        return None;
    }
    let package = message["package_id"].as_str()?;
    package.contains("steadfast-fixture-silence").then(|| {
        message["message"]["rendered"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    })
}
