//! Every mistake of a configuration is told once, and at what is wrong.

#![allow(dead_code)] // the functions are there to be configured

use steadfast::{
    PolicyKind, Rate, Registry, Rejection, bulkhead, circuit_breaker, rate_limited, retry,
};

#[retry("quotes", base_delay = "100ms", max_delay = "2s", multiplier = 3)]
#[circuit_breaker("quotes", failure_threshold = 5)]
#[rate_limited("quotes", rate = "200/s", burst = 50)]
#[bulkhead("quotes", max_concurrent = 16, max_wait = "1s", max_queue = 5)]
async fn quote() -> Result<(), Rejection> {
    Ok(())
}

#[bulkhead("plain", max_concurrent = 16)]
#[retry("batch", preset = slow_batch, base_delay = "2m")]
async fn plain() -> Result<(), Rejection> {
    Ok(())
}

#[rate_limited("tenants", rate = rate, key = tenant)]
async fn tenant(tenant: &str, rate: Rate) -> Result<String, Rejection> {
    Ok(format!("{tenant} {rate}"))
}

/// What is told of a text.
fn told(text: &str) -> Vec<String> {
    let test = steadfast::test::isolated();
    let errors = test.registry().configure_toml(text).unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

/// Exactly these are told, by how they begin.
fn assert_told(text: &str, expected: &[&str]) {
    let told = told(text);
    let is_as_expected = told.len() == expected.len()
        && told
            .iter()
            .zip(expected)
            .all(|(told, begin)| told.starts_with(begin));
    assert!(is_as_expected, "{text}\n{told:#?}\n{expected:#?}");
}

fn in_force(registry: &Registry, kind: PolicyKind, name: &str, setting: &str) -> String {
    let sites = registry.sites();
    let mut policies = sites.iter().flat_map(|site| &site.policies);
    let policy = policies
        .find(|policy| policy.kind == kind && policy.name.as_deref() == Some(name))
        .unwrap();
    policy.setting(setting).unwrap().value.clone()
}

#[test]
fn the_entry_that_is_wrong_is_named_and_not_its_neighbours() {
    assert_told(
        "[bulkhead.quotes]\nmax_concurrent = 3\nmax_wait = \"0s\"",
        &["line 3, column 12: `max_wait` of bulkhead `quotes`: `max_wait` must be longer"],
    );
    assert_told(
        "[retry.quotes]\nbackoff = \"fixed\"\nmax_attempts = 2",
        &["line 2, column 11: `backoff` of retry `quotes`: `multiplier` does nothing"],
    );
}

#[test]
fn a_value_beside_one_of_the_attribute_does_not_hide_the_others() {
    assert_told(
        "[rate_limiter.quotes]\nalgorithm = \"adaptive\"\nadaptive_threshold = nan\n\
         backoff_factor = nan\nrecovery_factor = inf",
        &[
            "line 2, column 13: `algorithm` of rate_limiter `quotes`: `burst` is the size",
            "line 3, column 22: `adaptive_threshold` of rate_limiter `quotes`: `adaptive_threshold` is a share",
            "line 4, column 18: `backoff_factor` of rate_limiter `quotes`: `backoff_factor` must",
            "line 5, column 19: `recovery_factor` of rate_limiter `quotes`: `recovery_factor` must",
        ],
    );
}

#[test]
fn a_word_that_is_a_part_of_the_right_one_is_enough_to_name_it() {
    assert_told(
        "[breaker.quotes]\n[presets.retry.mine]\n[retry.quotes]\nattempts = 3\njitter = \"0.5\"",
        &[
            "line 1, column 2: there is no kind of policy `breaker`, did you mean `circuit_breaker`?",
            "line 2, column 2: there is no kind of policy `presets`, did you mean `preset`?",
            "line 4, column 1: retry `quotes` has no setting `attempts`, did you mean `max_attempts`?",
            "line 5, column 10: `jitter` of retry `quotes`: write the number without quotes: 0.5",
        ],
    );
}

#[test]
fn what_is_no_finite_number_is_not_told_to_be_written_as_one() {
    assert_told(
        "[retry.quotes]\njitter = \"inf\"\nmultiplier = \"nan\"",
        &[
            "line 2, column 10: `jitter` of retry `quotes`: unknown word `inf`: write one of",
            "line 3, column 14: `multiplier` of retry `quotes`: write a number, such as 0.5, not \"nan\"",
        ],
    );
}

#[test]
fn a_mistake_is_told_whatever_goes_over_it() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let path = std::env::temp_dir().join(format!("steadfast-over-{}.toml", std::process::id()));
    let load = |text: &str| {
        std::fs::write(&path, text).unwrap();
        registry.configure_file(&path)
    };
    // A text that came first stays below the file.
    registry.configure_toml("").unwrap();
    let over =
        "[retry.quotes]\nmax_attempts = 8\nbase_delay = \"1s\"\n[bulkhead.quotes]\nmax_queue = 7";
    load(over).unwrap();
    let below = "[retry.quotes]\nmax_attempts = 0\nmax_dealy = \"1s\"\nbase_delay = \"90s\"";
    let errors = registry.configure_toml(below).unwrap_err();
    let told: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told[0].starts_with("line 2, column 16: `max_attempts` of retry `quotes`: "));
    assert!(told[1].starts_with("line 3, column 1: retry `quotes` has no setting `max_dealy`"));
    // What is only wrong beside others is good beside these.
    let below = "[retry.quotes]\nbase_delay = \"90s\"\n[bulkhead.quotes]\nmax_queue = \"none\"";
    registry.configure_toml(below).unwrap();
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn values_of_two_sources_that_do_not_go_together_name_both() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let text = "[bulkhead.quotes]\nmax_wait = \"none\"\nmax_queue = \"none\"";
    registry.configure_toml(text).unwrap();
    let path = std::env::temp_dir().join(format!("steadfast-both-{}.toml", std::process::id()));
    std::fs::write(&path, "[bulkhead.quotes]\nmax_queue = 7").unwrap();
    let errors = registry.configure_file(&path).unwrap_err().to_string();
    std::fs::remove_file(&path).unwrap();
    let begin = "line 2, column 12: `max_wait` of bulkhead `quotes`: `max_queue` does nothing";
    assert!(errors.contains(begin), "{errors}");
    let other = format!(" (beside `max_queue = 7` at {}:2:1)", path.display());
    assert!(errors.ends_with(&other), "{errors}");
}

