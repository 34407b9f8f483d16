//! The code around what a layer runs.

use super::{
    answer,
    capture::reborrows,
    code::Code,
    context::{Context, at},
    judge::judge,
    site::policy,
};
use crate::{
    model::{
        circuit_breaker::CircuitBreaker,
        layer::{Layer, Policy},
        rate_limited::RateLimited,
        retry::Retry,
    },
    parse::literal::bare,
};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Expr, Lifetime, Pat, Type};

/// One layer around `inner`.
pub(crate) fn layer(context: &Context<'_>, place: usize, layer: &Layer, inner: &Code) -> Code {
    let policy = policy(context, place, layer);
    let run = match &layer.policy {
        Policy::Retry(site) => retry(context, place, layer, site, inner),
        Policy::CircuitBreaker(site) => circuit_breaker(context, place, layer, site, inner),
        Policy::RateLimited(site) => rate_limited(context, place, layer, site, inner),
        Policy::Bulkhead(site) => bulkhead(context, place, layer, site.key.as_ref(), inner),
        Policy::Timeout(site) => timeout(context, place, layer, site.after.as_ref(), inner),
        Policy::Fallback(site) => answer::fallback(context, place, layer, site, inner),
    };
    Code::Block(quote!(#policy #run))
}

fn retry(
    context: &Context<'_>,
    place: usize,
    layer: &Layer,
    site: &Retry,
    inner: &Code,
) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
    let attempt = site.attempt.as_ref().map(
        |name| quote_spanned!(here=> let #name: ::core::primitive::u32 = #krate::__private::Attempts::attempt(&__attempts);),
    );
    let clones = clones(context, &site.clone);
    let next = next(context, site);
    let again = again(context, site);
    let stop = stop(context, place, layer, site);
    quote_spanned! {here=>
        let mut __attempts = __policy.begin(__call);
        loop {
            #attempt
            #clones
            let __event = {
                let __step = #inner;
                let __next = #next;
                match __next {
                    #krate::__private::Next::Again(__event) => {
                        #krate::__private::let_go(__step);
                        __event
                    }
                    #stop
                }
            };
            #again
        }
    }
}

fn next(context: &Context<'_>, site: &Retry) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
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
                #krate::__private::Attempts::next_with(&mut __attempts, #judge, #backoff)
            }
        }
        None => quote_spanned! {here=>
            #krate::__private::Attempts::next(&mut __attempts, #judge)
        },
    }
}

/// The pause, once the step is let go: an error that is not `Send` must not be kept across it, and its
/// block has ended, so that no room is kept for it either.
fn again(context: &Context<'_>, site: &Retry) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
    let on_retry = site.on_retry.as_ref().map(|call| on_retry(context, call));
    let (pause, dot_await) = (context.method("pause"), context.dot_await());
    quote_spanned! {here=>
        #on_retry
        #krate::__private::Attempts::#pause(&mut __attempts, __event) #dot_await;
    }
}

