//! What is known of a function before its first call.

use super::{context::Context, setting::setters};
use crate::model::layer::Layer;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote_spanned};

/// The site with its declarations, its entry in the registry, and a slot for each policy.
///
/// A layer that is given its policy by `with` has neither.
pub(crate) fn statics(context: &Context<'_>) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
    let own = || {
        context
            .stack
            .layers
            .iter()
            .filter(|layer| layer.with.is_none())
    };
    let name = format!("::{}", context.function.item.signature.ident);
    let declarations = own().map(|layer| declaration(context, layer));
    let slots = own().enumerate().map(|(place, layer)| {
        let slot = slot(context, place);
        let policy = Ident::new(layer.kind.policy(), here);
        quote_spanned! {here=>
            static #slot: #krate::__private::Slot<#krate::#policy> =
                #krate::__private::Slot::new(&__SITE, #place);
        }
    });
    quote_spanned! {here=>
        static __SITE: #krate::__private::Site = #krate::__private::Site {
            function: ::core::concat!(::core::module_path!(), #name),
            file: ::core::file!(),
            line: ::core::line!(),
            column: ::core::column!(),
            package: ::core::env!("CARGO_PKG_NAME"),
            policies: &[#(#declarations),*],
        };
        #krate::__private::inventory::submit! { #krate::__private::Registered(&__SITE) }
        #(#slots)*
    }
}

fn declaration(context: &Context<'_>, layer: &Layer) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
    let kind = Ident::new(layer.kind.declaration(), here);
    let settings = format_ident!("{}Settings", layer.kind.policy(), span = here);
    let setters = setters(&layer.settings, krate);
    let name = match &layer.name {
        Some(name) => quote_spanned!(here=> ::core::option::Option::Some(#name)),
        None => quote_spanned!(here=> ::core::option::Option::None),
    };
    quote_spanned! {here=>
        #krate::__private::Declared::#kind(#name, #krate::__private::#settings::new() #setters)
    }
}

/// `__POLICY_2`
fn slot(context: &Context<'_>, place: usize) -> Ident {
    format_ident!("__POLICY_{place}", span = context.here)
}

/// Binds `__policy` to a reference to the layer's policy.
pub(crate) fn policy(context: &Context<'_>, place: usize, layer: &Layer) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
    if let Some(with) = &layer.with {
        let with = context.function.site(with);
        let policy = Ident::new(layer.kind.policy(), here);
        return quote_spanned! {here=>
            let __policy = <#krate::#policy as ::core::clone::Clone>::clone(#with);
            let __policy = &__policy;
        };
    }
    let above = &context.stack.layers[..place];
    let slot = slot(
        context,
        above.iter().filter(|layer| layer.with.is_none()).count(),
    );
    quote_spanned!(here=> let __policy = #slot.get();)
}
