// Lints: they fire on the user's function, and on nothing else.

//# unused_variable: unused_variables
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    let unused = 1;
    ask(n).await
}

//# unused_parameter: unused_variables
#[stack]
pub async fn call(n: u32, unused: u32) -> Result<u32, Failure> {
    ask(n).await
}

//# unused_parameter_sync: unused_variables sync
#[stack]
pub fn call(n: u32, unused: u32) -> Result<u32, Failure> {
    Ok(n)
}

//# unused_part_of_a_parameter: unused_variables
#[stack]
pub async fn call((n, unused): (u32, u32), Order { id, note }: Order) -> Result<u32, Failure> {
    ask(n + id).await
}

//# unused_mut_of_a_local: unused_mut
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    let mut m = n;
    ask(m).await
}

//# unused_mut_of_a_parameter: unused_mut
#[stack]
pub async fn call(mut n: u32) -> Result<u32, Failure> {
    ask(n).await
}

//# unused_mut_of_a_parameter_sync: unused_mut sync
#[stack]
pub fn call(mut n: u32) -> Result<u32, Failure> {
    Ok(n)
}

//# unused_result: unused_must_use
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    ask(n).await;
    ask(n).await
}

//# unused_future: unused_must_use
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    ask(n);
    new();
    ask(n).await
}

//# unused_assignment: unused_assignments
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    let mut m = n;
    m = 1;
    m = 2;
    ask(m).await
}

//# unused_assignment_to_a_parameter: unused_assignments -retry -retry_in_a_stack
#[stack]
pub async fn call(mut n: u32) -> Result<u32, Failure> {
    let result = ask(n).await;
    n = 3;
    result
}

//# unreachable_statement: unreachable_code
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    return ask(n).await;
    ask(n + 1).await
}

//# unreachable_statement_sync: unreachable_code sync
#[stack]
pub fn call(n: u32) -> Result<u32, Failure> {
    if n > 1 {
        panic!("too much");
        consume(n);
    }
    Ok(n)
}

//# unreachable_end: unreachable_code
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    loop {
        ask(n).await?;
    }
    Ok(n)
}

//# unreachable_arm: unreachable_patterns
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    match n {
        _ => ask(n).await,
        1 => Ok(1),
    }
}

//# deprecated_function: deprecated
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    ask(n + old()).await
}

//# dead_function: dead_code
#[stack]
async fn call(n: u32) -> Result<u32, Failure> {
    ask(n).await
}

//# dead_function_sync: dead_code sync
#[stack]
fn call(n: u32) -> Result<u32, Failure> {
    Ok(n)
}

//# dead_method: dead_code
pub struct Client;
impl Client {
    #[stack]
    async fn call(&self) -> Result<u32, Failure> {
        ask(1).await
    }
}

//# dead_item_inside: dead_code
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    const LIMIT: u32 = 3;
    fn helper() {}
    ask(n).await
}

//# unused_import_inside: unused_imports
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    use std::collections::HashMap;
    ask(n).await
}

//# bad_names: non_snake_case
#[stack]
pub async fn badName(badParameter: u32) -> Result<u32, Failure> {
    let badLocal = badParameter;
    ask(badLocal).await
}

//# needless_parentheses: unused_parens
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    if (n > 1) {
        return (ask(n).await);
    }
    ask(n).await
}

//# statement_without_effect: path_statements
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    n;
    n == 1;
    ask(n).await
}

//# unused_label: unused_labels
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    'outer: for _ in 0..n {
        consume(n);
    }
    ask(n).await
}

//# overflowing_literal: overflowing_literals
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    let m: u8 = 256;
    ask(n + u32::from(m)).await
}

//# needless_braces: unused_braces
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    ask({ n }).await
}

//# unused_comment: unused_doc_comments
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    /// Says nothing.
    let m = n;
    ask(m).await
}

//# expectation_that_is_not_met: unfulfilled_lint_expectations
#[stack]
#[expect(unused_variables)]
pub async fn call(n: u32) -> Result<u32, Failure> {
    ask(n).await
}

//# needless_unsafe: unused_unsafe
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    let m = unsafe { n };
    ask(m).await
}

//# mutable_borrow_of_nothing: dropping_references
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    drop(&n);
    ask(n).await
}

//# changed_field_of_a_parameter: unused_variables
#[stack]
pub async fn call(mut order: Order, unused: u32) -> Result<u32, Failure> {
    order.id = 1;
    ask(1).await
}
