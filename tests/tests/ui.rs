//! What the compiler says of each mistake. One file is one class of mistakes; `TRYBUILD=overwrite` blesses
//! them anew, on the toolchain that the continuous integration pins.

const ATTRIBUTES: [&str; 7] = [
    "retry",
    "circuit_breaker",
    "rate_limited",
    "bulkhead",
    "timeout",
    "fallback",
    "stack",
];

#[test]
fn mistakes_are_told_on_the_wrong_token() {
    let cases = trybuild::TestCases::new();
    for attribute in ATTRIBUTES {
        cases.compile_fail(format!("ui/{attribute}/fail/*.rs"));
        cases.pass(format!("ui/{attribute}/pass/*.rs"));
    }
}
