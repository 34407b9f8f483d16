//! A future that was `Send` stays `Send`.

use std::{
    cell::{Cell, RefCell},
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use steadfast::{bulkhead, circuit_breaker, fallback, rate_limited, retry, timeout};

use crate::support::{Failure, Tries, assert_send};

#[retry(base_delay = "1ms")]
async fn retried(tries: Arc<Tries>) -> Result<u32, Failure> {
    tokio::task::yield_now().await;
    tries.ask()
}

#[retry(
    base_delay = "1ms",
    until = |n| *n > 0,
    on_retry = |event| tokio::time::sleep(event.delay / 10).await,
)]
async fn polled(tries: Arc<Tries>) -> Result<u32, Failure> {
    tries.ask()
}

#[circuit_breaker(key = tries.made() % 2)]
async fn guarded(tries: Arc<Tries>) -> Result<u32, Failure> {
    tokio::task::yield_now().await;
    tries.ask()
}

#[rate_limited(rate = "1000/s", max_wait = "1s", key = tries.made() % 2)]
async fn limited(tries: Arc<Tries>) -> Result<u32, Failure> {
    tokio::task::yield_now().await;
    tries.ask()
}

#[bulkhead(max_wait = "1s")]
async fn contained(tries: Arc<Tries>) -> Result<u32, Failure> {
    tokio::task::yield_now().await;
    tries.ask()
}

#[timeout("1m")]
async fn bounded(tries: Arc<Tries>) -> Result<u32, Failure> {
    tokio::task::yield_now().await;
    tries.ask()
}

#[fallback(|error| { tokio::task::yield_now().await; Err(error) })]
async fn answered(tries: Arc<Tries>) -> Result<u32, Failure> {
    tokio::task::yield_now().await;
    tries.ask()
}

#[fallback(|error| { tokio::task::yield_now().await; Err(error) })]
#[retry(base_delay = "1ms", when = Failure::is_down)]
#[circuit_breaker(failure_threshold = 100)]
#[rate_limited(rate = "1000/s", max_wait = "1s")]
#[bulkhead(max_wait = "1s")]
#[timeout("1m")]
async fn stacked(tries: Arc<Tries>, text: String, values: &mut Vec<u32>) -> Result<usize, Failure> {
    values.push(tries.made());
    tokio::task::yield_now().await;
    tries.ask()?;
    Ok(text.len() + values.len())
}

/// `Cell` is `Send` and not `Sync`: it may not be lent to an attempt, but it may be moved into a call
/// that is made once.
#[circuit_breaker]
#[rate_limited(rate = "1000/s", max_wait = "1s")]
#[bulkhead(max_wait = "1s")]
#[timeout("1m")]
async fn not_shareable(
    cell: Cell<u32>,
    shared: RefCell<Vec<u32>>,
    inbox: Receiver<u32>,
) -> Result<u32, Failure> {
    cell.set(cell.get() + 1);
    tokio::task::yield_now().await;
    shared.borrow_mut().push(1);
    Ok(cell.get() + inbox.recv().unwrap_or(0))
}

/// A fallback that asks nothing of the parameters leaves them alone.
#[fallback(default)]
#[timeout("1m")]
async fn not_shareable_below_a_fallback(cell: Cell<u32>) -> Result<u32, Failure> {
    tokio::task::yield_now().await;
    Ok(cell.get())
}

#[timeout("1m")]
#[tracing::instrument(skip_all)]
async fn not_shareable_and_instrumented(cell: Cell<u32>) -> Result<u32, Failure> {
    tokio::task::yield_now().await;
    Ok(cell.get())
}

#[timeout("1m")]
async fn generic<T: Send>(value: T) -> Result<T, Failure> {
    tokio::task::yield_now().await;
    Ok(value)
}

/// An error that is `Send` and not `Sync`.
#[derive(Debug)]
struct Local(Cell<u32>);

#[fallback(|error| { tokio::task::yield_now().await; error.0.set(3); Err(error) })]
#[retry(base_delay = "1ms", when = |error| error.0.get() < 2)]
async fn error_not_shareable(n: u32) -> Result<Cell<u32>, Local> {
    Err(Local(Cell::new(n)))
}

struct Client {
    calls: Cell<u32>,
}

impl Client {
    /// `&mut self` needs `Send` alone, `Client` is not `Sync`.
    #[retry(base_delay = "1ms")]
    #[timeout("1m")]
    async fn unique(&mut self) -> Result<u32, Failure> {
        self.calls.set(self.calls.get() + 1);
        tokio::task::yield_now().await;
        if self.calls.get() < 3 {
            return Err(Failure::Down);
        }
        Ok(self.calls.get())
    }

    #[circuit_breaker]
    async fn owned(self) -> Result<u32, Failure> {
        tokio::task::yield_now().await;
        Ok(self.calls.get())
    }
}

async fn spawned<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    tokio::spawn(future).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_attribute_keeps_the_future_sendable() {
    let tries = |good| Arc::new(Tries::good_at(good));
    assert_eq!(spawned(retried(tries(3))).await, Ok(3));
    assert_eq!(spawned(polled(tries(3))).await, Ok(3));
    assert_eq!(spawned(guarded(tries(1))).await, Ok(1));
    assert_eq!(spawned(limited(tries(1))).await, Ok(1));
    assert_eq!(spawned(contained(tries(1))).await, Ok(1));
    assert_eq!(spawned(bounded(tries(1))).await, Ok(1));
    assert_eq!(spawned(answered(tries(2))).await, Err(Failure::Down));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_stack_keeps_the_future_sendable() {
    let call = async {
        let mut values = Vec::new();
        let tries = Arc::new(Tries::good_at(3));
        stacked(tries, "text".into(), &mut values).await
    };
    assert_eq!(spawned(call).await, Ok(7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_cannot_be_shared_are_moved() {
    let (sender, inbox) = channel();
    sender.send(40).unwrap();
    let call = not_shareable(Cell::new(1), RefCell::default(), inbox);
    assert_eq!(spawned(call).await, Ok(42));
    assert_eq!(
        spawned(not_shareable_below_a_fallback(Cell::new(1))).await,
        Ok(1)
    );
    assert_eq!(
        spawned(not_shareable_and_instrumented(Cell::new(1))).await,
        Ok(1)
    );
    assert_eq!(spawned(generic(Cell::new(1))).await, Ok(Cell::new(1)));
    let error = spawned(error_not_shareable(1)).await.unwrap_err();
    assert_eq!(error.0.get(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn methods_keep_the_future_sendable() {
    let call = async {
        let mut client = Client {
            calls: Cell::new(0),
        };
        assert_send(client.unique()).await?;
        assert_send(client.owned()).await
    };
    assert_eq!(spawned(call).await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_before_the_first_poll() {
    let tries = Arc::new(Tries::good_at(1));
    drop(retried(tries.clone()));
    let call = bounded(tries.clone());
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(tries.made(), 0);
    assert_eq!(call.await, Ok(1), "the deadline begins with the call");
}
