// Errors of the borrow checker.

//# local_used_after_move: E0382 ~suggestions
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    let text = n.to_string();
    consume(text);
    ask(text.len() as u32).await
}

//# local_used_after_move_sync: E0382 sync ~suggestions
#[stack]
pub fn call(n: u32) -> Result<usize, Failure> {
    let text = n.to_string();
    consume(text);
    Ok(text.len())
}

//# local_moved_in_a_loop: E0382 ~suggestions
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    let text = n.to_string();
    for _ in 0..n {
        consume(text);
    }
    ask(n).await
}

//# parameter_used_after_move: E0382 ~suggestions -retry -retry_in_a_stack
#[stack]
pub async fn call(text: String) -> Result<u32, Failure> {
    consume(text);
    ask(text.len() as u32).await
}

//# parameter_used_after_move_sync: E0382 sync ~suggestions -retry -retry_in_a_stack
#[stack]
pub fn call(text: String) -> Result<usize, Failure> {
    consume(text);
    Ok(text.len())
}

//# part_used_after_move: E0382 -retry -retry_in_a_stack
#[stack]
pub async fn call(order: Order) -> Result<u32, Failure> {
    consume(order.note);
    ask(order.note.len() as u32).await
}

//# self_used_after_move: E0382 -retry -retry_in_a_stack
pub struct Client(String);
impl Client {
    #[stack]
    pub async fn call(self) -> Result<usize, Failure> {
        consume(self);
        Ok(self.0.len())
    }
}

//# move_out_of_a_reference: E0507 ~label ~suggestions
#[stack]
pub async fn call(order: &Order) -> Result<u32, Failure> {
    consume(order.note);
    ask(order.id).await
}

//# two_unique_borrows: E0499
#[stack]
pub async fn call(mut n: u32) -> Result<u32, Failure> {
    n += 1;
    let mut values = vec![n];
    let first = &mut values;
    let second = &mut values;
    first.push(1);
    second.push(2);
    ask(n).await
}

//# shared_and_unique_borrow: E0502
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    let mut values = vec![n];
    let first = &values[0];
    values.push(1);
    ask(*first).await
}

//# shared_and_unique_borrow_of_a_parameter: E0502
#[stack]
pub async fn call(values: &mut Vec<u32>) -> Result<u32, Failure> {
    let first = &values[0];
    values.push(1);
    ask(*first).await
}

//# shared_and_unique_borrow_sync: E0502 sync
#[stack]
pub fn call(values: &mut Vec<u32>) -> Result<u32, Failure> {
    let first = &values[0];
    values.push(1);
    Ok(*first)
}

//# shared_and_unique_borrow_of_self: E0502
pub struct Client {
    values: Vec<u32>,
}
impl Client {
    fn push(&mut self, n: u32) {
        self.values.push(n);
    }
    #[stack]
    pub async fn call(&mut self) -> Result<u32, Failure> {
        for n in &self.values {
            self.push(*n);
        }
        ask(1).await
    }
}

//# moved_while_borrowed: E0505 ~suggestions
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    let text = n.to_string();
    let borrowed = &text;
    consume(text);
    ask(borrowed.len() as u32).await
}

//# assigned_while_borrowed: E0506
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    let mut m = n;
    let borrowed = &m;
    m = 2;
    consume(m);
    ask(*borrowed).await
}

//# borrow_that_ends_too_early: E0597
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    let borrowed;
    {
        let m = n + 1;
        borrowed = &m;
    }
    ask(*borrowed).await
}

//# temporary_that_ends_too_early: E0716
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    let text = n.to_string().as_str();
    ask(text.len() as u32).await
}

//# local_that_is_returned: E0515
#[stack]
pub async fn call<'t>(n: &'t u32) -> Result<&'t str, Failure> {
    let text = n.to_string();
    ask(1).await?;
    Ok(text.as_str())
}

//# local_that_is_returned_sync: E0515 sync
#[stack]
pub fn call(n: &u32) -> Result<&str, Failure> {
    let text = n.to_string();
    Ok(text.as_str())
}

//# local_without_a_value: E0381
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    let m;
    if n > 1 {
        m = 1;
    }
    ask(m).await
}

//# local_assigned_twice: E0384
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    let m = n;
    consume(m);
    m = 2;
    ask(m).await
}

//# parameter_assigned: E0384 ~code ~message ~label ~suggestions
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    n += 1;
    ask(n).await
}

//# parameter_assigned_sync: E0384 sync ~code ~message ~label ~suggestions
#[stack]
pub fn call(n: u32) -> Result<u32, Failure> {
    n += 1;
    Ok(n)
}

//# local_borrowed_uniquely: E0596
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    let values = vec![n];
    values.push(1);
    ask(values[0]).await
}

//# parameter_borrowed_uniquely: E0596
#[stack]
pub async fn call(values: Vec<u32>) -> Result<u32, Failure> {
    values.push(1);
    ask(values[0]).await
}

//# parameter_borrowed_uniquely_sync: E0596 sync
#[stack]
pub fn call(values: Vec<u32>) -> Result<u32, Failure> {
    values.push(1);
    Ok(values[0])
}

//# reference_borrowed_uniquely: E0596 ~place ~label ~suggestions
#[stack]
pub async fn call(values: &Vec<u32>) -> Result<u32, Failure> {
    values.push(1);
    ask(values[0]).await
}

//# self_borrowed_uniquely: E0596 ~place ~message ~label ~suggestions
pub struct Client {
    values: Vec<u32>,
}
impl Client {
    #[stack]
    pub async fn call(&self) -> Result<u32, Failure> {
        self.values.push(1);
        ask(self.values[0]).await
    }
}

//# field_assigned_behind_a_reference: E0594 ~place ~code ~message ~label ~suggestions
#[stack]
pub async fn call(order: &Order) -> Result<u32, Failure> {
    order.id = 1;
    ask(order.id).await
}

//# reference_that_lives_too_short:  ~place
#[stack]
pub async fn call<'a, 'b>(a: &'a str, b: &'b str) -> Result<&'a str, Failure> {
    ask(a.len() as u32).await?;
    Ok(b)
}

//# reference_that_lives_too_short_sync:  sync ~suggestions
#[stack]
pub fn call<'a, 'b>(a: &'a str, b: &'b str) -> Result<&'a str, Failure> {
    if a.is_empty() {
        return Ok(b);
    }
    Ok(a)
}

//# reference_that_escapes: E0521
#[stack]
pub async fn call(text: &str) -> Result<u32, Failure> {
    let handle = std::thread::spawn(move || text.len());
    ask(handle.join().unwrap_or(0) as u32).await
}

//# closure_that_escapes: E0373
#[stack]
pub async fn call(n: u32) -> Result<u32, Failure> {
    let m = n + 1;
    let handle = std::thread::spawn(|| m + 1);
    ask(handle.join().unwrap_or(0)).await
}
