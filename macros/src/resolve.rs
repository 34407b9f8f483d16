//! Rates and durations that turn out to see the parameters: they belong to the site.

use crate::{
    function::Function,
    mention::mentions,
    model::{
        layer::{Layer, Policy},
        setting::Value,
        stack::Stack,
    },
};
use quote::ToTokens;
use syn::Expr;

/// Moves them from the settings to the site.
pub(crate) fn resolve(stack: &mut Stack, function: &Function) {
    let mut names: Vec<String> = function
        .parameters
        .iter()
        .map(|parameter| parameter.name.to_string())
        .chain(["self".to_owned()])
        .collect();
    for layer in &mut stack.layers {
        let site = match layer.policy {
            Policy::RateLimited(_) => varying(layer, "rate", &names),
            Policy::Timeout(_) => varying(layer, "after", &names),
            _ => None,
        };
        match &mut layer.policy {
            Policy::RateLimited(limited) => limited.rate = site,
            Policy::Timeout(timeout) => timeout.after = site,
            Policy::Retry(retry) => names.extend(retry.attempt.as_ref().map(ToString::to_string)),
            _ => {}
        }
    }
}

fn varying(layer: &mut Layer, name: &str, names: &[String]) -> Option<Expr> {
    let setting = layer.settings.find(name)?;
    let tokens = setting.source.to_token_stream();
    let varies =
        setting.value == Value::Expression && names.iter().any(|name| mentions(&tokens, name));
    match varies {
        true => layer.settings.take(name).map(|setting| setting.source),
        false => None,
    }
}
