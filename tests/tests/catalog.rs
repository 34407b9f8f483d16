//! What is known of the annotated functions before any of them is called.

#![allow(dead_code)] // many are there to be listed, and for nothing else

use std::time::Duration;

use steadfast::{
    CircuitBreaker, ConfigError, Definition, Origin, PolicyKind, Rate, RateLimiter, Rejection,
    Site, SitePolicy, Timeout, bulkhead, circuit_breaker, fallback, rate_limited, retry, timeout,
};
use steadfast_tests_library::forms;

fn site(function: &str) -> Site {
    let sites = steadfast::registry().sites();
    let mut named = sites.into_iter().filter(|site| site.function == function);
    let site = named.next().unwrap_or_else(|| panic!("{function}"));
    assert_eq!(named.next(), None, "{function} is listed once");
    site
}

fn policy(function: &str) -> SitePolicy {
    site(function).policies.remove(0)
}

/// A setting's value and origin.
fn setting<'p>(policy: &'p SitePolicy, name: &str) -> (&'p str, &'p Origin) {
    let setting = policy.setting(name).unwrap_or_else(|| panic!("{name}"));
    (&setting.value, &setting.origin)
}

/// The function whose attribute says it.
fn said_by(origin: &Origin) -> &'static str {
    match origin {
        Origin::Attribute { place } => place.function,
        other => panic!("{other:?}"),
    }
}

#[fallback(value = 0)]
#[retry(max_attempts = 4, base_delay = "250ms")]
#[circuit_breaker("catalog stack", failure_rate = 0.5, recovery_timeout = "1.5s")]
#[rate_limited("catalog stack", rate = "1000/10m", burst = 50)]
#[bulkhead(max_concurrent = 16)]
#[timeout("2s")]
async fn stack() -> Result<u32, Rejection> {
    Ok(1)
}

#[test]
fn a_stack_is_listed_from_the_outermost_in() {
    let site = site("catalog::stack");
    assert_eq!(site.package, "steadfast-tests");
    assert!(site.file.ends_with("catalog.rs"), "{}", site.file);
    assert!(site.line > 30, "{}", site.line);
    let policies: Vec<_> = site
        .policies
        .iter()
        .map(|policy| (policy.kind, policy.name.as_deref().unwrap()))
        .collect();
    use PolicyKind as Kind;
    assert_eq!(
        policies,
        [
            (Kind::Fallback, "catalog::stack"),
            (Kind::Retry, "catalog::stack"),
            (Kind::CircuitBreaker, "catalog stack"),
            (Kind::RateLimiter, "catalog stack"),
            (Kind::Bulkhead, "catalog::stack"),
            (Kind::Timeout, "catalog::stack"),
        ]
    );
}

#[test]
fn settings_are_spelt_as_in_the_attribute_and_say_where_they_come_from() {
    let site = site("catalog::stack");
    let written = [
        (PolicyKind::Retry, "max_attempts", "4"),
        (PolicyKind::Retry, "base_delay", "250ms"),
        (PolicyKind::CircuitBreaker, "failure_rate", "0.5"),
        (PolicyKind::CircuitBreaker, "recovery_timeout", "1.5s"),
        (PolicyKind::RateLimiter, "rate", "1000/10m"),
        (PolicyKind::RateLimiter, "burst", "50"),
        (PolicyKind::Timeout, "after", "2s"),
    ];
    for (kind, name, value) in written {
        let (said, origin) = setting(site.policy(kind).unwrap(), name);
        assert_eq!((said, said_by(origin)), (value, "catalog::stack"), "{name}");
    }
    let by_default = [
        (PolicyKind::Retry, "jitter", "full"),
        (PolicyKind::Retry, "max_delay", "1m"),
        (PolicyKind::Retry, "max_elapsed", "none"),
        // What follows another setting was not written either.
        (PolicyKind::CircuitBreaker, "half_open_timeout", "1.5s"),
        (PolicyKind::CircuitBreaker, "failure_threshold", "none"),
        (PolicyKind::RateLimiter, "algorithm", "token_bucket"),
    ];
    for (kind, name, value) in by_default {
        let policy = site.policy(kind).unwrap();
        assert_eq!(setting(policy, name), (value, &Origin::BuiltIn), "{name}");
    }
}

