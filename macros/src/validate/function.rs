//! Can this function carry this stack?

use crate::{
    errors::Errors,
    function::{
        Function,
        output::Borrows,
        parameter::{Parameter, bare},
    },
    kind::Kind,
    mention::mentions,
    model::{
        fallback::Answer,
        layer::{Layer, Policy},
        stack::Stack,
    },
};
use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::{FnArg, Pat, Type};

pub(crate) fn check(stack: &Stack, function: &Function, errors: &mut Errors) {
    let Some(top) = stack.layers.first() else {
        return;
    };
    if runtime_above(top, function, errors) || renamed(top, function, errors) {
        return;
    }
    constness(top, function, errors);
    output(top, function, errors);
    for layer in &stack.layers {
        timeout(layer, function, errors);
        clones(layer, function, errors);
        handed_on(layer, function, errors);
    }
    let retry = stack.layers.iter().find(|layer| layer.repeats());
    if let Some(retry) = retry {
        lent_mutably(retry, function, errors);
    }
}

fn constness(top: &Layer, function: &Function, errors: &mut Errors) {
    if let Some(constness) = &function.item.signature.constness {
        errors.on(
            constness,
            format!(
                "a `const fn` cannot wait or count: remove `const`, or `#[{}]`",
                top.kind.attribute()
            ),
        );
    }
}

/// `#[tokio::main]` and `#[tokio::test]` above have already put the body into a runtime of their own.
fn runtime_above(top: &Layer, function: &Function, errors: &mut Errors) -> bool {
    let signature = &function.item.signature;
    let is_runtime = signature.asyncness.is_none() && {
        let body = function.body.stream();
        mentions(&body, "block_on") && mentions(&body, "Builder") && starts_with_future(function)
    };
    if is_runtime {
        errors.at(
            top.span,
            format!(
                "a runtime's attribute stands above `#[{}]`, and has made the function blocking: put `#[tokio::main]` or `#[tokio::test]` below the stack",
                top.kind.attribute()
            ),
        );
    }
    is_runtime
}

/// An attribute under another name is not recognised as part of the stack above it: it stays on the
/// function, and would be expanded around that stack.
fn renamed(top: &Layer, function: &Function, errors: &mut Errors) -> bool {
    let is_expanded = has_site(function.item.body.stream());
    if is_expanded {
        let attribute = top.kind.attribute();
        errors.at(
            top.span,
            format!(
                "written this way, the attribute is not seen as part of the stack above it, and would end up around it: write `#[{attribute}(..)]` or `#[steadfast::{attribute}(..)]`"
            ),
        );
    }
    is_expanded
}

/// `static __SITE` among the body's own items
fn has_site(body: TokenStream) -> bool {
    let tokens: Vec<_> = body.into_iter().map(|token| token.to_string()).collect();
    tokens.windows(2).any(|pair| pair == ["static", "__SITE"])
}

/// `let body = async { .. };`
fn starts_with_future(function: &Function) -> bool {
    let start: Vec<String> = function
        .body
        .stream()
        .into_iter()
        .take(4)
        .map(|token| token.to_string())
        .collect();
    matches!(start.as_slice(), [first, _, equals, fourth] if first == "let" && equals == "=" && fourth == "async")
}

fn output(top: &Layer, function: &Function, errors: &mut Errors) {
    let is_unit = matches!(bare(&function.output), Type::Tuple(tuple) if tuple.elems.is_empty());
    if is_unit {
        errors.on(
            &function.item.signature.ident,
            format!(
                "this function returns nothing, so `#[{}]` cannot see whether a call failed: return a `Result`",
                top.kind.attribute()
            ),
        );
    }
}

fn timeout(layer: &Layer, function: &Function, errors: &mut Errors) {
    if layer.kind == Kind::Timeout && !function.is_async {
        errors.at(
            layer.span,
            "a timeout drops a future, and a function that is not async has none: make it `async`, or set a time limit on what blocks in it",
        );
    }
}

fn clones(layer: &Layer, function: &Function, errors: &mut Errors) {
    for name in layer.clones() {
        match name == "self" {
            true => cloned_self(name, function, errors),
            false => cloned_parameter(name, function, errors),
        }
    }
}

