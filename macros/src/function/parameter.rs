//! The variables that a function's parameters bind.

use proc_macro2::Span;
use syn::{
    Attribute, FieldPat, FnArg, Ident, Pat, PatIdent, Signature, Type, spanned::Spanned,
    visit::Visit, visit_mut::VisitMut,
};

/// A variable bound by a parameter.
pub(crate) struct Parameter {
    pub(crate) name: Ident,
    /// Or is it `_`?
    pub(crate) is_named: bool,
    pub(crate) mutability: Option<syn::Token![mut]>,
    /// Its type, where it is the whole parameter.
    pub(crate) ty: Option<Type>,
    /// `ref name`
    pub(crate) by_ref: bool,
    /// The `note` of `Order { note, .. }`
    pub(crate) is_shorthand: bool,
    /// `#[cfg(..)]`
    pub(crate) conditions: Vec<Attribute>,
}

impl Parameter {
    /// Is dropping it nothing, and lending it the same as copying it?
    pub(crate) fn is_plainly_copy(&self) -> bool {
        self.by_ref || self.ty.as_ref().is_some_and(is_copy)
    }

    pub(crate) fn is_mutable_reference(&self) -> bool {
        let ty = self.ty.as_ref().map(bare);
        matches!(ty, Some(Type::Reference(reference)) if reference.mutability.is_some())
    }

    pub(crate) fn is_reference(&self) -> bool {
        matches!(self.ty.as_ref().map(bare), Some(Type::Reference(_)))
    }
}

/// Known to be `Copy` from its spelling alone.
fn is_copy(ty: &Type) -> bool {
    const PRIMITIVES: [&str; 17] = [
        "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16",
        "u32", "u64", "u128", "usize", "str",
    ];
    match bare(ty) {
        Type::Reference(reference) => reference.mutability.is_none(),
        Type::Path(path) => path
            .path
            .get_ident()
            .is_some_and(|name| PRIMITIVES.iter().any(|primitive| name == primitive)),
        Type::BareFn(_) | Type::Never(_) | Type::Ptr(_) => true,
        _ => false,
    }
}

/// The type without the invisible group of a macro fragment.
pub(crate) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        other => other,
    }
}

/// Every variable that the parameters bind, in the order written.
pub(crate) fn parameters(signature: &Signature) -> Vec<Parameter> {
    let mut all = Vec::new();
    for (place, input) in signature.inputs.iter().enumerate() {
        if let FnArg::Typed(typed) = input {
            if let Pat::Wild(wild) = &*typed.pat {
                all.push(Parameter {
                    name: unnamed(place, wild.span()),
                    is_named: false,
                    mutability: None,
                    ty: Some((*typed.ty).clone()),
                    by_ref: false,
                    is_shorthand: false,
                    conditions: conditions(&typed.attrs),
                });
            }
            let mut bindings = Bindings::default();
            bindings.visit_pat(&typed.pat);
            let is_whole = matches!(&*typed.pat, Pat::Ident(_));
            let shorthands = bindings.shorthands;
            all.extend(bindings.all.into_iter().map(|binding| Parameter {
                is_shorthand: shorthands.contains(&binding.ident),
                name: binding.ident,
                is_named: true,
                mutability: binding.mutability,
                ty: is_whole.then(|| (*typed.ty).clone()),
                by_ref: binding.by_ref.is_some(),
                conditions: conditions(&typed.attrs),
            }));
        }
    }
    all
}

/// `_` binds nothing, but what is passed for it is dropped in its turn; so it needs a name where the
/// body takes hold of the parameters.
fn unnamed(place: usize, span: Span) -> Ident {
    Ident::new(
        &format!("_unnamed_{place}"),
        Span::mixed_site().located_at(span),
    )
}

/// The conditions among a parameter's attributes.
pub(crate) fn conditions(attributes: &[Attribute]) -> Vec<Attribute> {
    let is_condition = |attribute: &&Attribute| attribute.path().is_ident("cfg");
    attributes.iter().filter(is_condition).cloned().collect()
}

#[derive(Default)]
struct Bindings {
    all: Vec<PatIdent>,
    shorthands: Vec<Ident>,
}

impl Visit<'_> for Bindings {
    fn visit_pat_ident(&mut self, binding: &PatIdent) {
        // `None`, a unit struct: names that begin like a type bind nothing.
        if !binding.ident.to_string().starts_with(char::is_uppercase) {
            self.all.push(binding.clone());
        }
        syn::visit::visit_pat_ident(self, binding);
    }

    fn visit_field_pat(&mut self, field: &FieldPat) {
        if let (None, Pat::Ident(binding)) = (&field.colon_token, &*field.pat) {
            self.shorthands.push(binding.ident.clone());
        }
        syn::visit::visit_field_pat(self, field);
    }
}

/// Readies the bindings that are bound again inside: without `mut`, and under their name outside.
pub(crate) fn lend(signature: &mut Signature, names: &[(Ident, Option<Ident>)]) {
    let mut lend = Lend(names);
    for (place, input) in signature.inputs.iter_mut().enumerate() {
        if let FnArg::Typed(typed) = input {
            name_wild(place, &mut typed.pat, names);
            lend.visit_pat_mut(&mut typed.pat);
        }
    }
}

fn name_wild(place: usize, pattern: &mut Pat, names: &[(Ident, Option<Ident>)]) {
    if let Pat::Wild(wild) = pattern {
        let name = unnamed(place, wild.span());
        if names.iter().any(|(lent, _)| *lent == name) {
            *pattern = syn::parse_quote!(#name);
        }
    }
}

struct Lend<'a>(&'a [(Ident, Option<Ident>)]);

impl VisitMut for Lend<'_> {
    fn visit_pat_ident_mut(&mut self, binding: &mut PatIdent) {
        let lent = self.0.iter().find(|(name, _)| *name == binding.ident);
        if let Some((_, outside)) = lent {
            binding.mutability = None;
            binding.ident = outside.clone().unwrap_or_else(|| binding.ident.clone());
        }
        syn::visit_mut::visit_pat_ident_mut(self, binding);
    }
}
