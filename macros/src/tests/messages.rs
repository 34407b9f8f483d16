//! What is said of each mistake: one message, what is wrong, then what to write.

use super::{errors, expand};

const ASYNC: &str = "async fn f(&self, order: Order, name: &str) -> Result<u32, E> { self.0 }";

/// The one message about `attributes` above an ordinary function.
fn message(attributes: &str) -> String {
    on(attributes, ASYNC)
}

fn on(attributes: &str, function: &str) -> String {
    let messages = errors(expand(&format!("{attributes} {function}")));
    assert_eq!(messages.len(), 1, "{attributes}: {messages:#?}");
    messages.into_iter().next().unwrap_or_default()
}

fn accepted(attributes: &str) {
    let messages = errors(expand(&format!("{attributes} {ASYNC}")));
    assert_eq!(messages, Vec::<String>::new(), "{attributes}");
}

#[test]
fn unknown_words_name_the_nearest_and_list_the_others() {
    assert_eq!(
        message("#[bulkhead(max_concurent = 3)]"),
        "`max_concurent` is unknown: write `max_concurrent`\nthe arguments of `#[bulkhead]` are `max_concurrent`, `max_wait`, `max_queue`, `max_keys`, `enforce`, `shared`, `on_store_error`, `lease`, `instances`, `fence`, `key`, `with`, `reject_with` and `crate`"
    );
    assert_eq!(
        message("#[bulkhead(colour = 3)]"),
        "`colour` is unknown: the arguments of `#[bulkhead]` are `max_concurrent`, `max_wait`, `max_queue`, `max_keys`, `enforce`, `shared`, `on_store_error`, `lease`, `instances`, `fence`, `key`, `with`, `reject_with` and `crate`"
    );
    assert_eq!(
        message("#[fallback(cache(key = name, fresh = \"1s\", old = \"2s\"), default)]"),
        "`old` is unknown: the arguments of `cache(..)` are `fresh`, `stale`, `max_entries` and `key`"
    );
    assert_eq!(
        message("#[bulkhead(max_wait = \"1s\", max_wait = \"2s\")]"),
        "`max_wait` is given twice: keep one"
    );
    assert_eq!(
        message("#[timeout(\"1s\", shared)]"),
        "`#[timeout]` has no state that instances could share: `shared` is for a circuit breaker, a rate limit, a bulkhead or a fallback with a cache"
    );
}

#[test]
fn what_is_misspelt_is_not_missing() {
    for (attributes, meant) in [
        ("#[timeout(aftr = \"2s\")]", "`after`"),
        ("#[rate_limited(rat = \"5/s\")]", "`rate`"),
        ("#[rate_limited(limit = \"5/s\")]", "`rate`"),
        (
            "#[circuit_breaker(failure_rat = 0.5, minimum_calls = 10)]",
            "`failure_rate`",
        ),
    ] {
        let message = message(attributes);
        assert!(
            message.contains(&format!("write {meant}\n")),
            "{attributes}: {message}"
        );
    }
}

#[test]
fn the_form_of_an_argument() {
    let cases = [
        (
            "#[retry(max_attempts)]",
            "`max_attempts` needs a value: write `max_attempts = 3`",
        ),
        (
            "#[retry(max_attempts(3))]",
            "`max_attempts` needs a value: write `max_attempts = 3`",
        ),
        (
            "#[retry(max_attempts = )]",
            "`max_attempts` has no value: write it after the `=`",
        ),
        (
            "#[retry(max_attempts: 3)]",
            "arguments take `=`: write `max_attempts = ..`",
        ),
        (
            "#[retry(rejections = true)]",
            "`rejections` takes no value: write `rejections` alone",
        ),
        (
            "#[retry(clone = order)]",
            "`clone` takes a list: write `clone(order)`",
        ),
        (
            "#[retry(clone())]",
            "`clone` names no parameter: write `clone(order)`, or leave it out",
        ),
        (
            "#[retry(clone(1))]",
            "`clone` takes the names of parameters: write `clone(order)`",
        ),
        (
            "#[retry(attempt = 1)]",
            "`attempt` names a new variable: write `attempt = n`",
        ),
        (
            "#[retry(when = true)]",
            "`when` takes a function or a closure: write `when = |error| ..`",
        ),
        (
            "#[retry(when = |a, b| true)]",
            "`when` is given one value: write `when = |error| ..`",
        ),
        (
            "#[retry(3)]",
            "a value without a key: write `key = value`; only a name, a string, stands alone, first: `#[retry(\"quotes\")]`",
        ),
        (
            "#[bulkhead(\"\")]",
            "a name cannot be empty: write one, or leave it out for an instance of this function alone",
        ),
        (
            "#[bulkhead(crate = 3)]",
            "`crate` takes a path: write `crate = ::steadfast`",
        ),
        (
            "#[bulkhead] #[retry = 3]",
            "arguments stand in parentheses: write `#[retry(..)]`",
        ),
    ];
    for (attributes, expected) in cases {
        assert_eq!(message(attributes), expected, "{attributes}");
    }
}