trait Written {
    fn written(&self) -> Result<(), Rejection>;
}

macro_rules! write_for {
    ($($Type:ty = $nth:literal,)*) => {$(
        impl Written for $Type {
            #[circuit_breaker(failure_threshold = $nth)]
            #[bulkhead("of one macro call", max_concurrent = $nth)]
            fn written(&self) -> Result<(), Rejection> {
                Ok(())
            }
        }
    )*};
}
write_for! {
    u8 = 1, u16 = 2, u32 = 3, u64 = 4, i8 = 5, i16 = 6, i32 = 7, i64 = 8,
    f32 = 9, f64 = 10, char = 11, bool = 12,
}

#[test]
fn functions_that_one_macro_call_writes_keep_the_order_of_the_source() {
    let sites = steadfast::registry().sites();
    let written = sites
        .iter()
        .filter(|site| site.function == "catalog::written");
    let mut count = 0;
    for (nth, site) in written.enumerate() {
        let breaker = site.policy(PolicyKind::CircuitBreaker).unwrap();
        let name = breaker.name.as_deref().unwrap();
        assert!(name.ends_with(&format!("#{nth}")), "{name}");
        let expected = (nth + 1).to_string();
        assert_eq!(setting(breaker, "failure_threshold").0, expected, "{name}");
        // Which of those that disagree is the first does not depend on the linker either.
        let bulkhead = site.policy(PolicyKind::Bulkhead).unwrap();
        assert_eq!(setting(bulkhead, "max_concurrent").0, "1");
        count += 1;
    }
    assert_eq!(count, 12);
}

macro_rules! pass {
    ($($item:item)*) => {
        $($item)*
    };
}
const BEFORE: u32 = line!();
pass! {
    #[retry(max_attempts = 2)]
    fn passed_first() -> Result<(), Rejection> {
        Ok(())
    }

    /// Documented.
    #[retry(max_attempts = 2)]
    fn passed_second() -> Result<(), Rejection> {
        Ok(())
    }
}

#[test]
fn functions_that_pass_through_a_macro_have_lines_of_their_own() {
    assert_eq!(site("catalog::passed_first").line, BEFORE + 2);
    assert_eq!(site("catalog::passed_second").line, BEFORE + 8);
}

#[circuit_breaker("joined")]
async fn joins() -> Result<(), Rejection> {
    Ok(())
}

#[circuit_breaker("joined", failure_threshold = 9)]
async fn defines() -> Result<(), Rejection> {
    Ok(())
}

#[test]
fn a_site_that_joins_a_name_shows_the_settings_of_the_place_that_defines_it() {
    let (joins, defines) = (policy("catalog::joins"), policy("catalog::defines"));
    let (value, origin) = setting(&joins, "failure_threshold");
    assert_eq!((value, said_by(origin)), ("9", "catalog::defines"));
    let Definition::Attribute { place } = &joins.definition else {
        panic!("{:?}", joins.definition)
    };
    assert_eq!(place.function, "catalog::defines");
    assert_eq!(place.line, site("catalog::defines").line);
    assert_eq!(joins, defines);
}

#[circuit_breaker("in dispute", failure_threshold = 2)]
async fn says_two() -> Result<(), Rejection> {
    Ok(())
}

#[circuit_breaker("in dispute", failure_threshold = 7)]
async fn says_seven() -> Result<(), Rejection> {
    Ok(())
}

#[test]
fn where_sites_disagree_all_show_what_is_in_force() {
    for function in ["catalog::says_two", "catalog::says_seven"] {
        let policy = policy(function);
        let (value, origin) = setting(&policy, "failure_threshold");
        assert_eq!((value, said_by(origin)), ("2", "catalog::says_two"));
    }
}

