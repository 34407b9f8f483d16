//! Settings from outside the program: files, texts, and the environment.

#![allow(dead_code)] // some functions are there to be listed

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use steadfast::{
    CircuitState, ConfigError, Event, Origin, PolicyKind, Rate, RateLimiter, Registry, Rejection,
    SettingChange, bulkhead, circuit_breaker, fallback, rate_limited, retry, timeout,
};

#[retry("quotes", max_attempts = 4, base_delay = "100ms", max_delay = "2s")]
#[circuit_breaker("quotes", failure_threshold = 5)]
#[rate_limited("quotes", rate = "200/s", burst = 50)]
#[bulkhead("quotes", max_concurrent = 16, max_wait = "1s", max_queue = 5)]
#[timeout("quotes", "2s")]
async fn quote() -> Result<u32, Rejection> {
    Ok(1)
}

#[fallback(cache(key = id, fresh = "1m"), value = 0)]
#[retry(preset = critical, max_attempts = 7)]
#[circuit_breaker(preset = low_volume)]
async fn order(id: u32) -> Result<u32, Rejection> {
    Ok(id)
}

#[timeout("patience", after = time)]
#[rate_limited("tenants", rate = rate, key = tenant)]
async fn tenant(tenant: &str, rate: Rate, time: Duration) -> Result<String, Rejection> {
    Ok(format!("{tenant} {rate} {time:?}"))
}

#[rate_limited("defined elsewhere")]
async fn joins() -> Result<(), Rejection> {
    Ok(())
}

/// A setting as it is listed at the function that uses it.
fn listed(
    registry: &Registry,
    function: &str,
    kind: PolicyKind,
    setting: &str,
) -> (String, Origin) {
    let sites = registry.sites();
    let site = sites.iter().find(|site| site.function == function).unwrap();
    let setting = site.policy(kind).unwrap().setting(setting).unwrap();
    (setting.value.clone(), setting.origin.clone())
}

fn of_quotes(registry: &Registry, kind: PolicyKind, setting: &str) -> String {
    listed(registry, "config::quote", kind, setting).0
}

/// What is told of a text with mistakes.
fn mistakes(registry: &Registry, text: &str) -> Vec<String> {
    let errors = registry.configure_toml(text).unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn a_text_goes_over_the_attributes_and_says_where() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let text = "[retry.quotes]\nmax_attempts = 2\n  base_delay = \"250ms\"\n";
    registry.configure_toml(text).unwrap();
    let (value, origin) = listed(&registry, "config::quote", PolicyKind::Retry, "base_delay");
    assert_eq!(value, "250ms");
    let Origin::File { place } = origin else {
        panic!("{origin:?}");
    };
    assert_eq!((place.file, place.line, place.column), (None, 3, 3));
    // What the text leaves out is the attribute's.
    let (value, origin) = listed(&registry, "config::quote", PolicyKind::Retry, "max_delay");
    assert_eq!(value, "2s");
    assert!(matches!(origin, Origin::Attribute { .. }), "{origin:?}");
    // What the next one leaves out is again.
    registry.configure_toml("").unwrap();
    assert_eq!(of_quotes(&registry, PolicyKind::Retry, "max_attempts"), "4");
}

#[test]
fn every_mistake_of_a_text_is_told_at_once_with_its_place() {
    let test = steadfast::test::isolated();
    let text = r#"
[retry.quotes]
max_atempts = 2
base_delay = 250
jitter = "fulll"

[circuit_breaker.qoutes]
failure_rate = 0.5

[circuit_breaker.quotes]
failure_rate = 2.0
enabled = "no"
force = "ajar"

[rate_limited.quotes]
rate = "200"

[rate_limiter.quotes]
rate = "200"

[bulkhead]
quotes = 3

[preset.retry.gentle]
max_attempts = "2"
"#;
    let told = mistakes(&test.registry(), text);
    let expected = [
        "line 3, column 1: retry `quotes` has no setting `max_atempts`, did you mean `max_attempts`?",
        "line 4, column 14: `base_delay` of retry `quotes`: write a duration with its unit: \"250s\" or \"250ms\", not 250",
        "line 5, column 10: `jitter` of retry `quotes`: unknown word `fulll`: did you mean `full`?",
        "line 7, column 18: there is no circuit_breaker `qoutes`, did you mean `quotes`?",
        "line 11, column 16: `failure_rate` of circuit_breaker `quotes`: ",
        "line 12, column 11: `enabled` of circuit_breaker `quotes`: write true or false, not \"no\"",
        "line 13, column 9: `force` of circuit_breaker `quotes`: write \"open\", \"closed\" or \"none\", not \"ajar\"",
        "line 15, column 2: there is no kind of policy `rate_limited`, did you mean `rate_limiter`?",
        "line 19, column 8: `rate` of rate_limiter `quotes`: ",
        "line 22, column 10: here stands a table of settings: write [bulkhead.name], not 3",
        "line 25, column 16: `max_attempts` of retry preset `gentle`: write the number without quotes: 2",
    ];
    println!("{}", told.join("\n"));
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}\n{expected}");
    }
}

#[test]
fn a_text_that_is_no_toml_says_where_and_nothing_else() {
    let test = steadfast::test::isolated();
    let told = mistakes(
        &test.registry(),
        "[retry.quotes]\nmax_attempts = = 2\nnonsense = 1\n",
    );
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("line 2, column 16: "), "{told:?}");
}

#[test]
fn a_text_with_a_mistake_changes_nothing() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    registry
        .configure_toml("[retry.quotes]\nmax_attempts = 2")
        .unwrap();
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let _subscription = registry.subscribe(move |event| heard.lock().unwrap().push(event.clone()));
    let text = "[retry.quotes]\nmax_attempts = 9\n[timeout.quotes]\nafter = \"0s\"";
    assert_eq!(mistakes(&registry, text).len(), 1);
    assert_eq!(of_quotes(&registry, PolicyKind::Retry, "max_attempts"), "2");
    assert_eq!(of_quotes(&registry, PolicyKind::Timeout, "after"), "2s");
    assert!(events.lock().unwrap().is_empty());
}

