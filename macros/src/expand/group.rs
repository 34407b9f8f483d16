//! Permits: of policies that follow each other, taken one after the other and reported together.

use super::{
    code::Code,
    context::{Context, at},
    judge::{judged, predicates},
    layer::rejected,
    site::{fetch, handle, shares_policies, supplied},
};
use crate::model::{
    circuit_breaker::CircuitBreaker,
    layer::{Layer, Policy},
    rate_limited::RateLimited,
};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{Expr, Lifetime};

/// Does this layer give out permits?
pub(super) fn is_permit(layer: &Layer) -> bool {
    matches!(
        layer.policy,
        Policy::CircuitBreaker(_) | Policy::RateLimited(_) | Policy::Bulkhead(_)
    )
}

/// The place of the first of the permits that `place` is among.
pub(super) fn start(context: &Context<'_>, place: usize) -> usize {
    let above = context.stack.layers[..place].iter().rev();
    place - above.take_while(|layer| is_permit(layer)).count()
}

/// The place after the last of the permits that begin at `start`.
pub(super) fn end(context: &Context<'_>, start: usize) -> usize {
    let layers = context.stack.layers.iter().skip(start);
    start + layers.take_while(|layer| is_permit(layer)).count()
}

/// May a success pass by all of them unseen? Not where one has to look at the value.
pub(super) fn lets_success_pass(context: &Context<'_>, start: usize) -> bool {
    let layers = &context.stack.layers[start..end(context, start)];
    !layers.iter().any(|layer| match &layer.policy {
        Policy::CircuitBreaker(site) => site.when_value.is_some(),
        _ => false,
    })
}

