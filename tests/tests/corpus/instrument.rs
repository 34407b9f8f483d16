//! `#[tracing::instrument]` above and below a stack.

use std::{
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use steadfast::{circuit_breaker, fallback, retry, timeout};
use tracing::{
    Event, Id, Metadata, Subscriber, instrument,
    span::{Attributes, Record},
};

use crate::support::{Failure, Tries, assert_send};

#[instrument]
#[retry(base_delay = "10ms")]
async fn above(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[retry(base_delay = "10ms")]
#[instrument]
async fn below(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[instrument(skip(tries), fields(kind = "test", text.len = text.len()), err(Debug), ret, level = "info")]
#[fallback(|error| { let text = text; Err(if text.is_empty() { error } else { Failure::Gone(1) }) })]
#[retry(base_delay = "10ms", clone(text))]
#[circuit_breaker(failure_threshold = 100)]
#[timeout("1s")]
async fn above_a_stack(tries: &Tries, text: String) -> Result<usize, Failure> {
    tries.ask()?;
    let owned: String = text;
    Ok(owned.len())
}

#[fallback(default)]
#[retry(base_delay = "10ms")]
#[timeout("1s")]
#[instrument(skip_all, err, ret(Debug))]
async fn below_a_stack(tries: &Tries, text: String) -> Result<usize, Failure> {
    tries.ask()?;
    Ok(text.len())
}

#[retry(base_delay = "10ms")]
#[instrument]
#[timeout("1s")]
async fn between(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[instrument]
#[retry(base_delay = "1ms")]
fn synchronous_above(tries: &Tries, mut _n: u32) -> Result<u32, Failure> {
    _n += 1;
    tries.ask()
}

#[retry(base_delay = "1ms")]
#[instrument(err)]
fn synchronous_below(tries: &Tries) -> Result<u32, Failure> {
    tries.ask()
}

#[derive(Debug)]
struct Client<T> {
    tries: Tries,
    calls: u32,
    tag: T,
}

impl<T: Debug + Clone + Send + Sync> Client<T> {
    #[instrument(skip(self), fields(tag = ?self.tag))]
    #[retry(base_delay = "10ms")]
    #[timeout("1s")]
    async fn call(&mut self, by: u32) -> Result<T, Failure> {
        self.calls += by;
        self.tries.ask()?;
        Ok(self.tag.clone())
    }

    #[retry(base_delay = "10ms")]
    #[instrument(skip(self))]
    async fn call_below(&mut self, by: u32) -> Result<T, Failure> {
        self.calls += by;
        self.tries.ask()?;
        Ok(self.tag.clone())
    }
}

/// Counts the spans that are made.
#[derive(Clone, Default)]
struct Spans(Arc<AtomicU32>);

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span()
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(u64::from(self.0.fetch_add(1, Relaxed)) + 1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn on_either_side_there_is_one_span_around_the_whole_stack() {
    let spans = Spans::default();
    let _guard = tracing::subscriber::set_default(spans.clone());
    assert_eq!(above(&Tries::good_at(3)).await, Ok(3));
    assert_eq!(spans.0.swap(0, Relaxed), 1);
    assert_eq!(below(&Tries::good_at(3)).await, Ok(3));
    assert_eq!(spans.0.swap(0, Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn stacks_work_on_either_side() {
    let text = || "four".to_owned();
    assert_eq!(
        assert_send(above_a_stack(&Tries::good_at(3), text())).await,
        Ok(4)
    );
    assert_eq!(
        above_a_stack(&Tries::never_good(), text()).await,
        Err(Failure::Gone(1))
    );
    assert_eq!(
        assert_send(below_a_stack(&Tries::good_at(3), text())).await,
        Ok(4)
    );
    assert_eq!(below_a_stack(&Tries::never_good(), text()).await, Ok(0));
    assert_eq!(assert_send(between(&Tries::good_at(2))).await, Ok(2));
}

#[test]
fn synchronous_functions_work_on_either_side() {
    assert_eq!(synchronous_above(&Tries::good_at(3), 1), Ok(3));
    assert_eq!(synchronous_below(&Tries::good_at(3)), Ok(3));
}

#[tokio::test(start_paused = true)]
async fn methods_work_on_either_side() {
    let mut client = Client {
        tries: Tries::good_at(3),
        calls: 0,
        tag: "t",
    };
    assert_eq!(assert_send(client.call(2)).await, Ok("t"));
    assert_eq!(client.calls, 6);
    client.tries = Tries::good_at(3);
    assert_eq!(assert_send(client.call_below(2)).await, Ok("t"));
    assert_eq!(client.calls, 12);
}