#[rate_limited("installed by hand")]
async fn joins_installed() -> Result<(), Rejection> {
    Ok(())
}

#[test]
fn what_is_installed_by_hand_says_so_in_the_registry_where_it_is() {
    let test = steadfast::test::isolated();
    let before = policy("catalog::joins_installed");
    assert_eq!(before.definition, Definition::BuiltIn);
    assert_eq!(setting(&before, "rate"), ("none", &Origin::BuiltIn));
    let line = line!() + 3;
    RateLimiter::builder("installed by hand")
        .rate(Rate::per_second(3))
        .install()
        .unwrap();
    let after = policy("catalog::joins_installed");
    let Definition::Installed { place } = &after.definition else {
        panic!("{:?}", after.definition)
    };
    assert!(place.file.ends_with("catalog.rs"));
    assert_eq!(place.line, line);
    let installed = Origin::Installed {
        place: place.clone(),
    };
    assert_eq!(setting(&after, "rate"), ("3/s", &installed));
    assert_eq!(setting(&after, "burst"), ("3", &Origin::BuiltIn));
    drop(test);
    assert_eq!(policy("catalog::joins_installed"), before);
}

#[circuit_breaker(with = breaker)]
async fn supplied(breaker: &CircuitBreaker) -> Result<(), Rejection> {
    let _ = breaker;
    Ok(())
}

#[test]
fn what_comes_with_each_call_has_no_name_and_no_settings_before() {
    let policy = policy("catalog::supplied");
    assert_eq!(policy.kind, PolicyKind::CircuitBreaker);
    assert_eq!(policy.definition, Definition::Supplied);
    assert_eq!((&policy.name, policy.settings.len()), (&None, 0));
}

#[rate_limited("plans", rate = plan, key = plan, max_wait = "5ms")]
async fn varying(plan: Rate) -> Result<(), Rejection> {
    Ok(())
}

#[timeout(time)]
async fn bounded(time: Duration) -> Result<(), Rejection> {
    Ok(())
}

#[test]
fn what_each_call_says_is_said_to_be_so() {
    let limiter = policy("catalog::varying");
    assert_eq!(setting(&limiter, "rate"), ("of the call", &Origin::Call));
    assert_eq!(setting(&limiter, "max_wait").0, "5ms");
    let timeout = policy("catalog::bounded");
    assert_eq!(setting(&timeout, "after"), ("of the call", &Origin::Call));
}

#[retry(preset = critical, backoff = |retry| Duration::from_millis(retry.into()), max_delay = "10ms")]
async fn own_backoff() -> Result<(), Rejection> {
    Ok(())
}

#[retry("decorrelated", backoff = |_| Duration::ZERO, jitter = decorrelated, base_delay = "2s")]
async fn decorrelated() -> Result<(), Rejection> {
    Ok(())
}

#[test]
fn what_a_backoff_function_says_is_said_to_be_of_the_call() {
    let retry = policy("catalog::own_backoff");
    for name in ["backoff", "base_delay", "multiplier"] {
        assert_eq!(setting(&retry, name), ("of the call", &Origin::Call));
    }
    assert_eq!(setting(&retry, "max_delay").0, "10ms");
    assert_eq!(setting(&retry, "max_attempts"), ("10", &Origin::Preset));
    let decorrelated = policy("catalog::decorrelated");
    assert_eq!(setting(&decorrelated, "backoff").1, &Origin::Call);
    assert_eq!(setting(&decorrelated, "base_delay").0, "2s");
}

