//! The function below the attributes. Its body stays tokens: what is being typed need not parse.

use crate::kind::Kind;
use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens, TokenStreamExt, quote};
use syn::{
    AttrStyle, Attribute, Signature, Token, Visibility,
    parse::{ParseStream, Parser},
};

/// A function with a body.
pub(crate) struct Item {
    /// Outer attributes; those from the start of the body are among them.
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    /// `default`, in a specialising impl
    pub(crate) defaultness: Option<Ident>,
    pub(crate) signature: Signature,
    pub(crate) body: Group,
}

impl Item {
    /// Everything before the body.
    pub(crate) fn head(&self) -> TokenStream {
        let Self {
            attributes,
            visibility,
            defaultness,
            signature,
            ..
        } = self;
        quote!(#(#attributes)* #visibility #defaultness #signature)
    }
}

impl ToTokens for Item {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.append_all(self.head());
        self.body.to_tokens(tokens);
    }
}

/// Why there is no function to expand.
pub(crate) enum NotFunction {
    /// Something else, which the message names.
    Other(syn::Error),
    /// The `;` of a function without a body.
    Bodiless(syn::Error),
}

impl NotFunction {
    pub(crate) fn into_error(self) -> syn::Error {
        match self {
            Self::Other(error) | Self::Bodiless(error) => error,
        }
    }
}

/// Reads the function that `kind`'s attribute stands on.
pub(crate) fn item(tokens: TokenStream, kind: Kind) -> Result<Item, NotFunction> {
    let mut bodiless = false;
    let read = |input: ParseStream<'_>| function(input, kind, &mut bodiless);
    read.parse2(tokens).map_err(|error| match bodiless {
        true => NotFunction::Bodiless(error),
        false => NotFunction::Other(error),
    })
}

fn function(input: ParseStream<'_>, kind: Kind, bodiless: &mut bool) -> syn::Result<Item> {
    let mut attributes = input.call(Attribute::parse_outer)?;
    let visibility: Visibility = input.parse()?;
    let defaultness = defaultness(input)?;
    refuse_other_items(input, kind)?;
    let signature: Signature = input.parse()?;
    if input.peek(Token![;]) {
        *bodiless = true;
        return Err(input.error(format!(
            "`#[{}]` needs a body to run: put it on the implementations, or give this function a default body",
            kind.attribute()
        )));
    }
    let body: Group = match input.parse()? {
        TokenTree::Group(group) => group,
        other => return Err(syn::Error::new(other.span(), "expected a function's body")),
    };
    let body = lift_inner_attributes(visible(body), &mut attributes)?;
    Ok(Item {
        attributes,
        visibility,
        defaultness,
        signature,
        body,
    })
}

/// A body from a macro's fragment stands in an invisible group.
fn visible(body: Group) -> Group {
    if body.delimiter() != Delimiter::None {
        return body;
    }
    match body.stream().into_iter().next() {
        Some(TokenTree::Group(inner)) => visible(inner),
        _ => body,
    }
}

fn defaultness(input: ParseStream<'_>) -> syn::Result<Option<Ident>> {
    let is_default = input.peek(syn::Ident) && input.fork().parse::<Ident>()? == "default";
    is_default.then(|| input.parse()).transpose()
}

fn refuse_other_items(input: ParseStream<'_>, kind: Kind) -> syn::Result<()> {
    let attribute = kind.attribute();
    let starts_function = input.peek(Token![fn])
        || input.peek(Token![async])
        || input.peek(Token![unsafe])
        || input.peek(Token![extern])
        || input.peek(Token![const]);
    let is_constant = input.peek(Token![const]) && !is_const_function(input);
    if is_constant {
        return Err(input.error(format!("`#[{attribute}]` stands on functions only")));
    }
    if starts_function && !input.peek2(Token![impl]) && !input.peek2(Token![trait]) {
        return Ok(());
    }
    let is_unsafe = input.peek(Token![unsafe]);
    let has_methods = input.peek(Token![impl])
        || input.peek(Token![trait])
        || is_unsafe && (input.peek2(Token![impl]) || input.peek2(Token![trait]));
    Err(input.error(match has_methods {
        true => {
            format!("`#[{attribute}]` stands on functions: put it on each method that needs it")
        }
        false => format!("`#[{attribute}]` stands on functions only"),
    }))
}

fn is_const_function(input: ParseStream<'_>) -> bool {
    input.peek2(Token![fn])
        || input.peek2(Token![async])
        || input.peek2(Token![unsafe])
        || input.peek2(Token![extern])
}

/// `#![allow(..)]` at the start of the body means the same above the function, where it also covers
/// what is emitted around the body.
fn lift_inner_attributes(body: Group, attributes: &mut Vec<Attribute>) -> syn::Result<Group> {
    let mut rest = TokenStream::new();
    let read = |input: ParseStream<'_>| {
        let inner = input.call(Attribute::parse_inner)?;
        rest = input.parse()?;
        Ok(inner)
    };
    let inner = read.parse2(body.stream())?;
    if inner.is_empty() {
        // A group that is made anew loses the places of its two braces.
        return Ok(body);
    }
    attributes.extend(inner.into_iter().map(|attribute| Attribute {
        style: AttrStyle::Outer,
        ..attribute
    }));
    let mut plain = Group::new(body.delimiter(), rest);
    plain.set_span(body.span());
    Ok(plain)
}