#[test]
fn numbers_durations_rates_and_words() {
    let cases = [
        (
            "#[retry(max_attempts = 0)]",
            "`max_attempts` cannot be 0: write at least 1",
        ),
        (
            "#[retry(max_attempts = -1)]",
            "`max_attempts` cannot be negative: write at least 1",
        ),
        (
            "#[retry(max_attempts = \"3\")]",
            "`max_attempts` is a whole number: write `max_attempts = 3`",
        ),
        (
            "#[retry(max_attempts = 3.0)]",
            "`max_attempts` is a whole number: write `max_attempts = 3`",
        ),
        (
            "#[retry(max_attempts = 5000000000)]",
            "`max_attempts` is too large: at most 4294967295",
        ),
        (
            "#[retry(multiplier = 0.5)]",
            "`multiplier` is a number of at least 1: write `multiplier = 2.0`",
        ),
        (
            "#[retry(budget = 0)]",
            "`budget` is a number above 0: write `budget = 0.2`",
        ),
        (
            "#[retry(jitter = 1.5)]",
            "`jitter` is a number above 0 and at most 1: write `jitter = 0.2`",
        ),
        (
            "#[retry(jitter = \"full\")]",
            "`jitter` takes a bare word: write `jitter = full`",
        ),
        (
            "#[retry(jitter = Jitter::Full)]",
            "`jitter` takes a bare word: write `jitter = full`",
        ),
        (
            "#[retry(backoff = steadfast::Backoff::Fixed)]",
            "`backoff` takes a bare word: write `backoff = fixed`",
        ),
        (
            "#[retry(preset = RetryPreset::FastApi)]",
            "`preset` takes a bare word: write `preset = fast_api`",
        ),
        (
            "#[retry(preset = ours)]",
            "`ours` is unknown: `preset` is one of `fast_api`, `slow_batch`, `critical` and `streaming`\na preset of your own is named in the configuration, not here",
        ),
        (
            "#[retry(jitter = ful)]",
            "`ful` is unknown: write `jitter = full`\n`jitter` is one of `full`, `equal`, `decorrelated` and `none`",
        ),
        (
            "#[retry(backoff = exponental)]",
            "`exponental` is unknown: write `backoff = exponential`\n`backoff` is one of `exponential`, `linear` and `fixed`",
        ),
        (
            "#[retry(base_delay = 250)]",
            "a duration needs its unit: write \"250ms\" or \"250s\"",
        ),
        (
            "#[retry(base_delay = 1.5)]",
            "a duration needs its unit: write \"1.5s\"",
        ),
        (
            "#[retry(base_delay = true)]",
            "`base_delay` is a duration: write `base_delay = \"100ms\"`",
        ),
        (
            "#[retry(base_delay = \"0s\")]",
            "`base_delay` cannot be zero: write \"100ms\", or leave it out",
        ),
        (
            "#[retry(base_delay = \"5min\")]",
            "`5min` has an unknown unit: write \"5m\" (ns, us, ms, s, m, h and d are the units)",
        ),
        (
            "#[retry(timeouts = 1)]",
            "`timeouts` is on or off: write `timeouts = false`",
        ),
        (
            "#[circuit_breaker(failure_rate = 50)]",
            "`failure_rate` is a number above 0 and at most 1: write `failure_rate = 0.5`",
        ),
        (
            "#[circuit_breaker(failure_rate = \"half\")]",
            "`failure_rate` is a number above 0 and at most 1: write `failure_rate = 0.5`",
        ),
        (
            "#[circuit_breaker(window = 0)]",
            "`window` cannot be 0: write at least 1",
        ),
        (
            "#[circuit_breaker(window = \"60\")]",
            "`60` has no unit: write \"60ms\" or \"60s\"",
        ),
        (
            "#[circuit_breaker(cancelled = success)]",
            "`success` is unknown: `cancelled` is one of `ignore` and `failure`",
        ),
        (
            "#[rate_limited(rate = 200)]",
            "a rate needs its time: write \"200/s\"",
        ),
        (
            "#[rate_limited(rate = \"200\")]",
            "`200` is no rate: write how many for what time, \"200/s\"",
        ),
        (
            "#[rate_limited(rate = \"200/s\", algorithm = leaky)]",
            "`leaky` is unknown: write `algorithm = leaky_bucket`\n`algorithm` is one of `token_bucket`, `leaky_bucket`, `fixed_window`, `sliding_window`, `sliding_window_counter` and `adaptive`",
        ),
        (
            "#[timeout(\"2\")]",
            "`2` has no unit: write \"2ms\" or \"2s\"",
        ),
        (
            "#[timeout(2)]",
            "a duration needs its unit: write \"2ms\" or \"2s\"",
        ),
    ];
    for (attributes, expected) in cases {
        assert_eq!(message(attributes), expected, "{attributes}");
    }
}

