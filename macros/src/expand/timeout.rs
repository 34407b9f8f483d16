//! What runs under a timeout.

use super::{
    body::block,
    code::Code,
    context::{Context, at},
    site::{fetch, fresh_handle, handle, shares_policies, supplied},
};
use crate::{kind::Kind, model::layer::Layer};
use proc_macro2::{Ident, TokenStream};
use quote::quote_spanned;
use syn::Expr;

/// What is inside, in a future of its own, or dropped at the deadline.
pub(super) fn timeout(
    context: &Context<'_>,
    place: usize,
    layer: &Layer,
    after: Option<&Expr>,
    inner: Option<&Code>,
) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
    let after = after.map(|after| {
        let after = context.function.site(after);
        let at = at(&after);
        quote_spanned!(at=> let __after: ::core::time::Duration = #after;)
    });
    let argument = after.as_ref().map(|_| quote_spanned!(here=> __after,));
    let (run, inside, done) = match inner {
        None => (
            "run_body",
            block(context),
            quote_spanned!(here=> #krate::__private::Step::Done(__ran)),
        ),
        Some(inner) => (
            "run",
            layers(context, place, inner),
            quote_spanned!(here=> __ran),
        ),
    };
    let suffix = if after.is_some() { "_for" } else { "" };
    let run = Ident::new(&format!("{run}{suffix}"), here);
    let (fetched, supplied) = (fetch(context), supplied(context, place, layer));
    let policies = (supplied.is_none() && !shares_policies(context, place))
        .then(|| quote_spanned!(here=> let __policies = #fetched;));
    let (policy, call) = (handle(context, place), context.call(place));
    let is_outermost = context.stack.layers[..place]
        .iter()
        .all(|layer| layer.kind != Kind::Timeout);
    let outer = Ident::new(if is_outermost { "Outermost" } else { "Within" }, here);
    let elapsed = elapsed(context, place, layer);
    quote_spanned! {here=>
        #supplied
        #policies
        #after
        let __ran = #policy.#run::<#krate::__private::#outer, _>(#call, #argument #inside).await;
        match __ran {
            ::core::result::Result::Ok(__ran) => #done,
            ::core::result::Result::Err(__elapsed) => #elapsed,
        }
    }
}

fn layers(context: &Context<'_>, place: usize, inner: &Code) -> TokenStream {
    let here = context.here;
    // As with the body's own block: a borrow that it may not take is an error on the user's lines.
    let body = context.function.body.span();
    let capture = context.movability(place, body);
    let content = match inner {
        Code::Expression(inner) | Code::Block(inner) => inner,
    };
    let call = context.call(place);
    let block = quote_spanned!(body=> async #capture { #content });
    // A reference, for a block that moves what it names must not move the call itself.
    quote_spanned!(here=> { let __call = #call; #block })
}

/// The step of a call that was cut off.
fn elapsed(context: &Context<'_>, place: usize, layer: &Layer) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
    let (policy, call) = (fresh_handle(context, place), context.call(place));
    let rejection = quote_spanned!(here=> #policy.elapsed(#call, __elapsed));
    match context.own_conversion(place, layer) {
        Some(own) => {
            quote_spanned!(here=> #krate::__private::Step::rejected_with(#rejection, #own))
        }
        None => quote_spanned!(here=> #krate::__private::Step::Rejected(#rejection)),
    }
}