#[test]
fn what_follows_from_a_mistake_is_not_told_beside_it() {
    assert_told(
        "[bulkhead.plain]\nmax_wait = 3\nmax_queue = 5",
        &["line 2, column 12: `max_wait` of bulkhead `plain`: write a duration with its unit"],
    );
    assert_told(
        "[bulkhead.plain]\nmax_wiat = \"3s\"\nmax_queue = 5",
        &["line 2, column 1: bulkhead `plain` has no setting `max_wiat`, did you mean `max_wait`?"],
    );
    assert_told(
        "[bulkhead.plain]\nmax_wait = \"0s\"\nmax_queue = 5",
        &["line 2, column 12: `max_wait` of bulkhead `plain`: `max_wait` must be longer"],
    );
    // Of a preset that there is not nobody knows what it would have said.
    assert_told(
        "[bulkhead.plain]\npreset = \"tihgt\"\nmax_queue = 5\nmax_keys = 0\n\
         [preset.bulkhead.tight]\nmax_wait = \"1s\"",
        &[
            "line 2, column 10: `preset` of bulkhead `plain`: there is no preset `tihgt`, did you mean `tight`?",
            "line 4, column 12: `max_keys` of bulkhead `plain`: ",
        ],
    );
}

#[test]
fn a_name_that_is_wrong_does_not_hide_what_is_wrong_below_it() {
    assert_told(
        "[retry.qoutes]\nmax_atempts = 2\nbase_delay = 3\nmax_attempts = 0",
        &[
            "line 1, column 8: there is no retry `qoutes`, did you mean `quotes`?",
            "line 2, column 1: retry `qoutes` has no setting `max_atempts`",
            "line 3, column 14: `base_delay` of retry `qoutes`: ",
            "line 4, column 16: `max_attempts` of retry `qoutes`: ",
        ],
    );
}

#[test]
fn a_preset_is_wrong_where_it_is_defined_whether_it_is_used_or_not() {
    let preset = "[preset.retry.gentle]\nmax_attempts = 0\njitter = 7\n";
    let expected = [
        "line 2, column 16: `max_attempts` of retry preset `gentle`: ",
        "line 3, column 10: `jitter` of retry preset `gentle`: ",
    ];
    assert_told(preset, &expected);
    let used =
        format!("{preset}[retry.quotes]\npreset = \"gentle\"\n[retry.batch]\npreset = \"gentle\"");
    assert_told(&used, &expected);
}

#[test]
fn a_preset_that_does_not_fit_is_wrong_where_it_is_named() {
    let presets = "[preset.retry.gentle]\nmax_delay = \"1ms\"\n";
    assert_told(
        &format!("{presets}[retry.quotes]\nmax_attempts = 2\npreset = \"gentle\"\nbudget = 0"),
        &[
            "line 5, column 10: `preset` of retry `quotes`: `max_delay` is under `base_delay`",
            "line 6, column 10: `budget` of retry `quotes`: ",
        ],
    );
    // To take away what the attribute counts on does not fit either.
    assert_told(
        "[retry.batch]\npreset = \"none\"",
        &["line 2, column 10: `preset` of retry `batch`: `base_delay` is over `max_delay`"],
    );
}

#[test]
fn a_preset_may_not_be_called_none() {
    assert_told(
        "[preset.retry.none]\nmax_attempts = 2",
        &["line 1, column 15: the preset `none` of retry is what takes a preset away"],
    );
}

#[test]
fn a_preset_takes_away_what_it_says_is_none() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let text = "[preset.bulkhead.strict]\nmax_wait = \"none\"\nmax_queue = \"none\"\n\
                [bulkhead.quotes]\npreset = \"strict\"";
    registry.configure_toml(text).unwrap();
    let max_wait = in_force(&registry, PolicyKind::Bulkhead, "quotes", "max_wait");
    assert_eq!(max_wait, "none");
}