#[test]
fn settings_that_contradict_each_other() {
    let cases = [
        (
            "#[retry(base_delay = \"2s\", max_delay = \"1s\")]",
            "`max_delay` is under `base_delay`: write at least as much",
        ),
        (
            "#[retry(max_delay = \"500ms\")]",
            "`max_delay` is under `base_delay`, which is 1s where it is left out: set `base_delay` as well",
        ),
        (
            "#[retry(base_delay = \"2m\")]",
            "`base_delay` is above `max_delay`, which is 60s where it is left out: set `max_delay` as well",
        ),
        (
            "#[retry(backoff = fixed, multiplier = 3.0)]",
            "`multiplier` has no effect: `backoff = fixed` does not grow; leave it out",
        ),
        (
            "#[retry(backoff = |n| wait(n), base_delay = \"1s\")]",
            "`base_delay` has no effect: the `backoff` function says each delay; leave it out",
        ),
        (
            "#[circuit_breaker(slow_call_rate = 0.5)]",
            "`slow_call_rate` has no effect without `slow_call`: say which calls are slow, `slow_call = \"2s\"`, or leave it out",
        ),
        (
            "#[circuit_breaker(minimum_calls = 5)]",
            "`minimum_calls` has no effect: only a rate waits for a number of calls, and there is no `failure_rate` or `slow_call`; leave it out",
        ),
        (
            "#[circuit_breaker(failure_rate = 0.5, window = 5, minimum_calls = 6)]",
            "a window of 5 calls never holds 6: write at most 5, or a larger `window`",
        ),
        (
            "#[circuit_breaker(recovery_timeout = \"2m\", max_recovery_timeout = \"1m\")]",
            "`max_recovery_timeout` is under `recovery_timeout`: write at least as much",
        ),
        (
            "#[circuit_breaker(max_keys = 5)]",
            "`max_keys` has no effect: there is no `key`; leave it out",
        ),
        (
            "#[circuit_breaker(with = &self.breaker, window = 5)]",
            "`with` brings a policy that has its settings: set `window` where that is built",
        ),
        (
            "#[circuit_breaker(\"a\", with = &self.breaker)]",
            "`with` brings a policy that has its name: leave this one out",
        ),
        (
            "#[rate_limited]",
            "`#[rate_limited]` needs its rate: write `rate = \"200/s\"`",
        ),
        (
            "#[rate_limited(\"200/s\", burst = 5)]",
            "a lone string is the name: write `rate = \"200/s\"`",
        ),
        (
            "#[rate_limited(rate = \"5/s\", algorithm = fixed_window, burst = 5)]",
            "`burst` has no effect: only `token_bucket` and `leaky_bucket` have a bucket; leave it out",
        ),
        (
            "#[rate_limited(rate = \"5/s\", min_rate = \"1/s\")]",
            "`min_rate` has no effect: only `algorithm = adaptive` moves its rate; leave it out",
        ),
        (
            "#[rate_limited(rate = \"5/s\", algorithm = adaptive, min_rate = \"10/s\")]",
            "`min_rate` is above `rate`: write a lower one",
        ),
        (
            "#[rate_limited(rate = order.rate())]",
            "a rate that sees the parameters belongs to a key: write `key = ..` as well",
        ),
        (
            "#[bulkhead(max_queue = 5)]",
            "`max_queue` has no effect without `max_wait`: write `max_wait = \"1s\"` as well, or leave it out",
        ),
        (
            "#[timeout]",
            "`#[timeout]` needs its duration: write `#[timeout(\"2s\")]`",
        ),
        (
            "#[timeout(\"quotes\")]",
            "a lone string is the duration: write `#[timeout(\"2s\")]`, or with a name `#[timeout(\"quotes\", \"2s\")]`",
        ),
        (
            "#[fallback(cache(key = name, fresh = \"2s\", stale = \"1s\"))]",
            "answers are stale after they were fresh: write a `stale` of at least `fresh`",
        ),
    ];
    for (attributes, expected) in cases {
        assert_eq!(message(attributes), expected, "{attributes}");
    }
}

