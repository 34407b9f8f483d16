//! A setting as the argument of its const setter.

use crate::model::setting::{Setting, Settings, Shape, Value};
use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, format_ident, quote_spanned};
use std::time::Duration;
use syn::{Path, spanned::Spanned};

/// `.max_attempts(4).base_delay(::core::time::Duration::new(0, 100000000))`
pub(crate) fn setters(settings: &Settings, krate: &Path) -> TokenStream {
    settings
        .iter()
        .map(|setting| {
            let here = Span::mixed_site();
            let name = Ident::new(&setting.key.to_string(), here);
            let value = value(setting, krate);
            quote_spanned!(here=> .#name(#value))
        })
        .collect()
}

fn value(setting: &Setting, krate: &Path) -> TokenStream {
    let source = &setting.source;
    let at = Span::mixed_site().located_at(source.span());
    match (setting.shape, setting.value) {
        (Shape::Window, Value::Duration(time)) => {
            let time = duration(time, at);
            quote_spanned!(at=> #krate::Window::Time(#time))
        }
        (Shape::Window, Value::Count(_)) => quote_spanned!(at=> #krate::Window::Count(#source)),
        (Shape::Window, _) => {
            quote_spanned!(at=> #krate::__private::WindowArg(#source).window())
        }
        (Shape::Fraction, value) => {
            let number = number(value, source, at);
            quote_spanned!(at=> #krate::Jitter::Fraction(#number))
        }
        (_, Value::Duration(time)) => duration(time, at),
        (_, Value::Rate(count, per)) => rate(count, per, krate, at),
        (_, Value::Choice(of, variant)) => {
            let (of, variant) = (
                format_ident!("{of}", span = at),
                format_ident!("{variant}", span = at),
            );
            quote_spanned!(at=> #krate::#of::#variant)
        }
        (_, value) => number(value, source, at),
    }
}

/// `1` where a fraction is wanted is `1.0`.
fn number(value: Value, source: &impl ToTokens, at: Span) -> TokenStream {
    match value {
        Value::Number(number) => {
            let mut literal = Literal::f64_unsuffixed(number);
            literal.set_span(at);
            literal.to_token_stream()
        }
        _ => source.to_token_stream(),
    }
}

fn duration(duration: Duration, at: Span) -> TokenStream {
    let mut seconds = Literal::u64_unsuffixed(duration.as_secs());
    let mut nanos = Literal::u32_unsuffixed(duration.subsec_nanos());
    seconds.set_span(at);
    nanos.set_span(at);
    quote_spanned!(at=> ::core::time::Duration::new(#seconds, #nanos))
}

fn rate(count: u32, per: Duration, krate: &Path, at: Span) -> TokenStream {
    let mut count = Literal::u32_unsuffixed(count);
    count.set_span(at);
    let per = duration(per, at);
    quote_spanned!(at=> #krate::Rate::new(#count, #per))
}
