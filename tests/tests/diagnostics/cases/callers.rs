// Mistakes of those who call an annotated function.

//# argument_of_another_type: E0308
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    ask(n).await
}
pub async fn caller() -> Result<u32, Failure> {
    call("text").await
}

//# too_many_arguments: E0061
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    ask(n).await
}
pub async fn caller() -> Result<u32, Failure> {
    call(1, 2).await
}

//# result_of_another_type: E0308
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    ask(n).await
}
pub async fn caller() -> Result<String, Failure> {
    let text: String = call(1).await?;
    Ok(text)
}

//# future_without_await: unused_must_use
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    ask(n).await
}
pub fn caller() {
    call(1);
}

//# result_that_is_ignored: unused_must_use
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    ask(n).await
}
pub async fn caller() {
    call(1).await;
}

//# result_that_is_ignored_sync: unused_must_use sync
#[stack]
pub fn call(n: u32) -> Result<u32, Failure> {
    Ok(n)
}
pub fn caller() {
    call(1);
}

//# own_must_use: unused_must_use sync
#[stack]
#[must_use = "it costs"]
pub fn call(n: u32) -> Result<u32, Failure> {
    Ok(n)
}
pub fn caller() {
    call(1);
}

//# deprecated_call: deprecated sync
#[stack]
#[deprecated = "call another"]
pub fn call(n: u32) -> Result<u32, Failure> {
    Ok(n)
}
pub fn caller() {
    let _ = call(1);
}

//# future_that_is_not_send: 
fn assert_send<T: Send>(_: T) {}
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    let local = std::rc::Rc::new(n);
    ask(*local).await
}
pub fn caller() {
    assert_send(call(1));
}

//# borrow_that_outlives: E0597
#[stack]
pub async fn call(text: &str) -> Result<u32, Failure> {
    ask(text.len() as u32).await
}
pub async fn caller() -> Result<u32, Failure> {
    let future;
    {
        let text = String::new();
        future = call(&text);
    }
    future.await
}

//# private_function: E0603
mod inner {
    use crate::support::*;
    #[stack]
    async fn call(n: u32) -> Result<u32, Failure> {
        ask(n).await
    }
}
pub async fn caller() -> Result<u32, Failure> {
    inner::call(1).await
}

//# missing_bound_of_a_caller: E0277
#[stack]
pub async fn call<T: std::fmt::Display>(value: T) -> Result<String, Failure> {
    ask(1).await?;
    Ok(value.to_string())
}
pub async fn caller() -> Result<String, Failure> {
    call(Failure).await
}

//# trait_with_another_signature: E0053
pub trait Call {
    fn call(&self, n: u32) -> impl Future<Output = Result<u32, Failure>>;
}
impl Call for Order {
    #[stack]
    async fn call(&self, n: u64) -> Result<u32, Failure> {
        ask(n as u32).await
    }
}

//# method_that_no_trait_has: E0407
pub trait Call {}
impl Call for Order {
    #[stack]
    async fn call(&self, n: u32) -> Result<u32, Failure> {
        ask(n).await
    }
}
