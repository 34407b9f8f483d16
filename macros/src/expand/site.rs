//! What is known of a function before its first call.

use super::{
    context::{Context, at},
    setting::setters,
};
use crate::model::layer::{Layer, Policy};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote_spanned};

/// The site with its declarations, its entry in the registry, and a slot for each policy that the
/// registry provides.
pub(crate) fn statics(context: &Context<'_>) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
    let layers = &context.stack.layers;
    let name = format!("::{}", context.function.item.signature.ident);
    let declarations = layers.iter().map(|layer| declaration(context, layer));
    let own = layers.iter().enumerate();
    let own = own.filter(|(_, layer)| layer.with.is_none());
    let slots = own.map(|(place, layer)| {
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
    let supplied = layer
        .with
        .is_some()
        .then(|| quote_spanned!(here=> .supplied()));
    let varying = is_varying(layer).then(|| quote_spanned!(here=> .varying()));
    let name = match &layer.name {
        Some(name) => quote_spanned!(here=> ::core::option::Option::Some(#name)),
        None => quote_spanned!(here=> ::core::option::Option::None),
    };
    quote_spanned! {here=>
        #krate::__private::Declared::#kind(#name, #krate::__private::#settings::new() #setters) #supplied #varying
    }
}

/// Is what the policy must know an expression of the site?
fn is_varying(layer: &Layer) -> bool {
    match &layer.policy {
        Policy::RateLimited(limited) => limited.rate.is_some(),
        Policy::Timeout(timeout) => timeout.after.is_some(),
        _ => false,
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
        let at = at(&with);
        let krate = context.krate_at(at);
        let policy = Ident::new(layer.kind.policy(), at);
        return quote_spanned! {at=>
            let __policy = <#krate::#policy as ::core::clone::Clone>::clone(&(#with));
            let __policy = &__policy;
            #krate::__private::Call::time_passes(__call);
        };
    }
    let above = &context.stack.layers[..place];
    let slot = slot(
        context,
        above.iter().filter(|layer| layer.with.is_none()).count(),
    );
    quote_spanned!(here=> let __policy = #krate::__private::Slot::get(&#slot);)
}
