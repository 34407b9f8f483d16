//! The judgement of a step: what the user's predicates say of it.

use super::context::Context;
use proc_macro2::{Ident, TokenStream};
use quote::quote_spanned;
use syn::Expr;

/// `Judge::new(&__step, Probe::of(&__step).traits()).when(..)`
pub(crate) fn judge(context: &Context<'_>, predicates: &[(&str, &Option<Expr>)]) -> TokenStream {
    let (here, output, krate) = (context.here, context.output_span, &context.krate);
    let calls = predicates.iter().filter_map(|(name, predicate)| {
        let predicate = context.function.site(predicate.as_ref()?);
        let name = Ident::new(name, here);
        Some(quote_spanned!(here=> .#name(#predicate)))
    });
    let calls: TokenStream = calls.collect();
    quote_spanned! {output=>
        #krate::__private::Judge::new(&__step, #krate::__private::Probe::of(&__step).traits()) #calls
    }
}
