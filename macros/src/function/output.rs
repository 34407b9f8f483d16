//! What a call ends in: the return type, or the output of the future that is returned.

use super::parameter::bare;
use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use syn::{
    GenericArgument, Lifetime, PathArguments, ReturnType, Type, TypeParamBound, TypeReference,
    punctuated::Punctuated, visit::Visit, visit_mut::VisitMut,
};

/// The type behind `->`.
pub(crate) fn returned(output: &ReturnType) -> Type {
    match output {
        ReturnType::Default => syn::parse_quote!(()),
        ReturnType::Type(_, ty) => (**ty).clone(),
    }
}

/// The output of the future that `ty` is: `impl Future`, `Pin<Box<dyn Future>>`, or futures' `BoxFuture`.
pub(crate) fn of_future(ty: &Type) -> Option<Type> {
    match bare(ty) {
        Type::ImplTrait(imp) => of_bounds(&imp.bounds),
        Type::TraitObject(object) => of_bounds(&object.bounds),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            let is_boxed = last.ident == "BoxFuture" || last.ident == "LocalBoxFuture";
            let inner = last_type(&last.arguments)?;
            match last.ident.to_string().as_str() {
                "Pin" | "Box" => of_future(inner),
                _ if is_boxed => Some(inner.clone()),
                _ => None,
            }
        }
        _ => None,
    }
}

fn last_type(arguments: &PathArguments) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = arguments else {
        return None;
    };
    arguments
        .args
        .iter()
        .rev()
        .find_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        })
}

fn of_bounds(bounds: &Punctuated<TypeParamBound, syn::Token![+]>) -> Option<Type> {
    bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else {
            return None;
        };
        let last = bound.path.segments.last()?;
        let PathArguments::AngleBracketed(arguments) = &last.arguments else {
            return None;
        };
        let is_future = last.ident == "Future";
        arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(assoc) if is_future && assoc.ident == "Output" => {
                Some(assoc.ty.clone())
            }
            _ => None,
        })
    })
}

/// The type as it may be written inside the body: `_` for every `impl Trait`.
pub(crate) fn erased(ty: &Type) -> Type {
    let mut ty = ty.clone();
    Erase.visit_type_mut(&mut ty);
    ty
}

struct Erase;

impl VisitMut for Erase {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        match ty {
            Type::ImplTrait(_) => *ty = syn::parse_quote!(_),
            other => syn::visit_mut::visit_type_mut(self, other),
        }
    }
}

/// Where an error about the error type belongs: on its first token.
pub(crate) fn error_place(ty: &Type) -> Span {
    let whole = || ty.to_token_stream();
    let tokens = match bare(ty) {
        Type::Path(path) => match path.path.segments.last() {
            // An alias of one parameter hides the error type: the whole type is the place.
            Some(last) => match &last.arguments {
                PathArguments::AngleBracketed(arguments) if arguments.args.len() > 1 => arguments
                    .args
                    .last()
                    .map_or_else(whole, ToTokens::to_token_stream),
                _ => whole(),
            },
            None => whole(),
        },
        _ => whole(),
    };
    start(tokens)
}

/// The same variable, seen at another place.
pub(crate) fn placed_name(name: &Ident, at: Span) -> Ident {
    let mut placed = name.clone();
    placed.set_span(name.span().located_at(at));
    placed
}

/// Where tokens begin.
pub(crate) fn start(tokens: TokenStream) -> Span {
    let first = tokens.into_iter().next();
    first.map_or_else(Span::mixed_site, |token| token.span())
}

/// The lifetimes that a type names, and whether it leaves one out.
#[derive(Default)]
pub(crate) struct Borrows {
    pub(crate) named: Vec<Lifetime>,
    pub(crate) elided: bool,
}

impl Borrows {
    pub(crate) fn of(ty: &Type) -> Self {
        let mut borrows = Self::default();
        borrows.visit_type(ty);
        borrows
    }
}

impl Visit<'_> for Borrows {
    fn visit_type_reference(&mut self, reference: &TypeReference) {
        self.elided |= reference.lifetime.is_none();
        syn::visit::visit_type_reference(self, reference);
    }

    fn visit_lifetime(&mut self, lifetime: &Lifetime) {
        match lifetime.ident.to_string().as_str() {
            "_" => self.elided = true,
            "static" => {}
            _ => self.named.push(lifetime.clone()),
        }
    }
}