#[test]
fn values_that_do_not_go_together_name_both_places() {
    let test = steadfast::test::isolated();
    let text = "[bulkhead.quotes]\nmax_wait = \"none\"\n[retry.quotes]\nbase_delay = \"3s\"\n\
                [rate_limiter.quotes]\nalgorithm = \"fixed_window\"";
    let told = mistakes(&test.registry(), text);
    println!("{}", told.join("\n"));
    assert_eq!(told.len(), 3, "{told:#?}");
    for (told, place, beside) in [
        (
            &told[0],
            "line 2, column 12: `max_wait` of bulkhead `quotes`: ",
            "(beside `max_queue = 5` at `config::quote` (",
        ),
        (
            &told[1],
            "line 4, column 14: `base_delay` of retry `quotes`: ",
            "(beside `max_delay = 2s` at `config::quote` (",
        ),
        (
            &told[2],
            "line 6, column 13: `algorithm` of rate_limiter `quotes`: ",
            "(beside `burst = 50` at `config::quote` (",
        ),
    ] {
        assert!(told.starts_with(place), "{told}");
        assert!(told.contains(beside), "{told}");
    }
}

#[test]
fn none_takes_away_what_the_attribute_writes() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let text = "[bulkhead.quotes]\nmax_wait = \"none\"\nmax_queue = \"none\"\n";
    registry.configure_toml(text).unwrap();
    assert_eq!(
        of_quotes(&registry, PolicyKind::Bulkhead, "max_wait"),
        "none"
    );
    let told = mistakes(&registry, "[retry.quotes]\nmax_attempts = \"none\"");
    assert!(
        told[0].ends_with("it cannot be `none`: write its default, 3"),
        "{told:?}"
    );
    let told = mistakes(&registry, "[rate_limiter.quotes]\nrate = \"none\"");
    assert!(
        told[0].ends_with("it is required, and cannot be `none`"),
        "{told:?}"
    );
}

#[test]
fn a_preset_is_written_over_and_its_name_is_listed() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let critical = |setting| listed(&registry, "config::order", PolicyKind::Retry, setting);
    assert_eq!(critical("max_elapsed"), ("5m".to_owned(), Origin::Preset));
    // Naming another one is as writing all that it says, over what the attribute writes.
    let text = "[retry.\"config::order\"]\npreset = \"streaming\"\nmax_delay = \"3s\"";
    registry.configure_toml(text).unwrap();
    for (setting, value) in [
        ("preset", "streaming"),
        ("max_attempts", "20"),
        ("max_delay", "3s"),
        ("jitter", "equal"),
        ("max_elapsed", "none"),
    ] {
        assert_eq!(critical(setting).0, value, "{setting}");
    }
    assert_eq!(critical("max_attempts").1, Origin::Preset);
    assert!(matches!(critical("max_delay").1, Origin::File { .. }));
    // Of the one that the attribute names nothing is left.
    assert_eq!(critical("max_elapsed").1, Origin::BuiltIn);
    // What is taken away does not come back from the preset.
    let text = "[retry.\"config::order\"]\nmax_elapsed = \"none\"";
    registry.configure_toml(text).unwrap();
    assert_eq!(critical("max_elapsed").0, "none");
    assert_eq!(critical("max_delay").0, "30s");
}

#[circuit_breaker("own window", failure_threshold = 2, half_open_requests = 1)]
async fn own_window() -> Result<u32, Rejection> {
    Ok(1)
}

#[circuit_breaker("busy", preset = high_volume)]
async fn busy() -> Result<u32, Rejection> {
    Ok(1)
}

/// What is listed of a breaker under this text.
fn breaker_under(text: &str, function: &str, settings: &[(&str, &str)]) {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    registry.configure_toml(text).unwrap();
    for (setting, value) in settings {
        let (listed, origin) = listed(&registry, function, PolicyKind::CircuitBreaker, setting);
        assert_eq!(listed, *value, "{setting} ({origin}) under\n{text}");
    }
}

#[test]
fn the_minimum_of_a_preset_gives_way_to_the_window_that_is_written() {
    let forty = [
        ("window", "40"),
        ("minimum_calls", "40"),
        ("failure_rate", "0.5"),
    ];
    let own = "[preset.circuit_breaker.mine]\npreset = \"high_volume\"\n";
    for text in [
        // As in an attribute.
        "[circuit_breaker.busy]\nwindow = 40",
        "[circuit_breaker.busy]\npreset = \"high_volume\"\nwindow = 40",
        &format!("{own}window = 40\n[circuit_breaker.busy]\npreset = \"mine\""),
        &format!("{own}[circuit_breaker.busy]\npreset = \"mine\"\nwindow = 40"),
        &format!("{own}window = 900\n[circuit_breaker.busy]\npreset = \"mine\"\nwindow = 40"),
    ] {
        breaker_under(text, "config::busy", &forty);
    }
    // Also where a setting is taken away, so that the preset is as if it were written out.
    let text = "[circuit_breaker.busy]\nmax_recovery_timeout = \"none\"\nwindow = 40";
    breaker_under(text, "config::busy", &forty);
}

#[test]
fn the_minimum_of_a_preset_goes_with_the_rate_that_is_taken_away() {
    for text in [
        "[circuit_breaker.busy]\nfailure_rate = \"none\"",
        "[circuit_breaker.busy]\npreset = \"low_volume\"\nfailure_rate = \"none\"",
        "[preset.circuit_breaker.mine]\npreset = \"high_volume\"\nfailure_rate = \"none\"\n\
         [circuit_breaker.busy]\npreset = \"mine\"",
    ] {
        let threshold = if text.contains("low_volume") {
            "3"
        } else {
            "5"
        };
        let expected = [
            ("failure_rate", "none"),
            ("minimum_calls", "none"),
            ("failure_threshold", threshold),
        ];
        breaker_under(text, "config::busy", &expected);
    }
}

#[test]
fn a_minimum_that_is_written_never_gives_way() {
    let test = steadfast::test::isolated();
    let preset =
        "[preset.circuit_breaker.mine]\nfailure_rate = 0.5\nminimum_calls = 60\nwindow = 40\n";
    for (text, line) in [
        (
            "[circuit_breaker.busy]\nminimum_calls = 60\nwindow = 40".to_owned(),
            "line 2",
        ),
        (
            format!("{preset}[circuit_breaker.busy]\npreset = \"mine\""),
            "line 6",
        ),
    ] {
        let told = mistakes(&test.registry(), &text);
        assert!(told[0].starts_with(line) && told.len() == 1, "{told:?}");
        assert!(told[0].contains("must not exceed"), "{told:?}");
    }
}

