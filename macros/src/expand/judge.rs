//! The judgement of a step: what the user's predicates say of it.

use super::context::{Context, at};
use proc_macro2::{Ident, TokenStream};
use quote::quote_spanned;
use syn::Expr;

/// `Judge::new(&__step, Probe::of(&__step).__traits()).when(..)`
pub(crate) fn judge(context: &Context<'_>, predicates: &[(&str, &Option<Expr>)]) -> TokenStream {
    let output = context.output_span;
    let krate = context.krate_at(output);
    let calls = predicates.iter().filter_map(|(name, predicate)| {
        let predicate = context.function.site(predicate.as_ref()?);
        let at = at(&predicate);
        let name = Ident::new(name, at);
        Some(quote_spanned!(at=> .#name(#predicate)))
    });
    let calls: TokenStream = calls.collect();
    quote_spanned! {output=>
        #krate::__private::Judge::new(&__step, #krate::__private::Probe::of(&__step).__traits()) #calls
    }
}
