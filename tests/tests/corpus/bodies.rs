//! What stands in a body: control flow, nested blocks, things that a macro might catch by mistake.

use std::{collections::HashMap, ops::ControlFlow, sync::Mutex};

use steadfast::{circuit_breaker, fallback, retry, timeout};

use crate::support::{Failure, Tries, assert_send};

#[retry(base_delay = "10ms")]
#[timeout("1s")]
async fn question_mark(text: &str, tries: &Tries) -> Result<u32, anyhow::Error> {
    let n: u32 = text.parse()?;
    Ok(n + tries.ask()?)
}

#[retry(base_delay = "10ms")]
async fn early_return(tries: &Tries) -> Result<u32, Failure> {
    if tries.made() > 1 {
        return Ok(50);
    }
    tries.ask()?;
    return Err(Failure::Down);
}

#[retry(base_delay = "1ms")]
fn loops(tries: &Tries) -> Result<u32, Failure> {
    let mut sum = 0;
    'outer: for a in 0..10 {
        for b in 0..10 {
            if a * b == 6 {
                continue 'outer;
            }
            if a + b > 12 {
                break 'outer;
            }
            sum += 1;
        }
    }
    let found = loop {
        if tries.made() > 100 {
            continue;
        }
        break sum;
    };
    let block = 'block: {
        if found > 0 {
            break 'block found;
        }
        0
    };
    tries.ask()?;
    Ok(block)
}

#[retry(base_delay = "10ms")]
#[timeout("1s")]
async fn blocks_and_closures(tries: &Tries) -> Result<u32, Failure> {
    let inner = async {
        tries.ask()?;
        if tries.made() > 100 {
            return Err(Failure::Gone(1));
        }
        Ok::<u32, Failure>(3)
    };
    let double = |n: u32| -> Option<u32> {
        if n > 100 {
            return None;
        }
        n.checked_mul(2)
    };
    let triple = async |n: u32| n * 3;
    let n = inner.await?;
    Ok(triple(double(n).unwrap_or(0)).await)
}

#[retry(base_delay = "10ms")]
async fn chains(tries: &Tries, maybe: Option<u32>) -> Result<u32, Failure> {
    let Some(given) = maybe else {
        return Err(Failure::Gone(1));
    };
    if let Ok(n) = tries.ask()
        && n > 1
        && let Some(sum) = n.checked_add(given)
    {
        return Ok(sum);
    }
    match given {
        n if n > 100 => Ok(n),
        0 | 1 => Err(Failure::Gone(2)),
        _ => Err(Failure::Down),
    }
}

#[retry(base_delay = "10ms")]
#[timeout("1s")]
async fn guard_is_not_held(lock: &Mutex<u32>, tries: &Tries) -> Result<u32, Failure> {
    {
        let mut n = lock.lock().unwrap();
        *n += 1;
    }
    tokio::task::yield_now().await;
    tries.ask()
}

#[fallback(|error| Err(error))]
#[retry(base_delay = "10ms")]
async fn coerces(tries: &Tries) -> Result<Box<dyn Fn() -> u32 + Send>, Failure> {
    let n = tries.ask()?;
    Ok(Box::new(move || n))
}

#[circuit_breaker]
async fn infers_from_the_signature() -> Result<HashMap<String, Vec<u8>>, Failure> {
    let mut table = HashMap::new();
    table.insert("k".into(), Default::default());
    Ok(table)
}

#[retry(max_attempts = 2, base_delay = "10ms")]
async fn collects_errors(texts: &[&str]) -> Result<Vec<u32>, std::num::ParseIntError> {
    texts.iter().map(|text| text.parse()).collect()
}

#[retry(max_attempts = 1)]
async fn only_diverges() -> Result<u32, Failure> {
    std::future::pending().await
}

#[retry(max_attempts = 1)]
#[circuit_breaker]
#[allow(clippy::todo)]
async fn not_written_yet() -> Result<u32, Failure> {
    unimplemented!() // such a body must compile, too; nobody calls it
}

#[circuit_breaker]
fn endless(limit: u32) -> Result<u32, Failure> {
    let mut n = 0;
    loop {
        n += 1;
        if n == limit {
            return Ok(n);
        }
    }
}

