//! A literal, seen through the groups that macros put around it.

use syn::{Expr, Lit, UnOp};

/// What an expression says as it stands.
pub(crate) enum Literal<'a> {
    Text(&'a syn::LitStr),
    Whole(&'a syn::LitInt),
    Decimal(&'a syn::LitFloat),
    Truth(&'a syn::LitBool),
    /// `-1`
    Negative,
    /// A character, bytes, a C string
    Other,
}

/// The literal that `expr` is, if it is one.
pub(crate) fn literal(expr: &Expr) -> Option<Literal<'_>> {
    match bare(expr) {
        Expr::Lit(lit) => Some(match &lit.lit {
            Lit::Str(text) => Literal::Text(text),
            Lit::Int(whole) => Literal::Whole(whole),
            Lit::Float(decimal) => Literal::Decimal(decimal),
            Lit::Bool(truth) => Literal::Truth(truth),
            _ => Literal::Other,
        }),
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => {
            literal(&unary.expr).map(|_| Literal::Negative)
        }
        _ => None,
    }
}

/// The expression without the invisible group of a macro fragment, and without parentheses.
pub(crate) fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Group(group) => bare(&group.expr),
        Expr::Paren(paren) => bare(&paren.expr),
        other => other,
    }
}

/// The single identifier that `expr` is, if it is one.
pub(crate) fn word(expr: &Expr) -> Option<&syn::Ident> {
    match bare(expr) {
        Expr::Path(path) if path.qself.is_none() => path.path.get_ident(),
        _ => None,
    }
}
