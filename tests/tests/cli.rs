//! What an operator sees of a program, without a line of code.

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// Runs the program with these arguments and variables.
fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_operated"));
    let output = command.args(arguments).envs(variables.iter().copied());
    output.output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path
}

/// What `list` says of a setting: its value, and where that comes from.
fn listed(variables: &[(&str, &str)], arguments: &[&str], setting: &str) -> String {
    let arguments = [&["list"], arguments].concat();
    let output = run(&arguments, variables);
    assert!(output.status.success(), "{}", errors(&output));
    let out = out(&output);
    let line = out
        .lines()
        .find(|line| line.trim_start().starts_with(setting));
    let words: Vec<_> = line
        .unwrap_or_else(|| panic!("{out}"))
        .split_whitespace()
        .collect();
    words[1..].join(" ")
}

#[test]
fn every_function_is_listed_with_what_protects_it() {
    let output = run(&["list"], &[]);
    let out = out(&output);
    println!("{out}");
    assert!(output.status.success());
    let is_first = |line: &&str| !line.starts_with(' ') && line.contains("operated.rs:");
    let firsts: Vec<_> = out.lines().filter(is_first).collect();
    assert_eq!(firsts.len(), 3, "{out}");
    assert!(
        firsts[0].starts_with("operated::quote  tests/src/bin/operated.rs:"),
        "{out}"
    );
    for line in [
        "  retry            `quotes`",
        "    max_attempts         4              attribute",
        "    after                2s             attribute",
        "  retry            `quotes` joined",
        "    max_elapsed          5m             preset",
        "    rate                 of the call    each call",
        "3 functions, 12 policies, 2 installed",
    ] {
        assert!(out.lines().any(|other| other == line), "{line}\n{out}");
    }
}

#[test]
fn what_was_installed_is_listed_too() {
    let variable = "STEADFAST_CIRCUIT_BREAKER__BY_HAND__FORCE";
    let path = file("by-hand.toml", "[rate_limiter.\"by hand\"]\nburst = 9\n");
    let path = path.to_str().unwrap();
    let output = run(&["list", "--config", path], &[(variable, "open")]);
    let out = out(&output);
    let at = out
        .find("\ninstalled, and joined by no function\n")
        .unwrap();
    let section: Vec<_> = out[at..].lines().skip(2).take(6).collect();
    let place = |line: &str| line.contains("`  tests/src/bin/operated.rs:");
    assert!(section[0].starts_with("  circuit_breaker  `by hand` ") && place(section[0]));
    assert_eq!(
        section[1],
        "    window               50             installed"
    );
    assert_eq!(
        section[2],
        format!("    force                open           {variable}")
    );
    assert!(section[3].starts_with("  rate_limiter     `by hand` ") && place(section[3]));
    assert_eq!(
        section[4],
        "    rate                 5/s            installed"
    );
    assert_eq!(
        section[5],
        format!("    burst                9              {path}:2:1")
    );
}

#[test]
fn a_list_for_programs_says_the_same() {
    let output = run(&["list", "--json"], &[]);
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (sites, installed) = (&list["functions"], &list["installed"]);
    assert_eq!(installed[1]["name"], "by hand");
    assert_eq!(installed[1]["kind"], "rate_limiter");
    assert_eq!(installed[1]["definition"]["by"], "installed");
    assert_eq!(installed[1]["settings"][0]["value"], "5/s");
    assert_eq!(sites[0]["function"], "operated::quote");
    assert_eq!(sites[0]["policies"][0]["kind"], "retry");
    assert_eq!(sites[0]["policies"][0]["settings"][1]["value"], "4");
    assert_eq!(
        sites[0]["policies"][0]["settings"][1]["origin"]["from"],
        "attribute"
    );
}

#[test]
fn files_and_variables_are_listed_as_where_settings_come_from() {
    let path = file(
        "origins.toml",
        "[retry.quotes]\nmax_attempts = 6\nbase_delay = \"5ms\"\n",
    );
    let path = path.to_str().unwrap();
    let variable = [("STEADFAST_RETRY__QUOTES__MAX_ATTEMPTS", "8")];
    let config = ["--config", path];
    assert_eq!(listed(&[], &[], "max_attempts"), "4 attribute");
    assert_eq!(
        listed(&[], &config, "max_attempts"),
        format!("6 {path}:2:1")
    );
    assert_eq!(
        listed(&variable, &config, "max_attempts"),
        "8 STEADFAST_RETRY__QUOTES__MAX_ATTEMPTS"
    );
    assert_eq!(
        listed(&variable, &config, "base_delay"),
        format!("5ms {path}:3:1")
    );
}