#[retry(max_attempts = 1)]
fn items_inside() -> Result<u32, Failure> {
    use std::fmt::Write as _;

    const LIMIT: usize = 3;
    static GREETING: &str = "hello";

    struct Counter(usize);
    impl Counter {
        fn more(&mut self) -> bool {
            self.0 += 1;
            self.0 < LIMIT
        }
    }
    fn helper() -> Result<u32, Failure> {
        Err(Failure::Down)
    }

    let mut counter = Counter(0);
    let mut text = String::new();
    while counter.more() {
        let _ = write!(text, "{GREETING}{}", counter.0);
    }
    let _ = helper();
    Ok(u32::try_from(text.len()).unwrap_or(0))
}

#[retry(max_attempts = 1)]
fn control_flow(values: &[u32]) -> Result<u32, Failure> {
    let found = values.iter().try_for_each(|value| {
        if *value > 2 {
            ControlFlow::Break(*value)
        } else {
            ControlFlow::Continue(())
        }
    });
    match found {
        ControlFlow::Break(value) => Ok(value),
        ControlFlow::Continue(()) => Err(Failure::Down),
    }
}

/// A body that is one expression of another type, by a conversion in its tail.
#[retry(max_attempts = 1)]
async fn tail_await(tries: &Tries) -> Result<u32, Failure> {
    question_mark("1", tries).await.map_err(|_| Failure::Down)
}

#[retry(max_attempts = 1)]
async fn temporaries_in_the_tail(lock: &Mutex<Option<u32>>) -> Result<u32, Failure> {
    lock.lock().unwrap().take().ok_or(Failure::Down)
}

#[circuit_breaker]
fn temporaries_of_a_local() -> Result<u32, Failure> {
    let lock = Mutex::new(Some(3));
    match lock.lock().unwrap().take() {
        Some(n) => Ok(n),
        None => Err(Failure::Down),
    }
}

#[tokio::test(start_paused = true)]
async fn question_marks_and_early_returns_end_one_attempt() {
    assert_eq!(question_mark("1", &Tries::good_at(3)).await.unwrap(), 4);
    assert!(question_mark("x", &Tries::good_at(1)).await.is_err());
    assert_eq!(early_return(&Tries::good_at(1)).await, Ok(50));
}

#[tokio::test(start_paused = true)]
async fn loops_blocks_and_closures_are_their_own() {
    assert_eq!(loops(&Tries::good_at(3)), Ok(30));
    assert_eq!(blocks_and_closures(&Tries::good_at(3)).await, Ok(18));
    assert_eq!(chains(&Tries::good_at(3), Some(2)).await, Ok(5));
    assert_eq!(
        chains(&Tries::good_at(1), None).await,
        Err(Failure::Gone(1))
    );
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_is_not_held_keeps_the_future_sendable() {
    let lock = Mutex::new(0);
    let tries = Tries::good_at(3);
    assert_eq!(assert_send(guard_is_not_held(&lock, &tries)).await, Ok(3));
    assert_eq!(*lock.lock().unwrap(), 3);
    assert_eq!(temporaries_in_the_tail(&Mutex::new(Some(1))).await, Ok(1));
    assert_eq!(temporaries_of_a_local(), Ok(3));
}

#[tokio::test(start_paused = true)]
async fn the_signature_drives_inference() {
    assert_eq!(coerces(&Tries::good_at(2)).await.unwrap()(), 2);
    assert_eq!(infers_from_the_signature().await.unwrap().len(), 1);
    assert_eq!(collects_errors(&["1", "2"]).await, Ok(vec![1, 2]));
    assert!(collects_errors(&["1", "x"]).await.is_err());
    assert_eq!(tail_await(&Tries::good_at(2)).await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn bodies_that_do_not_end_are_bodies() {
    let call = tokio::time::timeout(std::time::Duration::from_secs(1), only_diverges());
    assert!(call.await.is_err());
    assert!(tokio::spawn(not_written_yet()).await.is_err());
    assert_eq!(endless(5), Ok(5));
}

#[test]
fn items_live_inside_a_body() {
    assert_eq!(items_inside(), Ok(12));
    assert_eq!(control_flow(&[1, 2, 3]), Ok(3));
}
