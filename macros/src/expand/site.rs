//! What is known of a function before its first call.

use super::{
    context::{Context, at},
    group::is_permit,
    order,
    setting::setters,
};
use crate::model::layer::{Layer, Policy};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{ToTokens, format_ident, quote_spanned};
use syn::spanned::Spanned;

/// The site with its declarations, its entry in the registry, and a slot for each policy that the
/// registry provides.
pub(crate) fn statics(context: &Context<'_>) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
    let layers = &context.stack.layers;
    let name = format!("::{}", context.function.item.signature.ident);
    let order = Literal::u32_unsuffixed(order::next());
    let declarations = layers.iter().map(|layer| declaration(context, layer));
    let policies = layers
        .iter()
        .rev()
        .fold(quote_spanned!(here=> ()), |inner, layer| match layer.with {
            Some(_) => quote_spanned!(here=> (#krate::__private::Supplied, #inner)),
            None => {
                let policy = Ident::new(layer.kind.policy(), here);
                quote_spanned!(here=> (#krate::#policy, #inner))
            }
        });
    quote_spanned! {here=>
        static __SITE: #krate::__private::Site = #krate::__private::Site {
            function: ::core::concat!(::core::module_path!(), #name),
            file: ::core::file!(),
            line: ::core::line!(),
            column: ::core::column!(),
            order: #order,
            package: ::core::env!("CARGO_PKG_NAME"),
            policies: &[#(#declarations),*],
        };
        #krate::__private::inventory::submit! { #krate::__private::Registered(&__SITE) }
        static __POLICIES: #krate::__private::Slot<#policies> =
            #krate::__private::Slot::new(&__SITE);
    }
}

fn declaration(context: &Context<'_>, layer: &Layer) -> TokenStream {
    // What contradicts a preset is found when this is evaluated, and told at its place.
    let preset = layer.settings.find("preset");
    let here = preset.map_or(context.here, |preset| {
        context.here.located_at(preset.source.span())
    });
    let krate = &context.krate_at(here);
    let kind = Ident::new(layer.kind.declaration(), here);
    let settings = format_ident!("{}Settings", layer.kind.policy(), span = here);
    let setters = setters(&layer.settings, &context.krate);
    let of_function = has_backoff(layer).then(|| quote_spanned!(here=> .of_function()));
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
        #krate::__private::Declared::#kind(#name, #krate::__private::#settings::new() #setters #of_function) #supplied #varying
    }
}

/// Does a function of the site say how long to wait?
fn has_backoff(layer: &Layer) -> bool {
    matches!(&layer.policy, Policy::Retry(retry) if retry.backoff.is_some())
}

/// Does the site bring with each call what is a setting elsewhere?
fn is_varying(layer: &Layer) -> bool {
    match &layer.policy {
        Policy::Retry(_) => has_backoff(layer),
        Policy::RateLimited(limited) => limited.rate.is_some(),
        Policy::Timeout(timeout) => timeout.after.is_some(),
        _ => false,
    }
}

/// `Slot::get(&__POLICIES)`: the policies, as nested pairs.
pub(crate) fn fetch(context: &Context<'_>) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
    quote_spanned!(here=> #krate::__private::Slot::get(&__POLICIES))
}

/// Are the policies at hand where layer `place` begins? The layer above has fetched them then, and that
/// after its last await.
pub(crate) fn shares_policies(context: &Context<'_>, place: usize) -> bool {
    let above = place
        .checked_sub(1)
        .map(|above| &context.stack.layers[above]);
    above.is_some_and(|above| is_permit(above) || matches!(above.policy, Policy::Retry(_)))
}

/// A reference to the policy, where the policies are at hand.
pub(crate) fn handle(context: &Context<'_>, place: usize) -> TokenStream {
    let here = context.here;
    in_stack(context, place, &quote_spanned!(here=> __policies))
}

/// A reference to the policy, wherever.
pub(crate) fn fresh_handle(context: &Context<'_>, place: usize) -> TokenStream {
    in_stack(context, place, &fetch(context))
}

fn in_stack(context: &Context<'_>, place: usize, policies: &TokenStream) -> TokenStream {
    let here = context.here;
    if context.stack.layers[place].with.is_some() {
        return own(context, place).to_token_stream();
    }
    let inner = (0..place).map(|_| quote_spanned!(here=> .1));
    quote_spanned!(here=> #policies #(#inner)* .0)
}

/// `__policy_2`, which the site supplies.
fn own(context: &Context<'_>, place: usize) -> Ident {
    format_ident!("__policy_{place}", span = context.here)
}

/// Binds the policy that the site supplies.
pub(crate) fn supplied(context: &Context<'_>, place: usize, layer: &Layer) -> Option<TokenStream> {
    let with = context.function.site(layer.with.as_ref()?);
    let at = at(&with);
    let krate = context.krate_at(at);
    let policy = Ident::new(layer.kind.policy(), at);
    let (own, call) = (own(context, place), context.call(place));
    Some(quote_spanned! {at=>
        let #own = <#krate::#policy as ::core::clone::Clone>::clone(&(#with));
        let #own = &#own;
        #krate::__private::Call::time_passes(#call);
    })
}