#[test]
fn a_preset_of_the_file_says_what_follows_from_its_settings_too() {
    let text = "[circuit_breaker.\"own window\"]\npreset = \"high_volume\"";
    let documented = [
        ("failure_threshold", "none"),
        ("failure_rate", "0.5"),
        ("window", "10s"),
        ("minimum_calls", "100"),
        ("recovery_timeout", "5s"),
        ("recovery_jitter", "0.2"),
        ("half_open_requests", "10"),
        ("success_threshold", "10"),
        ("half_open_timeout", "5s"),
    ];
    breaker_under(text, "config::own_window", &documented);
    let text = format!("{text}\nhalf_open_requests = 4\nfailure_threshold = 7");
    let beside = [("half_open_requests", "4"), ("failure_threshold", "7")];
    breaker_under(&text, "config::own_window", &beside);
}

#[test]
fn a_preset_starts_from_one_that_is_built_in() {
    let test = steadfast::test::isolated();
    let text = "[preset.retry.one]\npreset = \"two\"\n[preset.retry.two]\npreset = \"one\"\n\
                [preset.timeout.one]\npreset = \"one\"";
    let told = mistakes(&test.registry(), text);
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(
        told[0].contains(
            "starts from one that is built in (fast_api, slow_batch, critical, streaming), and `two` is not"
        ),
        "{told:#?}"
    );
    assert!(told[2].contains("cannot start from `one`"), "{told:#?}");
}

#[test]
fn words_without_quotes_and_presets_misspelt_are_told_apart() {
    let test = steadfast::test::isolated();
    let told = mistakes(&test.registry(), "[retry.quotes]\npreset = fast_api");
    assert_eq!(
        told,
        ["line 2, column 10: write a word in quotes, and a flag as `true` or `false`"]
    );
    let told = mistakes(&test.registry(), "[presets.retry.mine]\nmax_attempts = 2");
    assert!(told[0].contains("did you mean `preset`?"), "{told:?}");
}

#[test]
fn a_preset_of_the_file_is_used_by_its_name() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let text = r#"
        [preset.retry.gentle]
        preset = "fast_api"
        max_attempts = 2

        [preset.bulkhead.tight]
        max_concurrent = 3

        [retry.quotes]
        preset = "gentle"
        base_delay = "20ms"

        [bulkhead.quotes]
        preset = "tight"
    "#;
    registry.configure_toml(text).unwrap();
    for (kind, setting, value) in [
        (PolicyKind::Retry, "preset", "gentle"),
        (PolicyKind::Retry, "max_attempts", "2"),
        (PolicyKind::Retry, "max_elapsed", "2s"),
        (PolicyKind::Retry, "base_delay", "20ms"),
        (PolicyKind::Retry, "max_delay", "500ms"),
        (PolicyKind::Bulkhead, "preset", "tight"),
        (PolicyKind::Bulkhead, "max_concurrent", "3"),
        (PolicyKind::Bulkhead, "max_wait", "1s"),
    ] {
        assert_eq!(
            of_quotes(&registry, kind, setting),
            value,
            "{kind} {setting}"
        );
    }
    let told = mistakes(
        &registry,
        "[preset.retry.critical]\nmax_attempts = 2\n[retry.quotes]\npreset = \"gently\"\n[timeout.quotes]\npreset = \"x\"",
    );
    println!("{}", told.join("\n"));
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(told[0].contains("is built in"), "{told:?}");
    assert!(
        told[1].contains("no preset `gently`; those for this kind are"),
        "{told:?}"
    );
    assert!(told[2].contains("there is none for this kind"), "{told:?}");
}

#[test]
fn what_each_call_brings_is_not_configured() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let told = mistakes(
        &registry,
        "[rate_limiter.tenants]\nrate = \"1/s\"\n[timeout.patience]\nafter = \"1s\"",
    );
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(
        told.iter()
            .all(|told| told.contains("each call brings its own")),
        "{told:?}"
    );
    registry
        .configure_toml("[rate_limiter.tenants]\nmax_keys = 7")
        .unwrap();
}

#[test]
fn a_required_setting_may_come_from_the_configuration() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let lacks = |registry: &Registry| {
        let errors = registry.validate().unwrap_err();
        errors.iter().any(|error| matches!(error, ConfigError::Undefined { policy, .. } if policy == "defined elsewhere"))
    };
    assert!(lacks(&registry));
    registry
        .configure_toml("[rate_limiter.\"defined elsewhere\"]\nrate = \"5/s\"")
        .unwrap();
    assert!(registry.validate().is_ok() || !lacks(&registry));
    let limiter = registry.rate_limiter("defined elsewhere").unwrap();
    assert_eq!(limiter.metrics().limit, 5);
}

#[test]
fn what_is_installed_is_configured_too() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let told = mistakes(&registry, "[rate_limiter.by-hand]\nrate = \"5/s\"");
    assert!(told[0].contains("must be installed first"), "{told:?}");
    let limiter = RateLimiter::builder("by-hand")
        .rate(Rate::per_second(2))
        .install()
        .unwrap();
    registry
        .configure_toml("[rate_limiter.by-hand]\nrate = \"5/s\"")
        .unwrap();
    assert_eq!(limiter.metrics().limit, 5);
}

