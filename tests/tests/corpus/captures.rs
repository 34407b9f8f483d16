//! What becomes of the parameters: moved once, lent to each attempt, cloned where asked.

use std::{
    fs::File,
    io::{self, Cursor, Read},
    sync::{Arc, Mutex},
};

use steadfast::{bulkhead, circuit_breaker, fallback, rate_limited, retry, timeout};

use crate::support::{Failure, Tries};

#[derive(Debug, Clone, PartialEq, Default)]
struct Order {
    lines: Vec<String>,
}

/// Cannot be cloned.
#[derive(Debug, PartialEq)]
struct Ticket(u32);

#[circuit_breaker]
#[rate_limited(rate = "1000/s")]
#[bulkhead]
#[timeout("1s")]
async fn moved_once(order: Order, ticket: Ticket) -> Result<(Order, Ticket), Failure> {
    let mut order = order;
    order.lines.push("new".into());
    Ok((order, ticket))
}

#[circuit_breaker]
fn moved_once_synchronously(ticket: Ticket) -> Result<Ticket, Failure> {
    Ok(ticket)
}

#[circuit_breaker]
async fn called_once<F: FnOnce() -> u32>(make: F) -> Result<u32, Failure> {
    Ok(make())
}

#[retry(base_delay = "10ms")]
async fn lent(order: Order, ticket: Ticket, tries: Tries) -> Result<usize, Failure> {
    let Ticket(n) = &ticket;
    let n = *n as usize;
    tries.ask()?;
    Ok(order.lines.len() + n)
}

#[fallback(|_error| Ok(order.lines.len() * 100))]
#[retry(base_delay = "10ms", clone(order))]
#[timeout("1s")]
async fn cloned(order: Order, tries: &Tries) -> Result<usize, Failure> {
    let lines = order.lines;
    tries.ask()?;
    Ok(lines.len())
}

#[fallback(|error| { drop(error); Ok(order) }, clone(order))]
#[circuit_breaker]
async fn cloned_for_the_fallback(order: Order, fails: bool) -> Result<Order, Failure> {
    if fails {
        drop(order);
        return Err(Failure::Down);
    }
    Ok(order)
}

#[fallback(|_error| Ok(order), clone(order))]
#[retry(max_attempts = 2, base_delay = "10ms", clone(order, label))]
async fn cloned_for_both(order: Order, label: String, tries: &Tries) -> Result<Order, Failure> {
    let mut mine = order;
    mine.lines.push(label);
    tries.ask()?;
    Ok(mine)
}

#[fallback(by_reference_to_all)]
#[retry(max_attempts = 2, base_delay = "10ms")]
async fn path_takes_the_parameters(
    text: &str,
    limit: usize,
    tries: &Tries,
) -> Result<usize, Failure> {
    tries.ask()?;
    Ok(text.len() + limit)
}

async fn by_reference_to_all(
    text: &str,
    limit: usize,
    tries: &Tries,
    error: Failure,
) -> Result<usize, Failure> {
    assert!(error.is_down());
    Ok(text.len() * limit * tries.made() as usize)
}

#[fallback(takes_the_order)]
#[timeout("1s")]
async fn path_takes_a_value(order: Order) -> Result<usize, Failure> {
    if order.lines.is_empty() {
        return Err(Failure::Down);
    }
    Ok(order.lines.len())
}

async fn takes_the_order(order: Order, _error: Failure) -> Result<usize, Failure> {
    Ok(order.lines.len() + 7)
}

#[retry(base_delay = "10ms", clone(shared))]
async fn moved_into_a_task(shared: Arc<Mutex<u32>>, tries: &Tries) -> Result<u32, Failure> {
    let task = tokio::spawn(async move {
        let mut n = shared.lock().unwrap();
        *n += 1;
        *n
    });
    let n = task.await.map_err(|_| Failure::Down)?;
    tries.ask()?;
    Ok(n)
}

#[retry(base_delay = "1ms")]
fn unique_borrows(
    buffer: &mut Vec<u8>,
    total: &mut usize,
    tries: &Tries,
) -> Result<usize, Failure> {
    buffer.clear();
    buffer.extend(b"read");
    *total += buffer.len();
    tries.ask()?;
    Ok(*total)
}

#[retry(base_delay = "1ms")]
fn reborrowed(reader: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    fill(reader, into)?;
    Ok(into.len())
}

