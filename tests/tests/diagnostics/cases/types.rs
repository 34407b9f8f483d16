// Type errors. Each case begins with its name and the code that is expected; `sync` tries it without
// `async`, `-name` leaves a stack out, `~part` names what differs by design.

//# value_of_another_type: E0308
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    let text: String = n;
    ask(text.len() as u32).await
}

//# tail_of_another_type: E0308
#[stack]
pub async fn call(_n: u32) -> Result<u32, Failure> {
    Ok("text")
}

//# tail_of_another_type_sync: E0308 sync
#[stack]
pub fn call(_n: u32) -> Result<u32, Failure> {
    Ok("text")
}

//# tail_that_is_no_result: E0308
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    n + 1
}

//# tail_that_is_no_result_sync: E0308 sync
#[stack]
pub fn call(n: u32) -> Result<u32, Failure> {
    n + 1
}

//# no_tail: E0308
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    ask(n).await;
}

//# no_tail_sync: E0308 sync ~place
#[stack]
pub fn call(n: u32) -> Result<u32, Failure> {
    consume(n);
}

//# empty_body: E0308
#[stack]
pub async fn call(_n: u32) -> Result<u32, Failure> {}

//# another_error: E0308
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    if n > 0 {
        return Err("text");
    }
    ask(n).await
}

//# return_of_another_type: E0308
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    if n > 0 {
        return n;
    }
    ask(n).await
}

//# return_of_nothing: E0069
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    if n > 0 {
        return;
    }
    ask(n).await
}

//# branches_of_two_types: E0308
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    let m = if n > 0 { 1 } else { "two" };
    ask(m).await
}

//# missing_await: E0308
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    ask(n)
}

//# missing_await_before_a_question_mark: E0277
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    let m = ask(n)?;
    Ok(m)
}

//# no_conversion_of_the_error: E0277
#[stack]
pub async fn call(text: &str) -> Result<u32, Failure> {
    let n: u32 = text.parse()?;
    ask(n).await
}

//# no_conversion_of_the_error_sync: E0277 sync
#[stack]
pub fn call(text: &str) -> Result<u32, Failure> {
    let n: u32 = text.parse()?;
    Ok(n)
}

//# question_mark_on_an_option: E0277 ~message
#[stack]
pub async fn call(n: Option<u32>) -> Result<u32, Failure> {
    ask(n?).await
}

//# await_of_no_future: E0277
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    n.await
}

//# await_without_async: E0728 sync
#[stack]
pub fn call(n: u32) -> Result<u32, Failure> {
    ask(n).await
}

//# missing_bound: E0277
#[stack]
pub async fn call<T>(value: T) -> Result<String, Failure> {
    ask(1).await?;
    Ok(format!("{value}"))
}

//# missing_operator: E0369
#[stack]
pub async fn call<T>(a: T, b: T) -> Result<T, Failure> {
    ask(1).await?;
    Ok(a + b)
}

//# wrong_number_of_arguments: E0061
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    ask(n, n).await
}

//# wrong_argument: E0308
#[stack]
pub async fn call(n: u64) -> Result<u32, Failure> {
    ask(n).await
}

//# missing_field: E0063
#[stack]
pub async fn call(id: u32) -> Result<Order, Failure> {
    ask(id).await?;
    Ok(Order { id })
}

//# unknown_type_of_a_local: E0282
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    let values = Vec::new();
    consume(&values);
    ask(n).await
}

//# missing_arm: E0004
#[stack]
pub async fn call(n: Option<u32>) -> Result<u32, Failure> {
    match n {
        Some(n) => ask(n).await,
    }
}

//# refutable_pattern: E0005
#[stack]
pub async fn call(n: Option<u32>) -> Result<u32, Failure> {
    let Some(n) = n;
    ask(n).await
}

//# pattern_of_another_type: E0308
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    match n {
        "text" => ask(n).await,
        _ => Ok(n),
    }
}

//# not_a_function: E0618
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    n(1)
}

//# cast_that_is_none: E0606
#[stack]
pub async fn call(n: &str) -> Result<u32, Failure> {
    ask(n as u32).await
}

//# dereference_of_a_value: E0614
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    ask(*n).await
}

//# self_of_another_type: E0308
pub struct Client(u32);
impl Client {
    #[stack]
    pub async fn call(&mut self) -> Result<u32, Failure> {
        self.0 = "text";
        ask(self.0).await
    }
}

//# boxed_trait_object_of_another_trait: E0277
#[stack]
pub async fn call(n: u32) -> Result<Box<dyn std::fmt::Display>, Failure> {
    ask(n).await?;
    Ok(Box::new(Failure))
}

//# two_mistakes: E0308
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    let a: String = n;
    let b: String = ask(n).await?;
    Ok(a.len() as u32 + b.len())
}
