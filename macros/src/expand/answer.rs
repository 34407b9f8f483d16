//! What a fallback answers.

use super::{
    body::pin,
    capture::reborrows,
    code::Code,
    context::{Context, at},
    judge::judge,
    layer::{clones, untyped},
    site::{fresh_handle, supplied},
};
use crate::{
    function::{output::placed_name, parameter::conditions},
    model::{
        fallback::{Answer, Fallback},
        layer::Layer,
    },
};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Expr, ExprClosure, FnArg, Pat};

/// The fallback's layer: run, judge, and answer in place of a failure.
pub(crate) fn fallback(
    context: &Context<'_>,
    place: usize,
    layer: &Layer,
    site: &Fallback,
    inner: &Code,
) -> TokenStream {
    let (here, output, error) = (context.here, context.output_span, context.error_span);
    let krate = context.krate_at(output);
    let supplied = supplied(context, place, layer);
    let policy = fresh_handle(context, place);
    let policy = quote_spanned!(here=> let __policy = #policy;);
    // Where nothing is remembered, a success never comes by: then it is looked for afterwards.
    let (before, after) = match site.cache {
        Some(_) => (Some(&policy), None),
        None => (None, Some(&policy)),
    };
    let key = site.cache.as_ref().map(|cache| {
        let key = match &cache.key {
            Some(key) => context.function.site(key),
            None => quote!(""),
        };
        let at = at(&key);
        quote_spanned!(at=> let __key = __policy.cache_key(&(#key));)
    });
    let clones = clones(context, &site.clone);
    let inner = match clones.is_empty() {
        true => inner.to_token_stream(),
        false => quote_spanned!(here=> { #clones #inner }),
    };
    let (convert, rejection) = (
        context.convert(place + 1),
        context.rejection(context.segment_above(place)),
    );
    let settled = quote_spanned!(error=> __step.settle(#convert));
    let judge = judge(context, &[("when", &site.when)]);
    let memory = memory(context, layer, site);
    let keep = keep(context, memory);
    let failed = failed(context, place, site, memory);
    quote_spanned! {output=>
        #supplied
        #before
        #key
        let __step = #inner;
        #after
        let __marks = #krate::__private::Mark::of(&__step).__marks();
        let __serve = __policy.serves(#judge);
        let __step: #krate::__private::Step<_, #rejection> = #settled;
        let __taken = __policy.take(__step, __serve);
        match __taken {
            #krate::__private::Taken::Keep(__step) => #keep
            #krate::__private::Taken::Failed(__error) => #failed
        }
    }
}

/// Where good answers are remembered.
#[derive(Clone, Copy)]
enum Memory {
    /// In this process.
    Own(Span),
    /// In the registry's store as well.
    Shared(Span),
}

fn memory(context: &Context<'_>, layer: &Layer, site: &Fallback) -> Option<Memory> {
    let (here, cache) = (context.here, site.cache.as_ref()?);
    Some(match layer.settings.find("shared") {
        Some(shared) => Memory::Shared(here.located_at(shared.key.span())),
        None => Memory::Own(here.located_at(cache.word.span())),
    })
}

fn keep(context: &Context<'_>, memory: Option<Memory>) -> TokenStream {
    match memory {
        None => quote_spanned!(context.here=> __step,),
        Some(Memory::Own(at)) => quote_spanned! {at=> {
            __policy.remember(&__key, &__step, __marks);
            __step
        }},
        Some(Memory::Shared(at)) => quote_spanned! {at=> {
            __policy.remember_shared(&__key, &__step, __marks);
            __step
        }},
    }
}

fn failed(
    context: &Context<'_>,
    place: usize,
    site: &Fallback,
    memory: Option<Memory>,
) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
    let answer = match &site.answer {
        Some(answer) => answered(context, place, answer),
        None => quote_spanned!(here=> __policy.passed(__error),),
    };
    let (at, recall) = match memory {
        None => return answer,
        Some(Memory::Own(at)) => (
            at,
            quote_spanned!(at=> let __recalled = __policy.recall(&__key, __marks, __serve);),
        ),
        Some(Memory::Shared(at)) => (at, recall_shared(context, at)),
    };
    quote_spanned! {at=> {
        #recall
        match __recalled {
            ::core::option::Option::Some(__answer) => #krate::__private::Step::Done(__answer),
            ::core::option::Option::None => #answer
        }
    }}
}

/// Waits for the store, where what is remembered here is not fresh.
fn recall_shared(context: &Context<'_>, at: Span) -> TokenStream {
    match context.is_async() {
        true => quote_spanned! {at=>
            let __recalling = __policy.recall_shared(&__key, __marks, __serve);
            let __recalled = __recalling.await;
        },
        false => quote_spanned! {at=>
            let __recalled = __policy.recall_shared_blocking(&__key, __marks, __serve);
        },
    }
}

/// The answer, counted, and marked where its type can carry a mark.
fn answered(context: &Context<'_>, place: usize, answer: &Answer) -> TokenStream {
    let (here, krate, output) = (context.here, &context.krate, &context.output);
    let value = match answer {
        Answer::Closure(closure) => called_closure(context, place, closure),
        Answer::Path(path) => called_path(context, path),
        Answer::Value(value) => succeeded(context, &context.function.site(value)),
        Answer::Default(word) => {
            let at = here.located_at(word.span());
            succeeded(
                context,
                &quote_spanned!(at=> ::core::default::Default::default()),
            )
        }
    };
    let ignored = match answer {
        Answer::Closure(_) | Answer::Path(_) => None,
        _ => Some(quote_spanned!(here=> #krate::__private::let_go(__error);)),
    };
    quote_spanned! {here=> {
        #ignored
        let __answer: #output = #value;
        #krate::__private::Step::Done(__policy.answered(__answer, __marks))
    }}
}

fn succeeded(context: &Context<'_>, value: &TokenStream) -> TokenStream {
    let at = at(value);
    let (krate, output) = (context.krate_at(at), &context.output);
    quote_spanned!(at=> #krate::__private::succeeded::<#output>(#value))
}

/// The closure's expression in a block of its own, which `?` leaves with the function's type.
fn called_closure(context: &Context<'_>, place: usize, closure: &ExprClosure) -> TokenStream {
    let (here, krate, output) = (context.here, &context.krate, &context.output);
    let pattern = &closure.inputs[0];
    let (bare, ty) = untyped(pattern);
    let typed = ty.map(|ty| {
        let at = at(ty);
        quote_spanned!(at=> let __error: #ty = __error;)
    });
    let expression = context.function.site(&closure.body);
    match context.is_async() {
        true => {
            let pin = pin(context);
            // As little is lent as the layers around allow: what is lent must be `Sync`.
            let capture = context.movability(place, here);
            let reborrows = match capture {
                Some(_) => TokenStream::new(),
                None => reborrows(context.function, &expression),
            };
            quote_spanned! {here=>
                async #capture {
                    #pin
                    #reborrows
                    #typed
                    match __error { #bare => #expression }
                }
                .await
            }
        }
        false => quote_spanned! {here=>
            #krate::__private::answer(__error, |#pattern| -> #output { #expression })
        },
    }
}

/// A function of the same parameters, and the error: what does not fit is said on its path.
fn called_path(context: &Context<'_>, path: &Expr) -> TokenStream {
    let path = context.function.site(path);
    let at = at(&path);
    let dot_await = context.is_async().then(|| quote_spanned!(at=> .await));
    let own = context
        .function
        .self_name()
        .map(|name| placed_name(&name, at).to_token_stream());
    let names = context
        .function
        .item
        .signature
        .inputs
        .iter()
        .filter_map(|input| match input {
            FnArg::Typed(typed) => Some(typed),
            FnArg::Receiver(_) => None,
        })
        .filter_map(|typed| match &*typed.pat {
            Pat::Ident(binding) => {
                let conditions = conditions(&typed.attrs);
                let name = placed_name(&context.function.visible(&binding.ident), at);
                Some(quote!(#(#conditions)* #name))
            }
            _ => None,
        });
    let arguments = own.into_iter().chain(names);
    quote_spanned!(at=> #path(#(#arguments,)* __error) #dot_await)
}
