//! The steadfast attributes below the topmost one.

use super::argument::{Argument, arguments};
use crate::{errors::Errors, kind::Kind};
use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::{
    Attribute, Expr, Meta, Path, Token, parse::Parser, punctuated::Punctuated, spanned::Spanned,
};

/// An attribute taken off the item.
pub(crate) struct Sibling {
    pub(crate) kind: Kind,
    pub(crate) path: Path,
    pub(crate) span: Span,
    pub(crate) arguments: TokenStream,
}

/// The path that `crate = path` gives, if it is there.
pub(crate) fn krate(tokens: &TokenStream) -> Option<Path> {
    let all = arguments(tokens.clone(), &mut Errors::default());
    all.into_iter().find_map(|argument| match argument {
        Argument::Pair(key, Expr::Path(path)) if key == "crate" => Some(path.path),
        _ => None,
    })
}

/// Takes the steadfast attributes off, from the outermost in.
pub(crate) fn take(
    attributes: &mut Vec<Attribute>,
    krate: Option<&Path>,
    errors: &mut Errors,
) -> Vec<Sibling> {
    let mut taken = Vec::new();
    for attribute in std::mem::take(attributes) {
        match kind(&attribute.meta, krate) {
            Some(kind) => taken.push(sibling(kind, attribute.meta, errors)),
            None => attributes.push(attribute),
        }
    }
    taken
}

fn sibling(kind: Kind, meta: Meta, errors: &mut Errors) -> Sibling {
    let span = meta.path().span();
    let arguments = match &meta {
        Meta::Path(_) => TokenStream::new(),
        Meta::List(list) => list.tokens.clone(),
        Meta::NameValue(pair) => {
            let attribute = kind.attribute();
            errors.on(
                pair,
                format!("arguments stand in parentheses: write `#[{attribute}(..)]`"),
            );
            TokenStream::new()
        }
    };
    Sibling {
        kind,
        path: meta.path().clone(),
        span,
        arguments,
    }
}

/// Which attribute of ours `meta` is: by its name alone, under `steadfast::`, or under `crate = path`
/// (also where the attribute leaves the path's beginning out: `kit::retry` for `crate::kit`).
fn kind(meta: &Meta, krate_above: Option<&Path>) -> Option<Kind> {
    let path = meta.path();
    let last = path.segments.last()?;
    let kind = Kind::named(&last.ident.to_string())?;
    let prefix: Vec<String> = path
        .segments
        .iter()
        .rev()
        .skip(1)
        .rev()
        .map(|segment| segment.ident.to_string())
        .collect();
    let own = match meta {
        Meta::List(list) => krate(&list.tokens),
        _ => None,
    };
    let is_ours = prefix.is_empty()
        || prefix == ["steadfast"]
        || [own.as_ref(), krate_above]
            .into_iter()
            .flatten()
            .any(|krate| names(krate).ends_with(&prefix));
    is_ours.then_some(kind)
}

fn names(path: &Path) -> Vec<String> {
    path.segments
        .iter()
        .map(|segment| segment.ident.to_string())
        .collect()
}

/// The item's attributes under a condition, and without it.
pub(crate) struct Split {
    pub(crate) condition: TokenStream,
    pub(crate) met: Vec<Attribute>,
    pub(crate) unmet: Vec<Attribute>,
}

/// Splits at the first `#[cfg_attr(condition, ..)]` that holds a steadfast attribute. The compiler has
/// not looked at it yet: it does so from the outermost attribute in.
pub(crate) fn split(attributes: &[Attribute], krate: Option<&Path>) -> Option<Split> {
    attributes
        .iter()
        .enumerate()
        .find_map(|(place, attribute)| {
            let (condition, metas) = conditional(attribute)?;
            metas.iter().find(|meta| kind(meta, krate).is_some())?;
            let (before, after) = (&attributes[..place], &attributes[place + 1..]);
            let inner = metas.into_iter().map(|meta| Attribute {
                meta,
                ..attribute.clone()
            });
            Some(Split {
                condition,
                met: before
                    .iter()
                    .cloned()
                    .chain(inner)
                    .chain(after.iter().cloned())
                    .collect(),
                unmet: before.iter().chain(after).cloned().collect(),
            })
        })
}

/// `#[cfg_attr(condition, meta, meta)]`
fn conditional(attribute: &Attribute) -> Option<(TokenStream, Vec<Meta>)> {
    let Meta::List(list) = &attribute.meta else {
        return None;
    };
    if !list.path.is_ident("cfg_attr") {
        return None;
    }
    let metas = Punctuated::<Meta, Token![,]>::parse_terminated
        .parse2(list.tokens.clone())
        .ok()?;
    let mut metas = metas.into_iter();
    let condition = metas.next()?.into_token_stream();
    Some((condition, metas.collect()))
}
