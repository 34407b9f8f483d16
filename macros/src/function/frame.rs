//! Where the stack goes. Most often the function's body; where a macro above has moved the body into a
//! block, that block.

use super::output::{of_future, returned};
use crate::parse::item::Item;
use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{
    Block, Expr, ExprAsync, GenericParam, Pat, Signature, Stmt, Type, parse::Parser,
    spanned::Spanned,
};

/// What stays around the stack.
pub(crate) enum Frame {
    /// Nothing: the stack is the function's body.
    Plain,
    /// The returned future's `async` block, and what stands before it.
    Future(Box<Future>),
    /// A span of `#[tracing::instrument]` above, around the innermost group.
    Span(TokenStream),
}

/// `before; wrap(async move { moves; STACK })`
pub(crate) struct Future {
    statements: Vec<Stmt>,
    /// The last expression, whose `async` block is replaced.
    last: Expr,
    /// Statements that move the parameters into the block; they run once.
    moves: Vec<Stmt>,
    self_name: Option<Ident>,
}

/// Where the stack goes, and what is known there.
pub(crate) struct Place {
    pub(crate) frame: Frame,
    pub(crate) body: Group,
    pub(crate) is_async: bool,
    pub(crate) output: Type,
}

impl Frame {
    pub(crate) fn self_name(&self) -> Option<Ident> {
        match self {
            Self::Future(future) => future.self_name.clone(),
            _ => None,
        }
    }

    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }

    /// The function's body, with `stack` in its place.
    pub(crate) fn around(&self, stack: TokenStream) -> TokenStream {
        match self {
            Self::Plain => stack,
            Self::Future(future) => future.around(&stack),
            Self::Span(body) => graft(body.clone(), &mut Some(stack)),
        }
    }
}

