//! What every part of the expansion needs to know.

use super::capture::Captures;
use crate::{
    function::{
        Function,
        output::{erased, error_place, start},
    },
    kind::Kind,
    model::{
        layer::{Layer, Policy},
        stack::Stack,
    },
};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::{Path, Type};

/// A stack on its function.
pub(crate) struct Context<'a> {
    pub(crate) stack: &'a Stack,
    pub(crate) function: &'a Function,
    pub(crate) krate: Path,
    /// Tokens of our own, which no user's name can meet.
    pub(crate) here: Span,
    /// The same, placed on the return type: what is wrong with it is said there, once.
    pub(crate) output_span: Span,
    /// And on the error type.
    pub(crate) error_span: Span,
    /// The output as it may be written inside the body.
    pub(crate) output: Type,
    captures: Captures,
}

impl<'a> Context<'a> {
    pub(crate) fn new(stack: &'a Stack, function: &'a Function) -> Self {
        let here = Span::mixed_site();
        let output = start(function.output.to_token_stream());
        Self {
            stack,
            function,
            krate: stack.krate(),
            here,
            output_span: here.located_at(output),
            error_span: here.located_at(error_place(&function.output)),
            output: erased(&function.output),
            captures: Captures::new(stack, function),
        }
    }

    pub(crate) fn is_async(&self) -> bool {
        self.function.is_async
    }

    /// A reference to the call, as layer `place` sees it: inside a timeout's block it has been taken.
    pub(crate) fn call(&self, place: usize) -> TokenStream {
        let here = self.here;
        let above = self.stack.layers.iter().take(place);
        let last = self.stack.layers.len();
        let in_block = above
            .enumerate()
            .any(|(above, layer)| layer.kind == Kind::Timeout && above + 1 < last);
        match in_block {
            true => quote_spanned!(here=> __call),
            false => quote_spanned!(here=> &__call),
        }
    }

    /// `.await`, where the stack may.
    pub(crate) fn dot_await(&self) -> Option<TokenStream> {
        let here = self.here;
        self.is_async().then(|| quote_spanned!(here=> .await))
    }

    /// The method of this name, or its blocking twin.
    pub(crate) fn method(&self, name: &str) -> Ident {
        match self.is_async() {
            true => Ident::new(name, self.here),
            false => Ident::new(&format!("{name}_blocking"), self.here),
        }
    }

    /// The step's second parameter above layer `place`: what may still have to be turned into an error.
    ///
    /// A fallback leaves nothing of it; the layers above it begin anew.
    pub(crate) fn rejects(&self, place: usize) -> bool {
        let below = self.stack.layers.iter().enumerate().skip(place);
        below
            .take_while(|(_, layer)| !matches!(layer.policy, Policy::Fallback(_)))
            .any(|(place, layer)| layer.refuses() && self.own_conversion(place, layer).is_none())
    }

    /// A layer's `reject_with`, unless it serves the whole stack.
    pub(crate) fn own_conversion(&self, place: usize, layer: &Layer) -> Option<TokenStream> {
        let own = layer.reject_with.as_ref()?;
        (place > 0).then(|| self.function.site(own))
    }

    /// Turns what layers from `place` in refuse into the error type.
    pub(crate) fn convert(&self, place: usize) -> TokenStream {
        let here = self.here;
        if !self.rejects(place) {
            let krate = &self.krate;
            return quote_spanned!(here=> #krate::__private::never);
        }
        match self
            .stack
            .layers
            .first()
            .and_then(|top| top.reject_with.as_ref())
        {
            Some(reject_with) => self.function.site(reject_with),
            None => self.reject(),
        }
    }

    /// The default conversion, its caret on the error type.
    fn reject(&self) -> TokenStream {
        let at = self.error_span;
        let krate = self.krate_at(at);
        quote_spanned!(at=> #krate::__private::reject)
    }

    /// The path of this crate, seen at another place.
    pub(crate) fn krate_at(&self, at: Span) -> TokenStream {
        placed(self.krate.to_token_stream(), at)
    }

    /// The step's second parameter above layer `place`, as a type.
    pub(crate) fn rejection(&self, place: usize) -> TokenStream {
        let (here, krate) = (self.here, &self.krate);
        match self.rejects(place) {
            true => quote_spanned!(here=> #krate::Rejection),
            false => quote_spanned!(here=> ::core::convert::Infallible),
        }
    }

    /// The policy that contains layer `place` and stands nearest above the next fallback, the top else.
    pub(crate) fn segment_above(&self, place: usize) -> usize {
        let above = self.stack.layers.iter().enumerate().take(place);
        above
            .rev()
            .find(|(_, layer)| matches!(layer.policy, Policy::Fallback(_)))
            .map_or(0, |(fallback, _)| fallback + 1)
    }

    /// `move`, where what layer `place` runs may take its variables with it.
    pub(crate) fn movability(&self, place: usize, at: Span) -> Option<TokenStream> {
        self.captures
            .moves_at(place)
            .then(|| quote_spanned!(at=> move))
    }

    /// Parameters that are bound again inside the body, with their names outside.
    pub(crate) fn lent(&self) -> Vec<(Ident, Option<Ident>)> {
        let rebound = self.captures.rebound.iter();
        rebound
            .map(|rebound| (rebound.name.clone(), rebound.outside.clone()))
            .collect()
    }

    pub(crate) fn captures(&self) -> &Captures {
        &self.captures
    }
}

/// The same tokens, seen at another place.
fn placed(tokens: TokenStream, at: Span) -> TokenStream {
    tokens
        .into_iter()
        .map(|mut token| {
            token.set_span(token.span().located_at(at));
            token
        })
        .collect()
}

/// Our own tokens, placed where the user's tokens begin.
pub(crate) fn at(tokens: &impl ToTokens) -> Span {
    Span::mixed_site().located_at(start(tokens.to_token_stream()))
}
