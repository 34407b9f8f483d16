//! Does an expression name a variable? Asked of tokens, so that macros are seen into.

use proc_macro2::{TokenStream, TokenTree};

/// Whether `name` occurs in `tokens`, also inside a format string (`"{name}"`).
///
/// A closure's own parameter of that name counts as well: being careful costs a borrow, no more.
pub(crate) fn mentions(tokens: &TokenStream, name: &str) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == name,
        TokenTree::Group(group) => mentions(&group.stream(), name),
        TokenTree::Literal(literal) => {
            in_format_string(&literal.to_string(), name.trim_start_matches("r#"))
        }
        TokenTree::Punct(_) => false,
    })
}

fn in_format_string(literal: &str, name: &str) -> bool {
    literal.contains('"')
        && literal.split('{').skip(1).any(|rest| {
            rest.strip_prefix(name)
                .is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    #[test]
    fn names_are_found_in_groups_and_format_strings() {
        assert!(mentions(&quote!(|e| e.limit == (limit)), "limit"));
        assert!(mentions(&quote!(format!("{limit:?}")), "limit"));
        assert!(!mentions(&quote!(format!("{limits}")), "limit"));
        assert!(!mentions(&quote!(limits), "limit"));
    }
}
