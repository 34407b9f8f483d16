//! `self` in every form.

use std::{pin::Pin, rc::Rc, sync::Arc};

use steadfast::{circuit_breaker, fallback, retry, timeout};

use crate::support::{Failure, assert_send};

#[derive(Debug, Default, Clone, PartialEq)]
struct Client {
    calls: u32,
}

impl Client {
    fn ask(&mut self) -> Result<u32, Failure> {
        self.calls += 1;
        self.answer()
    }

    fn answer(&self) -> Result<u32, Failure> {
        if self.calls >= 3 {
            Ok(self.calls)
        } else {
            Err(Failure::Down)
        }
    }

    #[retry(base_delay = "10ms")]
    async fn by_reference(&self) -> Result<u32, Failure> {
        self.answer()
    }

    #[retry(base_delay = "10ms")]
    async fn by_unique_reference(&mut self) -> Result<u32, Failure> {
        self.calls += 1;
        tokio::task::yield_now().await;
        self.answer()
    }

    #[fallback(|error| { self.calls += 100; Err(error) })]
    #[retry(max_attempts = 2, base_delay = "10ms", on_retry = |_event| self.calls += 10)]
    #[circuit_breaker(failure_threshold = 100)]
    #[timeout("1s")]
    async fn in_a_stack(&mut self) -> Result<u32, Failure> {
        self.calls += 1;
        Err(Failure::Gone(404))
    }

    #[timeout("1s")]
    #[circuit_breaker]
    async fn by_value(self) -> Result<Self, Failure> {
        Ok(self)
    }

    #[retry(base_delay = "10ms", clone(self))]
    async fn by_cloned_value(self) -> Result<Self, Failure> {
        consume(self.clone())?;
        Ok(self)
    }

    #[retry(base_delay = "10ms")]
    async fn by_lent_value(self) -> Result<u32, Failure> {
        self.answer()
    }

    #[circuit_breaker]
    async fn by_mutable_value(mut self) -> Result<u32, Failure> {
        self.calls += 3;
        self.answer()
    }

    #[retry(base_delay = "10ms")]
    async fn written_out(self: &Self) -> Result<u32, Failure> {
        self.answer()
    }

    #[retry(base_delay = "10ms")]
    async fn uniquely_written_out(self: &mut Self) -> Result<u32, Failure> {
        self.ask()
    }

    #[timeout("1s")]
    async fn boxed(self: Box<Self>) -> Result<Box<Self>, Failure> {
        Ok(self)
    }

    #[retry(base_delay = "10ms")]
    async fn mutably_boxed(mut self: Box<Self>) -> Result<u32, Failure> {
        self.ask()
    }

    #[retry(base_delay = "10ms")]
    #[timeout("1s")]
    async fn shared(self: Arc<Self>) -> Result<usize, Failure> {
        Ok(Arc::strong_count(&self))
    }

    #[retry(base_delay = "10ms", clone(self))]
    async fn shared_and_consumed(self: Arc<Self>) -> Result<u32, Failure> {
        tokio::spawn(async move { self.answer() })
            .await
            .unwrap_or(Err(Failure::Down))
    }

    #[retry(base_delay = "10ms")]
    async fn locally_shared(self: Rc<Self>) -> Result<u32, Failure> {
        self.answer()
    }

    #[retry(base_delay = "10ms")]
    async fn behind_a_shared_reference(self: &Arc<Self>) -> Result<u32, Failure> {
        self.answer()
    }

    #[retry(base_delay = "10ms")]
    async fn pinned(mut self: Pin<&mut Self>) -> Result<u32, Failure> {
        self.as_mut().get_mut().ask()
    }

    #[timeout("1s")]
    async fn pinned_once(self: Pin<&mut Self>) -> Result<u32, Failure> {
        self.get_mut().ask()
    }

    #[retry(base_delay = "10ms")]
    async fn pinned_for_reading(self: Pin<&Self>) -> Result<u32, Failure> {
        self.answer()
    }

    #[retry(base_delay = "1ms")]
    fn synchronously(&mut self) -> Result<u32, Failure> {
        self.ask()
    }

    #[retry(base_delay = "1ms", clone(self))]
    fn synchronously_by_value(self) -> Result<u32, Failure> {
        consume(self)
    }
}

fn consume(client: Client) -> Result<u32, Failure> {
    client.answer()
}

fn warm() -> Client {
    Client { calls: 3 }
}

#[tokio::test(start_paused = true)]
async fn a_shared_reference_is_lent_to_each_attempt() {
    assert_eq!(warm().by_reference().await, Ok(3));
    assert_eq!(Client::default().by_reference().await, Err(Failure::Down));
    assert_eq!(warm().written_out().await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn a_retried_method_changes_self_three_times() {
    let mut client = Client::default();
    assert_eq!(assert_send(client.by_unique_reference()).await, Ok(3));
    assert_eq!(client.calls, 3);
    let mut client = Client::default();
    assert_eq!(client.uniquely_written_out().await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn the_body_the_callback_and_the_fallback_all_change_self() {
    let mut client = Client::default();
    assert_eq!(
        assert_send(client.in_a_stack()).await,
        Err(Failure::Gone(404))
    );
    assert_eq!(client.calls, 112);
}

#[tokio::test(start_paused = true)]
async fn a_value_is_moved_cloned_or_lent() {
    assert_eq!(warm().by_value().await, Ok(warm()));
    assert_eq!(warm().by_cloned_value().await, Ok(warm()));
    assert_eq!(warm().by_lent_value().await, Ok(3));
    assert_eq!(Client::default().by_mutable_value().await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn boxes_and_shared_pointers_are_receivers() {
    assert_eq!(Box::new(warm()).boxed().await, Ok(Box::new(warm())));
    assert_eq!(Box::<Client>::default().mutably_boxed().await, Ok(3));
    assert_eq!(Arc::new(warm()).shared().await, Ok(1));
    assert_eq!(Arc::new(warm()).shared_and_consumed().await, Ok(3));
    assert_eq!(Arc::new(warm()).behind_a_shared_reference().await, Ok(3));
    assert_eq!(Rc::new(warm()).locally_shared().await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn a_pinned_self_is_reborrowed_for_each_attempt() {
    let mut client = Client::default();
    assert_eq!(Pin::new(&mut client).pinned().await, Ok(3));
    assert_eq!(Pin::new(&mut client).pinned_once().await, Ok(4));
    assert_eq!(Pin::new(&client).pinned_for_reading().await, Ok(4));
}

#[test]
fn synchronous_methods_work_alike() {
    let mut client = Client::default();
    assert_eq!(client.synchronously(), Ok(3));
    assert_eq!(client.synchronously_by_value(), Ok(3));
}
