//! Whatever tokens come: never a panic, always tokens or an error.

use super::errors;
use crate::{attribute::attribute, kind::Kind};
use proc_macro2::TokenStream;
use proptest::prelude::*;

const KINDS: [Kind; 6] = [
    Kind::Retry,
    Kind::CircuitBreaker,
    Kind::RateLimited,
    Kind::Bulkhead,
    Kind::Timeout,
    Kind::Fallback,
];

const WORDS: [&str; 72] = [
    "max_attempts",
    "backoff",
    "base_delay",
    "max_delay",
    "multiplier",
    "jitter",
    "when",
    "until",
    "retry_after",
    "budget",
    "rejections",
    "clone",
    "attempt",
    "on_retry",
    "window",
    "key",
    "max_keys",
    "rate",
    "burst",
    "cost",
    "bypass",
    "max_wait",
    "after",
    "cache",
    "fresh",
    "stale",
    "value",
    "default",
    "with",
    "reject_with",
    "crate",
    "shared",
    "self",
    "Self",
    "order",
    "full",
    "fixed",
    "adaptive",
    "true",
    "false",
    "=",
    "==",
    ",",
    ";",
    ":",
    "::",
    "|",
    "||",
    "?",
    ".",
    "-",
    "&",
    "#",
    "!",
    "->",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "0",
    "1",
    "-1",
    "0.5",
    "3u8",
    "\"2s\"",
    "\"200/s\"",
    "\"\"",
    "'a",
    "async",
    "'x'",
];

const ITEMS: [&str; 8] = [
    "async fn f(&self, order: Order) -> Result<u32, E> { self.0(order).await }",
    "fn f<'a, T: Clone>(a: &'a mut T, (b, mut c): (u8, u8)) -> Result<&'a T, E> { Ok(a) }",
    "fn f() -> impl Future<Output = Result<u32, E>> { async move { Ok(1) } }",
    "#[retry] #[cfg_attr(x, timeout(\"1s\"))] async fn f() -> Result<u32, E> { Ok(1) }",
    "#[fallback(default)] #[steadfast::bulkhead] pub unsafe extern \"C\" fn f(_: u8) -> R { g() }",
    "const fn f() {}",
    "fn f();",
    "struct S;",
];

/// Words as tokens; those with open brackets are closed.
fn tokens(words: &[&str]) -> TokenStream {
    let mut text = String::new();
    let mut open = Vec::new();
    for word in words {
        match *word {
            "(" => open.push(")"),
            "[" => open.push("]"),
            "{" => open.push("}"),
            ")" | "]" | "}" if open.last() != Some(word) => continue,
            ")" | "]" | "}" => {
                open.pop();
            }
            _ => {}
        }
        text.push_str(word);
        text.push(' ');
    }
    open.iter().rev().for_each(|close| text.push_str(close));
    text.parse().unwrap_or_default()
}

fn words() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::collection::vec(proptest::sample::select(WORDS.as_slice()), 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_arguments(kind in 0_usize..6, item in 0_usize..8, words in words()) {
        let item: TokenStream = ITEMS[item].parse().expect("tokens");
        let expanded = attribute(KINDS[kind], tokens(&words), item);
        prop_assert!(!expanded.is_empty());
    }

    #[test]
    fn any_item(kind in 0_usize..6, words in words()) {
        let item = tokens(&words);
        let expanded = attribute(KINDS[kind], TokenStream::new(), item);
        prop_assert!(!expanded.is_empty());
    }

    #[test]
    fn what_is_no_function_is_refused(kind in 0_usize..6, words in words()) {
        let item: TokenStream = "struct S;".parse().expect("tokens");
        let expanded = attribute(KINDS[kind], tokens(&words), item);
        prop_assert_eq!(errors(expanded).len(), 1);
    }
}