#[test]
fn beside_a_backoff_function_the_configuration_sets_what_has_an_effect() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let told = |text: &str| match registry.configure_toml(text) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    };
    let head = "[retry.\"catalog::own_backoff\"]\n";
    let of_no_effect = told(&format!(
        "{head}backoff = \"fixed\"\nbase_delay = \"1ms\"\nmultiplier = 3.0"
    ));
    assert_eq!(of_no_effect.len(), 3, "{of_no_effect:#?}");
    for told in of_no_effect {
        assert!(told.contains("the attribute gives a function"), "{told}");
    }
    for good in [
        "max_delay = \"1us\"",
        "preset = \"slow_batch\"\nmax_delay = \"5ms\"",
        "jitter = \"decorrelated\"\nbase_delay = \"1ms\"",
    ] {
        assert_eq!(told(&format!("{head}{good}")), [""; 0], "{good}");
    }
}

#[timeout("9s")]
#[retry(max_attempts = 2)]
#[timeout("2s")]
async fn two_timeouts() -> Result<(), Rejection> {
    Ok(())
}

#[test]
fn two_of_a_kind_keep_their_order() {
    let site = site("catalog::two_timeouts");
    let timeouts = site
        .policies
        .iter()
        .filter(|p| p.kind == PolicyKind::Timeout);
    let timeouts: Vec<_> = timeouts
        .map(|policy| (policy.name.as_deref().unwrap(), setting(policy, "after").0))
        .collect();
    assert_eq!(
        timeouts,
        [
            ("catalog::two_timeouts", "9s"),
            ("catalog::two_timeouts#2", "2s")
        ]
    );
}

#[test]
fn a_library_s_functions_of_every_form_are_listed() {
    let module = "steadfast_tests_library::forms::";
    let sites = steadfast::registry().sites();
    let listed = sites
        .iter()
        .filter(|site| site.function.starts_with(module));
    let mut listed: Vec<_> = listed
        .map(|site| {
            assert_eq!(site.package, "steadfast-tests-library");
            let kinds = site.policies.iter().map(|policy| policy.kind.as_str());
            (&site.function[module.len()..], kinds.collect::<Vec<_>>())
        })
        .collect();
    let mut expected = forms::LISTED.map(|(function, kinds)| (function, kinds.to_vec()));
    listed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(listed, expected);
}

#[retry(preset = fast_api, max_attempts = 5)]
async fn preset() -> Result<(), Rejection> {
    Ok(())
}

#[circuit_breaker("quoted preset", preset = "high_volume", window = 40)]
async fn quoted_preset() -> Result<(), Rejection> {
    Ok(())
}

#[test]
fn what_a_preset_says_is_said_to_be_its() {
    let retry = policy("catalog::preset");
    let own = |name| said_by(setting(&retry, name).1);
    assert_eq!(setting(&retry, "preset").0, "fast_api");
    assert_eq!(setting(&retry, "max_attempts").0, "5");
    assert_eq!(
        (own("preset"), own("max_attempts")),
        ("catalog::preset", "catalog::preset")
    );
    assert_eq!(setting(&retry, "base_delay"), ("50ms", &Origin::Preset));
    assert_eq!(setting(&retry, "budget"), ("0.2", &Origin::Preset));
    assert_eq!(setting(&retry, "jitter"), ("full", &Origin::BuiltIn));

    let breaker = policy("catalog::quoted_preset");
    assert_eq!(setting(&breaker, "preset").0, "high_volume");
    assert_eq!(setting(&breaker, "window").0, "40");
    assert_eq!(setting(&breaker, "failure_rate"), ("0.5", &Origin::Preset));
    // No more than the window that is written holds.
    assert_eq!(setting(&breaker, "minimum_calls"), ("40", &Origin::Preset));
    // The default is what another setting is, and that is the preset's.
    assert_eq!(
        setting(&breaker, "half_open_requests"),
        ("10", &Origin::BuiltIn)
    );
}

#[circuit_breaker("spelt out", preset = low_volume)]
async fn by_preset() -> Result<(), Rejection> {
    Ok(())
}

