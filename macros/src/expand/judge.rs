//! The judgement of a step: what the user's predicates say of it.

use super::context::{Context, at};
use proc_macro2::{Ident, TokenStream};
use quote::quote_spanned;
use syn::Expr;

/// `Judge::new(&__step, Probe::of(&__step).__traits()).when(..)`
pub(crate) fn judge(context: &Context<'_>, sayings: &[(&str, &Option<Expr>)]) -> TokenStream {
    let output = context.output_span;
    let (judged, predicates) = (judged(context), predicates(context, sayings));
    quote_spanned!(output=> #judged #predicates)
}

/// `Judge::new(&__step, Probe::of(&__step).__traits())`
pub(crate) fn judged(context: &Context<'_>) -> TokenStream {
    let output = context.output_span;
    let krate = context.krate_at(output);
    quote_spanned! {output=>
        #krate::__private::Judge::new(&__step, #krate::__private::Probe::of(&__step).__traits())
    }
}

/// `.when(..)`
pub(crate) fn predicates(context: &Context<'_>, sayings: &[(&str, &Option<Expr>)]) -> TokenStream {
    let calls = sayings.iter().filter_map(|(name, predicate)| {
        let predicate = context.function.site(predicate.as_ref()?);
        let at = at(&predicate);
        let name = Ident::new(name, at);
        Some(quote_spanned!(at=> .#name(#predicate)))
    });
    calls.collect()
}