#[test]
fn what_is_listed_holds_whoever_loads_and_calls_first_at_once() {
    let test = steadfast::test::isolated();
    let _warm = test.registry().sites();
    for _ in 0..100 {
        let test = steadfast::test::isolated();
        let registry = test.registry();
        let load = |attempts: u32, places: u32| {
            let text = format!(
                "[retry.quotes]\nmax_attempts = {attempts}\n[bulkhead.quotes]\nmax_concurrent = {places}"
            );
            registry.configure_toml(&text).unwrap();
        };
        std::thread::scope(|scope| {
            scope.spawn(|| load(2, 20));
            scope.spawn(|| load(3, 30));
            scope.spawn(|| registry.retry("quotes").unwrap());
            scope.spawn(|| registry.bulkhead("quotes").unwrap());
        });
        let attempts = of_quotes(&registry, PolicyKind::Retry, "max_attempts");
        let places = of_quotes(&registry, PolicyKind::Bulkhead, "max_concurrent");
        // One text or the other, whole.
        assert_eq!(format!("{attempts}0"), places);
        let snapshot = registry.snapshot();
        for (kind, setting, listed) in [
            (PolicyKind::Retry, "max_attempts", &attempts),
            (PolicyKind::Bulkhead, "max_concurrent", &places),
        ] {
            let policy = snapshot.policy(kind, "quotes").unwrap();
            assert_eq!(&policy.settings[setting], listed);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_changed_is_told_and_holds_for_the_next_call() {
    #[timeout("told", "2s")]
    async fn slow() -> Result<(), Rejection> {
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok(())
    }

    let test = steadfast::test::isolated();
    let registry = test.registry();
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let _subscription = registry.subscribe(move |event| {
        if let Event::Reconfigured(event) = event {
            heard.lock().unwrap().push(event.clone());
        }
    });
    let Err(Rejection::TimedOut(cut)) = slow().await else {
        panic!("not cut off");
    };
    assert_eq!(cut.after, Duration::from_secs(2));
    registry
        .configure_toml("[timeout.told]\nafter = \"5s\"")
        .unwrap();
    assert!(slow().await.is_ok());
    registry
        .configure_toml("[timeout.told]\nenabled = false\nafter = \"1s\"")
        .unwrap();
    assert!(slow().await.is_ok());
    registry
        .configure_toml("[timeout.told]\nafter = \"1s\"")
        .unwrap();
    assert!(slow().await.is_err());

    let events = events.lock().unwrap();
    let changes: Vec<_> = events
        .iter()
        .map(|event| {
            assert_eq!((event.kind, &*event.policy), (PolicyKind::Timeout, "told"));
            let show =
                |SettingChange {
                     setting, old, new, ..
                 }: &SettingChange| format!("{setting}: {old} -> {new}");
            event
                .changes
                .iter()
                .map(show)
                .collect::<Vec<_>>()
                .join(", ")
        })
        .collect();
    assert_eq!(
        changes,
        [
            "after: 2s -> 5s",
            "after: 5s -> 1s, enabled: true -> false",
            "enabled: false -> true"
        ]
    );
}

#[test]
fn a_preset_that_is_named_is_told_as_one() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&told);
    let _subscription = registry.subscribe(move |event| {
        if let Event::Reconfigured(event) = event {
            let mut changes = event.changes.iter();
            let preset = changes.find(|change| change.setting == "preset").unwrap();
            let line = format!("{}: {} -> {}", event.kind, preset.old, preset.new);
            heard.lock().unwrap().push(line);
        }
    });
    let text = "[preset.bulkhead.tight]\nmax_concurrent = 3\n[bulkhead.quotes]\npreset = \"tight\"\n\
                [retry.quotes]\npreset = \"critical\"";
    registry.configure_toml(text).unwrap();
    registry.configure_toml("").unwrap();
    let expected = [
        "retry: none -> critical",
        "bulkhead: none -> tight",
        "retry: critical -> none",
        "bulkhead: tight -> none",
    ];
    let mut told = told.lock().unwrap().clone();
    let mut expected = expected.map(str::to_owned);
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_cut_off_says_the_time_that_it_had() {
    #[timeout("cut late", "2s")]
    async fn slow() -> Result<(), Rejection> {
        std::future::pending().await
    }

    let test = steadfast::test::isolated();
    let registry = test.registry();
    let call = tokio::task::LocalSet::new();
    let cut = call.run_until(async {
        let call = tokio::task::spawn_local(slow());
        tokio::task::yield_now().await;
        registry
            .configure_toml("[timeout.\"cut late\"]\nafter = \"7s\"")
            .unwrap();
        call.await.unwrap()
    });
    let Err(Rejection::TimedOut(cut)) = cut.await else {
        panic!("not cut off");
    };
    assert_eq!(cut.after, Duration::from_secs(2));
}

#[test]
fn shared_stays_as_it_was_at_the_first_call() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let text = "[circuit_breaker.quotes]\nshared = true";
    registry.configure_toml(text).unwrap();
    assert_eq!(
        of_quotes(&registry, PolicyKind::CircuitBreaker, "shared"),
        "true"
    );
    registry.configure_toml("").unwrap();
    // Now it is made.
    assert!(registry.circuit_breaker("quotes").is_some());
    let errors = registry.configure_toml(text).unwrap_err();
    let ConfigError::Fixed {
        setting, policy, ..
    } = errors.iter().next().unwrap()
    else {
        panic!("{errors}");
    };
    assert_eq!((*setting, &**policy), ("shared", "quotes"));
    assert!(
        errors.to_string().contains(
            "line 2, column 1: `shared` of circuit_breaker `quotes` is false since its first call"
        ),
        "{errors}"
    );
}

/// A directory that is gone with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("steadfast-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// As one should: another file that takes the name.
    fn replace(&self, name: &str, text: &str) {
        let other = self.file("other");
        fs::write(&other, text).unwrap();
        fs::rename(other, self.file(name)).unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn files_go_over_each_other_in_the_order_in_which_they_came() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let directory = Directory::new("files");
    let [first, second] = ["first.toml", "second.toml"].map(|name| directory.file(name));
    fs::write(
        &first,
        "[retry.quotes]\nmax_attempts = 6\nbase_delay = \"7ms\"",
    )
    .unwrap();
    fs::write(&second, "[retry.quotes]\nmax_attempts = 8").unwrap();
    registry.configure_file(&first).unwrap();
    registry.configure_file(&second).unwrap();
    assert_eq!(of_quotes(&registry, PolicyKind::Retry, "max_attempts"), "8");
    assert_eq!(of_quotes(&registry, PolicyKind::Retry, "base_delay"), "7ms");
    registry.configure_file(&first).unwrap();
    assert_eq!(of_quotes(&registry, PolicyKind::Retry, "max_attempts"), "8");

    fs::write(&second, "[retry.quotes]\nmax_attempts = 0").unwrap();
    let errors = registry.configure_file(&second).unwrap_err();
    let place = format!("{}:2:16: ", second.display());
    assert!(
        errors
            .iter()
            .next()
            .unwrap()
            .to_string()
            .starts_with(&place),
        "{errors}"
    );
    let missing = directory.file("missing.toml");
    let errors = registry.configure_file(&missing).unwrap_err();
    assert!(
        matches!(errors.iter().next(), Some(ConfigError::File { .. })),
        "{errors}"
    );
}

#[test]
fn a_file_is_called_as_it_was_spelt_last() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let directory = Directory::new("spelt");
    let path = directory.file("a.toml");
    fs::write(
        &path,
        "[retry.quotes]\nmax_attempts = 6\nbase_delay = \"7ms\"",
    )
    .unwrap();
    registry.configure_file(&path).unwrap();
    let other = directory.file(".").join("./a.toml");
    fs::write(&path, "[retry.quotes]\nmax_attempts = 8").unwrap();
    registry.configure_file(&other).unwrap();
    assert_eq!(of_quotes(&registry, PolicyKind::Retry, "max_attempts"), "8");
    // What the file does not say any more is the attribute's again.
    assert_eq!(
        of_quotes(&registry, PolicyKind::Retry, "base_delay"),
        "100ms"
    );
    let (_, origin) = listed(
        &registry,
        "config::quote",
        PolicyKind::Retry,
        "max_attempts",
    );
    assert_eq!(origin.to_string(), format!("{}:2:1", other.display()));
}

