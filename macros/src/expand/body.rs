//! The user's body, run once.

use super::{
    capture::{Rebound, reborrows},
    code::Code,
    context::Context,
};
use crate::function::{output::start, rename::rename_self};
use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};

/// `Step::Done(Body::new(&__call, async move { BODY }).await)`
pub(crate) fn body(context: &Context<'_>) -> Code {
    let (here, krate) = (context.here, &context.krate);
    let (done, call) = (done(context), context.call(context.stack.layers.len()));
    Code::Expression(match context.is_async() {
        true => {
            let block = block(context);
            quote_spanned!(here=> #done(#krate::__private::Body::new(#call, #block).await))
        }
        false => {
            let closure = closure(context);
            quote_spanned!(here=> #done(#krate::__private::Call::body(#call, #closure)))
        }
    })
}

/// `async move { BODY }`
pub(crate) fn block(context: &Context<'_>) -> TokenStream {
    // The user's own place: of what a block of ours captures, the compiler would not say the name.
    let at = context.function.body.span();
    let capture = context.movability(context.stack.layers.len(), at);
    let content = rebind(context, statements(context));
    let pin = pin(context);
    let reborrows = match capture {
        Some(_) => TokenStream::new(),
        None => reborrows(context.function, &context.function.body.stream()),
    };
    quote_spanned!(at=> async #capture { #pin #reborrows #content })
}

/// `move || -> Output { BODY }`
fn closure(context: &Context<'_>) -> TokenStream {
    let at = context.function.body.span();
    let capture = context.movability(context.stack.layers.len(), at);
    let output = &context.output;
    let content = match context.captures().rebound.is_empty() {
        true => body_stream(context),
        false => rebind(context, statements(context)),
    };
    quote_spanned!(at=> #capture || -> #output { #content })
}

/// `Step::Done`, its second parameter written out where nothing else says what it is.
fn done(context: &Context<'_>) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
    let innermost = context.segment_above(context.stack.layers.len());
    match context.rejects(innermost) {
        true => quote_spanned!(here=> #krate::__private::Step::Done),
        false => quote_spanned! {here=>
            #krate::__private::Step::<_, ::core::convert::Infallible>::Done
        },
    }
}

/// Says what the block returns before `?` and `into` ask.
pub(crate) fn pin(context: &Context<'_>) -> TokenStream {
    let (here, output) = (context.here, &context.output);
    // As if the user's own `->` had said it.
    let at = start(context.function.output.to_token_stream());
    let krate = context.krate_at(at);
    let hint = quote_spanned!(at=> return #krate::__private::hint::<#output>(););
    quote_spanned!(here=> if false { #hint })
}

/// The body as a block of its own: its items come first in it, and what its last expression borrows is
/// let go before the parameters are.
fn statements(context: &Context<'_>) -> TokenStream {
    let body = &context.function.body;
    let mut block = Group::new(body.delimiter(), body_stream(context));
    // The user's place, but our braces: nobody shall be told that they are not needed.
    block.set_span(context.here.located_at(body.span()));
    TokenStream::from(TokenTree::Group(block))
}

fn body_stream(context: &Context<'_>) -> TokenStream {
    let body = context.function.body.stream();
    match cloned_self(context) {
        Some(name) => rename_self(body, &name),
        None => body,
    }
}

/// The variable that `clone(self)` has put the copy in.
fn cloned_self(context: &Context<'_>) -> Option<Ident> {
    let is_cloned = context
        .stack
        .layers
        .iter()
        .any(|layer| layer.clones().iter().any(|name| name == "self"));
    let is_renamed = context.function.frame.self_name().is_some();
    match is_cloned && !is_renamed {
        true => context.function.self_clone(),
        false => None,
    }
}

/// `match (a, b) { (a, b) => BODY }`: unlike `let`, an arm drops the temporaries of its last expression
/// before its bindings, in every edition.
fn rebind(context: &Context<'_>, content: TokenStream) -> TokenStream {
    let here = context.here;
    let rebound = &context.captures().rebound;
    let names = rebound
        .iter()
        .map(|rebound| rebound.outside.as_ref().unwrap_or(&rebound.name));
    let bindings = rebound.iter().map(binding);
    match rebound.len() {
        0 => content,
        1 => quote_spanned!(here=> match #(#names)* { #(#bindings)* => #content }),
        _ => quote_spanned!(here=> match (#(#names),*) { (#(#bindings),*) => #content }),
    }
}

fn binding(rebound: &Rebound) -> TokenStream {
    let Rebound {
        name, mutability, ..
    } = rebound;
    quote!(#mutability #name)
}