// Output:
//     '__group_2: {
//         let mut __policies = Slot::get(&__POLICIES);
//         let __permit_2 = match Admits::try_admit(__policies.1.1.0, &__call) {
//             Some(__permit) => __permit,
//             None => match Admits::admit_blocking(__policies.1.1.0, &__call) {
//                 Ok(__permit) => __permit,
//                 Err(__rejection) => { let __step = Step::Rejected(__rejection); break '__group_2 __step; }
//             },
//         };
//         let __step = #inner;
//         let __step = match Step::good(__step) {
//             Ok(__outcome) => {
//                 Permit::succeed(__permit_2);
//                 let __step = Step::Done(__outcome);
//                 break '__good_0 __step;
//             }
//             Err(__step) => __step,
//         };
//         let __judge = Judge::new(&__step, ..);
//         Permit::settle(__permit_2, __judge);
//         __step
//     }
//
/// The permits from `start` on around what lies inside them.
pub(super) fn group(
    context: &Context<'_>,
    start: usize,
    exit: Option<&Lifetime>,
    inner: &Code,
) -> TokenStream {
    let here = context.here;
    // Numbered: one label in another of its name is a warning.
    let label = Lifetime::new(&format!("'__group_{start}"), here);
    let fetched = fetch(context);
    let policies = (!shares_policies(context, start))
        .then(|| quote_spanned!(here=> let mut __policies = #fetched;));
    let admissions = (start..end(context, start)).map(|place| {
        let layer = &context.stack.layers[place];
        let supplied = supplied(context, place, layer);
        let admission = admission(context, place, layer, &label);
        let (wish, fence) = (wish(context, place, layer), fence(context, place, layer));
        quote!(#supplied #wish #admission #fence)
    });
    let admissions: TokenStream = admissions.collect();
    let run = match reporting(context, start) {
        silent if silent.is_empty() => quote!(#inner),
        places => reported(context, &places, exit.unwrap_or(&label), inner),
    };
    quote_spanned! {here=>
        #label: {
            #policies
            #admissions
            #run
        }
    }
}

/// The places of the permits that are told what the call came to. A bulkhead's is just dropped.
fn reporting(context: &Context<'_>, start: usize) -> Vec<usize> {
    let places = start..end(context, start);
    let reports =
        |&place: &usize| !matches!(context.stack.layers[place].policy, Policy::Bulkhead(_));
    places.filter(reports).collect()
}

/// Is any of them?
pub(super) fn reports(context: &Context<'_>, start: usize) -> bool {
    !reporting(context, start).is_empty()
}

fn permit(context: &Context<'_>, place: usize) -> Ident {
    format_ident!("__permit_{place}", span = context.here)
}

/// Runs what is inside, and tells the permits what it came to.
fn reported(context: &Context<'_>, places: &[usize], exit: &Lifetime, inner: &Code) -> TokenStream {
    let (here, output) = (context.here, context.output_span);
    let krate = &context.krate;
    let start = places.first().copied().unwrap_or_default();
    let good = lets_success_pass(context, start).then(|| {
        let mut permits = places.iter().map(|&place| permit(context, place));
        let first = permits.next();
        let all = permits.fold(quote!(#first), |outer, inner| quote!((#outer, #inner)));
        let good = good(
            context,
            exit,
            &quote_spanned!(here=> #krate::__private::Permit::succeed(#all);),
        );
        quote_spanned!(output=> let __step = #good;)
    });
    let settle = places.iter().rev().map(|&place| {
        let permit = permit(context, place);
        let judged = match &context.stack.layers[place].policy {
            Policy::CircuitBreaker(site) => predicates(
                context,
                &[
                    ("when", &site.when),
                    ("when_value", &site.when_value),
                    ("ignore", &site.ignore),
                ],
            ),
            _ => TokenStream::new(),
        };
        let krate = context.krate_at(output);
        quote_spanned!(output=> #krate::__private::Permit::settle(#permit, __judge #judged);)
    });
    let judged = judged(context);
    quote_spanned! {here=>
        let __step = #inner;
        #good
        let __judge = #judged;
        #(#settle)*
        __step
    }
}

/// If `__step` is a success, it leaves for `exit` at once, past all layers that have nothing to say about it.
pub(super) fn good(context: &Context<'_>, exit: &Lifetime, first: &TokenStream) -> TokenStream {
    let output = context.output_span;
    let krate = context.krate_at(output);
    quote_spanned! {output=>
        match #krate::__private::Step::good(__step) {
            ::core::result::Result::Ok(__outcome) => {
                #first
                let __step = #krate::__private::Step::Done(__outcome);
                break #exit __step;
            }
            ::core::result::Result::Err(__step) => __step,
        }
    }
}

/// `let __permit_2 = ..;`
fn admission(context: &Context<'_>, place: usize, layer: &Layer, label: &Lifetime) -> TokenStream {
    let here = context.here;
    let permit = permit(context, place);
    let rejected = rejected(context, place, layer);
    // Bound first: a label and a path that begins with `::` do not go together.
    let refuse = quote_spanned!(here=> {
        let __step = #rejected;
        break #label __step;
    });
    let waits = context.is_async() && !matches!(layer.policy, Policy::CircuitBreaker(_));
    let admitted = match (asked(context, place, layer), waits) {
        (Asked::Plainly, false) => admitted_plainly(context, place, &refuse),
        (Asked::For(key), false) => admitted_for(context, place, &key, &refuse),
        (Asked::With(entering), false) => admitted_at_once(context, &entering, &refuse),
        (Asked::Plainly, true) => admitted_plainly_at_last(context, place, &refuse),
        (Asked::For(key), true) => admitted_for_at_last(context, place, &key, &refuse),
        (Asked::With(entering), true) => {
            let label = entered(context, place);
            let wait = wait(context, &label, &entering, &refuse);
            admitted_at_last(context, &label, &TokenStream::new(), &wait, &refuse)
        }
    };
    quote_spanned!(here=> let #permit = #admitted;)
}

/// A permit that is handed on within an instance gets a number of its own only where one is wanted.
fn wish(context: &Context<'_>, place: usize, layer: &Layer) -> Option<TokenStream> {
    let Policy::Bulkhead(site) = &layer.policy else {
        return None;
    };
    site.fence.as_ref()?;
    let (here, krate, call) = (context.here, &context.krate, context.call(place));
    Some(quote_spanned!(here=> #krate::__private::Call::wants_fence(#call);))
}

/// `let n: u64 = ..;`, where the site wants to know its permit's number.
fn fence(context: &Context<'_>, place: usize, layer: &Layer) -> Option<TokenStream> {
    let Policy::Bulkhead(site) = &layer.policy else {
        return None;
    };
    let (here, krate) = (context.here, &context.krate);
    let (name, permit) = (site.fence.as_ref()?, permit(context, place));
    Some(quote_spanned! {here=>
        let #name: ::core::primitive::u64 = #krate::__private::Fenced::fence(&#permit);
    })
}

/// How a policy is asked for a permit.
enum Asked {
    /// With nothing but the call.
    Plainly,
    /// And with a key, whose permit is there for nearly every call.
    For(TokenStream),
    With(TokenStream),
}

fn asked(context: &Context<'_>, place: usize, layer: &Layer) -> Asked {
    let asked = match &layer.policy {
        Policy::CircuitBreaker(site) => circuit_breaker(context, place, site),
        Policy::RateLimited(site) => return rate_limited(context, place, site),
        Policy::Bulkhead(site) => bulkhead(context, place, site.key.as_ref()),
        _ => None,
    };
    asked.map_or(Asked::Plainly, Asked::With)
}

/// By a policy that lets nobody wait, or lets the thread wait.
fn admitted_plainly(context: &Context<'_>, place: usize, refuse: &TokenStream) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
    let (policy, call) = (handle(context, place), context.call(place));
    let rest = admitted_at_once(
        context,
        &quote_spanned!(here=> #krate::__private::Admits::admit_blocking(#policy, #call)),
        refuse,
    );
    quote_spanned! {here=>
        match #krate::__private::Admits::try_admit(#policy, #call) {
            ::core::option::Option::Some(__permit) => __permit,
            ::core::option::Option::None => #rest,
        }
    }
}

/// The same, for a key.
fn admitted_for(
    context: &Context<'_>,
    place: usize,
    key: &TokenStream,
    refuse: &TokenStream,
) -> TokenStream {
    let here = context.here;
    let (policy, call) = (handle(context, place), context.call(place));
    let rest = admitted_at_once(
        context,
        &quote_spanned!(here=> #policy.enter_key_blocking(#call, __key)),
        refuse,
    );
    quote_spanned! {here=>
        match #key {
            __key => match #policy.try_enter_key(#call, __key) {
                ::core::option::Option::Some(__permit) => __permit,
                ::core::option::Option::None => #rest,
            },
        }
    }
}

fn admitted_at_once(
    context: &Context<'_>,
    entering: &TokenStream,
    refuse: &TokenStream,
) -> TokenStream {
    let here = context.here;
    quote_spanned! {here=>
        match #entering {
            ::core::result::Result::Ok(__permit) => __permit,
            ::core::result::Result::Err(__rejection) => #refuse,
        }
    }
}

/// By a policy that may let the future wait.
fn admitted_plainly_at_last(
    context: &Context<'_>,
    place: usize,
    refuse: &TokenStream,
) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
    let (policy, call, label) = (
        handle(context, place),
        context.call(place),
        entered(context, place),
    );
    let first = quote_spanned! {here=>
        if let ::core::option::Option::Some(__permit) =
            #krate::__private::Admits::try_admit(#policy, #call)
        {
            break #label __permit;
        }
    };
    let entering = quote_spanned!(here=> #krate::__private::Waits::admit(#policy, #call));
    let wait = wait(context, &label, &entering, refuse);
    admitted_at_last(context, &label, &first, &wait, refuse)
}

/// The same, for a key. A `match` on it: what it borrows lives as long as it is asked with, and no longer.
fn admitted_for_at_last(
    context: &Context<'_>,
    place: usize,
    key: &TokenStream,
    refuse: &TokenStream,
) -> TokenStream {
    let here = context.here;
    let (policy, call, label) = (
        handle(context, place),
        context.call(place),
        entered(context, place),
    );
    let entering = quote_spanned!(here=> #policy.enter_key(#call, __key));
    let rest = wait(context, &label, &entering, refuse);
    let wait = quote_spanned! {here=>
        match #key {
            __key => match #policy.try_enter_key(#call, __key) {
                ::core::option::Option::Some(__permit) => break #label __permit,
                ::core::option::Option::None => #rest,
            },
        }
    };
    admitted_at_last(context, &label, &TokenStream::new(), &wait, refuse)
}

/// Where one goes on who has its permit.
fn entered(context: &Context<'_>, place: usize) -> Lifetime {
    Lifetime::new(&format!("'__entered_{place}"), context.here)
}

/// The wait that entering comes to, unless it comes to an end at once.
fn wait(
    context: &Context<'_>,
    label: &Lifetime,
    entering: &TokenStream,
    refuse: &TokenStream,
) -> TokenStream {
    let (here, krate) = (context.here, &context.krate);
    quote_spanned! {here=>
        match #entering {
            #krate::__private::Entered::In(__permit) => break #label __permit,
            #krate::__private::Entered::Out(__rejection) => #refuse,
            #krate::__private::Entered::Wait(__wait) => __wait,
        }
    }
}

/// Entering is split from waiting: what the user's expressions borrow (a lock's guard, say) is let go
/// before the wait, and so is all that the future would keep room for.
fn admitted_at_last(
    context: &Context<'_>,
    label: &Lifetime,
    first: &TokenStream,
    wait: &TokenStream,
    refuse: &TokenStream,
) -> TokenStream {
    let here = context.here;
    let fetched = fetch(context);
    quote_spanned! {here=>
        #label: {
            #first
            let __wait = #wait;
            let __entered = __wait.await;
            __policies = #fetched;
            match __entered {
                ::core::result::Result::Ok(__permit) => __permit,
                ::core::result::Result::Err(__rejection) => #refuse,
            }
        }
    }
}

fn circuit_breaker(
    context: &Context<'_>,
    place: usize,
    site: &CircuitBreaker,
) -> Option<TokenStream> {
    let key = context.function.site(site.key.as_ref()?);
    let at = at(&key);
    let (policy, call) = (handle(context, place), context.call(place));
    let key = shown(context, at, &key);
    Some(quote_spanned!(at=> #policy.enter_key(#call, #key)))
}

fn rate_limited(context: &Context<'_>, place: usize, site: &RateLimited) -> Asked {
    let (here, krate) = (context.here, &context.krate);
    let parts = [
        ("cost", &site.cost),
        ("bypass", &site.bypass),
        ("rate", &site.rate),
    ];
    let parts: TokenStream = parts
        .into_iter()
        .filter_map(|(name, value)| {
            let value = context.function.site(value.as_ref()?);
            let at = at(&value);
            let name = Ident::new(name, at);
            Some(quote_spanned!(at=> .#name(#value)))
        })
        .collect();
    let key = site.key.as_ref().map(|key| {
        let key = context.function.site(key);
        let at = at(&key);
        (at, shown(context, at, &key))
    });
    let key = match (parts.is_empty(), key) {
        (true, None) => return Asked::Plainly,
        (true, Some((_, key))) => return Asked::For(key),
        (false, key) => key.map(|(at, key)| quote_spanned!(at=> .key(#key))),
    };
    let enter = context.method("enter");
    let (policy, call) = (handle(context, place), context.call(place));
    Asked::With(quote_spanned! {here=>
        #policy.#enter(#call, #krate::__private::Request::new() #parts #key)
    })
}

fn bulkhead(context: &Context<'_>, place: usize, key: Option<&Expr>) -> Option<TokenStream> {
    let (key, mut enter) = (context.function.site(key?), context.method("enter_key"));
    let at = at(&key);
    enter.set_span(at);
    let (policy, call) = (handle(context, place), context.call(place));
    let key = shown(context, at, &key);
    Some(quote_spanned!(at=> #policy.#enter(#call, #key)))
}

/// A key as what it is told apart by: its text where it is text, else its `Display`.
fn shown(context: &Context<'_>, at: Span, key: &TokenStream) -> TokenStream {
    let krate = &context.krate;
    quote_spanned!(at=> #krate::__private::Key::of(&(#key)).__shown())
}