#[circuit_breaker(
    "spelt out",
    failure_threshold = 3,
    failure_rate = 0.5,
    window = 20,
    minimum_calls = 5,
    recovery_timeout = "30s",
    success_threshold = 1
)]
async fn spelt_out() -> Result<(), Rejection> {
    Ok(())
}

#[retry("not the same", preset = critical)]
async fn critical() -> Result<(), Rejection> {
    Ok(())
}

#[retry("not the same", preset = critical, max_attempts = 9)]
async fn less_critical() -> Result<(), Rejection> {
    Ok(())
}

#[test]
fn sites_agree_where_the_settings_in_force_do_whether_by_a_preset_or_not() {
    let errors = steadfast::registry().validate().unwrap_err();
    let about = |name: &str| {
        errors
            .iter()
            .find(|error| error.policy().is_some_and(|policy| policy == name))
    };
    assert_eq!(about("spelt out"), None);
    let ConfigError::Conflict {
        setting,
        first,
        second,
        ..
    } = about("not the same").unwrap()
    else {
        panic!("{errors}")
    };
    assert_eq!(
        (*setting, &*first.value, &*second.value),
        ("max_attempts", "10", "9")
    );
}

#[tokio::test(start_paused = true)]
async fn a_preset_is_what_a_call_runs_under() {
    #[retry(preset = streaming, max_attempts = 4, jitter = none)]
    async fn fails(calls: &mut u32) -> Result<(), &'static str> {
        *calls += 1;
        Err("down")
    }
    #[circuit_breaker(preset = low_volume)]
    async fn breaks() -> std::io::Result<()> {
        Err(std::io::ErrorKind::TimedOut.into())
    }
    let _test = steadfast::test::isolated();
    let (start, mut calls) = (tokio::time::Instant::now(), 0);
    fails(&mut calls).await.unwrap_err();
    assert_eq!(calls, 4);
    assert_eq!(start.elapsed(), Duration::from_millis(100 + 200 + 400));
    for expected in ["TimedOut", "TimedOut", "TimedOut", "ResourceBusy"] {
        let kind = breaks().await.unwrap_err().kind();
        assert_eq!(format!("{kind:?}"), expected);
    }
}

#[test]
fn sites_stand_in_the_order_of_their_places() {
    let sites = steadfast::registry().sites();
    assert!(sites.is_sorted_by_key(|site| (site.file, site.line)));
}

#[tokio::test]
async fn a_call_changes_nothing_in_the_list() {
    let _test = steadfast::test::isolated();
    let before = steadfast::registry().sites();
    stack().await.unwrap();
    joins().await.unwrap();
    defines().await.unwrap();
    assert_eq!(steadfast::registry().sites(), before);
}

#[test]
fn the_list_serialises() {
    let site = serde_json::to_value(site("catalog::joins")).unwrap();
    assert_eq!(site["function"], "catalog::joins");
    let policy = &site["policies"][0];
    assert_eq!(policy["kind"], "circuit_breaker");
    assert_eq!(policy["definition"]["by"], "attribute");
    assert_eq!(
        policy["definition"]["place"]["function"],
        "catalog::defines"
    );
    let settings = policy["settings"].as_array().unwrap();
    let named = |name: &str| settings.iter().find(|setting| setting["name"] == name);
    let threshold = named("failure_threshold").unwrap();
    assert_eq!(threshold["value"], "9");
    assert_eq!(threshold["origin"]["from"], "attribute");
    assert_eq!(
        named("max_keys").unwrap()["origin"],
        serde_json::json!({"from": "default"})
    );
}

#[test]
fn a_snapshot_spells_settings_in_the_same_way() {
    let test = steadfast::test::isolated();
    let odd = Duration::new(61, 1);
    Timeout::builder("odd").after(odd).install().unwrap();
    let snapshot = test.registry().snapshot();
    let after = |name| &snapshot.policy(PolicyKind::Timeout, name).unwrap().settings["after"];
    assert_eq!(after("odd"), "61.000000001s");
    assert_eq!(after("catalog::two_timeouts"), "9s");
}
