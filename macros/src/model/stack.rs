//! All attributes of one function, from the outermost in.

use super::layer::Layer;
use proc_macro2::{Span, TokenStream};
use syn::Path;

/// A stack, as it was written.
pub(crate) struct Stack {
    pub(crate) layers: Vec<Layer>,
    /// The arguments of all of them, as written.
    pub(crate) arguments: TokenStream,
}

impl Stack {
    /// How this crate is called where the stack stands.
    pub(crate) fn krate(&self) -> Path {
        self.layers
            .iter()
            .find_map(|layer| layer.krate.clone())
            .unwrap_or_else(|| syn::parse_quote_spanned!(Span::mixed_site()=> ::steadfast))
    }
}