#[test]
fn a_preset_for_all_says_nothing_of_what_calls_bring() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let text = "[preset.rate_limiter.slow]\nrate = \"1/s\"\nmax_keys = 7\n\
                [rate_limiter.tenants]\npreset = \"slow\"";
    registry.configure_toml(text).unwrap();
    let of_tenants = |setting| in_force(&registry, PolicyKind::RateLimiter, "tenants", setting);
    assert_eq!(of_tenants("rate"), "of the call");
    assert_eq!(of_tenants("max_keys"), "7");
}

#[test]
fn the_preset_of_a_later_source_takes_the_place_of_an_earlier_one() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let directory = std::env::temp_dir().join(format!("steadfast-presets-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let load = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        registry.configure_file(&path).unwrap();
    };
    let of_quotes = |setting| in_force(&registry, PolicyKind::Retry, "quotes", setting);
    load(
        "first.toml",
        "[retry.quotes]\npreset = \"critical\"\nmax_attempts = 9",
    );
    assert_eq!(of_quotes("max_elapsed"), "5m");
    assert_eq!(of_quotes("max_attempts"), "9");
    // What the first file writes itself stays, what its preset says does not.
    load("second.toml", "[retry.quotes]\npreset = \"none\"");
    assert_eq!(of_quotes("preset"), "none");
    assert_eq!(of_quotes("max_elapsed"), "none");
    assert_eq!(of_quotes("base_delay"), "100ms");
    assert_eq!(of_quotes("max_attempts"), "9");
    load("second.toml", "[retry.quotes]\npreset = \"streaming\"");
    assert_eq!(of_quotes("max_elapsed"), "none");
    assert_eq!(of_quotes("max_attempts"), "20");
    // An earlier definition of a preset is looked at, too.
    load("second.toml", "[preset.retry.mine]\nmax_attempts = 3");
    std::fs::write(
        directory.join("first.toml"),
        "[preset.retry.mine]\nmax_attempts = 0",
    )
    .unwrap();
    assert!(
        registry
            .configure_file(directory.join("first.toml"))
            .is_err()
    );
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn numbers_that_settings_cannot_have_are_refused() {
    for (value, place) in [
        ("nan", "14"),
        ("inf", "14"),
        ("-inf", "14"),
        ("1e400", "14"),
        ("-1", "14"),
        ("0x99999999999999999999", "14"),
        ("99999999999999999999999999999999999999999e999", "14"),
    ] {
        let expected = format!("line 2, column {place}: `multiplier` of retry `quotes`: ");
        assert_told(
            &format!("[retry.quotes]\nmultiplier = {value}"),
            &[&expected],
        );
    }
    for value in [
        "-1",
        "4294967296",
        "99999999999999999999",
        "1.0",
        "0x1_0000_0000",
        "1e3",
    ] {
        let expected = "line 2, column 16: `max_attempts` of retry `quotes`: write a whole number, at most 4294967295, not ";
        assert_told(
            &format!("[retry.quotes]\nmax_attempts = {value}"),
            &[expected],
        );
    }
    let test = steadfast::test::isolated();
    let registry = test.registry();
    for (value, count) in [
        ("0x10", "16"),
        ("1_000", "1000"),
        ("+7", "7"),
        ("4294967295", "4294967295"),
    ] {
        registry
            .configure_toml(&format!("[retry.quotes]\nmax_attempts = {value}"))
            .unwrap();
        assert_eq!(
            in_force(&registry, PolicyKind::Retry, "quotes", "max_attempts"),
            count
        );
    }
}

#[test]
fn places_are_those_that_an_editor_shows() {
    for (text, place) in [
        ("\u{feff}[retry.nobody]", "line 1, column 8: "),
        (
            "[retry.quotes]\r\n\r\n\tmax_attempts = 0\r\n",
            "line 3, column 17: ",
        ),
        ("retry.quotes.max_attempts = 0", "line 1, column 29: "),
        (
            "[retry]\nquotes = { jitter = \"full\", max_attempts = 0 }",
            "line 2, column 44: ",
        ),
        ("[retry]\nquotes.max_attempts = 0", "line 2, column 23: "),
        ("# é\nretry = { \"ü\" = {} }", "line 2, column 11: "),
        ("[[retry.quotes]]\nmax_attempts = 2", "line 1, column 1: "),
        ("[retry.quotes]\nmax_attempts = ", "line 2, column 16: "),
        ("[retry.quotes", "line 1, column 14: "),
    ] {
        assert_told(text, &[place]);
    }
}

#[test]
fn what_is_no_toml_says_what_to_write() {
    assert_told(
        "[retry.config::quote]\nmax_attempts = 2",
        &[
            "line 1, column 14: invalid unquoted key, expected letters, numbers, `-`, `_`: write a name of other characters in quotes",
        ],
    );
    assert_told(
        "[retry.quotes]\nmax_attempts = 2\nmax_attempts = 3",
        &["line 3, column 1: duplicate key `max_attempts`: write it once"],
    );
}