#[test]
fn variables_are_spelt_in_upper_case_with_every_other_character_a_line() {
    for (variable, value, setting, listed_as) in [
        (
            "STEADFAST_TIMEOUT__OPERATED__QUOTE__AFTER",
            "750ms",
            "after",
            "750ms",
        ),
        ("STEADFAST_RETRY__QUOTES__JITTER", "0.25", "jitter", "0.25"),
        ("STEADFAST_RETRY__QUOTES__JITTER", "none", "jitter", "none"),
        (
            "STEADFAST_CIRCUIT_BREAKER__QUOTES__WINDOW",
            "30s",
            "window",
            "30s",
        ),
        (
            "STEADFAST_CIRCUIT_BREAKER__QUOTES__WINDOW",
            "30",
            "window",
            "30",
        ),
        (
            "STEADFAST_BULKHEAD__QUOTES__MAX_WAIT",
            "none",
            "max_wait",
            "none",
        ),
        (
            "STEADFAST_CIRCUIT_BREAKER__QUOTES__ENABLED",
            "false",
            "enabled",
            "false",
        ),
    ] {
        let expected = format!("{listed_as} {variable}");
        assert_eq!(listed(&[(variable, value)], &[], setting), expected);
    }
}

#[test]
fn a_good_file_is_called_good() {
    let path = file("good.toml", "[retry.quotes]\nmax_attempts = 6\n");
    let output = run(&["check", path.to_str().unwrap()], &[]);
    assert_eq!(out(&output), "no mistakes\n", "{}", errors(&output));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn every_mistake_is_shown_with_its_line() {
    let text = "[retry.quotes]\nmax_atempts = 2\n\n[circuit_breaker.qoutes]\n[bulkhead.quotes]\n\tmax_wait = 3\n";
    let path = file("bad.toml", text);
    let path = path.to_str().unwrap();
    let variables = [
        ("STEADFAST_TIMEOUT__NOBODY__AFTER", "1s"),
        ("STEADFAST_REDIS_URL", "mine"),
    ];
    let output = run(&["check", path], &variables);
    assert_eq!(output.status.code(), Some(1));
    let errors = errors(&output);
    println!("{errors}");
    for expected in [
        &format!(
            "error: {path}:2:1: retry `quotes` has no setting `max_atempts`, did you mean `max_attempts`?"
        ),
        "  |\n2 | max_atempts = 2\n  | ^\n",
        &format!(
            "error: {path}:4:18: there is no circuit_breaker `qoutes`, did you mean `quotes`?"
        ),
        "6 | \tmax_wait = 3\n  | \t           ^\n",
        "error: STEADFAST_TIMEOUT__NOBODY__AFTER: there is no timeout `nobody`",
        "4 mistakes\n",
    ] {
        assert!(errors.contains(expected), "{expected}\n{errors}");
    }
    assert!(!errors.contains("REDIS"), "{errors}");
}

#[test]
fn what_comes_through_a_pipe_is_shown_where_it_is_wrong() {
    for path in ["-", "/dev/stdin"]
        .into_iter()
        .take(if cfg!(unix) { 2 } else { 1 })
    {
        let mut child = Command::new(env!("CARGO_BIN_EXE_operated"))
            .args(["check", path, path])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input
            .write_all(b"[bulkhead.quotes]\nmax_concurrent = 0\n")
            .unwrap();
        drop(input);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let errors = errors(&output);
        assert!(
            errors.starts_with(&format!("error: {path}:2:18: ")),
            "{errors}"
        );
        let excerpt = "\n  |\n2 | max_concurrent = 0\n  |                  ^\n\n1 mistake\n";
        assert!(errors.ends_with(excerpt), "{errors}");
    }
}

#[test]
fn a_file_is_one_however_its_path_is_spelt() {
    let first = file(
        "spelt.toml",
        "[retry.quotes]\nmax_attempts = 6\nbudget = 0\n",
    );
    let here = first.parent().unwrap();
    let in_its_directory = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_operated"));
        command.current_dir(here).args(arguments).output().unwrap()
    };
    let absolute = first.to_str().unwrap();
    let output = in_its_directory(&["check", "spelt.toml", "./spelt.toml", absolute]);
    let told = errors(&output);
    assert!(told.starts_with("error: spelt.toml:3:10: "), "{told}");
    assert!(told.ends_with("\n1 mistake\n"), "{told}");
    // It keeps its place below the other.
    file("spelt.toml", "[retry.quotes]\nmax_attempts = 6\n");
    file("over.toml", "[retry.quotes]\nmax_attempts = 8\n");
    let mut arguments = vec!["list"];
    for path in ["spelt.toml", "over.toml", absolute] {
        arguments.extend(["--config", path]);
    }
    let list = out(&in_its_directory(&arguments));
    assert!(list.contains("8              over.toml:2:1\n"), "{list}");
}

