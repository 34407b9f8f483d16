//! The topmost attribute: takes those below it off the item, and expands them all.

use crate::{
    errors::Errors,
    expand::{expand, imports},
    function::Function,
    kind::Kind,
    model::{
        layer::{Layer, Policy},
        stack::Stack,
    },
    parse::{
        fragment::hold_together,
        item::{Item, item},
        siblings::{self, Sibling, Split},
    },
    resolve::resolve,
    validate::validate,
};
use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::Path;

/// Expands `kind`'s attribute with `arguments` on `tokens`.
pub(crate) fn attribute(kind: Kind, arguments: TokenStream, tokens: TokenStream) -> TokenStream {
    if is_taken(&arguments) {
        return TokenStream::new();
    }
    let arguments = hold_together(arguments);
    let item = match item(hold_together(tokens.clone()), kind) {
        Ok(item) => item,
        Err(not_function) => return refused(not_function.into_error(), tokens),
    };
    let krate = siblings::krate(&arguments);
    match siblings::split(&item.attributes, krate.as_ref()) {
        Some(split) => conditional(kind, &arguments, krate, item, split),
        None => on_function(kind, arguments, krate, item),
    }
}

/// Does this attribute only keep an import in use?
fn is_taken(arguments: &TokenStream) -> bool {
    arguments.to_string() == "__taken"
}

/// The error, and the item as it was: nothing else shall fail because of it.
fn refused(error: syn::Error, tokens: TokenStream) -> TokenStream {
    let error = error.into_compile_error();
    quote!(#error #tokens)
}

/// Once with the conditional attributes, once without: the compiler keeps one.
fn conditional(
    kind: Kind,
    arguments: &TokenStream,
    krate: Option<Path>,
    item: Item,
    split: Split,
) -> TokenStream {
    let krate = krate.unwrap_or_else(|| syn::parse_quote!(::steadfast));
    let name = syn::Ident::new(kind.attribute(), Span::mixed_site());
    let Split {
        condition,
        met,
        unmet,
    } = split;
    let mut item = item;
    item.attributes = met;
    let with = item.to_token_stream();
    item.attributes = unmet;
    quote! {
        #[cfg(#condition)]
        #[#krate::#name(#arguments)]
        #with
        #[cfg(not(#condition))]
        #[#krate::#name(#arguments)]
        #item
    }
}

fn on_function(
    kind: Kind,
    arguments: TokenStream,
    krate: Option<Path>,
    mut item: Item,
) -> TokenStream {
    let mut errors = Errors::default();
    let siblings = siblings::take(&mut item.attributes, krate.as_ref(), &mut errors);
    let mut stack = read(kind, arguments, &siblings, &mut errors);
    let unexpanded = unexpanded(&item, &stack, &siblings);
    let function = match Function::new(item) {
        Ok(function) => function,
        Err(error) => {
            errors.push(error);
            return failed(errors, unexpanded);
        }
    };
    resolve(&mut stack, &function);
    validate(&stack, &function, &mut errors);
    match errors.is_empty() {
        true => expand(&stack, function, &siblings),
        false => failed(errors, unexpanded),
    }
}

fn read(kind: Kind, arguments: TokenStream, siblings: &[Sibling], errors: &mut Errors) -> Stack {
    let below = siblings.iter().map(|sibling| sibling.arguments.clone());
    let all = std::iter::once(arguments.clone()).chain(below).collect();
    let top = Layer::read(kind, Span::call_site(), arguments, errors);
    let below = siblings.iter().map(|sibling| {
        let arguments = sibling.arguments.clone();
        Layer::read(sibling.kind, sibling.span, arguments, errors)
    });
    let below: Vec<Layer> = below.collect();
    Stack {
        layers: std::iter::once(top).chain(below).collect(),
        arguments: all,
    }
}

fn failed(errors: Errors, unexpanded: TokenStream) -> TokenStream {
    let errors = errors.into_tokens();
    quote!(#errors #unexpanded)
}

/// The function without the stack, for an editor and for the errors in its body. What the attributes
/// would have bound in it is bound, so that its absence is no second error.
fn unexpanded(item: &Item, stack: &Stack, siblings: &[Sibling]) -> TokenStream {
    let here = Span::mixed_site();
    let imports = imports(siblings);
    let attempts: TokenStream = stack
        .layers
        .iter()
        .filter_map(|layer| match &layer.policy {
            Policy::Retry(retry) => retry.attempt.as_ref(),
            _ => None,
        })
        .map(|name| quote_spanned!(here=> let #name: ::core::primitive::u32 = 1;))
        .collect();
    let head = item.head();
    let content = item.body.stream();
    let body = match siblings.is_empty() && attempts.is_empty() {
        true => item.body.clone(),
        false => {
            let mut body = Group::new(Delimiter::Brace, quote!(#imports #attempts #content));
            body.set_span(item.body.span());
            body
        }
    };
    quote!(#head #body)
}
