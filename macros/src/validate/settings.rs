//! Settings that contradict each other, as far as literals show it.

use crate::{
    errors::Errors,
    model::{
        bulkhead::Bulkhead,
        fallback::Fallback,
        layer::{Layer, Policy},
        rate_limited::RateLimited,
        retry::Retry,
        setting::{Setting, Settings, Value},
    },
};
use std::time::Duration;

pub(crate) fn check(layer: &Layer, errors: &mut Errors) {
    if let (Some(_), Some(setting)) = (&layer.with, layer.settings.iter().next()) {
        errors.on(
            &setting.key,
            format!(
                "`with` brings a policy that has its settings: set `{}` where that is built",
                setting.key
            ),
        );
        return;
    }
    if let (Some(with), Some(name)) = (&layer.with, &layer.name) {
        let _ = with;
        errors.on(
            name,
            "`with` brings a policy that has its name: leave this one out",
        );
    }
    shared(layer, errors);
    match &layer.policy {
        Policy::Retry(retry) => check_retry(retry, &layer.settings, errors),
        Policy::CircuitBreaker(breaker) => {
            check_breaker(&layer.settings, errors);
            keyed(breaker.key.is_some(), &layer.settings, errors);
        }
        Policy::RateLimited(limited) => check_limiter(layer, limited, errors),
        Policy::Bulkhead(bulkhead) => {
            needs(
                &layer.settings,
                "max_queue",
                "max_wait",
                "write `max_wait = \"1s\"` as well",
                errors,
            );
            keyed(bulkhead.key.is_some(), &layer.settings, errors);
            fenced(bulkhead, layer, errors);
            long_enough(&layer.settings, errors);
        }
        Policy::Timeout(timeout) => check_timeout(layer, timeout.after.is_some(), errors),
        Policy::Fallback(fallback) => check_fallback(fallback, &layer.settings, errors),
    }
}

// What each policy needs

fn check_retry(retry: &Retry, settings: &Settings, errors: &mut Errors) {
    let jitter = settings.choice("jitter");
    let base = settings.duration("base_delay");
    if jitter == Some("Decorrelated") {
        refuse(
            settings,
            "multiplier",
            "`jitter = decorrelated` grows by itself",
            errors,
        );
    }
    match settings.choice("backoff") {
        Some("Fixed") => refuse(
            settings,
            "multiplier",
            "`backoff = fixed` does not grow",
            errors,
        ),
        Some("Linear") => refuse(
            settings,
            "multiplier",
            "`backoff = linear` adds `base_delay` each time",
            errors,
        ),
        _ => {}
    }
    if retry.backoff.is_some() {
        let why = "the `backoff` function says each delay";
        refuse(settings, "multiplier", why, errors);
        if jitter != Some("Decorrelated") {
            refuse(settings, "base_delay", why, errors);
        }
        return;
    }
    capped(settings, ("base_delay", base, 1), ("max_delay", 60), errors);
}

fn check_breaker(settings: &Settings, errors: &mut Errors) {
    needs(
        settings,
        "slow_call_rate",
        "slow_call",
        "say which calls are slow, `slow_call = \"2s\"`",
        errors,
    );
    let rates = ["failure_rate", "slow_call", "preset"];
    let has_rate = rates.iter().any(|rate| settings.is_written(rate));
    if !has_rate {
        refuse(
            settings,
            "minimum_calls",
            "only a rate waits for a number of calls, and there is no `failure_rate` or `slow_call`",
            errors,
        );
    }
    let recovery = settings.duration("recovery_timeout");
    capped(
        settings,
        ("recovery_timeout", recovery, 60),
        ("max_recovery_timeout", 0),
        errors,
    );
    minimum_in_window(settings, errors);
}

fn minimum_in_window(settings: &Settings, errors: &mut Errors) {
    let window = match settings.value("window") {
        None if !settings.is_written("window") => has_defaults(settings).then_some(100),
        Some(Value::Count(count)) => Some(count),
        _ => None,
    };
    let (Some(window), Some(minimum)) = (window, settings.count("minimum_calls")) else {
        return;
    };
    if minimum > window {
        blame(
            settings,
            "minimum_calls",
            &format!(
                "a window of {window} calls never holds {minimum}: write at most {window}, or a larger `window`"
            ),
            errors,
        );
    }
}

