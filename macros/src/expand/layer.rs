//! The code around what a layer runs.

use super::{
    answer::fallback,
    body::body,
    code::Code,
    context::Context,
    group::{self, good, group, is_permit},
    retry::retry,
    timeout::timeout,
};
use crate::model::layer::{Layer, Policy};
use proc_macro2::{Ident, TokenStream};
use quote::quote_spanned;
use syn::{Lifetime, Pat, Type};

/// The layers from `place` in, the body at the end.
pub(crate) fn layers(context: &Context<'_>, place: usize) -> Code {
    let here = context.here;
    let code = bare_layers(context, place);
    match is_exit(context, place) {
        true => {
            let label = exit_label(context, place);
            Code::Expression(quote_spanned!(here=> #label: { #code }))
        }
        false => code,
    }
}

fn bare_layers(context: &Context<'_>, place: usize) -> Code {
    let exit = exit(context, place);
    let Some(layer) = context.stack.layers.get(place) else {
        return good_at_once(context, exit.as_ref(), body(context));
    };
    match &layer.policy {
        _ if is_permit(layer) => {
            let inner = layers(context, group::end(context, place));
            Code::Expression(group(context, place, exit.as_ref(), &inner))
        }
        Policy::Timeout(site) => {
            let is_innermost = place + 1 == context.stack.layers.len();
            let inner = (!is_innermost).then(|| layers(context, place + 1));
            let run = timeout(context, place, layer, site.after.as_ref(), inner.as_ref());
            good_at_once(context, exit.as_ref(), Code::Block(run))
        }
        Policy::Retry(site) => {
            let inner = layers(context, place + 1);
            Code::Block(retry(context, place, layer, site, &inner))
        }
        Policy::Fallback(site) => {
            let inner = layers(context, place + 1);
            Code::Block(fallback(context, place, layer, site, &inner))
        }
        _ => unreachable!("permits come first"),
    }
}

/// Has the layer at `place` nothing to do when the call succeeds, but to end?
fn lets_success_pass(context: &Context<'_>, place: usize) -> bool {
    match context.stack.layers.get(place).map(|layer| &layer.policy) {
        Some(Policy::Retry(site)) => site.when_value.is_none() && site.until.is_none(),
        Some(Policy::Fallback(site)) => site.cache.is_none(),
        Some(Policy::Bulkhead(_)) => !group::reports(context, group::start(context, place)),
        _ => false,
    }
}

/// Where a success at `place` leaves for: past all the layers above that have nothing to say about it.
fn exit(context: &Context<'_>, place: usize) -> Option<Lifetime> {
    let above = (0..place).rev();
    let passed = above
        .take_while(|&above| lets_success_pass(context, above))
        .count();
    (passed > 0).then(|| exit_label(context, place - passed))
}

fn exit_label(context: &Context<'_>, place: usize) -> Lifetime {
    Lifetime::new(&format!("'__good_{place}"), context.here)
}

/// Does a success from inside leave for the end of this layer?
fn is_exit(context: &Context<'_>, place: usize) -> bool {
    let passes = |place: usize| lets_success_pass(context, place);
    if !passes(place) || place.checked_sub(1).is_some_and(passes) {
        return false;
    }
    let inside = (place..).find(|&place| !passes(place)).unwrap_or(place);
    match context.stack.layers.get(inside) {
        Some(layer) if is_permit(layer) => group::lets_success_pass(context, inside),
        Some(Layer {
            policy: Policy::Timeout(_),
            ..
        })
        | None => true,
        Some(_) => false,
    }
}

/// A success leaves at once, where layers above let it pass.
fn good_at_once(context: &Context<'_>, exit: Option<&Lifetime>, code: Code) -> Code {
    match exit {
        None => code,
        Some(exit) => {
            let good = good(context, exit, &TokenStream::new());
            Code::Block(quote_spanned! {context.here=>
                let __step = #code;
                #good
            })
        }
    }
}

/// The step of a refused call: still a rejection, or the site's own error.
pub(crate) fn rejected(context: &Context<'_>, place: usize, layer: &Layer) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
    match context.own_conversion(place, layer) {
        Some(own) => {
            quote_spanned!(here=> #krate::__private::Step::rejected_with(__rejection, #own))
        }
        None => quote_spanned!(here=> #krate::__private::Step::Rejected(__rejection)),
    }
}

/// The pattern of a closure's parameter, and its type where it is written.
pub(crate) fn untyped(parameter: &Pat) -> (&Pat, Option<&Type>) {
    match parameter {
        Pat::Type(typed) => (&typed.pat, Some(&typed.ty)),
        pattern => (pattern, None),
    }
}

/// `let order = Clone::clone(&order);`, each on its own name.
pub(crate) fn clones(context: &Context<'_>, names: &[Ident]) -> TokenStream {
    names
        .iter()
        .map(|name| {
            let at = context.here.located_at(name.span());
            let (source, copy) = match (name == "self", context.function.self_name()) {
                (true, Some(own)) => (own, context.function.self_clone()),
                _ => (context.function.visible(name), None),
            };
            let copy = copy.unwrap_or_else(|| source.clone());
            let mutability = context.function.mutability(name);
            quote_spanned!(at=> let #mutability #copy = ::core::clone::Clone::clone(&#source);)
        })
        .collect()
}