#[test]
fn a_watched_file_is_loaded_again_and_a_bad_one_is_told() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let directory = Directory::new("watched");
    let path = directory.file("steadfast.toml");
    fs::write(&path, "[retry.quotes]\nmax_attempts = 6").unwrap();
    let (tell, told) = mpsc::channel();
    let _subscription = registry.subscribe(move |event| {
        if let Event::ConfigRejected(event) = event {
            tell.send(event.errors.to_string()).unwrap();
        }
    });
    let watch = registry.watch(&path).unwrap();
    let attempts = || of_quotes(&registry, PolicyKind::Retry, "max_attempts");
    assert_eq!(attempts(), "6");
    directory.replace("steadfast.toml", "[retry.quotes]\nmax_attempts = 9");
    eventually("a file that took its place", || attempts() == "9");
    fs::write(&path, "[retry.quotes]\nmax_attempts = 5").unwrap();
    eventually("a file that was written over", || attempts() == "5");

    directory.replace("steadfast.toml", "[retry.quotes]\nmax_attempts = -1");
    let errors = told.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(
        errors.contains(&format!("{}:2:16", path.display())),
        "{errors}"
    );
    assert_eq!(attempts(), "5");
    fs::remove_file(&path).unwrap();
    let errors = told.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(errors.contains("cannot be read"), "{errors}");
    assert_eq!(attempts(), "5");
    fs::write(&path, "[retry.quotes]\nmax_attempts = 7").unwrap();
    eventually("a file that is there again", || attempts() == "7");

    watch.stop();
    fs::write(&path, "[retry.quotes]\nmax_attempts = 8").unwrap();
    // Another file is heard of after this one would have been.
    let other = directory.file("other.toml");
    fs::write(&other, "").unwrap();
    registry.watch(&other).unwrap();
    fs::write(&other, "[timeout.quotes]\nafter = \"9s\"").unwrap();
    eventually("the other file", || {
        of_quotes(&registry, PolicyKind::Timeout, "after") == "9s"
    });
    assert_eq!(attempts(), "7");
    assert_eq!(told.try_recv(), Err(mpsc::TryRecvError::Empty));
}

#[test]
fn a_file_that_was_refused_is_taken_once_what_it_counts_on_is_there() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let directory = Directory::new("refused");
    let [presets, uses] = ["presets.toml", "uses.toml"].map(|name| directory.file(name));
    let calm = "[preset.retry.calm]\nmax_attempts = 2";
    fs::write(&presets, "").unwrap();
    fs::write(&uses, "").unwrap();
    let (tell, told) = mpsc::channel();
    let _subscription = registry.subscribe(move |event| {
        if let Event::ConfigRejected(event) = event {
            tell.send(event.errors.to_string()).unwrap();
        }
    });
    registry.watch(&presets).unwrap();
    registry.watch(&uses).unwrap();
    let refused = || told.recv_timeout(Duration::from_secs(30)).unwrap();
    let attempts = || of_quotes(&registry, PolicyKind::Retry, "max_attempts");
    // Another watched file brings it.
    directory.replace("uses.toml", "[retry.quotes]\npreset = \"calm\"");
    assert!(refused().contains("there is no preset `calm`"));
    directory.replace("presets.toml", calm);
    eventually("the preset", || attempts() == "2");
    // What is in force needs it: it cannot go before.
    directory.replace("presets.toml", "");
    assert!(refused().contains("there is no preset `calm`"));
    directory.replace("uses.toml", "");
    eventually("the attribute", || attempts() == "4");
    eventually("a preset that is gone", || {
        registry
            .configure_toml("[retry.quotes]\npreset = \"calm\"")
            .is_err()
    });
    // Saved as it was, it is refused as it was, until the program brings what it names.
    let table = "[rate_limiter.\"made later\"]\nburst = 3";
    directory.replace("uses.toml", table);
    assert!(refused().contains("there is no rate_limiter `made later`"));
    directory.replace("uses.toml", table);
    assert!(refused().contains("there is no rate_limiter `made later`"));
    RateLimiter::builder("made later")
        .rate(Rate::per_second(2))
        .install()
        .unwrap();
    let snapshot = registry.snapshot();
    let limiter = snapshot.policy(PolicyKind::RateLimiter, "made later");
    assert_eq!(limiter.unwrap().settings["burst"], "3");
    assert_eq!(told.try_recv(), Err(mpsc::TryRecvError::Empty));
}