fn stop(context: &Context<'_>, place: usize, layer: &Layer, site: &Retry) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
    if site.until.is_none() {
        return quote_spanned!(here=> _ => break __step,);
    }
    let rejected = rejected(context, place, layer);
    quote_spanned! {here=>
        #krate::__private::Next::Unmet(__rejection) => break #rejected,
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

fn circuit_breaker(
    context: &Context<'_>,
    place: usize,
    layer: &Layer,
    site: &CircuitBreaker,
    inner: &Code,
) -> TokenStream {
    let here = context.here;
    let enter = match &site.key {
        Some(key) => {
            let key = context.function.site(key);
            let at = at(&key);
            quote_spanned!(at=> let __entered = __policy.enter_key(__call, &(#key));)
        }
        None => quote_spanned!(here=> let __entered = __policy.enter(__call);),
    };
    let judge = judge(
        context,
        &[
            ("when", &site.when),
            ("ignore", &site.ignore),
            ("when_value", &site.when_value),
        ],
    );
    admitted(context, place, layer, &enter, &judge, inner)
}

/// `'__layer: { let __permit = { enter, or break '__layer with the refusal }; run and settle }`
///
/// What the permit comes in lies in a block that has ended when the body runs: the future would keep
/// room for it otherwise.
fn admitted(
    context: &Context<'_>,
    place: usize,
    layer: &Layer,
    enter: &TokenStream,
    judge: &TokenStream,
    inner: &Code,
) -> TokenStream {
    let here = context.here;
    let rejected = rejected(context, place, layer);
    // Numbered: one label in another of its name is a warning.
    let label = Lifetime::new(&format!("'__layer_{place}"), here);
    quote_spanned! {here=>
        #label: {
            let __permit = {
                #enter
                match __entered {
                    ::core::result::Result::Ok(__permit) => __permit,
                    ::core::result::Result::Err(__rejection) => {
                        let __step = #rejected;
                        break #label __step;
                    }
                }
            };
            let __step = #inner;
            __permit.settle(#judge);
            __step
        }
    }
}

/// The step of a refused call: still a rejection, or the site's own error.
fn rejected(context: &Context<'_>, place: usize, layer: &Layer) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
    match context.own_conversion(place, layer) {
        Some(own) => {
            quote_spanned!(here=> #krate::__private::Step::rejected_with(__rejection, #own))
        }
        None => quote_spanned!(here=> #krate::__private::Step::Rejected(__rejection)),
    }
}

fn rate_limited(
    context: &Context<'_>,
    place: usize,
    layer: &Layer,
    site: &RateLimited,
    inner: &Code,
) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
    let parts = [
        ("cost", &site.cost),
        ("bypass", &site.bypass),
        ("rate", &site.rate),
    ];
    let parts: TokenStream = parts
        .into_iter()
        .filter_map(|(name, value)| {
            let value = context.function.site(value.as_ref()?);
            let at = at(&value);
            let name = Ident::new(name, at);
            Some(quote_spanned!(at=> .#name(#value)))
        })
        .collect();
    let key = site.key.as_ref().map(|key| {
        let key = context.function.site(key);
        let at = at(&key);
        quote_spanned!(at=> .key(&(#key)))
    });
    let enter = context.method("enter");
    let enter = entered(
        context,
        place,
        here,
        &quote_spanned! {here=>
            __policy.#enter(__call, #krate::__private::Request::new() #parts #key)
        },
    );
    let judge = judge(context, &[]);
    admitted(context, place, layer, &enter, &judge, inner)
}

/// Entering is split from waiting: what the user's expressions borrow (a lock's guard, say) is let go
/// before the wait.
fn entered(context: &Context<'_>, place: usize, at: Span, entering: &TokenStream) -> TokenStream {
    let krate = &context.krate;
    let label = Lifetime::new(&format!("'__entered_{place}"), at);
    match context.is_async() {
        true => quote_spanned! {at=>
            let __entered = #label: {
                let __wait = {
                    let __entering = #entering;
                    match __entering {
                        #krate::__private::Entered::Now(__entered) => break #label __entered,
                        #krate::__private::Entered::Wait(__wait) => __wait,
                    }
                };
                __wait.await
            };
        },
        false => quote_spanned!(at=> let __entered = #entering;),
    }
}

fn bulkhead(
    context: &Context<'_>,
    place: usize,
    layer: &Layer,
    key: Option<&Expr>,
    inner: &Code,
) -> TokenStream {
    let here = context.here;
    let entering = match key {
        Some(key) => {
            let (key, mut enter) = (context.function.site(key), context.method("enter_key"));
            let at = at(&key);
            enter.set_span(at);
            quote_spanned!(at=> __policy.#enter(__call, &(#key)))
        }
        None => {
            let enter = context.method("enter");
            quote_spanned!(here=> __policy.#enter(__call))
        }
    };
    let enter = entered(context, place, key.map_or(here, at), &entering);
    let judge = judge(context, &[]);
    admitted(context, place, layer, &enter, &judge, inner)
}

fn timeout(
    context: &Context<'_>,
    place: usize,
    layer: &Layer,
    after: Option<&Expr>,
    inner: &Code,
) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
    // As with the body's own block: a borrow that it may not take is an error on the user's lines.
    let body = context.function.body.span();
    let capture = context.movability(place, body);
    let own = context.own_conversion(place, layer);
    let after = after.map(|after| context.function.site(after));
    let begin = after.as_ref().map(|after| {
        let at = at(after);
        quote_spanned!(at=> let __after: ::core::time::Duration = #after;)
    });
    let content = match inner {
        Code::Expression(inner) | Code::Block(inner) => inner,
    };
    let (run, after) = match after {
        Some(_) => ("run_for", Some(quote_spanned!(here=> __after,))),
        None => ("run", None),
    };
    let run = Ident::new(run, here);
    let Some(own) = own else {
        let block = quote_spanned!(body=> async #capture { #content });
        return quote_spanned! {here=>
            #begin
            __policy.#run(__call, #after #block).await
        };
    };
    let done = quote_spanned!(here=> #krate::__private::Step::Done);
    let block = quote_spanned!(body=> async #capture { #done({ #content }) });
    // Inside a step of its own, the timeout's rejection is told apart from those of the layers inside.
    quote_spanned! {here=>
        #begin
        let __ran = __policy.#run(__call, #after #block).await;
        match __ran {
            #krate::__private::Step::Done(__step) | #krate::__private::Step::Settled(__step, _) => __step,
            #krate::__private::Step::Rejected(__rejection) => {
                #krate::__private::Step::rejected_with(__rejection, #own)
            }
        }
    }
}