#[test]
fn a_mistake_is_told_in_one_line_whatever_the_names_are() {
    let path = file("escapes.toml", "[retry.\"a\\nb\\u001B[2J\"]\n");
    let errors = errors(&run(&["check", path.to_str().unwrap()], &[]));
    assert!(
        errors.contains("no retry `a\u{fffd}b\u{fffd}[2J`"),
        "{errors}"
    );
}

#[test]
fn init_begins_from_what_a_file_says() {
    let path = file("begin.toml", "[retry.quotes]\nmax_attempts = 7\n");
    let config = ["init", "--config", path.to_str().unwrap()];
    assert!(out(&run(&config, &[])).contains("\n# max_attempts = 7\n"));
    let bad = file("no-begin.toml", "[retry.quotes]\nmax_attempts = 0\n");
    let refused = run(&["init", "--config", bad.to_str().unwrap()], &[]);
    assert_eq!(
        (refused.status.code(), out(&refused)),
        (Some(1), String::new())
    );
}

#[test]
fn a_variable_that_is_nearly_one_says_what_to_write() {
    let good = file("nearly.toml", "");
    let two = "`__` stands before the name and before the setting: write ";
    for (variable, told) in [
        (
            "STEADFAST_BULKHEAD_QUOTES_MAX_CONCURRENT",
            format!("{two}STEADFAST_BULKHEAD__QUOTES__MAX_CONCURRENT"),
        ),
        (
            "STEADFAST_BULKHEAD__QUOTES_MAX_CONCURRENT",
            format!("{two}STEADFAST_BULKHEAD__QUOTES__MAX_CONCURRENT"),
        ),
        (
            "STEADFAST_RETRY_OPERATED_ORDER_MAX_ATTEMPTS",
            format!("{two}STEADFAST_RETRY__OPERATED__ORDER__MAX_ATTEMPTS"),
        ),
        (
            "STEADFAST_CIRCUIT_BREAKER_QUOTES__WINDOW",
            "`__` follows the kind: write STEADFAST_CIRCUIT_BREAKER__QUOTES__WINDOW".to_owned(),
        ),
        (
            "STEADFAST_TIMEOUT__OPERATED__QUOTE",
            "it says no setting: write STEADFAST_TIMEOUT__OPERATED__QUOTE__.. with one of after, enabled, preset".to_owned(),
        ),
        (
            "STEADFAST_TIMEOUT__OPERATED__QUOTE__",
            "it says no setting: write STEADFAST_TIMEOUT__OPERATED__QUOTE__.. with one of after, enabled, preset".to_owned(),
        ),
        (
            "STEADFAST_PRESET__RETRY__MINE__MAX_ATTEMPTS",
            "presets are defined in a file: write [preset.retry.name] there".to_owned(),
        ),
    ] {
        let output = run(&["check", good.to_str().unwrap()], &[(variable, "3")]);
        let expected = format!("error: {variable}: {told}\n\n1 mistake\n");
        assert_eq!(errors(&output), expected);
    }
    // These are somebody else's.
    let others = [("STEADFAST_RETRY_COUNT", "3"), ("STEADFAST_TIMEOUT", "1s")];
    assert!(
        run(&["check", good.to_str().unwrap()], &others)
            .status
            .success()
    );
}