#[test]
fn each_mistake_of_a_file_that_is_no_text_is_told() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let directory = Directory::new("bytes");
    let path = directory.file("a.toml");
    fs::write(&path, "").unwrap();
    let (tell, told) = mpsc::channel();
    let _subscription = registry.subscribe(move |event| {
        if let Event::ConfigRejected(event) = event {
            tell.send(event.errors.to_string()).unwrap();
        }
    });
    registry.watch(&path).unwrap();
    for (bytes, place) in [(&b"\xff"[..], ":1:1: "), (&b"\n\xff"[..], ":2:1: ")] {
        fs::write(&path, bytes).unwrap();
        let told = told.recv_timeout(Duration::from_secs(30)).unwrap();
        assert!(told.contains(place), "{told}");
    }
}

#[cfg(unix)]
#[test]
fn every_way_of_saving_a_file_is_noticed() {
    use std::{io::Write, os::unix::fs::symlink};

    type Save<'s> = &'s dyn Fn(&str);

    let test = steadfast::test::isolated();
    let registry = test.registry();
    let root = Directory::new("saved");
    fs::create_dir(root.file("etc")).unwrap();
    let path = root.file("etc/a.toml");
    let beside = |name: &str| root.file("etc").join(name);
    let (kept, new) = (beside("a.toml~"), beside(".a.toml.new"));
    let in_pieces = |text: &str| {
        let mut file = fs::File::create(&path).unwrap();
        for piece in text.as_bytes().chunks(7) {
            file.write_all(piece).unwrap();
        }
        file.sync_all().unwrap();
    };
    let ways: [(&str, Save<'_>); 10] = [
        ("written over", &|text| fs::write(&path, text).unwrap()),
        ("in pieces", &in_pieces),
        ("the old one renamed", &|text| {
            fs::rename(&path, &kept).unwrap();
            fs::write(&path, text).unwrap();
            fs::remove_file(&kept).unwrap();
        }),
        ("copied, then written over", &|text| {
            fs::copy(&path, &kept).unwrap();
            fs::write(&path, text).unwrap();
            fs::remove_file(&kept).unwrap();
        }),
        ("another one renamed", &|text| {
            fs::write(&new, text).unwrap();
            fs::rename(&new, &path).unwrap();
        }),
        ("from elsewhere", &|text| {
            fs::write(root.file("elsewhere"), text).unwrap();
            fs::rename(root.file("elsewhere"), &path).unwrap();
        }),
        ("made again", &|text| {
            fs::remove_file(&path).unwrap();
            fs::write(&path, text).unwrap();
        }),
        ("a link to another name", &|text| {
            fs::write(&new, text).unwrap();
            fs::remove_file(&path).unwrap();
            fs::hard_link(&new, &path).unwrap();
            fs::remove_file(&new).unwrap();
        }),
        ("a link that takes its place", &|text| {
            fs::write(root.file("linked"), text).unwrap();
            symlink("../linked", &new).unwrap();
            fs::rename(&new, &path).unwrap();
        }),
        ("with its directory", &|text| {
            fs::create_dir(root.file("etc.new")).unwrap();
            fs::write(root.file("etc.new/a.toml"), text).unwrap();
            fs::rename(root.file("etc"), root.file("etc.old")).unwrap();
            fs::rename(root.file("etc.new"), root.file("etc")).unwrap();
            fs::remove_dir_all(root.file("etc.old")).unwrap();
        }),
    ];
    fs::write(&path, "").unwrap();
    registry.watch(&path).unwrap();
    let mut attempts = 100;
    // Twice: whatever one leaves behind, the next is noticed.
    for (way, save) in ways.iter().chain(&ways) {
        attempts += 1;
        save(&format!("[retry.quotes]\nmax_attempts = {attempts}"));
        eventually(way, || {
            of_quotes(&registry, PolicyKind::Retry, "max_attempts") == attempts.to_string()
        });
    }
}

#[test]
fn a_watch_that_outlives_its_registry_does_nothing() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let directory = Directory::new("outlives");
    let path = directory.file("a.toml");
    fs::write(&path, "").unwrap();
    let watch = registry.watch(&path).unwrap();
    // As long as the registry has it.
    let held = Arc::new(());
    let by_check = Arc::clone(&held);
    let check = move || {
        let _held = &by_check;
        async { Ok::<_, String>(()) }
    };
    registry.register_check("holds", check).keep();
    // Dropped while it looks at the file.
    directory.replace("a.toml", "[retry.quotes]\nmax_attempts = 6");
    std::thread::sleep(Duration::from_millis(110)); // changes are gathered in real time
    drop((test, registry));
    eventually("the end of the registry", || Arc::strong_count(&held) == 1);
    directory.replace("a.toml", "[retry.quotes]\nmax_attempts = 7");
    watch.stop();
    assert_eq!(watch.path(), path);
}

#[test]
fn two_who_watch_one_file_do_not_disturb_each_other() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let directory = Directory::new("two-watches");
    let path = directory.file("a.toml");
    fs::write(&path, "").unwrap();
    let first = registry.watch(&path).unwrap();
    let second = registry.watch(directory.file("./a.toml")).unwrap();
    let attempts = || of_quotes(&registry, PolicyKind::Retry, "max_attempts");
    directory.replace("a.toml", "[retry.quotes]\nmax_attempts = 6");
    eventually("a change that both see", || attempts() == "6");
    first.stop();
    directory.replace("a.toml", "[retry.quotes]\nmax_attempts = 7");
    eventually("a change that one sees", || attempts() == "7");
    second.stop();
}

#[cfg(unix)]
#[test]
fn a_link_that_comes_to_lead_elsewhere_is_followed() {
    use std::os::unix::fs::symlink;

    let test = steadfast::test::isolated();
    let registry = test.registry();
    // As a `ConfigMap` is mounted: the file leads through a directory that is changed as a whole.
    let directory = Directory::new("mounted");
    for (version, attempts) in [("first", 6), ("second", 9)] {
        fs::create_dir(directory.file(version)).unwrap();
        let file = directory.file(version).join("steadfast.toml");
        fs::write(file, format!("[retry.quotes]\nmax_attempts = {attempts}")).unwrap();
    }
    symlink("first", directory.file("data")).unwrap();
    symlink("data/steadfast.toml", directory.file("steadfast.toml")).unwrap();
    registry.watch(directory.file("steadfast.toml")).unwrap();
    let attempts = || of_quotes(&registry, PolicyKind::Retry, "max_attempts");
    assert_eq!(attempts(), "6");
    symlink("second", directory.file("data-new")).unwrap();
    fs::rename(directory.file("data-new"), directory.file("data")).unwrap();
    eventually("the other directory", || attempts() == "9");
    // And what it leads to now is watched.
    fs::write(
        directory.file("second").join("steadfast.toml"),
        "[retry.quotes]\nmax_attempts = 4",
    )
    .unwrap();
    eventually("the file in it", || attempts() == "4");
}

