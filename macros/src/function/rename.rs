//! `self` under another name.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

/// `tokens` with the value `self` called `name`. Nested functions keep their own; so do paths and imports.
pub(crate) fn rename_self(tokens: TokenStream, name: &Ident) -> TokenStream {
    let mut renamed = TokenStream::new();
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        match token {
            TokenTree::Ident(word) if word == "self" => {
                let is_path =
                    matches!(rest.peek(), Some(TokenTree::Punct(p)) if p.as_char() == ':');
                let renamed_word = Ident::new(&name.to_string(), word.span());
                renamed.extend([TokenTree::Ident(if is_path { word } else { renamed_word })]);
            }
            TokenTree::Ident(word) if word == "use" => {
                renamed.extend([TokenTree::Ident(word)]);
                copy_until(&mut rest, &mut renamed, is_semicolon);
            }
            TokenTree::Ident(word) if word == "fn" => {
                let is_item = matches!(rest.peek(), Some(TokenTree::Ident(_)));
                renamed.extend([TokenTree::Ident(word)]);
                if is_item {
                    copy_until(&mut rest, &mut renamed, is_end_of_function);
                }
            }
            TokenTree::Group(group) => renamed.extend([inside(&group, name)]),
            other => renamed.extend([other]),
        }
    }
    renamed
}

fn inside(group: &Group, name: &Ident) -> TokenTree {
    let mut renamed = Group::new(group.delimiter(), rename_self(group.stream(), name));
    renamed.set_span(group.span());
    TokenTree::Group(renamed)
}

fn copy_until(
    rest: &mut impl Iterator<Item = TokenTree>,
    copied: &mut TokenStream,
    is_last: fn(&TokenTree) -> bool,
) {
    for token in rest {
        let last = is_last(&token);
        copied.extend([token]);
        if last {
            return;
        }
    }
}

fn is_semicolon(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ';')
}

fn is_end_of_function(token: &TokenTree) -> bool {
    let is_body = matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
    is_body || is_semicolon(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::{format_ident, quote};

    #[test]
    fn only_the_value_is_renamed() {
        let tokens = quote! {
            use self::inner::{self, Deep};
            fn helper(self) -> u32 { self.0 }
            println!("{}", self.name);
            self.call(|x| self::helper(x, self))
        };
        let expected = quote! {
            use self::inner::{self, Deep};
            fn helper(self) -> u32 { self.0 }
            println!("{}", __self.name);
            __self.call(|x| self::helper(x, __self))
        };
        let renamed = rename_self(tokens, &format_ident!("__self"));
        assert_eq!(renamed.to_string(), expected.to_string());
    }
}
