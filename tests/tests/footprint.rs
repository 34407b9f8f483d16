//! What an annotation costs besides time: no allocation on the happy path, and a future of bounded size.
#![allow(missing_docs)]

use std::{
    future::Future,
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use allocation_counter::measure;
use steadfast::{Rejection, bulkhead, circuit_breaker, fallback, rate_limited, retry, timeout};

type Answer = Result<u32, Rejection>;

async fn bare(x: u32) -> Answer {
    Ok(black_box(x))
}

#[retry]
async fn retried(x: u32) -> Answer {
    Ok(black_box(x))
}

#[circuit_breaker(slow_call = "1s")]
async fn broken(x: u32) -> Answer {
    Ok(black_box(x))
}

#[rate_limited(rate = "1000000/s", max_wait = "1s")]
async fn limited(x: u32) -> Answer {
    Ok(black_box(x))
}

#[rate_limited(rate = "1000000/s", key = x % 2)]
async fn limited_by_key(x: u32) -> Answer {
    Ok(black_box(x))
}

#[bulkhead(max_wait = "1s")]
async fn bulkheaded(x: u32) -> Answer {
    Ok(black_box(x))
}

#[timeout("1s")]
async fn timed(x: u32) -> Answer {
    Ok(black_box(x))
}

#[fallback(value = 7)]
async fn answered(x: u32) -> Answer {
    Ok(black_box(x))
}

#[fallback(value = 7)]
#[retry]
#[circuit_breaker(slow_call = "1s")]
#[rate_limited(rate = "1000000/s", max_wait = "1s")]
#[bulkhead(max_wait = "1s")]
#[timeout("1s")]
async fn six(x: u32) -> Answer {
    Ok(black_box(x))
}

#[fallback(value = 7)]
#[retry]
#[circuit_breaker(slow_call = "1s")]
#[rate_limited(rate = "1000000/s", max_wait = "1s")]
#[bulkhead(max_wait = "1s")]
#[timeout("1s")]
async fn six_that_wait(x: u32) -> Answer {
    let mut polled = false;
    std::future::poll_fn(|_| match std::mem::replace(&mut polled, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
    Ok(black_box(x))
}

#[fallback(value = 7)]
#[retry]
#[circuit_breaker]
#[rate_limited(rate = "1000000/s", max_wait = "1s")]
#[bulkhead(max_wait = "1s")]
fn five_that_block(x: u32) -> Answer {
    Ok(black_box(x))
}

/// Polls until it is ready, as an executor that does not allocate.
fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

/// How often `call` allocates, in a hundred calls after it has found its policies.
fn allocations(mut call: impl FnMut(u32) -> Answer) -> u64 {
    let mut calls = |number| (0..number).for_each(|x| assert_eq!(call(x).ok(), Some(x)));
    calls(300); // fills every window, and sees every key
    measure(|| calls(100)).count_total
}

macro_rules! allocates_nothing {
    ($($function:ident)*) => {$(
        #[tokio::test]
        async fn $function() {
            assert_eq!(allocations(|x| run(super::$function(x))), 0);
        }
    )*};
}

mod the_happy_path_allocates_nothing {
    use super::{allocations, run};

    allocates_nothing!(retried broken limited limited_by_key bulkheaded timed answered six six_that_wait);

    #[test]
    fn five_that_block() {
        assert_eq!(allocations(super::five_that_block), 0);
    }
}

/// What the feature `metrics` adds, which is on here: when the call began, and where its time goes. That it
/// adds nothing where it is off is checked by `runtime/benches/instructions.sh`.
const TIMED: usize = 16;

#[test]
fn six_attributes_add_a_bounded_number_of_bytes() {
    let added = size_of_val(&six(1)) - size_of_val(&bare(1));
    // Sixteen of them keep what a call began with, should its settings be replaced meanwhile: the plan of its
    // retries, and the time that its timeout had.
    assert!(added <= 160 + TIMED, "{added} bytes");
}

#[test]
fn the_body_is_stored_once() {
    #[fallback(value = 7)]
    #[retry]
    #[circuit_breaker]
    #[bulkhead]
    #[timeout("1s")]
    async fn large(x: u32) -> Answer {
        let room = [black_box(0_u8); 10_000];
        tokio::task::yield_now().await;
        Ok(x + u32::from(black_box(room)[0]))
    }
    let size = size_of_val(&large(1));
    assert!(size < 12_000, "{size} bytes");
}