#[test]
fn answers() {
    let cases = [
        (
            "#[fallback]",
            "a fallback needs an answer: write a path, `|error| ..`, `value = ..`, `default` or `cache(..)`",
        ),
        (
            "#[fallback(other, default)]",
            "one answer is enough: keep either the function, `value = ..` or `default`",
        ),
        (
            "#[fallback(|| 1)]",
            "a fallback is given the error: write `|error| ..`",
        ),
        (
            "#[fallback(3)]",
            "a fallback is a path, `|error| ..`, `value = ..` or `default`: write `value = ..` for a value",
        ),
        (
            "#[fallback(cache(key = name))]",
            "a cache needs to know how long an answer is good: write `cache(key = .., fresh = \"5m\")`",
        ),
        (
            "#[fallback(cache(fresh = \"5m\"))]",
            "without a key, calls with different arguments share one answer: write `cache(key = .., ..)`",
        ),
    ];
    for (attributes, expected) in cases {
        assert_eq!(message(attributes), expected, "{attributes}");
    }
    accepted("#[fallback(cache(key = name, fresh = \"5m\"))]");
    accepted("#[fallback(\"name\", Self::other)]");
}

#[test]
fn orders() {
    let cases = [
        (
            "#[retry] #[fallback(default)]",
            "this fallback hides every failure from the `#[retry]` above it: move `#[fallback]` to the top, or restrict it with `when = ..`",
        ),
        (
            "#[circuit_breaker] #[timeout(\"1s\")] #[fallback(default)]",
            "this fallback hides every failure from the `#[circuit_breaker]` above it: move `#[fallback]` to the top, or restrict it with `when = ..`",
        ),
        (
            "#[bulkhead] #[bulkhead]",
            "a second `#[bulkhead]` without a name: write `#[bulkhead(\"name\", ..)]` on each, or keep one",
        ),
        (
            "#[bulkhead(\"a\")] #[bulkhead(\"a\")]",
            "two `#[bulkhead]` named \"a\" on one function are one instance, entered twice: give them different names, or keep one",
        ),
    ];
    for (attributes, expected) in cases {
        assert_eq!(message(attributes), expected, "{attributes}");
    }
    accepted("#[retry] #[fallback(default, when = is_odd)]");
    accepted("#[timeout(\"3s\")] #[retry] #[timeout(\"1s\")]");
    accepted("#[bulkhead(\"a\")] #[bulkhead(\"b\")]");
}

#[test]
fn what_expressions_may_use() {
    let cases = [
        (
            "#[retry(max_attempts = order.tries())]",
            "`max_attempts` is one value for all calls: it cannot use the parameter `order`; write a literal or a constant",
        ),
        (
            "#[retry(max_attempts = Self::TRIES)]",
            "`max_attempts` is one value for all calls: it cannot use `Self`; write a literal or a constant",
        ),
        (
            "#[bulkhead(key = name.parse::<u32>()?)]",
            "`?` in `key` has nowhere to go: handle the failure here",
        ),
        (
            "#[retry(on_retry = |_| return)]",
            "`return` in `on_retry` has nowhere to go: handle the failure here",
        ),
        (
            "#[retry(clone(ordre))]",
            "`ordre` is no parameter: the parameters are `order` and `name`",
        ),
        (
            "#[retry(clone(name))]",
            "`name` is a reference, and can be used again as it is: leave it out",
        ),
        (
            "#[retry(clone(self))]",
            "`self` is borrowed here, and can be used again as it is: leave it out",
        ),
    ];
    for (attributes, expected) in cases {
        assert_eq!(message(attributes), expected, "{attributes}");
    }
    accepted("#[retry(max_attempts = crate::TRIES, base_delay = Duration::from_millis(5))]");
    accepted("#[rate_limited(rate = order.rate(), key = name)]");
    accepted("#[timeout(order.patience())]");
}

