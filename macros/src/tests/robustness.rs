//! Whatever tokens come: never a panic, always tokens or an error.

use super::errors;
use crate::{attribute::attribute, kind::Kind};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use proptest::prelude::*;

const KINDS: [Kind; 6] = [
    Kind::Retry,
    Kind::CircuitBreaker,
    Kind::RateLimited,
    Kind::Bulkhead,
    Kind::Timeout,
    Kind::Fallback,
];

const WORDS: [&str; 75] = [
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
    "r#type",
    "r#async",
    "_",
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

/// Attributes as people write them, each with its kind: what is mutated.
const VALID: [(Kind, &str); 18] = [
    (
        Kind::Retry,
        r#"max_attempts = 4, base_delay = "100ms", when = Error::is_transient"#,
    ),
    (
        Kind::Retry,
        r#"backoff = linear, base_delay = "1ms", max_delay = "1s", jitter = 0.5, multiplier = 2.5"#,
    ),
    (
        Kind::Retry,
        r"until = |n| *n > limit, attempt = n, clone(order, self), on_retry = |event| { log(event).await; }",
    ),
    (
        Kind::Retry,
        r#""name", rejections, timeouts = false, budget = 0.2, backoff = |n| Duration::from_secs(n)"#,
    ),
    (
        Kind::CircuitBreaker,
        r#""quotes", failure_rate = 0.5, window = 100, recovery_timeout = "30s""#,
    ),
    (
        Kind::CircuitBreaker,
        r#"window = "10s", key = order.host, max_keys = 9, cancelled = failure, enforce = true"#,
    ),
    (
        Kind::CircuitBreaker,
        r"with = &self.breaker, ignore = |e| e.is_not_found(), crate = ::other",
    ),
    (
        Kind::RateLimited,
        r#""quotes", rate = "200/s", burst = 50, max_wait = "250ms""#,
    ),
    (
        Kind::RateLimited,
        r"rate = order.plan(), key = order.id, cost = order.len() as u32, bypass = order.urgent",
    ),
    (
        Kind::RateLimited,
        r#"rate = "9/s", algorithm = adaptive, min_rate = "1/s", interval = "2s""#,
    ),
    (
        Kind::Bulkhead,
        r#""quotes", max_concurrent = 16, max_wait = "1s", max_queue = 5"#,
    ),
    (Kind::Bulkhead, r"key = format!(r#type), max_keys = 4"),
    (Kind::Timeout, r#""2s""#),
    (
        Kind::Timeout,
        r#""quotes", "2s", reject_with = |r| r.into()"#,
    ),
    (Kind::Timeout, r"after = order.patience() * 2"),
    (Kind::Fallback, r"|error| stale(order, error).await"),
    (
        Kind::Fallback,
        r#"cache(key = order.id, fresh = "5m", stale = "1h"), value = 5, when = E::is_bad"#,
    ),
    (Kind::Fallback, r"clone(order), module::stand_in::<u8>"),
];

const METHOD: &str =
    "async fn f(&self, order: Order, r#type: u8) -> Result<u32, E> { self.0(order).await }";

/// A change to a list of tokens: which, and where.
#[derive(Debug, Clone)]
enum Mutation {
    Delete(usize),
    Duplicate(usize),
    Swap(usize, usize),
    Insert(usize, &'static str),
    /// Hides a token in the invisible group of a macro fragment.
    Hide(usize),
    /// The same inside of a group.
    Inside(usize, Box<Mutation>),
}

impl Mutation {
    fn apply(&self, tokens: &mut Vec<TokenTree>) {
        if tokens.is_empty() {
            return;
        }
        let count = tokens.len();
        match self {
            Self::Delete(at) => drop(tokens.remove(at % count)),
            Self::Duplicate(at) => tokens.insert(at % count, tokens[at % count].clone()),
            Self::Swap(a, b) => tokens.swap(a % count, b % count),
            Self::Insert(at, word) => {
                for (place, token) in (at % count..).zip(self::tokens(&[word])) {
                    tokens.insert(place, token);
                }
            }
            Self::Hide(at) => {
                let hidden = tokens[at % count].clone().into();
                tokens[at % count] = Group::new(Delimiter::None, hidden).into();
            }
            Self::Inside(at, mutation) => {
                let mut groups = tokens.iter_mut().filter_map(|token| match token {
                    TokenTree::Group(group) => Some(group),
                    _ => None,
                });
                if let Some(group) = groups.nth(at % 3) {
                    let mut inner: Vec<_> = group.stream().into_iter().collect();
                    mutation.apply(&mut inner);
                    *group = Group::new(group.delimiter(), inner.into_iter().collect());
                }
            }
        }
    }
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let word = proptest::sample::select(WORDS.as_slice());
    let flat = prop_oneof![
        (0_usize..40).prop_map(Mutation::Delete),
        (0_usize..40).prop_map(Mutation::Duplicate),
        (0_usize..40, 0_usize..40).prop_map(|(a, b)| Mutation::Swap(a, b)),
        (0_usize..40, word).prop_map(|(at, word)| Mutation::Insert(at, word)),
        (0_usize..40).prop_map(Mutation::Hide),
    ];
    flat.prop_recursive(2, 8, 1, |inner| {
        (0_usize..3, inner).prop_map(|(at, inner)| Mutation::Inside(at, Box::new(inner)))
    })
}

/// How often the function is there.
fn functions(tokens: &TokenStream) -> usize {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let pairs = tokens.windows(2);
    pairs
        .filter(|pair| pair[0].to_string() == "fn" && pair[1].to_string() == "f")
        .count()
}

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

/// More cases than elsewhere; `PROPTEST_CASES` raises them all alike.
fn thorough() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig {
        cases: config.cases.saturating_mul(8),
        ..config
    }
}

proptest! {
    #![proptest_config(thorough())]

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
    fn any_mutation_of_what_people_write(
        valid in 0..VALID.len(),
        mutations in proptest::collection::vec(mutation(), 0..5),
    ) {
        let (kind, text) = VALID[valid];
        let mut arguments: Vec<_> = text.parse::<TokenStream>().expect("tokens").into_iter().collect();
        mutations.iter().for_each(|mutation| mutation.apply(&mut arguments));
        let item: TokenStream = METHOD.parse().expect("tokens");
        let expanded = attribute(kind, arguments.into_iter().collect(), item);
        prop_assert_eq!(functions(&expanded), 1, "the function is there once: {}", expanded);
        if errors(expanded.clone()).is_empty() {
            let parsed = syn::parse2::<syn::ImplItemFn>(expanded.clone());
            prop_assert!(parsed.is_ok(), "what is no error is a function: {}", expanded);
        }
    }

    #[test]
    fn any_mutation_of_the_function(
        valid in 0..VALID.len(),
        mutations in proptest::collection::vec(mutation(), 1..5),
    ) {
        let (kind, text) = VALID[valid];
        let mut item: Vec<_> = METHOD.parse::<TokenStream>().expect("tokens").into_iter().collect();
        mutations.iter().for_each(|mutation| mutation.apply(&mut item));
        let expanded = attribute(kind, text.parse().expect("tokens"), item.into_iter().collect());
        prop_assert!(!expanded.is_empty());
    }

    #[test]
    fn any_mutation_of_a_whole_stack(
        places in proptest::collection::vec(0..VALID.len(), 1..4),
        mutations in proptest::collection::vec(mutation(), 0..5),
    ) {
        let stack: String = places.iter().map(|place| {
            let (kind, text) = VALID[*place];
            format!("#[{}({text})] ", kind.attribute())
        }).collect();
        let text = format!("{stack} {METHOD}");
        let mut item: Vec<_> = text.parse::<TokenStream>().expect("tokens").into_iter().collect();
        mutations.iter().for_each(|mutation| mutation.apply(&mut item));
        let expanded = attribute(Kind::Fallback, "default".parse().expect("tokens"), item.into_iter().collect());
        prop_assert!(!expanded.is_empty());
    }

    #[test]
    fn what_is_no_function_is_refused(kind in 0_usize..6, words in words()) {
        let item: TokenStream = "struct S;".parse().expect("tokens");
        let expanded = attribute(KINDS[kind], tokens(&words), item);
        prop_assert_eq!(errors(expanded).len(), 1);
    }
}
