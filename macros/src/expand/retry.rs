//! The attempts of a retry.

use super::{
    capture::reborrows,
    code::Code,
    context::{Context, at},
    judge::judge,
    layer::{clones, rejected, untyped},
    site::{fetch, handle, shares_policies, supplied},
};
use crate::{
    model::{layer::Layer, retry::Retry},
    parse::literal::bare,
};
use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::Expr;

/// A loop that leaves with the last step.
pub(super) fn retry(
    context: &Context<'_>,
    place: usize,
    layer: &Layer,
    site: &Retry,
    inner: &Code,
) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
    let (policy, call) = (handle(context, place), context.call(place));
    let (fetched, supplied) = (fetch(context), supplied(context, place, layer));
    let policies = (!shares_policies(context, place))
        .then(|| quote_spanned!(here=> let mut __policies = #fetched;));
    // Not kept across the pause.
    let again_fetched = context
        .is_async()
        .then(|| quote_spanned!(here=> __policies = #fetched;));
    let attempt = site.attempt.as_ref().map(
        |name| quote_spanned!(here=> let #name: ::core::primitive::u32 = #krate::__private::Attempts::attempt(&__attempts);),
    );
    let clones = clones(context, &site.clone);
    let next = next(context, place, site);
    let again = again(context, site);
    let stop = stop(context, place, layer, site);
    quote_spanned! {here=>
        #supplied
        #policies
        let mut __attempts = #policy.begin(#call);
        loop {
            #attempt
            #clones
            {
                let __step = #inner;
                let __next = #next;
                match __next {
                    #krate::__private::Next::Again => #krate::__private::let_go(__step),
                    #stop
                }
            }
            #again
            #again_fetched
        }
    }
}

fn next(context: &Context<'_>, place: usize, site: &Retry) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
    let call = context.call(place);
    let judge = judge(
        context,
        &[
            ("when", &site.when),
            ("when_value", &site.when_value),
            ("until", &site.until),
            ("retry_after", &site.retry_after),
        ],
    );
    match &site.backoff {
        Some(backoff) => {
            let backoff = context.function.site(backoff);
            let at = at(&backoff);
            quote_spanned! {at=>
                #krate::__private::Attempts::next_with(&mut __attempts, #call, #judge, #backoff)
            }
        }
        None => quote_spanned! {here=>
            #krate::__private::Attempts::next(&mut __attempts, #call, #judge)
        },
    }
}

/// The pause, once the step is let go: an error that is not `Send` must not be kept across it, and its
/// block has ended, so that no room is kept for it either.
fn again(context: &Context<'_>, site: &Retry) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
    let on_retry = site.on_retry.as_ref().map(|call| {
        let call = on_retry(context, call);
        quote_spanned! {here=>
            let __event = #krate::__private::Attempts::event(&__attempts);
            #call
        }
    });
    let (pause, dot_await) = (context.method("pause"), context.dot_await());
    quote_spanned! {here=>
        #on_retry
        #krate::__private::Attempts::#pause(&mut __attempts) #dot_await;
    }
}

fn stop(context: &Context<'_>, place: usize, layer: &Layer, site: &Retry) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
    if site.until.is_none() {
        return quote_spanned!(here=> _ => break __step,);
    }
    let rejected = rejected(context, place, layer);
    quote_spanned! {here=>
        #krate::__private::Next::Unmet => {
            let __rejection = #krate::__private::Attempts::unmet(&__attempts);
            break #rejected
        }
        #krate::__private::Next::Stop => break __step,
    }
}

/// In a block of its own, so that `return` and `?` do not leave the loop.
fn on_retry(context: &Context<'_>, call: &Expr) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
    match bare(call) {
        Expr::Closure(closure) if context.is_async() => {
            let (pattern, _) = untyped(&closure.inputs[0]);
            let expression = context.function.site(&closure.body);
            let reborrows = reborrows(context.function, &expression);
            quote_spanned! {here=>
                async {
                    #reborrows
                    match &__event { #pattern => #expression }
                }
                .await;
            }
        }
        _ => {
            let call = context.function.site(call);
            quote_spanned!(here=> #krate::__private::on_retry(&__event, #call);)
        }
    }
}