impl Future {
    fn around(&self, stack: &TokenStream) -> TokenStream {
        let Self {
            statements,
            last,
            moves,
            ..
        } = self;
        let mut last = last.clone();
        if let Some(block) = async_block_mut(&mut last) {
            let capture = &block.capture;
            let span = block.async_token.span;
            let wrapped = quote_spanned!(span=> async #capture { #(#moves)* #stack });
            *block = syn::parse2(wrapped).unwrap_or_else(|_| block.clone());
        }
        quote!(#(#statements)* #last)
    }
}

/// Finds out where the stack goes.
pub(crate) fn place(item: &Item) -> syn::Result<Place> {
    let written = returned(&item.signature.output);
    if item.signature.asyncness.is_none()
        && let Some(output) = of_future(&written)
    {
        return future(item, output);
    }
    let is_async = item.signature.asyncness.is_some();
    let (frame, body) = match innermost(&item.body.stream()) {
        Some(body) => (Frame::Span(item.body.stream()), body),
        None => (Frame::Plain, item.body.clone()),
    };
    Ok(Place {
        frame,
        body,
        is_async,
        output: written,
    })
}

fn future(item: &Item, output: Type) -> syn::Result<Place> {
    let no_block = || {
        syn::Error::new_spanned(
            &item.signature.output,
            "a function that returns a future must end in its `async` block: write `async fn`, or end with `async move { .. }` or `Box::pin(async move { .. })`",
        )
    };
    let statements = Block::parse_within.parse2(item.body.stream())?;
    let mut statements = statements;
    let Some(Stmt::Expr(mut last, None)) = statements.pop() else {
        return Err(no_block());
    };
    let Some(block) = async_block_mut(&mut last) else {
        return Err(no_block());
    };
    let (moves, rest) = split_moves(&item.signature, block.block.stmts.clone());
    let self_name = moves.iter().find_map(renamed_self);
    let mut body = Group::new(Delimiter::Brace, quote!(#(#rest)*));
    body.set_span(block.block.span());
    Ok(Place {
        frame: Frame::Future(Box::new(Future {
            statements,
            last,
            moves,
            self_name,
        })),
        body,
        is_async: true,
        output,
    })
}

/// `async move {}`, `Box::pin(async move {})`, `async move {}.boxed()`
fn async_block_mut(expr: &mut Expr) -> Option<&mut ExprAsync> {
    match expr {
        Expr::Async(block) => Some(block),
        Expr::Call(call) if call.args.len() == 1 => async_block_mut(call.args.first_mut()?),
        Expr::MethodCall(call) => async_block_mut(&mut call.receiver),
        Expr::Group(group) => async_block_mut(&mut group.expr),
        Expr::Paren(paren) => async_block_mut(&mut paren.expr),
        _ => None,
    }
}

/// `async_trait` first moves the parameters into the block, then binds `__ret` to the body. Only the
/// body may run again.
fn split_moves(signature: &Signature, statements: Vec<Stmt>) -> (Vec<Stmt>, Vec<Stmt>) {
    let is_async_trait = signature.generics.params.iter().any(
        |param| matches!(param, GenericParam::Lifetime(p) if p.lifetime.ident == "async_trait"),
    );
    let body = statements.iter().position(binds_result);
    match body {
        Some(body) if is_async_trait => {
            let mut moves = statements;
            let rest = moves.split_off(body);
            (moves, rest)
        }
        _ => (Vec::new(), statements),
    }
}

fn binds_result(statement: &Stmt) -> bool {
    let Stmt::Local(local) = statement else {
        return false;
    };
    match &local.pat {
        Pat::Type(typed) => match &*typed.pat {
            Pat::Ident(name) => name.ident == "__ret",
            Pat::Wild(_) => true,
            _ => false,
        },
        _ => false,
    }
}

/// `let __self = self;`
fn renamed_self(statement: &Stmt) -> Option<Ident> {
    let Stmt::Local(local) = statement else {
        return None;
    };
    let Pat::Ident(name) = &local.pat else {
        return None;
    };
    let value = &local.init.as_ref()?.expr;
    (value.to_token_stream().to_string() == "self").then(|| name.ident.clone())
}

/// The group that `#[tracing::instrument]` has put its span around: the one that follows the statement
/// by which it pins the return type.
fn innermost(tokens: &TokenStream) -> Option<Group> {
    let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
    if let Some(TokenTree::Group(last)) = trees.last()
        && is_brace(last)
        && pins_return_type(&trees)
    {
        return Some(last.clone());
    }
    trees.iter().find_map(|tree| match tree {
        TokenTree::Group(group) => innermost(&group.stream()),
        _ => None,
    })
}

/// `tokens` with `stack` in place of the innermost group.
fn graft(tokens: TokenStream, stack: &mut Option<TokenStream>) -> TokenStream {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let is_here = matches!(trees.last(), Some(TokenTree::Group(last)) if is_brace(last))
        && pins_return_type(&trees);
    let last = trees.len().saturating_sub(1);
    trees
        .into_iter()
        .enumerate()
        .map(|(place, tree)| match tree {
            TokenTree::Group(group) => {
                let inner = match is_here && place == last {
                    true => stack.take().unwrap_or_else(|| group.stream()),
                    false if is_here => group.stream(),
                    false => graft(group.stream(), stack),
                };
                let mut grafted = Group::new(group.delimiter(), inner);
                grafted.set_span(group.span());
                TokenTree::Group(grafted)
            }
            other => other,
        })
        .collect()
}

fn is_brace(group: &Group) -> bool {
    group.delimiter() == Delimiter::Brace
}

fn pins_return_type(trees: &[TokenTree]) -> bool {
    trees.iter().any(|tree| match tree {
        TokenTree::Group(group) if is_brace(group) => group.stream().into_iter().any(
            |inner| matches!(inner, TokenTree::Ident(name) if name == "__tracing_attr_fake_return"),
        ),
        _ => false,
    })
}

/// Stands where no token of the user's does.
pub(crate) fn here() -> Span {
    Span::mixed_site()
}