#[cfg(unix)]
#[test]
fn a_link_on_the_way_that_comes_to_lead_elsewhere_is_followed() {
    use std::os::unix::fs::symlink;

    let test = steadfast::test::isolated();
    let registry = test.registry();
    let directory = Directory::new("released");
    // The link that changes is neither where the file seems to be nor where it is.
    fs::create_dir(directory.file("etc")).unwrap();
    for (release, attempts) in [("first", 6), ("second", 9)] {
        fs::create_dir(directory.file(release)).unwrap();
        let file = directory.file(release).join("steadfast.toml");
        fs::write(file, format!("[retry.quotes]\nmax_attempts = {attempts}")).unwrap();
    }
    symlink("first", directory.file("current")).unwrap();
    let path = directory.file("etc").join("steadfast.toml");
    symlink("../current/steadfast.toml", &path).unwrap();
    registry.watch(&path).unwrap();
    let attempts = || of_quotes(&registry, PolicyKind::Retry, "max_attempts");
    assert_eq!(attempts(), "6");
    symlink("second", directory.file("new")).unwrap();
    fs::rename(directory.file("new"), directory.file("current")).unwrap();
    eventually("the other release", || attempts() == "9");
}

#[test]
fn a_directory_that_is_made_again_is_watched_again() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let root = Directory::new("made-again");
    let directory = root.file("outer").join("inner");
    let path = directory.join("steadfast.toml");
    let write = |attempts: u32| {
        fs::create_dir_all(&directory).unwrap();
        fs::write(&path, format!("[retry.quotes]\nmax_attempts = {attempts}")).unwrap();
    };
    let (tell, told) = mpsc::channel();
    let _subscription = registry.subscribe(move |event| {
        if let Event::ConfigRejected(event) = event {
            tell.send(event.errors.to_string()).unwrap();
        }
    });
    write(6);
    registry.watch(&path).unwrap();
    let attempts = || of_quotes(&registry, PolicyKind::Retry, "max_attempts");
    for again in [7, 8] {
        fs::remove_dir_all(root.file("outer")).unwrap();
        let gone = told.recv_timeout(Duration::from_secs(30)).unwrap();
        assert!(gone.contains("cannot be read"), "{gone}");
        write(again);
        eventually("the file is there again", || {
            attempts() == again.to_string()
        });
    }
    // Told once each, and the watch is as good as new.
    write(9);
    eventually("a change of it", || attempts() == "9");
    assert_eq!(told.try_recv(), Err(mpsc::TryRecvError::Empty));
}

#[cfg(target_os = "linux")]
#[test]
fn a_directory_that_takes_the_name_of_one_above_is_followed() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let root = Directory::new("above");
    for (release, attempts) in [("first", 6), ("second", 9)] {
        let directory = root.file(release).join("etc/shop");
        fs::create_dir_all(&directory).unwrap();
        let text = format!("[retry.quotes]\nmax_attempts = {attempts}");
        fs::write(directory.join("steadfast.toml"), text).unwrap();
    }
    fs::rename(root.file("first"), root.file("current")).unwrap();
    let path = root.file("current/etc/shop/steadfast.toml");
    registry.watch(&path).unwrap();
    let attempts = || of_quotes(&registry, PolicyKind::Retry, "max_attempts");
    assert_eq!(attempts(), "6");
    fs::rename(root.file("current"), root.file("first")).unwrap();
    fs::rename(root.file("second"), root.file("current")).unwrap();
    eventually("the other directory", || attempts() == "9");
    fs::write(&path, "[retry.quotes]\nmax_attempts = 4").unwrap();
    eventually("the file in it", || attempts() == "4");
    // And back, at once.
    fs::rename(root.file("current"), root.file("second")).unwrap();
    fs::rename(root.file("first"), root.file("current")).unwrap();
    eventually("the first directory", || attempts() == "6");
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_is_written_under_another_name_of_it_is_loaded_again() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    // As one that is mounted by itself into a container is written outside of it.
    let directory = Directory::new("two-names");
    fs::create_dir(directory.file("inside")).unwrap();
    fs::create_dir(directory.file("outside")).unwrap();
    let inside = directory.file("inside/steadfast.toml");
    let outside = directory.file("outside/steadfast.toml");
    fs::write(&outside, "[retry.quotes]\nmax_attempts = 6").unwrap();
    fs::hard_link(&outside, &inside).unwrap();
    registry.watch(&inside).unwrap();
    let attempts = || of_quotes(&registry, PolicyKind::Retry, "max_attempts");
    fs::write(&outside, "[retry.quotes]\nmax_attempts = 9").unwrap();
    eventually("what was written elsewhere", || attempts() == "9");
    // As well once it was replaced.
    let other = directory.file("outside/other");
    fs::write(&other, "[retry.quotes]\nmax_attempts = 4").unwrap();
    fs::remove_file(&inside).unwrap();
    fs::hard_link(&other, &inside).unwrap();
    eventually("the other file", || attempts() == "4");
    fs::write(&other, "[retry.quotes]\nmax_attempts = 5").unwrap();
    eventually("what was written to it", || attempts() == "5");
}

#[test]
fn a_path_that_is_no_file_is_refused() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let directory = Directory::new("no-file");
    for path in [
        PathBuf::new(),
        directory.0.clone(),
        directory.file("none/at/all.toml"),
    ] {
        for refused in [
            registry.configure_file(&path),
            registry.watch(&path).map(drop),
        ] {
            let errors = refused.unwrap_err().to_string();
            assert!(errors.contains(": it cannot be read: "), "{errors}");
        }
    }
}