fn check_limiter(layer: &Layer, limited: &RateLimited, errors: &mut Errors) {
    let settings = &layer.settings;
    let has_rate = settings.is_written("rate") || limited.rate.is_some();
    let joins = layer.with.is_some() || (layer.name.is_some() && settings.is_empty());
    if !has_rate && !joins {
        missing_rate(layer, errors);
        return;
    }
    keyed(limited.key.is_some(), settings, errors);
    if let (Some(rate), None) = (&limited.rate, &limited.key) {
        errors.on(
            rate,
            "a rate that sees the parameters belongs to a key: write `key = ..` as well",
        );
    }
    if settings.is_written("algorithm") && settings.choice("algorithm").is_none() {
        return;
    }
    let algorithm = settings.choice("algorithm").unwrap_or("TokenBucket");
    if !matches!(algorithm, "TokenBucket" | "LeakyBucket") {
        refuse(
            settings,
            "burst",
            "only `token_bucket` and `leaky_bucket` have a bucket",
            errors,
        );
    }
    if algorithm != "Adaptive" {
        let why = "only `algorithm = adaptive` moves its rate";
        for name in [
            "min_rate",
            "interval",
            "adaptive_threshold",
            "backoff_factor",
            "recovery_factor",
        ] {
            refuse(settings, name, why, errors);
        }
    }
    lower_rate(settings, errors);
}

fn missing_rate(layer: &Layer, errors: &mut Errors) {
    let is_rate = |name: &&syn::LitStr| crate::parse::rate::rate(&name.value()).is_ok();
    match layer.name.as_ref().filter(is_rate) {
        Some(name) => errors.on(
            name,
            format!(
                "a lone string is the name: write `rate = \"{}\"`",
                name.value()
            ),
        ),
        None => errors.at(
            layer.span,
            "`#[rate_limited]` needs its rate: write `rate = \"200/s\"`",
        ),
    }
}

fn lower_rate(settings: &Settings, errors: &mut Errors) {
    let rate = |name| match settings.value(name) {
        Some(Value::Rate(count, per)) => Some((u128::from(count), per.as_nanos())),
        _ => None,
    };
    let (Some(rate), Some(lower)) = (rate("rate"), rate("min_rate")) else {
        return;
    };
    let is_above = match (lower.0.checked_mul(rate.1), rate.0.checked_mul(lower.1)) {
        (Some(lower), Some(upper)) => lower > upper,
        _ => false,
    };
    if is_above {
        blame(
            settings,
            "min_rate",
            "`min_rate` is above `rate`: write a lower one",
            errors,
        );
    }
}

fn check_timeout(layer: &Layer, has_site_duration: bool, errors: &mut Errors) {
    let has_duration = has_site_duration || layer.settings.is_written("after");
    if !has_duration && layer.with.is_none() {
        errors.at(
            layer.span,
            "`#[timeout]` needs its duration: write `#[timeout(\"2s\")]`",
        );
    }
}

fn check_fallback(fallback: &Fallback, settings: &Settings, errors: &mut Errors) {
    if fallback.cache.is_none() {
        refuse(
            settings,
            "shared",
            "only remembered answers can be shared, and there is no `cache(..)`",
            errors,
        );
        return;
    }
    let (fresh, stale) = (settings.duration("fresh"), settings.duration("stale"));
    if let (Some(fresh), Some(stale)) = (fresh, stale)
        && fresh > stale
    {
        blame(
            settings,
            "stale",
            "answers are stale after they were fresh: write a `stale` of at least `fresh`",
            errors,
        );
    }
}

// State that is shared between processes

