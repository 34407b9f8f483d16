//! The whole pipeline, from tokens to tokens.

mod messages;
mod robustness;
mod snapshots;

use crate::{attribute::attribute, kind::Kind};
use proc_macro2::{TokenStream, TokenTree};
use syn::{Attribute, parse::Parser};

/// Expands a function whose first attribute is one of ours, as the compiler would.
fn expand(source: &str) -> TokenStream {
    let tokens: TokenStream = source.parse().expect("tokens");
    let (top, item) = Parser::parse2(
        |input: syn::parse::ParseStream<'_>| {
            let mut attributes = input.call(Attribute::parse_outer)?;
            let top = attributes.remove(0);
            let rest: TokenStream = input.parse()?;
            Ok((top, quote::quote!(#(#attributes)* #rest)))
        },
        tokens,
    )
    .expect("an attribute on an item");
    let kind = Kind::named(
        &top.path()
            .segments
            .last()
            .expect("a path")
            .ident
            .to_string(),
    );
    let arguments = match top.meta {
        syn::Meta::List(list) => list.tokens,
        _ => TokenStream::new(),
    };
    attribute(kind.expect("one of ours"), arguments, item)
}

/// The messages of every `compile_error!` in `tokens`.
fn errors(tokens: TokenStream) -> Vec<String> {
    let mut messages = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let is_error = matches!(&token, TokenTree::Ident(name) if name == "compile_error");
        if is_error {
            tokens.next();
            if let Some(TokenTree::Group(group)) = tokens.next() {
                let text: syn::LitStr = syn::parse2(group.stream()).expect("a message");
                messages.push(text.value());
            }
        }
    }
    messages
}
