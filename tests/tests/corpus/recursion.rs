//! Functions that call themselves.

use std::{future::Future, pin::Pin};

use steadfast::{circuit_breaker, fallback, retry, timeout};

use crate::support::{Failure, Tries, assert_send};

#[retry(max_attempts = 2, base_delay = "10ms")]
async fn factorial(n: u64, tries: &Tries) -> Result<u64, Failure> {
    tries.ask()?;
    if n < 2 {
        return Ok(1);
    }
    Ok(n * Box::pin(factorial(n - 1, tries)).await?)
}

#[fallback(|error| Err(error))]
#[retry(max_attempts = 2, base_delay = "10ms")]
#[circuit_breaker(failure_threshold = 100)]
#[timeout("1m")]
async fn depth(n: u64) -> Result<u64, Failure> {
    match n {
        0 => Ok(0),
        n => Ok(1 + Box::pin(depth(n - 1)).await?),
    }
}

#[retry(base_delay = "10ms")]
#[timeout("1m")]
fn boxed(n: u64) -> Pin<Box<dyn Future<Output = Result<u64, Failure>> + Send>> {
    Box::pin(async move {
        if n == 0 {
            return Ok(0);
        }
        Ok(1 + boxed(n - 1).await?)
    })
}

#[retry(base_delay = "1ms")]
fn synchronous(n: u64) -> Result<u64, Failure> {
    if n == 0 {
        Ok(0)
    } else {
        synchronous(n - 1).map(|n| n + 1)
    }
}

#[retry(base_delay = "10ms")]
async fn even(n: u32) -> Result<bool, Failure> {
    if n == 0 {
        Ok(true)
    } else {
        Box::pin(odd(n - 1)).await
    }
}

#[circuit_breaker]
async fn odd(n: u32) -> Result<bool, Failure> {
    if n == 0 {
        Ok(false)
    } else {
        Box::pin(even(n - 1)).await
    }
}

struct Tree {
    children: Vec<Tree>,
}

impl Tree {
    #[retry(base_delay = "10ms")]
    #[timeout("1m")]
    async fn size(&self) -> Result<usize, Failure> {
        let mut size = 1;
        for child in &self.children {
            size += Box::pin(child.size()).await?;
        }
        Ok(size)
    }
}

#[tokio::test(start_paused = true)]
async fn recursion_through_a_box_works() {
    assert_eq!(factorial(5, &Tries::good_at(2)).await, Ok(120));
    assert_eq!(assert_send(depth(20)).await, Ok(20));
    assert_eq!(boxed(20).await, Ok(20));
}

#[tokio::test(start_paused = true)]
async fn mutual_recursion_works() {
    assert_eq!(even(10).await, Ok(true));
    assert_eq!(odd(10).await, Ok(false));
}

#[tokio::test(start_paused = true)]
async fn methods_recur() {
    let leaf = || Tree { children: vec![] };
    let tree = Tree {
        children: vec![
            leaf(),
            Tree {
                children: vec![leaf()],
            },
        ],
    };
    assert_eq!(tree.size().await, Ok(4));
}

#[test]
fn synchronous_recursion_works() {
    assert_eq!(synchronous(50), Ok(50));
}
