//! Orders that cannot do what they say.

use crate::{
    errors::Errors,
    kind::Kind,
    model::{
        layer::{Layer, Policy},
        stack::Stack,
    },
};

pub(crate) fn check(stack: &Stack, errors: &mut Errors) {
    for (place, layer) in stack.layers.iter().enumerate() {
        let above = &stack.layers[..place];
        hidden_failures(layer, above, errors);
        twice(layer, above, errors);
    }
}

/// A fallback that answers everything leaves the layers above it nothing to see.
fn hidden_failures(layer: &Layer, above: &[Layer], errors: &mut Errors) {
    let Policy::Fallback(fallback) = &layer.policy else {
        return;
    };
    let blinded = above
        .iter()
        .find(|other| matches!(other.kind, Kind::Retry | Kind::CircuitBreaker));
    let Some(blinded) = blinded else {
        return;
    };
    if fallback.is_unconditional() {
        let blinded = blinded.kind.attribute();
        errors.at(
            layer.span,
            format!(
                "this fallback hides every failure from the `#[{blinded}]` above it: move `#[fallback]` to the top, or restrict it with `when = ..`"
            ),
        );
    }
}

/// Two instances that nothing tells apart.
fn twice(layer: &Layer, above: &[Layer], errors: &mut Errors) {
    if layer.with.is_some() {
        return;
    }
    let same = |other: &&Layer| {
        other.kind == layer.kind
            && other.with.is_none()
            && other.name.as_ref().map(syn::LitStr::value)
                == layer.name.as_ref().map(syn::LitStr::value)
    };
    if !above.iter().any(|other| same(&other)) {
        return;
    }
    let attribute = layer.kind.attribute();
    match &layer.name {
        Some(name) => errors.on(
            name,
            format!(
                "two `#[{attribute}]` named \"{}\" on one function are one instance, entered twice: give them different names, or keep one",
                name.value()
            ),
        ),
        None if needs_name(layer.kind) => errors.at(
            layer.span,
            format!("a second `#[{attribute}]` without a name: write `#[{attribute}(\"name\", ..)]` on each, or keep one"),
        ),
        None => {}
    }
}

fn needs_name(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::CircuitBreaker | Kind::RateLimited | Kind::Bulkhead
    )
}
