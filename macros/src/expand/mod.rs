//! From a stack and a function to one function.

mod answer;
mod body;
mod capture;
mod code;
mod context;
mod group;
mod judge;
mod layer;
mod order;
mod retry;
mod setting;
mod site;
mod timeout;

use crate::{
    function::{Function, parameter::lend},
    model::stack::Stack,
    parse::siblings::Sibling,
};
use code::Code;
use context::Context;
use proc_macro2::{Delimiter, Group, Ident, TokenStream};
use quote::{ToTokens, quote, quote_spanned};

// Input:
//     #[retry(max_attempts = 4, when = QuoteError::is_transient)]
//     #[circuit_breaker("quotes")]
//     async fn quote(&self, symbol: &str) -> Result<Quote, QuoteError> {
//         self.http.get(symbol).await
//     }
//
// Output:
//     async fn quote(&self, symbol: &str) -> Result<Quote, QuoteError> {
//         static __SITE: Site = Site { function: .., policies: &[Declared::retry(None, RetrySettings::new().max_attempts(4)), ..] };
//         inventory::submit! { Registered(&__SITE) }
//         static __POLICIES: Slot<(Retry, (CircuitBreaker, ()))> = Slot::new(&__SITE);
//         let __call = Call::new();
//         let __timed = Slot::time(&__POLICIES, &__call);
//         let __step = '__good_0: {
//             let mut __policies = Slot::get(&__POLICIES);
//             let mut __attempts = __policies.0.begin(&__call);
//             loop {
//                 {
//                     let __step = '__group_1: {
//                         let __permit_1 = match Admits::try_admit(__policies.1.0, &__call) {
//                             Some(__permit) => __permit,
//                             None => match Admits::admit_blocking(__policies.1.0, &__call) {
//                                 Ok(__permit) => __permit,
//                                 Err(__rejection) => { let __step = Step::Rejected(__rejection); break '__group_1 __step; }
//                             },
//                         };
//                         let __step = Step::Done(Body::new(&__call, async {
//                             if false { return hint::<Result<Quote, QuoteError>>(); }
//                             { self.http.get(symbol).await }
//                         }).await);
//                         let __step = match Step::good(__step) {
//                             // The way of nearly every call: nobody else has anything to do.
//                             Ok(__outcome) => { Permit::succeed(__permit_1); let __step = Step::Done(__outcome); break '__good_0 __step; }
//                             Err(__step) => __step,
//                         };
//                         let __judge = Judge::new(&__step, Probe::of(&__step).__traits());
//                         Permit::settle(__permit_1, __judge);
//                         __step
//                     };
//                     let __next = Attempts::next(&mut __attempts, &__call,
//                         Judge::new(&__step, Probe::of(&__step).__traits()).when(QuoteError::is_transient),
//                     );
//                     match __next {
//                         Next::Again => let_go(__step),
//                         _ => break __step,
//                     }
//                 }
//                 Attempts::pause(&mut __attempts).await;
//                 __policies = Slot::get(&__POLICIES);
//             }
//         };
//         __step.end(__timed, reject)
//     }
//
/// Expands the whole stack, every path in it absolute.
pub(crate) fn expand(stack: &Stack, mut function: Function, siblings: &[Sibling]) -> TokenStream {
    let context = Context::new(stack, &function);
    let statics = site::statics(&context);
    let imports = imports(siblings);
    let code = layer::layers(&context, 0);
    let steps = finish(&context, &code);
    let here = context.here;
    let krate = &context.krate;
    let body = function.frame.around(quote_spanned! {here=>
        #imports
        #statics
        let __call = #krate::__private::Call::new();
        let __timed = #krate::__private::Slot::time(&__POLICIES, &__call);
        #steps
    });
    let mut lent = context.lent();
    lent.extend(cloned(stack));
    lend(&mut function.item.signature, &lent);
    let mut group = Group::new(Delimiter::Brace, body);
    group.set_span(function.item.body.span());
    let head = function.item.head();
    let consumed = consumed(stack, &function);
    quote!(#consumed #head #group)
}

/// Parameters that each attempt has a copy of: what is changed is the copy.
fn cloned(stack: &Stack) -> impl Iterator<Item = (Ident, Option<Ident>)> + '_ {
    let names = stack.layers.iter().flat_map(|layer| layer.clones());
    names.map(|name| (name.clone(), None))
}

/// A body that consumes a parameter consumes a copy of it, so clippy would have it taken by reference.
fn consumed(stack: &Stack, function: &Function) -> Option<TokenStream> {
    let has_clones = stack.layers.iter().any(|layer| !layer.clones().is_empty());
    let is_blocking = function.item.signature.asyncness.is_none();
    (has_clones && is_blocking).then(|| quote!(#[allow(clippy::needless_pass_by_value)]))
}

fn finish(context: &Context<'_>, code: &Code) -> TokenStream {
    let error = context.error_span;
    let convert = context.convert(0);
    quote_spanned! {error=>
        let __step = #code;
        __step.end(__timed, #convert)
    }
}

/// The attributes that were taken off, on items that vanish: their imports stay in use, and an editor
/// still knows what they are.
pub(crate) fn imports(siblings: &[Sibling]) -> TokenStream {
    let here = crate::function::frame::here();
    siblings
        .iter()
        .map(|sibling| {
            let path = sibling.path.to_token_stream();
            quote_spanned!(here=> #[#path(__taken)] const _: () = ();)
        })
        .collect()
}
