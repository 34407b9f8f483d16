//! Expressions from a macro's fragments. They come in invisible groups, which the compiler drops when it
//! takes tokens back from an attribute; without them, `$a * 2` with `1 + 1` for `$a` would be 3.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use syn::Expr;

/// `tokens` with parentheses in place of the invisible groups that hold an operation.
pub(crate) fn hold_together(tokens: TokenStream) -> TokenStream {
    if !has_fragment(&tokens) {
        // A group that is made anew loses the places of its two delimiters.
        return tokens;
    }
    tokens.into_iter().map(held).collect()
}

fn has_fragment(tokens: &TokenStream) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Group(group) => {
            group.delimiter() == Delimiter::None || has_fragment(&group.stream())
        }
        _ => false,
    })
}

fn held(token: TokenTree) -> TokenTree {
    let TokenTree::Group(group) = token else {
        return token;
    };
    if !has_fragment(&TokenStream::from_iter([TokenTree::Group(group.clone())])) {
        return TokenTree::Group(group);
    }
    if let Some(block) = block(&group) {
        return TokenTree::Group(block);
    }
    let (delimiter, span) = match group.delimiter() {
        Delimiter::None if is_operation(&group.stream()) => (
            Delimiter::Parenthesis,
            Span::mixed_site().located_at(group.span()),
        ),
        delimiter => (delimiter, group.span()),
    };
    let mut held = Group::new(delimiter, hold_together(group.stream()));
    held.set_span(span);
    TokenTree::Group(held)
}

/// The block that an invisible group holds. Without the group its braces would be the user's own, and
/// might be called unnecessary.
fn block(group: &Group) -> Option<Group> {
    let mut inside = group.stream().into_iter();
    match (group.delimiter(), inside.next(), inside.next()) {
        (Delimiter::None, Some(TokenTree::Group(block)), None)
            if block.delimiter() == Delimiter::Brace =>
        {
            let mut held = Group::new(Delimiter::Brace, hold_together(block.stream()));
            held.set_span(Span::mixed_site().located_at(block.span()));
            Some(held)
        }
        _ => None,
    }
}

/// Could its parts be torn apart? Patterns and types of this look may stand in parentheses as well.
fn is_operation(tokens: &TokenStream) -> bool {
    matches!(
        syn::parse2::<Expr>(tokens.clone()),
        Ok(Expr::Binary(_) | Expr::Cast(_) | Expr::Range(_) | Expr::Unary(_))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    fn fragment(tokens: TokenStream) -> Group {
        Group::new(Delimiter::None, tokens)
    }

    #[test]
    fn operations_are_held_together() {
        let sum = fragment(quote!(1 + 1));
        let held = hold_together(quote!({ #sum * 2 }));
        assert_eq!(held.to_string(), quote!({ (1 + 1) * 2 }).to_string());
    }

    #[test]
    fn other_fragments_stay_as_they_are() {
        let (name, ty) = (fragment(quote!(name)), fragment(quote!(&'a str)));
        let tokens = quote!(let #name: #ty = { x };);
        assert_eq!(
            hold_together(tokens.clone()).to_string(),
            tokens.to_string()
        );
    }
}
