//! What the expansion needs to know of the function below the attributes.

pub(crate) mod frame;
pub(crate) mod output;
pub(crate) mod parameter;
pub(crate) mod rename;

use crate::parse::item::Item;
use frame::Frame;
use parameter::Parameter;
use proc_macro2::{Group, Ident, TokenStream};
use quote::ToTokens;
use syn::{FnArg, Receiver, Type};

/// A function, looked at.
pub(crate) struct Function {
    pub(crate) item: Item,
    /// Where the stack goes: the body itself, or a block inside it.
    pub(crate) frame: Frame,
    /// What the policies run.
    pub(crate) body: Group,
    /// May the stack await?
    pub(crate) is_async: bool,
    /// What a call ends in.
    pub(crate) output: Type,
    pub(crate) parameters: Vec<Parameter>,
}

impl Function {
    pub(crate) fn new(item: Item) -> syn::Result<Self> {
        let parameters = parameter::parameters(&item.signature);
        let place = frame::place(&item)?;
        Ok(Self {
            parameters,
            frame: place.frame,
            body: place.body,
            is_async: place.is_async,
            output: place.output,
            item,
        })
    }

    pub(crate) fn receiver(&self) -> Option<&Receiver> {
        match self.item.signature.inputs.first()? {
            FnArg::Receiver(receiver) => Some(receiver),
            FnArg::Typed(_) => None,
        }
    }

    /// How the body calls `self`: a macro above may have renamed it.
    pub(crate) fn self_name(&self) -> Option<Ident> {
        let receiver = self.receiver()?;
        let own = || Ident::new("self", receiver.self_token.span);
        Some(self.frame.self_name().unwrap_or_else(own))
    }

    /// The variable that holds a copy of `self` for the body.
    pub(crate) fn self_clone(&self) -> Option<Ident> {
        let receiver = self.receiver()?;
        let own = || Ident::new("__self", receiver.self_token.span);
        Some(self.frame.self_name().unwrap_or_else(own))
    }

    /// `mut`, where the parameter has it.
    pub(crate) fn mutability(&self, name: &Ident) -> Option<syn::Token![mut]> {
        let parameter = self.parameters.iter().find(|own| own.name == *name);
        match self.receiver().filter(|_| name == "self") {
            Some(receiver) => receiver.mutability,
            None => parameter.and_then(|own| own.mutability),
        }
    }

    /// `name` as the body sees it: an attribute from a macro may be of another hygiene.
    pub(crate) fn visible(&self, name: &Ident) -> Ident {
        let parameter = self.parameters.iter().find(|own| own.name == *name);
        match parameter {
            Some(own) => output::placed_name(&own.name, name.span()),
            None => name.clone(),
        }
    }

    /// A site's expression as it must be written where the stack stands.
    pub(crate) fn site(&self, expression: &impl ToTokens) -> TokenStream {
        let tokens = expression.to_token_stream();
        match self.frame.self_name() {
            Some(name) => rename::rename_self(tokens, &name),
            None => tokens,
        }
    }
}
