//! How the body takes hold of the parameters.
//!
//! A body that runs once owns them, as in the bare function: its future then is `Send` wherever theirs
//! is, and drops them in the same order. Where they are still needed afterwards (another attempt, an
//! answer, a predicate that names one), the body borrows what it does not consume.

use crate::{
    function::{Function, frame::here},
    mention::mentions,
    model::{
        fallback::Answer,
        layer::{Layer, Policy},
        stack::Stack,
    },
};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote_spanned};

/// A parameter bound again inside the body, so that the body owns it.
pub(crate) struct Rebound {
    pub(crate) name: Ident,
    /// The name outside, where it differs.
    pub(crate) outside: Option<Ident>,
    pub(crate) mutability: Option<syn::Token![mut]>,
}

/// What is captured how.
pub(crate) struct Captures {
    /// For each layer, and last for the body: may what it runs take the parameters?
    moves: Vec<bool>,
    pub(crate) rebound: Vec<Rebound>,
}

impl Captures {
    pub(crate) fn new(stack: &Stack, function: &Function) -> Self {
        let moves: Vec<bool> = (0..=stack.layers.len())
            .map(|place| {
                let above = &stack.layers[..place];
                !above.iter().any(Layer::repeats) && !needed_after(stack, above, function)
            })
            .collect();
        let rebound = match stack.layers.iter().any(Layer::repeats) || !function.frame.is_plain() {
            true => Vec::new(),
            false => rebound(stack, function, moves.last().copied().unwrap_or(true)),
        };
        Self { moves, rebound }
    }

    pub(crate) fn moves_at(&self, place: usize) -> bool {
        self.moves.get(place).copied().unwrap_or(false)
    }
}

/// Does anything that runs after the layers inside name a parameter that they would take?
fn needed_after(stack: &Stack, above: &[Layer], function: &Function) -> bool {
    let after = afterwards(stack, above, function);
    let owned = function
        .parameters
        .iter()
        .filter(|parameter| !parameter.is_plainly_copy())
        .map(|parameter| parameter.name.to_string());
    owned
        .chain(owned_self(function))
        .any(|name| after.iter().any(|tokens| mentions(tokens, &name)))
}

/// `self`, unless it is a shared reference.
fn owned_self(function: &Function) -> Option<String> {
    let receiver = function.receiver()?;
    let is_shared = receiver.reference.is_some() && receiver.mutability.is_none();
    (!is_shared).then(|| "self".to_owned())
}

fn afterwards(stack: &Stack, above: &[Layer], function: &Function) -> Vec<TokenStream> {
    let conversion = stack
        .layers
        .first()
        .and_then(|top| top.reject_with.as_ref());
    above
        .iter()
        .flat_map(|layer| layer_afterwards(layer, function))
        .chain(conversion.map(ToTokens::to_token_stream))
        .collect()
}

fn layer_afterwards(layer: &Layer, function: &Function) -> Vec<TokenStream> {
    let expressions = match &layer.policy {
        Policy::CircuitBreaker(breaker) => {
            vec![&breaker.when, &breaker.when_value, &breaker.ignore]
        }
        Policy::Fallback(fallback) => vec![&fallback.when],
        // A retry lends everything anyway; the others are done before the body begins.
        _ => Vec::new(),
    };
    let mut tokens: Vec<TokenStream> = expressions
        .into_iter()
        .flatten()
        .map(ToTokens::to_token_stream)
        .collect();
    if let Policy::Fallback(fallback) = &layer.policy {
        tokens.extend(
            fallback
                .answer
                .as_ref()
                .map(|answer| answered(answer, function)),
        );
    }
    tokens
}

fn answered(answer: &Answer, function: &Function) -> TokenStream {
    match answer {
        Answer::Closure(closure) => closure.to_token_stream(),
        Answer::Value(value) => value.to_token_stream(),
        Answer::Default(_) => TokenStream::new(),
        Answer::Path(_) => {
            let names = function.parameters.iter().map(|parameter| &parameter.name);
            let own = function.receiver().map(|receiver| &receiver.self_token);
            let mut all: TokenStream = names.map(ToTokens::to_token_stream).collect();
            own.to_tokens(&mut all);
            all
        }
    }
}

/// The parameters whose drop order, or whose owner, would otherwise change.
fn rebound(stack: &Stack, function: &Function, moves: bool) -> Vec<Rebound> {
    let owned: Vec<_> = function
        .parameters
        .iter()
        .filter(|parameter| !parameter.is_plainly_copy())
        .collect();
    let with_self = owned.len() + usize::from(owned_self(function).is_some());
    // One owned variable has no order, and a block that moves takes it anyway. One that is changed is a
    // variable of the body's own, or the compiler finds changes to a captured field useless.
    let is_changed = owned.iter().any(|parameter| parameter.mutability.is_some());
    if moves && with_self < 2 && !is_changed {
        return Vec::new();
    }
    let after = afterwards(stack, &stack.layers, function);
    let body = function.body.stream();
    owned
        .into_iter()
        .filter(|parameter| {
            let name = parameter.name.to_string();
            // What only an attribute uses is used; bound again, it would be unused inside.
            let is_idle = mentions(&stack.arguments, &name) && !mentions(&body, &name);
            // Of a field that is nowhere used the compiler says how to leave it out, where it is bound.
            let is_left = parameter.is_shorthand && !mentions(&body, &name);
            // A pattern has no place for a condition.
            !is_idle
                && !is_left
                && parameter.conditions.is_empty()
                && (moves || !after.iter().any(|tokens| mentions(tokens, &name)))
        })
        .map(|parameter| Rebound {
            name: parameter.name.clone(),
            outside: outside(stack, &parameter.name),
            mutability: parameter.mutability,
        })
        .collect()
}

/// Taking hold of `_guard` uses it, which its name denies (and clippy says so): outside the body it is
/// called the same, out of sight. Not where an attribute names it.
fn outside(stack: &Stack, name: &Ident) -> Option<Ident> {
    let text = name.to_string();
    let is_unseen = text.starts_with('_') && !mentions(&stack.arguments, &text);
    is_unseen.then(|| {
        let mut outside = name.clone();
        outside.set_span(here().located_at(name.span()));
        outside
    })
}

/// Statements that make a block which moves nothing borrow each `&mut` in it mutably, whatever it does
/// with it: then the block is `Send` wherever the reference is, and asks for no `Sync`.
pub(crate) fn reborrows(function: &Function, code: &TokenStream) -> TokenStream {
    let parameters = function.parameters.iter();
    let mutable = parameters.filter(|parameter| parameter.is_mutable_reference());
    let receiver = function
        .receiver()
        .filter(|receiver| receiver.reference.is_some() && receiver.mutability.is_some());
    let own = receiver.and_then(|_| function.self_name());
    mutable
        .map(|parameter| parameter.name.clone())
        .chain(own)
        .filter(|name| mentions(code, &name.to_string()))
        .map(|name| {
            let at = here();
            quote_spanned!(at=> let _ = &mut *#name;)
        })
        .collect()
}
