//! The arguments of one attribute, as written.

use crate::errors::Errors;
use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    Expr, Ident, Token,
    ext::IdentExt,
    parse::{ParseStream, Parser},
    token::{Brace, Paren},
};

/// One argument between two commas.
pub(crate) enum Argument {
    /// `key = value`
    Pair(Ident, Expr),
    /// `word`, alone
    Word(Ident),
    /// `key(..)`
    List(Ident, Group),
    /// Anything else: a name, a duration, a path, a closure
    Positional(Expr),
}

impl Argument {
    /// The word that says which argument this is.
    pub(crate) fn key(&self) -> Option<&Ident> {
        match self {
            Self::Pair(key, _) | Self::Word(key) | Self::List(key, _) => Some(key),
            Self::Positional(_) => None,
        }
    }
}

impl ToTokens for Argument {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Pair(key, value) => {
                key.to_tokens(tokens);
                <Token![=]>::default().to_tokens(tokens);
                value.to_tokens(tokens);
            }
            Self::Word(key) => key.to_tokens(tokens),
            Self::List(key, group) => {
                key.to_tokens(tokens);
                group.to_tokens(tokens);
            }
            Self::Positional(value) => value.to_tokens(tokens),
        }
    }
}

/// Every argument that can be read; those that cannot leave an error and are passed over.
pub(crate) fn arguments(tokens: TokenStream, errors: &mut Errors) -> Vec<Argument> {
    let read = |input: ParseStream<'_>| Ok(all(input, errors));
    read.parse2(tokens).unwrap_or_default()
}

fn all(input: ParseStream<'_>, errors: &mut Errors) -> Vec<Argument> {
    let mut read = Vec::new();
    while !input.is_empty() {
        match argument(input) {
            Ok(argument) => read.push(argument),
            Err(error) => {
                errors.push(error);
                skip_argument(input);
            }
        }
        if input.is_empty() {
            break;
        }
        if input.parse::<Token![,]>().is_err() {
            errors.push(input.error("expected `,` between two arguments"));
            skip_argument(input);
            let _ = input.parse::<Token![,]>();
        }
    }
    read
}

fn skip_argument(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        if input.parse::<TokenTree>().is_err() {
            return;
        }
    }
}

fn argument(input: ParseStream<'_>) -> syn::Result<Argument> {
    if !input.peek(Ident::peek_any) {
        return Ok(Argument::Positional(input.parse()?));
    }
    if input.peek2(Token![=]) && !input.peek2(Token![==]) && !input.peek2(Token![=>]) {
        return pair(input);
    }
    if input.peek2(Token![:]) && !input.peek2(Token![::]) {
        return Err(colon(input));
    }
    let ahead = input.fork();
    let key = Ident::parse_any(&ahead)?;
    if ahead.is_empty() || ahead.peek(Token![,]) {
        return Ok(Argument::Word(Ident::parse_any(input).unwrap_or(key)));
    }
    if ahead.peek(Paren) && list_ends(&ahead) {
        let key = Ident::parse_any(input)?;
        return Ok(Argument::List(key, input.parse()?));
    }
    Ok(Argument::Positional(input.parse()?))
}

fn list_ends(ahead: ParseStream<'_>) -> bool {
    ahead.parse::<Group>().is_ok() && (ahead.is_empty() || ahead.peek(Token![,]))
}

fn pair(input: ParseStream<'_>) -> syn::Result<Argument> {
    let key = Ident::parse_any(input)?;
    let equals = input.parse::<Token![=]>()?;
    if input.is_empty() || input.peek(Token![,]) {
        let mut place = key.to_token_stream();
        equals.to_tokens(&mut place);
        return Err(syn::Error::new_spanned(
            place,
            format!("`{key}` has no value: write it after the `=`"),
        ));
    }
    // A bare word may be a keyword (`default`, `true`), which no expression begins with.
    Ok(Argument::Pair(key, quiet(input.parse()?)))
}

/// Braces and parentheses around a whole value are the user's, but where it goes they would be called
/// unnecessary.
fn quiet(value: Expr) -> Expr {
    let ours = |span: Span| Span::mixed_site().located_at(span);
    match value {
        Expr::Block(mut block) if block.label.is_none() => {
            block.block.brace_token = Brace(ours(block.block.brace_token.span.join()));
            Expr::Block(block)
        }
        Expr::Paren(mut paren) => {
            paren.paren_token = Paren(ours(paren.paren_token.span.join()));
            Expr::Paren(paren)
        }
        other => other,
    }
}

fn colon(input: ParseStream<'_>) -> syn::Error {
    let key = input
        .call(Ident::parse_any)
        .map(|key| key.to_string())
        .unwrap_or_default();
    let span = input.span();
    syn::Error::new(span, format!("arguments take `=`: write `{key} = ..`"))
}