#[test]
fn a_function_says_what_its_policy_is_called() {
    let text = "[retry.order]\n[retry.\"copies::quote\"]\n[timeout.quote]\n";
    let path = file("functions.toml", text);
    let errors = errors(&run(&["check", path.to_str().unwrap()], &[]));
    for expected in [
        "there is no retry `order`, did you mean `operated::order`?",
        "there is no retry `copies::quote`, did you mean `quotes`?",
        "there is no timeout `quote`, did you mean `operated::quote`?",
    ] {
        assert!(errors.contains(expected), "{errors}");
    }
}

#[test]
fn names_that_variables_cannot_tell_apart_are_an_error() {
    let good = file("empty.toml", "");
    let arguments = ["check", good.to_str().unwrap()];
    let variable = "STEADFAST_CIRCUIT_BREAKER__A_B__WINDOW";
    let output = run(&arguments, &[(variable, "30")]);
    let expected =
        format!("error: {variable}: variables cannot tell circuit_breaker `a-b` from `a.b`");
    assert!(
        errors(&output).starts_with(&expected),
        "{}",
        errors(&output)
    );
    assert_eq!(output.status.code(), Some(1));
    // What is wrong with its value is told of one of them.
    let output = run(&arguments, &[(variable, "x")]);
    assert!(
        errors(&output).ends_with("\n2 mistakes\n"),
        "{}",
        errors(&output)
    );
    // As long as none is used, nothing is wrong with the names.
    assert!(run(&arguments, &[]).status.success());
}