#[test]
fn a_file_that_is_no_text_says_where() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let directory = Directory::new("no-text");
    let path = directory.file("latin1.toml");
    fs::write(
        &path,
        b"[retry.quotes]\n# \xc3\xa9 f\xfcnf\nmax_attempts = 5",
    )
    .unwrap();
    let expected = format!("{}:2:6: here it is no UTF-8", path.display());
    for refused in [
        registry.configure_file(&path),
        registry.watch(&path).map(drop),
    ] {
        let errors = refused.unwrap_err().to_string();
        assert!(errors.contains(&expected), "{errors}");
    }
}

#[test]
fn who_is_told_may_stop_the_watch_and_load_and_ask() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let directory = Directory::new("told");
    let path = directory.file("steadfast.toml");
    fs::write(&path, "[retry.quotes]\nmax_attempts = 6").unwrap();
    let watch = registry.watch(&path).unwrap();
    let (tell, told) = mpsc::channel();
    let _subscription = registry.subscribe({
        let (registry, path) = (registry.clone(), path.clone());
        move |event| {
            if let Event::Reconfigured(_) = event {
                watch.stop();
                let _ = registry.validate();
                let attempts = of_quotes(&registry, PolicyKind::Retry, "max_attempts");
                registry.configure_file(&path).unwrap();
                let limiter = RateLimiter::builder("told").rate(Rate::per_second(1));
                let _ = limiter.install();
                tell.send(attempts).unwrap();
            }
        }
    });
    directory.replace("steadfast.toml", "[retry.quotes]\nmax_attempts = 7");
    assert_eq!(told.recv_timeout(Duration::from_secs(30)).unwrap(), "7");
}

#[tokio::test(start_paused = true)]
async fn a_breaker_is_forced_open_and_closed_and_switched_off_by_a_text() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let told: Arc<Mutex<Vec<(CircuitState, CircuitState)>>> = Arc::default();
    let _subscription = registry.subscribe({
        let (told, registry) = (Arc::clone(&told), registry.clone());
        move |event| {
            if let Event::StateChanged(change) = event {
                // Whoever is told may ask, and may configure.
                assert!(registry.circuit_breaker("quotes").is_some());
                if change.to == CircuitState::Closed {
                    registry.configure_toml("").unwrap();
                }
                told.lock().unwrap().push((change.from, change.to));
            }
        }
    });
    let says = |line: &str| {
        let text = format!("[circuit_breaker.quotes]\n{line}");
        registry.configure_toml(&text).unwrap();
    };
    says("force = \"open\"");
    // It begins so: nothing has changed for anybody.
    assert!(matches!(quote().await, Err(Rejection::CircuitOpen(_))));
    let breaker = registry.circuit_breaker("quotes").unwrap();
    assert_eq!(breaker.state(), CircuitState::ForcedOpen);
    says("force = \"open\"\nfailure_threshold = 7");
    says("force = \"closed\"");
    assert!(quote().await.is_ok());
    says("");
    assert_eq!(breaker.state(), CircuitState::Closed);
    use CircuitState::{Closed, Disabled, ForcedOpen};
    let path = [(ForcedOpen, Disabled), (Disabled, Closed)];
    assert_eq!(*told.lock().unwrap(), path);
    assert!(quote().await.is_ok());
    let counted = breaker.metrics();
    says("enabled = false");
    assert!(quote().await.is_ok());
    assert_eq!(breaker.metrics(), counted);
    let settings =
        |registry: &Registry| of_quotes(registry, PolicyKind::CircuitBreaker, "failure_threshold");
    assert_eq!(settings(&registry), "5");
    says("failure_threshold = 1");
    assert_eq!(settings(&registry), "1");
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_policy_can_be_taken_out_and_put_back() {
    #[fallback("six", value = 7)]
    async fn answered() -> Result<u32, Rejection> {
        refused().await
    }

    #[retry("six", max_attempts = 3)]
    async fn retried(attempts: &mut u32) -> std::io::Result<()> {
        *attempts += 1;
        Err(std::io::ErrorKind::Other.into())
    }

    #[circuit_breaker("six", failure_threshold = 1)]
    async fn broken(is_good: bool) -> std::io::Result<()> {
        if is_good {
            Ok(())
        } else {
            Err(std::io::ErrorKind::Other.into())
        }
    }

    #[rate_limited("six", rate = "1/h")]
    async fn limited() -> Result<(), Rejection> {
        Ok(())
    }

    #[bulkhead("six", max_concurrent = 1)]
    async fn bounded() -> Result<(), Rejection> {
        Ok(())
    }

    #[timeout("six", "1s")]
    async fn timed() -> Result<(), Rejection> {
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(())
    }

    async fn refused() -> Result<u32, Rejection> {
        limited().await.map(|()| 1)
    }

    let test = steadfast::test::isolated();
    let registry = test.registry();
    let is_there = async |is_there: bool| {
        assert_eq!(limited().await.is_err(), is_there, "rate limiter");
        assert_eq!(broken(true).await.is_err(), is_there, "circuit breaker");
        assert_eq!(bounded().await.is_err(), is_there, "bulkhead");
        assert_eq!(timed().await.is_err(), is_there, "timeout");
    };
    // Used up, open, and full.
    limited().await.unwrap();
    assert!(broken(false).await.is_err());
    let _place = registry.bulkhead("six").unwrap().try_acquire().unwrap();
    is_there(true).await;
    let mut attempts = 0;
    assert!(retried(&mut attempts).await.is_err());
    assert_eq!((attempts, answered().await.unwrap()), (3, 7));

    let off = |kinds: &[&str]| {
        let off = kinds
            .iter()
            .map(|kind| format!("[{kind}.six]\nenabled = false\n"));
        registry.configure_toml(&off.collect::<String>()).unwrap();
    };
    off(&["retry", "fallback"]);
    attempts = 0;
    assert!(retried(&mut attempts).await.is_err());
    assert_eq!(attempts, 1);
    assert!(answered().await.is_err());
    let four = ["rate_limiter", "circuit_breaker", "bulkhead", "timeout"];
    off(&four);
    is_there(false).await;
    // Each is as it was left.
    off(&[]);
    is_there(true).await;
    assert_eq!(answered().await.unwrap(), 7);
}
