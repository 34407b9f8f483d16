//! What the compiler says of each mistake. One file is one class of mistakes; `TRYBUILD=overwrite`
//! blesses them anew, on the release named here.

use std::process::Command;

/// Half of what is compared is in rustc's own words, which change from release to release.
const BLESSED: &str = "1.95.";

const ATTRIBUTES: [&str; 8] = [
    "retry",
    "circuit_breaker",
    "rate_limited",
    "bulkhead",
    "timeout",
    "fallback",
    "stack",
    "shared",
];

#[test]
fn mistakes_are_told_on_the_wrong_token() {
    let release = release();
    if !release.starts_with(BLESSED) {
        eprintln!("not compared: the messages are those of {BLESSED}x, and this is {release}");
        return;
    }
    let cases = trybuild::TestCases::new();
    for attribute in ATTRIBUTES {
        cases.compile_fail(format!("ui/{attribute}/fail/*.rs"));
        cases.pass(format!("ui/{attribute}/pass/*.rs"));
    }
}

fn release() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output();
    let output = output.expect("rustc runs");
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    version.split(' ').nth(1).unwrap_or_default().to_owned()
}