#[test]
fn items_that_cannot_carry_a_stack() {
    let cases = [
        (
            "#[retry]",
            "struct S;",
            "`#[retry]` stands on functions only",
        ),
        (
            "#[retry]",
            "const X: u32 = 1;",
            "`#[retry]` stands on functions only",
        ),
        (
            "#[retry]",
            "impl S { fn f() {} }",
            "`#[retry]` stands on functions: put it on each method that needs it",
        ),
        (
            "#[retry]",
            "unsafe impl S { fn f() {} }",
            "`#[retry]` stands on functions: put it on each method that needs it",
        ),
        (
            "#[retry]",
            "fn f() -> R;",
            "`#[retry]` needs a body to run: put it on the implementations, or give this function a default body",
        ),
        (
            "#[retry]",
            "const fn f() -> R { 1 }",
            "a `const fn` cannot wait or count: remove `const`, or `#[retry]`",
        ),
        (
            "#[retry]",
            "fn f() { 1 }",
            "this function returns nothing, so `#[retry]` cannot see whether a call failed: return a `Result`",
        ),
        (
            "#[timeout(\"1s\")]",
            "fn f() -> R { 1 }",
            "a timeout drops a future, and a function that is not async has none: make it `async`, or set a time limit on what blocks in it",
        ),
        (
            "#[retry]",
            "fn f() -> impl Future<Output = R> { g() }",
            "a function that returns a future must end in its `async` block: write `async fn`, or end with `async move { .. }` or `Box::pin(async move { .. })`",
        ),
        (
            "#[retry]",
            "fn f(&mut self) -> Result<&T, E> { g() }",
            "a retried function cannot return a borrow of what it takes by `&mut`: the next attempt needs it back; return an owned value, or put `#[retry]` on a function inside",
        ),
        (
            "#[retry]",
            "fn f<'a>(a: &'a mut T, b: &T) -> Result<&'a T, E> { g() }",
            "a retried function cannot return a borrow of what it takes by `&mut`: the next attempt needs it back; return an owned value, or put `#[retry]` on a function inside",
        ),
        (
            "#[fallback(other)]",
            "fn f((a, b): (u8, u8)) -> R { g() }",
            "a fallback's path is called with every parameter: give this one a name, or write `|error| ..` in `#[fallback]`",
        ),
        (
            "#[retry]",
            "fn f() -> R { let body = async { 1 }; return tokio::runtime::Builder::new().block_on(body); }",
            "a runtime's attribute stands above `#[retry]`, and has made the function blocking: put `#[tokio::main]` or `#[tokio::test]` below the stack",
        ),
    ];
    for (attributes, function, expected) in cases {
        assert_eq!(on(attributes, function), expected, "{function}");
    }
}

#[test]
fn several_mistakes_are_told_at_once() {
    let messages = errors(expand(&format!(
        "#[retry(max_attempts = 0, jitter = ful)] #[bulkhead(max_wait = 5)] {ASYNC}"
    )));
    assert_eq!(messages.len(), 3, "{messages:#?}");
}

#[test]
fn an_item_with_a_mistake_is_still_there_once() {
    let expanded = expand(&format!(
        "#[retry(max_attempts = 0, attempt = n)] #[bulkhead] {ASYNC}"
    ));
    let text = expanded.to_string();
    assert_eq!(text.matches("fn f").count(), 1, "{text}");
    assert!(text.contains("let n :"), "{text}");
    assert!(text.contains("# [bulkhead (__taken)]"), "{text}");
}

#[test]
fn arguments_may_come_in_invisible_groups() {
    use proc_macro2::{Delimiter, Group, TokenStream};
    let group = |tokens: TokenStream| Group::new(Delimiter::None, tokens);
    let (zero, time) = (group(quote::quote!(0)), group(quote::quote!("5 s")));
    let arguments = quote::quote!(max_attempts = #zero, base_delay = #time);
    let item: TokenStream = ASYNC.parse().unwrap_or_default();
    let expanded = crate::attribute::attribute(crate::kind::Kind::Retry, arguments, item);
    assert_eq!(
        errors(expanded),
        [
            "`max_attempts` cannot be 0: write at least 1",
            "`5 s` has a space in it: write \"5s\""
        ]
    );
}
