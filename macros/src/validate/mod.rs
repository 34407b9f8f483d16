//! Every mistake that is more than a misspelt word.

use crate::{errors::Errors, function::Function, model::stack::Stack};

mod function;
mod order;
mod settings;
mod site;

/// Checks a stack against its function.
pub(crate) fn validate(stack: &Stack, function: &Function, errors: &mut Errors) {
    function::check(stack, function, errors);
    order::check(stack, errors);
    for layer in &stack.layers {
        settings::check(layer, errors);
        site::check(layer, function, errors);
    }
}