fn fill(reader: &mut impl Read, into: &mut [u8]) -> io::Result<()> {
    reader.read_exact(into)
}

#[retry(base_delay = "10ms")]
#[timeout("1s")]
async fn unique_borrow_across_awaits(values: &mut Vec<u32>, tries: &Tries) -> Result<u32, Failure> {
    push(values).await;
    push(&mut *values).await;
    tries.ask()
}

async fn push(values: &mut Vec<u32>) {
    tokio::task::yield_now().await;
    values.push(1);
}

#[retry(base_delay = "10ms")]
async fn moving_closure_of_copies(n: u32, tries: &Tries) -> Result<u32, Failure> {
    let add = move |by: u32| n + by;
    let block = async move { tries.ask().map(|by| by + n) };
    Ok(add(block.await?))
}

#[retry(base_delay = "1ms")]
fn file_is_lent(
    path: &std::path::Path,
    make: fn(&std::path::Path) -> io::Result<File>,
) -> io::Result<()> {
    make(path).map(drop)
}

#[fallback(|error| Ok(format!("{name}: {error} ({limit:>3})")))]
#[retry(max_attempts = 1)]
async fn seen_in_a_format_string(name: &str, limit: u32) -> Result<String, Failure> {
    Err(if limit > 1000 {
        Failure::Gone(1)
    } else {
        let _ = name;
        Failure::Down
    })
}

fn order() -> Order {
    Order {
        lines: vec!["old".into()],
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_made_once_takes_its_values() {
    let (order, ticket) = moved_once(order(), Ticket(3)).await.unwrap();
    assert_eq!(order.lines, ["old", "new"]);
    assert_eq!(ticket, Ticket(3));
    assert_eq!(moved_once_synchronously(Ticket(4)), Ok(Ticket(4)));
    let text = String::from("moved");
    let make = move || {
        drop(text);
        5
    };
    assert_eq!(called_once(make).await, Ok(5));
}

#[tokio::test(start_paused = true)]
async fn values_that_are_only_borrowed_are_lent() {
    assert_eq!(lent(order(), Ticket(3), Tries::good_at(3)).await, Ok(4));
    assert_eq!(moving_closure_of_copies(3, &Tries::good_at(3)).await, Ok(9));
}

#[tokio::test(start_paused = true)]
async fn values_are_cloned_where_asked() {
    assert_eq!(cloned(order(), &Tries::good_at(3)).await, Ok(1));
    assert_eq!(cloned(order(), &Tries::never_good()).await, Ok(100));
    assert_eq!(cloned_for_the_fallback(order(), true).await, Ok(order()));
    assert_eq!(cloned_for_the_fallback(order(), false).await, Ok(order()));
    let down = Tries::never_good();
    assert_eq!(
        cloned_for_both(order(), "l".into(), &down).await,
        Ok(order())
    );
    let kept = cloned_for_both(order(), "l".into(), &Tries::good_at(2)).await;
    assert_eq!(kept.unwrap().lines, ["old", "l"]);
    let shared = Arc::new(Mutex::new(0));
    assert_eq!(moved_into_a_task(shared, &Tries::good_at(3)).await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn a_path_gets_the_parameters_and_the_error() {
    let down = Tries::never_good();
    assert_eq!(path_takes_the_parameters("abc", 5, &down).await, Ok(30));
    assert_eq!(path_takes_a_value(Order::default()).await, Ok(7));
    assert_eq!(
        seen_in_a_format_string("n", 5).await.unwrap(),
        "n: down (  5)"
    );
}

#[tokio::test(start_paused = true)]
async fn unique_borrows_are_reborrowed_for_each_attempt() {
    let (mut buffer, mut total) = (Vec::new(), 0);
    let read = unique_borrows(&mut buffer, &mut total, &Tries::good_at(3));
    assert_eq!(read, Ok(12));
    assert_eq!(buffer, b"read");

    let mut into = [0; 2];
    assert_eq!(
        reborrowed(&mut Cursor::new(b"bytes"), &mut into).unwrap(),
        2
    );
    assert_eq!(&into, b"by");

    let mut values = Vec::new();
    let call = unique_borrow_across_awaits(&mut values, &Tries::good_at(3)).await;
    assert_eq!(call, Ok(3));
    assert_eq!(values.len(), 6);

    let missing = file_is_lent("/no/such/file".as_ref(), |path| File::open(path));
    assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
}
