// Names that are not there.

//# unknown_variable: E0425
#[stack]
pub async fn call(number: u32) -> Result<u32, Failure> {
    ask(numbr).await
}

//# unknown_variable_sync: E0425 sync
#[stack]
pub fn call(number: u32) -> Result<u32, Failure> {
    Ok(numbr)
}

//# unknown_function: E0425
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    demand(n).await
}

//# unknown_method: E0599
#[stack]
pub async fn call(text: String) -> Result<u32, Failure> {
    ask(text.size()).await
}

//# unknown_method_of_self: E0599
pub struct Client;
impl Client {
    #[stack]
    pub async fn call(&self) -> Result<u32, Failure> {
        self.other().await
    }
}

//# unknown_field: E0609
#[stack]
pub async fn call(order: &Order) -> Result<u32, Failure> {
    ask(order.number).await
}

//# unknown_field_in_a_literal: E0560
#[stack]
pub async fn call(id: u32) -> Result<Order, Failure> {
    ask(id).await?;
    Ok(Order { id, number: 1, note: String::new() })
}

//# unknown_type: E0425
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    let n: Number = n;
    ask(n).await
}

//# unknown_type_of_a_parameter: E0425
#[stack]
pub async fn call(n: Number) -> Result<u32, Failure> {
    ask(1).await
}

//# unknown_type_of_the_result: E0425
#[stack]
pub async fn call(n: u32) -> Result<u32, Mistake> {
    Ok(n)
}

//# unknown_path: E0433
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    ask(numbers::MAX + n).await
}

//# unknown_macro: 
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    shout!("{n}");
    ask(n).await
}

//# unknown_import: E0432
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    use std::collections::HashMop;
    ask(n).await
}

//# unknown_lifetime: E0261
#[stack]
pub async fn call(text: &'t str) -> Result<u32, Failure> {
    ask(text.len() as u32).await
}

//# missing_lifetime: E0106
#[stack]
pub async fn call(a: &str, b: &str) -> Result<&str, Failure> {
    ask(b.len() as u32).await?;
    Ok(a)
}

//# unknown_label: E0426
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    loop {
        ask(n).await?;
        break 'outer;
    }
    Ok(n)
}

//# unknown_name_in_a_format_string: E0425
#[stack]
pub async fn call(n: u32) -> Result<String, Failure> {
    ask(n).await?;
    Ok(format!("{numbr}"))
}

//# unknown_self: E0424
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    ask(self.n + n).await
}

//# private_field: E0616
mod inner {
    #[derive(Default)]
    pub struct Secret {
        n: u32,
    }
}
#[stack]
pub async fn call() -> Result<u32, Failure> {
    let secret = inner::Secret::default();
    ask(secret.n).await
}

//# break_outside_of_a_loop: E0267 ~message ~label
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    if n > 1 {
        break;
    }
    ask(n).await
}

//# break_outside_of_a_loop_sync: E0268 sync ~code ~message ~label
#[stack]
pub fn call(n: u32) -> Result<u32, Failure> {
    if n > 1 {
        continue;
    }
    Ok(n)
}

//# function_twice: E0428
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    ask(n).await
}
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    ask(n + 1).await
}

//# parameter_twice: E0415
#[stack]
pub async fn call(n: u32, n: u32) -> Result<u32, Failure> {
    ask(n).await
}
