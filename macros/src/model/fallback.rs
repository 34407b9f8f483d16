//! What `#[fallback]` may say.

use super::retry::clones;
use crate::parse::{
    literal::bare,
    reader::{Reader, closure_head},
};
use proc_macro2::Span;
use syn::{Expr, ExprClosure, Ident};

/// What the caller gets in place of the failure.
pub(crate) enum Answer {
    /// `|error| expr`
    Closure(ExprClosure),
    /// A function of the same parameters, and the error.
    Path(Expr),
    /// `value = expr`
    Value(Expr),
    /// `default`
    Default(Ident),
}

/// `cache(..)`
pub(crate) struct Cache {
    /// The word `cache`.
    pub(crate) word: Ident,
    pub(crate) key: Option<Expr>,
}

/// The site arguments of `#[fallback]`.
pub(crate) struct Fallback {
    pub(crate) cache: Option<Cache>,
    pub(crate) answer: Option<Answer>,
    pub(crate) when: Option<Expr>,
    pub(crate) clone: Vec<Ident>,
}

const KEYS: [&str; 9] = [
    "cache",
    "value",
    "default",
    "when",
    "clone",
    "shared",
    "with",
    "reject_with",
    "crate",
];

impl Fallback {
    pub(crate) fn read(reader: &mut Reader<'_>, span: Span) -> Self {
        let positional = reader.unclaimed(&KEYS);
        let positional = positional.and_then(|answer| function(reader, answer));
        let cache = cache(reader);
        reader.misplaced(&["key", "fresh", "stale", "max_entries"], "`cache(..)`");
        let value = reader.expression("value", "Quote::unknown()");
        let default = reader.flag("default");
        reader.flag_setting("shared");
        let answer = only_one(reader, positional, value, default);
        let is_empty = answer.is_none() && cache.is_none() && reader.errors.is_empty();
        if is_empty {
            reader.errors.at(span, "a fallback needs an answer: write a path, `|error| ..`, `value = ..`, `default` or `cache(..)`");
        }
        Self {
            cache,
            answer,
            when: reader.function("when", "error"),
            clone: clones(reader),
        }
    }

    /// Does it answer every failure?
    pub(crate) fn is_unconditional(&self) -> bool {
        self.when.is_none() && self.answer.is_some()
    }
}

fn function(reader: &mut Reader<'_>, answer: Expr) -> Option<Answer> {
    match bare(&answer) {
        Expr::Closure(closure) if closure.inputs.len() == 1 => {
            Some(Answer::Closure(closure.clone()))
        }
        Expr::Closure(closure) => {
            reader.errors.on(
                closure_head(closure),
                "a fallback is given the error: write `|error| ..`",
            );
            None
        }
        Expr::Path(_) => Some(Answer::Path(answer)),
        _ => {
            reader.errors.on(
                &answer,
                "a fallback is a path, `|error| ..`, `value = ..` or `default`: write `value = ..` for a value",
            );
            None
        }
    }
}

fn only_one(
    reader: &mut Reader<'_>,
    function: Option<Answer>,
    value: Option<Expr>,
    default: Option<Ident>,
) -> Option<Answer> {
    let value = value.map(Answer::Value);
    let default = default.map(Answer::Default);
    let mut answers = [function, value, default].into_iter().flatten();
    let first = answers.next();
    for other in answers {
        let message = "one answer is enough: keep either the function, `value = ..` or `default`";
        match other {
            Answer::Closure(closure) => reader.errors.on(closure, message),
            Answer::Path(path) | Answer::Value(path) => reader.errors.on(path, message),
            Answer::Default(word) => reader.errors.on(word, message),
        }
    }
    first
}

fn cache(reader: &mut Reader<'_>) -> Option<Cache> {
    let (word, group) = reader.list("cache", "key = symbol, fresh = \"5m\"")?;
    let mut inside = reader.nested("cache(..)", &group);
    inside.duration("fresh", "5m");
    inside.duration("stale", "1h");
    inside.count("max_entries", "10_000");
    let key = inside.expression("key", "symbol");
    let settings = inside.finish();
    if !settings.is_written("fresh") {
        reader.errors.on(
            &word,
            "a cache needs to know how long an answer is good: write `cache(key = .., fresh = \"5m\")`",
        );
    }
    reader.settings_mut().append(settings);
    Some(Cache { word, key })
}
