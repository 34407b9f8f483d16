//! Emitted code that gives a step.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote_spanned};

/// An expression, or statements that end in one.
pub(crate) enum Code {
    Expression(TokenStream),
    Block(TokenStream),
}

impl ToTokens for Code {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Expression(expression) => expression.to_tokens(tokens),
            Self::Block(block) => {
                let here = crate::function::frame::here();
                quote_spanned!(here=> { #block }).to_tokens(tokens);
            }
        }
    }
}
