//! Which expressions may see what.

use crate::{
    errors::Errors,
    function::Function,
    model::{
        layer::{Layer, Policy},
        setting::{Setting, Value},
    },
};
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Expr, ExprAsync, ExprClosure, ExprReturn, ExprTry, GenericParam, visit::Visit};

pub(crate) fn check(layer: &Layer, function: &Function, errors: &mut Errors) {
    for setting in layer.settings.iter() {
        constant(setting, function, errors);
    }
    for (name, expression) in evaluated(layer) {
        stays(name, expression, errors);
    }
    if let Policy::Fallback(fallback) = &layer.policy {
        let has_key = fallback
            .cache
            .as_ref()
            .is_none_or(|cache| cache.key.is_some());
        if !has_key && !function.parameters.is_empty() {
            let word = fallback.cache.as_ref().map(|cache| &cache.word);
            errors.on(
                word,
                "without a key, calls with different arguments share one answer: write `cache(key = .., ..)`",
            );
        }
    }
}

/// A setting is one value for all calls.
fn constant(setting: &Setting, function: &Function, errors: &mut Errors) {
    if setting.value != Value::Expression {
        return;
    }
    let key = &setting.key;
    let Some((token, what)) = find_variable(setting.source.to_token_stream(), function) else {
        return;
    };
    errors.on(
        token,
        format!("`{key}` is one value for all calls: it cannot use {what}; write a literal or a constant"),
    );
}

fn find_variable(tokens: TokenStream, function: &Function) -> Option<(TokenTree, String)> {
    let mut previous_is_path = false;
    for token in tokens {
        let found = match &token {
            TokenTree::Group(group) => find_variable(group.stream(), function),
            TokenTree::Ident(name) if !previous_is_path => {
                variable(&name.to_string(), function).map(|what| (token.clone(), what))
            }
            _ => None,
        };
        if found.is_some() {
            return found;
        }
        previous_is_path =
            matches!(&token, TokenTree::Punct(p) if p.as_char() == ':' || p.as_char() == '.');
    }
    None
}

fn variable(name: &str, function: &Function) -> Option<String> {
    if name == "Self" || name == "self" {
        return Some(format!("`{name}`"));
    }
    if function.parameters.iter().any(|own| own.name == name) {
        return Some(format!("the parameter `{name}`"));
    }
    let generics = &function.item.signature.generics.params;
    let is_generic = generics.iter().any(|param| match param {
        GenericParam::Type(param) => param.ident == name,
        GenericParam::Const(param) => param.ident == name,
        GenericParam::Lifetime(_) => false,
    });
    is_generic.then(|| format!("the generic parameter `{name}`"))
}

/// Expressions that are evaluated in the function itself.
fn evaluated(layer: &Layer) -> Vec<(&'static str, &Expr)> {
    let own: Vec<(&'static str, &Option<Expr>)> = match &layer.policy {
        Policy::Retry(retry) => vec![("on_retry", &retry.on_retry)],
        Policy::CircuitBreaker(breaker) => vec![("key", &breaker.key)],
        Policy::RateLimited(limited) => vec![
            ("key", &limited.key),
            ("cost", &limited.cost),
            ("bypass", &limited.bypass),
            ("rate", &limited.rate),
        ],
        Policy::Bulkhead(bulkhead) => vec![("key", &bulkhead.key)],
        Policy::Timeout(timeout) => vec![("after", &timeout.after)],
        Policy::Fallback(_) => Vec::new(),
    };
    let cache_key = match &layer.policy {
        Policy::Fallback(fallback) => fallback.cache.as_ref().and_then(|cache| cache.key.as_ref()),
        _ => None,
    };
    own.into_iter()
        .chain([("with", &layer.with)])
        .filter_map(|(name, expression)| Some((name, expression.as_ref()?)))
        .chain(cache_key.map(|key| ("key", key)))
        .collect()
}

/// `?` and `return` in them would leave the function behind the stack's back.
fn stays(name: &str, expression: &Expr, errors: &mut Errors) {
    let body = match (name, crate::parse::literal::bare(expression)) {
        ("on_retry", Expr::Closure(closure)) => &*closure.body,
        _ => expression,
    };
    let mut leaves = Leaves(Vec::new());
    leaves.visit_expr(body);
    for (token, what) in leaves.0 {
        errors.on(
            token,
            format!("{what} in `{name}` has nowhere to go: handle the failure here"),
        );
    }
}

struct Leaves(Vec<(TokenStream, &'static str)>);

impl Visit<'_> for Leaves {
    fn visit_expr_try(&mut self, expression: &ExprTry) {
        self.0
            .push((expression.question_token.to_token_stream(), "`?`"));
        syn::visit::visit_expr_try(self, expression);
    }

    fn visit_expr_return(&mut self, expression: &ExprReturn) {
        self.0
            .push((expression.return_token.to_token_stream(), "`return`"));
    }

    fn visit_expr_closure(&mut self, _: &ExprClosure) {}

    fn visit_expr_async(&mut self, _: &ExprAsync) {}
}