fn cloned_self(name: &Ident, function: &Function, errors: &mut Errors) {
    match function.receiver() {
        None => errors.on(name, "this function has no `self`: leave it out"),
        Some(receiver) if receiver.reference.is_some() => errors.on(
            name,
            "`self` is borrowed here, and can be used again as it is: leave it out",
        ),
        Some(_) => {}
    }
}

fn cloned_parameter(name: &Ident, function: &Function, errors: &mut Errors) {
    let parameter = function.parameters.iter().find(|own| own.name == *name);
    match parameter {
        None => {
            let names: Vec<String> = function
                .parameters
                .iter()
                .filter(|own| own.is_named)
                .map(|own| own.name.to_string())
                .collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let known = match names.is_empty() {
                true => "this function has none".to_owned(),
                false => format!("the parameters are {}", crate::parse::nearest::list(&names)),
            };
            errors.on(name, format!("`{name}` is no parameter: {known}"));
        }
        Some(own) if own.is_reference() => errors.on(
            name,
            format!("`{name}` is a reference, and can be used again as it is: leave it out"),
        ),
        Some(_) => {}
    }
}

/// A fallback's path is called with the parameters, so each needs a name.
fn handed_on(layer: &Layer, function: &Function, errors: &mut Errors) {
    let Policy::Fallback(fallback) = &layer.policy else {
        return;
    };
    if !matches!(fallback.answer, Some(Answer::Path(_))) {
        return;
    }
    for input in &function.item.signature.inputs {
        if let FnArg::Typed(typed) = input
            && !matches!(&*typed.pat, Pat::Ident(_))
        {
            errors.on(
                    &typed.pat,
                    "a fallback's path is called with every parameter: give this one a name, or write `|error| ..` in `#[fallback]`",
                );
        }
    }
}

/// An attempt's answer that borrows from what the next attempt borrows mutably.
fn lent_mutably(retry: &Layer, function: &Function, errors: &mut Errors) {
    let borrows = Borrows::of(&function.output);
    let is_lent = match borrows.elided {
        true => elided_from_mutable(function),
        false => false,
    } || named_from_mutable(function, &borrows);
    if is_lent {
        errors.on(
            &function.output,
            format!(
                "a retried function cannot return a borrow of what it takes by `&mut`: the next attempt needs it back; return an owned value, or put `#[{}]` on a function inside",
                retry.kind.attribute()
            ),
        );
    }
}

/// What an elided lifetime stands for: `self`, else the only reference.
fn elided_from_mutable(function: &Function) -> bool {
    match function.receiver() {
        Some(receiver) if is_mutable_borrow(&receiver.ty) => true,
        Some(receiver) if has_borrow(&receiver.ty) => false,
        _ => {
            let types = function.parameters.iter().filter_map(own_type);
            let mut borrowed = types.filter(|ty| has_borrow(ty));
            matches!((borrowed.next(), borrowed.next()), (Some(only), None) if is_mutable_borrow(only))
        }
    }
}

fn own_type(parameter: &Parameter) -> Option<&Type> {
    parameter.ty.as_ref()
}

fn has_borrow(ty: &Type) -> bool {
    let borrows = Borrows::of(ty);
    borrows.elided || !borrows.named.is_empty()
}

/// `&mut T`, `Pin<&mut T>`
fn is_mutable_borrow(ty: &Type) -> bool {
    match bare(ty) {
        Type::Reference(reference) => reference.mutability.is_some(),
        Type::Path(path) => {
            let last = path.path.segments.last();
            last.is_some_and(|last| {
                last.ident == "Pin" && mentions(&last.arguments.to_token_stream(), "mut")
            })
        }
        _ => false,
    }
}

fn named_from_mutable(function: &Function, borrows: &Borrows) -> bool {
    let receiver = function.receiver().map(|receiver| &*receiver.ty);
    let types = function
        .parameters
        .iter()
        .filter_map(own_type)
        .chain(receiver);
    types.into_iter().any(|ty| match bare(ty) {
        Type::Reference(reference) => {
            reference.mutability.is_some()
                && reference
                    .lifetime
                    .as_ref()
                    .is_some_and(|lifetime| borrows.named.contains(lifetime))
        }
        _ => false,
    })
}