#[test]
fn arguments_that_make_no_sense_are_told_from_mistakes() {
    for arguments in [&["lits"][..], &["check"], &[], &["list", "--jsn"]] {
        assert_eq!(run(arguments, &[]).status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(run(&["help"], &[]).status.code(), Some(0));
    let missing = run(&["check", "there-is-no-such-file.toml"], &[]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(errors(&missing).contains("there-is-no-such-file.toml: it cannot be read: "));
}

/// The settings in force, without where they come from.
fn in_force(arguments: &[&str]) -> Vec<(Value, Value)> {
    let output = run(&[&["list", "--json"], arguments].concat(), &[]);
    assert!(output.status.success(), "{}", errors(&output));
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let sites = list["functions"].as_array().unwrap().iter();
    let of_sites = sites.flat_map(|site| site["policies"].as_array().unwrap());
    let policies = of_sites.chain(list["installed"].as_array().unwrap());
    let settings = policies.flat_map(|policy| policy["settings"].as_array().unwrap());
    let shown = settings.map(|setting| (setting["name"].clone(), setting["value"].clone()));
    shown.collect()
}

#[test]
fn what_init_prints_changes_nothing_and_what_it_shows_is_what_holds() {
    let output = run(&["init"], &[]);
    let text = out(&output);
    println!("{text}");
    let as_it_is = file("init.toml", &text);
    assert_eq!(
        in_force(&["--config", as_it_is.to_str().unwrap()]),
        in_force(&[])
    );
    // Each line taken into use says what was so before.
    let used = taken_into_use(&text);
    assert!(
        text.contains("\n# installed (tests/src/bin/operated.rs:"),
        "{text}"
    );
    assert!(used.matches("\nmax_attempts = ").count() == 2, "{used}");
    let wrong: Vec<_> = schema()
        .iter_errors(&document(&used))
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    // A preset of none would take away the one that the attribute names.
    let in_use = file("used.toml", &used);
    assert_eq!(
        in_force(&["--config", in_use.to_str().unwrap()]),
        in_force(&[])
    );
}

#[test]
fn what_init_begins_from_a_file_with_holds_without_that_file() {
    let text = r#"
        [preset.retry.mine]
        preset = "streaming"
        max_attempts = 2
        [preset.bulkhead.tight]
        max_concurrent = 3
        [retry.quotes]
        preset = "mine"
        max_delay = "3s"
        [bulkhead.quotes]
        preset = "tight"
        [retry."operated::order"]
        enabled = false
        max_elapsed = "none"
        [circuit_breaker.quotes]
        force = "closed"
        failure_rate = 0.25
        window = "30s"
        [circuit_breaker."by hand"]
        enabled = false
        force = "open"
        [rate_limiter.tenants]
        max_keys = 7
        algorithm = "sliding_window"
    "#;
    let path = file("presets.toml", text);
    let path = ["--config", path.to_str().unwrap()];
    let text = out(&run(&["init", path[0], path[1]], &[]));
    let in_use = file("presets-used.toml", &taken_into_use(&text));
    let in_use = ["--config", in_use.to_str().unwrap()];
    // The name of one's own preset is with the file that defines it.
    let values = |arguments: &[&str]| -> Vec<_> {
        let is_name = |(name, _): &(Value, Value)| name == "preset";
        in_force(arguments)
            .into_iter()
            .filter(|each| !is_name(each))
            .collect()
    };
    assert_eq!(values(&in_use), values(&path));
}

/// Each line of a policy that `init` prints, without its `#`.
fn taken_into_use(text: &str) -> String {
    let is_setting =
        |line: &&str| line.starts_with("# ") && line.contains(" = ") && !line.contains('`');
    let begin = text.find("\n\n# operated").unwrap();
    let used: Vec<_> = text[begin..]
        .lines()
        .map(|line| if is_setting(&line) { &line[2..] } else { line })
        .collect();
    used.join("\n")
}

/// What an editor checks a file with.
fn schema() -> jsonschema::Validator {
    let schema: Value = serde_json::from_slice(&run(&["schema"], &[]).stdout).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

fn document(text: &str) -> Value {
    let document: toml::Value = toml::from_str(text).unwrap();
    serde_json::to_value(document).unwrap()
}

#[test]
fn the_schema_accepts_what_is_accepted_and_refuses_the_mistakes() {
    let validator = schema();
    let is_valid = |text: &str| validator.is_valid(&document(text));
    let is_good = |text: &str| {
        run(&["check", file("schema.toml", text).to_str().unwrap()], &[])
            .status
            .success()
    };
    for good in [
        "",
        "[retry.quotes]\nmax_attempts = 2\njitter = 0.5\nbase_delay = \"1.5s\"\nenabled = false",
        "[retry.quotes]\njitter = \"equal\"\npreset = \"fast_api\"",
        "[circuit_breaker.quotes]\nwindow = \"30s\"\nforce = \"open\"\nfailure_rate = 0.5",
        "[circuit_breaker.quotes]\nwindow = 30\nfailure_rate = 1",
        "[rate_limiter.quotes]\nrate = \"1000 / 10m\"\nalgorithm = \"leaky_bucket\"",
        "[bulkhead.quotes]\nmax_wait = \"none\"",
        "[preset.bulkhead.tight]\nmax_concurrent = 2\n[bulkhead.quotes]\npreset = \"tight\"",
    ] {
        assert!(is_valid(good) && is_good(good), "{good}");
    }
    for bad in [
        "[retry.qoutes]",
        "[retries.quotes]",
        "[retry.quotes]\nmax_atempts = 2",
        "[retry.quotes]\nmax_attempts = \"2\"",
        "[retry.quotes]\nbase_delay = 100",
        "[retry.quotes]\nbase_delay = \"100\"",
        "[retry.quotes]\njitter = \"ful\"",
        "[retry.quotes]\nforce = \"open\"",
        "[circuit_breaker.quotes]\nforce = \"ajar\"",
        "[rate_limiter.quotes]\nrate = \"200\"",
        "[rate_limiter.tenants]\nrate = \"200/s\"",
        "[preset.retry.mine]\nenabled = false",
        "retry = 3",
    ] {
        assert!(!is_valid(bad) && !is_good(bad), "{bad}");
    }
}

#[test]
fn variables_in_lower_case_say_what_to_write() {
    let good = file("lower.toml", "");
    for (variable, upper) in [
        (
            "STEADFAST_RETRY__quotes__MAX_ATTEMPTS",
            "STEADFAST_RETRY__QUOTES__MAX_ATTEMPTS",
        ),
        (
            "STEADFAST_retry__QUOTES__max_attempts",
            "STEADFAST_RETRY__QUOTES__MAX_ATTEMPTS",
        ),
        (
            "STEADFAST_CIRCUIT_BREAKER__a-b__WINDOW",
            "STEADFAST_CIRCUIT_BREAKER__A_B__WINDOW",
        ),
    ] {
        let output = run(&["check", good.to_str().unwrap()], &[(variable, "3")]);
        let expected =
            format!("error: {variable}: variables are in upper case: write {upper}\n\n1 mistake\n");
        assert_eq!(errors(&output), expected);
    }
}

#[test]
fn blanks_around_a_variable_do_not_count() {
    for (variable, value, setting, listed_as) in [
        (
            "STEADFAST_BULKHEAD__QUOTES__MAX_WAIT",
            " none ",
            "max_wait",
            "none",
        ),
        (
            "STEADFAST_RETRY__QUOTES__PRESET",
            "fast_api\n",
            "preset",
            "fast_api",
        ),
        (
            "STEADFAST_RETRY__QUOTES__MAX_ATTEMPTS",
            " 7",
            "max_attempts",
            "7",
        ),
        (
            "STEADFAST_RETRY__QUOTES__BASE_DELAY",
            " 7ms ",
            "base_delay",
            "7ms",
        ),
    ] {
        let expected = format!("{listed_as} {variable}");
        assert_eq!(listed(&[(variable, value)], &[], setting), expected);
    }
}

#[test]
fn a_variable_that_is_wrong_leaves_what_it_would_have_changed() {
    let variables = [
        ("STEADFAST_BULKHEAD__QUOTES__MAX_CONCURRENT", "3"),
        ("STEADFAST_BULKHEAD__QUOTES__MAX_WAIT", "0s"),
    ];
    assert_eq!(listed(&variables, &[], "max_wait"), "1s attribute");
    let expected = format!("3 {}", variables[0].0);
    assert_eq!(listed(&variables, &[], "max_concurrent"), expected);
}

#[cfg(unix)]
#[test]
fn a_value_that_is_no_text_is_a_mistake_and_a_stranger_is_none() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    let good = file("bytes.toml", "");
    let output = Command::new(env!("CARGO_BIN_EXE_operated"))
        .args(["check", good.to_str().unwrap()])
        .env(
            "STEADFAST_RETRY__QUOTES__MAX_ATTEMPTS",
            OsStr::from_bytes(b"\xff"),
        )
        .env(OsStr::from_bytes(b"STEADFAST_\xff__X"), "1")
        .env("STEADFAST_", "1")
        .env("STEADFAST__", "1")
        .env("STEADFAST_LOG", "1")
        .output()
        .unwrap();
    assert_eq!(
        errors(&output),
        "error: STEADFAST_RETRY__QUOTES__MAX_ATTEMPTS: its value is no Unicode text: write one\n\n1 mistake\n"
    );
}

#[test]
fn what_is_wrong_in_a_variable_is_told_in_the_order_of_their_names() {
    let good = file("ordered.toml", "");
    let variables = [
        ("STEADFAST_BULKHEAD__QUOTES__MAX_WAIT", "x"),
        ("STEADFAST_NOTHING__QUOTES__RATE", "1/s"),
        ("STEADFAST_RETRY__QUOTES__JITTER", "x"),
        ("STEADFAST_TIMEOUT__NOBODY__AFTER", "1s"),
    ];
    let first = |output: &Output| -> Vec<String> {
        let errors = errors(output);
        let lines = errors.lines().filter(|line| line.contains(": STEADFAST_"));
        lines
            .map(|line| line.split(": ").nth(1).unwrap().to_owned())
            .collect()
    };
    let expected: Vec<_> = variables.iter().map(|(variable, _)| *variable).collect();
    let checked = run(&["check", good.to_str().unwrap()], &variables);
    assert_eq!(first(&checked), expected);
    // As `validate` tells them.
    for command in ["list", "init"] {
        assert_eq!(first(&run(&[command], &variables)), expected);
    }
}

#[cfg(unix)]
#[test]
fn mistakes_count_also_where_nobody_reads_them() {
    let bad = file("unread.toml", "[retry.quotes]\nmax_attempts = 0\n");
    let bad = bad.to_str().unwrap();
    let closed = |arguments: &[&str]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_operated"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        child.wait().unwrap().code()
    };
    assert_eq!(closed(&["check", bad]), Some(1));
    assert_eq!(closed(&["list", "--config", bad]), Some(1));
    // Whoever reads has read enough.
    for arguments in [&["list", "--json"][..], &["list"], &["init"], &["schema"]] {
        assert_eq!(closed(arguments), Some(0), "{arguments:?}");
    }
}
