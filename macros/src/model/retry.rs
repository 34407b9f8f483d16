//! What `#[retry]` may say.

use super::{
    circuit_breaker,
    setting::{Choice, Range},
};
use crate::parse::reader::Reader;
use proc_macro2::Group;
use syn::{
    Expr, Ident, Token,
    ext::IdentExt,
    parse::{ParseStream, Parser},
    punctuated::Punctuated,
};

const BACKOFF: Choice = Choice {
    of: "Backoff",
    words: &[
        ("exponential", "Exponential"),
        ("linear", "Linear"),
        ("fixed", "Fixed"),
    ],
};

const JITTER: Choice = Choice {
    of: "Jitter",
    words: &[
        ("full", "Full"),
        ("equal", "Equal"),
        ("decorrelated", "Decorrelated"),
        ("none", "None"),
    ],
};

pub(super) const PRESET: Choice = Choice {
    of: "RetryPreset",
    words: &[
        ("fast_api", "FastApi"),
        ("slow_batch", "SlowBatch"),
        ("critical", "Critical"),
        ("streaming", "Streaming"),
    ],
};

/// The site arguments of `#[retry]`.
pub(crate) struct Retry {
    pub(crate) backoff: Option<Expr>,
    pub(crate) when: Option<Expr>,
    pub(crate) when_value: Option<Expr>,
    pub(crate) until: Option<Expr>,
    pub(crate) retry_after: Option<Expr>,
    pub(crate) clone: Vec<Ident>,
    pub(crate) attempt: Option<Ident>,
    pub(crate) on_retry: Option<Expr>,
}

impl Retry {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        reader.preset(PRESET, ("#[circuit_breaker]", circuit_breaker::PRESET));
        reader.count("max_attempts", "3");
        let backoff = reader.choice_or_function("backoff", BACKOFF, "retry");
        reader.duration("base_delay", "100ms");
        reader.duration("max_delay", "10s");
        reader.number("multiplier", Range::AT_LEAST_ONE, "2.0");
        reader.choice_or_fraction("jitter", JITTER, Range::SHARE);
        reader.duration("max_elapsed", "30s");
        reader.switch("timeouts", "false");
        reader.number("budget", Range::POSITIVE, "0.2");
        reader.flag_setting("rejections");
        Self {
            backoff,
            when: reader.function("when", "error"),
            when_value: reader.function("when_value", "value"),
            until: reader.function("until", "value"),
            retry_after: reader.function("retry_after", "error"),
            clone: clones(reader),
            attempt: reader.binding("attempt", "n"),
            on_retry: reader.function("on_retry", "event"),
        }
    }
}

/// The names in `clone(a, b)`.
pub(crate) fn clones(reader: &mut Reader<'_>) -> Vec<Ident> {
    let Some((key, group)) = reader.list("clone", "order") else {
        return Vec::new();
    };
    let names = reader.errors.keep(names(&group)).unwrap_or_default();
    if names.is_empty() && reader.errors.is_empty() {
        reader.errors.on(
            key,
            "`clone` names no parameter: write `clone(order)`, or leave it out",
        );
    }
    names
}

fn names(group: &Group) -> syn::Result<Vec<Ident>> {
    let list =
        |input: ParseStream<'_>| Punctuated::<Ident, Token![,]>::parse_terminated_with(input, name);
    Ok(list.parse2(group.stream())?.into_iter().collect())
}

fn name(input: ParseStream<'_>) -> syn::Result<Ident> {
    input.call(Ident::parse_any).map_err(|error| {
        syn::Error::new(
            error.span(),
            "`clone` takes the names of parameters: write `clone(order)`",
        )
    })
}