/// State is shared under a name, and what is said about it needs it to be shared.
fn shared(layer: &Layer, errors: &mut Errors) {
    let settings = &layer.settings;
    for name in ["mode", "on_store_error", "instances", "quorum", "lease"] {
        needs(settings, name, "shared", "write `shared` as well", errors);
    }
    if layer.name.is_none() && layer.with.is_none() {
        blame(
            settings,
            "shared",
            &format!(
                "what is shared needs a name that all instances know: write `#[{}(\"name\", shared)]`",
                layer.kind.attribute()
            ),
            errors,
        );
    }
    let thresholds = ["failure_threshold", "preset"];
    let has_threshold = thresholds.iter().any(|name| settings.is_written(name));
    if settings.is_written("failure_rate") && !has_threshold {
        refuse(
            settings,
            "quorum",
            "it counts instances that have reached their `failure_threshold`, which is off beside `failure_rate`",
            errors,
        );
    }
}

/// Only what is shared is numbered; a site that just joins a name cannot know.
fn fenced(bulkhead: &Bulkhead, layer: &Layer, errors: &mut Errors) {
    let settings = &layer.settings;
    let is_local = !settings.is_empty() && !settings.is_written("shared");
    let is_unnamed = layer.name.is_none() && layer.with.is_none();
    if let Some(fence) = &bulkhead.fence
        && (is_local || is_unnamed)
        && !settings.is_written("shared")
    {
        errors.on(
            fence,
            "only the permits of a shared bulkhead are numbered: write `shared` as well, or leave `fence` out",
        );
    }
}

/// A lease is renewed over a network, three times in its life.
fn long_enough(settings: &Settings, errors: &mut Errors) {
    if let Some(lease) = settings.duration("lease")
        && lease < Duration::from_secs(1)
    {
        blame(
            settings,
            "lease",
            "`lease` must be at least 1s: it is renewed every third of it, over a network",
            errors,
        );
    }
}

// Kinds of contradictions

/// `max_keys` without a `key` bounds nothing.
fn keyed(has_key: bool, settings: &Settings, errors: &mut Errors) {
    if !has_key {
        refuse(settings, "max_keys", "there is no `key`", errors);
    }
}

/// `name` has no effect without `other`.
fn needs(settings: &Settings, name: &str, other: &str, write: &str, errors: &mut Errors) {
    if !settings.is_written(other) {
        blame(
            settings,
            name,
            &format!("`{name}` has no effect without `{other}`: {write}, or leave it out"),
            errors,
        );
    }
}

/// `name` has no effect here.
fn refuse(settings: &Settings, name: &str, why: &str, errors: &mut Errors) {
    blame(
        settings,
        name,
        &format!("`{name}` has no effect: {why}; leave it out"),
        errors,
    );
}

fn blame(settings: &Settings, name: &str, message: &str, errors: &mut Errors) {
    if let Some(Setting { key, .. }) = settings.find(name) {
        errors.on(key, message);
    }
}

/// Do settings that are left out have their plain defaults? What a preset says is not known here: a
/// contradiction to it is found where the compiler evaluates the settings.
fn has_defaults(settings: &Settings) -> bool {
    !settings.is_written("preset")
}

/// A cap under what it caps; where one of the two is left out, its default counts (0: there is none).
fn capped(
    settings: &Settings,
    (name, value, default): (&str, Option<Duration>, u64),
    (cap, cap_default): (&str, u64),
    errors: &mut Errors,
) {
    let is_opaque = |name| settings.is_written(name) && settings.duration(name).is_none();
    if is_opaque(name) || is_opaque(cap) {
        return;
    }
    let written_cap = settings.duration(cap);
    if !has_defaults(settings) && (value.is_none() || written_cap.is_none()) {
        return;
    }
    let limit = match written_cap {
        None if cap_default == 0 => return,
        None => Duration::from_secs(cap_default),
        Some(limit) => limit,
    };
    let size = value.unwrap_or(Duration::from_secs(default));
    if limit >= size {
        return;
    }
    match (value, written_cap) {
        (Some(_), Some(_)) => blame(
            settings,
            cap,
            &format!("`{cap}` is under `{name}`: write at least as much"),
            errors,
        ),
        (None, _) => blame(
            settings,
            cap,
            &format!(
                "`{cap}` is under `{name}`, which is {default}s where it is left out: set `{name}` as well"
            ),
            errors,
        ),
        (Some(_), None) => blame(
            settings,
            name,
            &format!(
                "`{name}` is above `{cap}`, which is {cap_default}s where it is left out: set `{cap}` as well"
            ),
            errors,
        ),
    }
}
