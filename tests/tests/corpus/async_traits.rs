//! `#[async_trait]` around annotated methods.

use std::sync::Arc;

use async_trait::async_trait;
use steadfast::{circuit_breaker, fallback, retry, timeout};

use crate::support::{Failure, Tries, assert_send};

#[async_trait]
trait Repository: Send + Sync {
    fn tries(&self) -> &Tries;

    async fn find(&self, id: &str) -> Result<String, Failure>;

    async fn store(&mut self, id: String) -> Result<usize, Failure>;

    async fn close(self: Box<Self>, reason: &str) -> Result<String, Failure>;

    async fn create(name: &str) -> Result<Self, Failure>
    where
        Self: Sized;

    async fn keep<T: Clone + Send + Sync + 'static>(&self, value: T) -> Result<T, Failure>
    where
        Self: Sized;

    #[retry(base_delay = "10ms")]
    async fn find_or_default(&self, id: &str) -> Result<String, Failure> {
        let n = self.tries().ask()?;
        Ok(format!("{id} by default, {n}"))
    }

    #[fallback(|error| Ok(format!("{} {error}", self.tries().made())))]
    #[retry(max_attempts = 2, base_delay = "10ms")]
    #[circuit_breaker]
    #[timeout("1s")]
    #[tracing::instrument(skip(self))]
    async fn stacked_default(&self, (a, b): (u32, u32)) -> Result<String, Failure> {
        let n = self.tries().ask()?;
        Ok(format!("{a} {b} {n}"))
    }
}

struct Table {
    rows: Vec<String>,
    tries: Tries,
}

#[async_trait]
impl Repository for Table {
    fn tries(&self) -> &Tries {
        &self.tries
    }

    #[fallback(|error| self.explain(id, &error))]
    #[retry(base_delay = "10ms", when = Failure::is_down)]
    #[circuit_breaker(failure_threshold = 100)]
    #[timeout("1s")]
    async fn find(&self, id: &str) -> Result<String, Failure> {
        let n = self.tries.ask()?;
        tokio::task::yield_now().await;
        Ok(format!("{id} {n}"))
    }

    #[retry(base_delay = "10ms", clone(id))]
    async fn store(&mut self, id: String) -> Result<usize, Failure> {
        self.rows.push(id);
        self.tries.ask()?;
        Ok(self.rows.len())
    }

    #[timeout("1s")]
    #[tracing::instrument(skip_all)]
    async fn close(self: Box<Self>, reason: &str) -> Result<String, Failure> {
        let Self { rows, .. } = *self;
        Ok(format!("{} rows, {reason}", rows.len()))
    }

    #[tracing::instrument]
    #[retry(base_delay = "10ms")]
    #[timeout("1s")]
    async fn create(name: &str) -> Result<Self, Failure> {
        Ok(Self {
            rows: vec![name.to_owned()],
            tries: Tries::good_at(1),
        })
    }

    #[retry(base_delay = "10ms", clone(value))]
    async fn keep<T: Clone + Send + Sync + 'static>(&self, value: T) -> Result<T, Failure> {
        self.tries.ask()?;
        Ok(value)
    }
}

impl Table {
    fn explain(&self, id: &str, error: &Failure) -> Result<String, Failure> {
        Ok(format!("{id}: {error} of {}", self.rows.len()))
    }
}

#[async_trait(?Send)]
trait Local {
    async fn count(&self, with: std::rc::Rc<u32>) -> Result<u32, Failure>;
}

#[async_trait(?Send)]
impl Local for Tries {
    #[retry(base_delay = "10ms")]
    #[timeout("1s")]
    async fn count(&self, with: std::rc::Rc<u32>) -> Result<u32, Failure> {
        tokio::task::yield_now().await;
        Ok(*with + self.ask()?)
    }
}

struct Borrowing<'a> {
    tries: &'a Tries,
}

#[async_trait]
trait Borrow {
    async fn borrow<'s>(&'s self, text: &'s str) -> Result<&'s str, Failure>;
}

#[async_trait]
impl Borrow for Borrowing<'_> {
    #[retry(base_delay = "10ms")]
    async fn borrow<'s>(&'s self, text: &'s str) -> Result<&'s str, Failure> {
        self.tries.ask()?;
        Ok(&text[1..])
    }
}

fn table(good_at: u32) -> Table {
    Table {
        rows: Vec::new(),
        tries: Tries::good_at(good_at),
    }
}

#[tokio::test(start_paused = true)]
async fn methods_are_retried_through_a_trait_object() {
    let repository: Arc<dyn Repository> = Arc::new(table(3));
    assert_eq!(assert_send(repository.find("x")).await.unwrap(), "x 3");
    let repository: Box<dyn Repository> = Box::new(table(u32::MAX));
    assert_eq!(repository.find("x").await.unwrap(), "x: down of 0");
    assert_eq!(
        repository.close("done").await.unwrap(),
        "0 rows, done".to_owned()
    );
}

#[tokio::test(start_paused = true)]
async fn moved_parameters_are_cloned_where_asked() {
    let mut table = table(3);
    assert_eq!(table.store("row".into()).await, Ok(3));
    assert_eq!(table.rows, ["row", "row", "row"]);
    assert_eq!(table.keep(vec![1]).await, Ok(vec![1]));
}

#[tokio::test(start_paused = true)]
async fn default_bodies_are_retried() {
    let table = table(2);
    assert_eq!(table.find_or_default("y").await.unwrap(), "y by default, 2");
    assert_eq!(table.stacked_default((1, 2)).await.unwrap(), "1 2 3");
    let table = self::table(u32::MAX);
    assert_eq!(table.stacked_default((1, 2)).await.unwrap(), "2 down");
}

#[tokio::test(start_paused = true)]
async fn constructors_work() {
    let table = Table::create("first").await.unwrap();
    assert_eq!(table.rows, ["first"]);
}

#[tokio::test(start_paused = true)]
async fn futures_may_stay_local() {
    let tries = Tries::good_at(2);
    assert_eq!(tries.count(std::rc::Rc::new(40)).await, Ok(42));
}

#[tokio::test(start_paused = true)]
async fn a_borrow_may_be_returned() {
    let tries = Tries::good_at(2);
    let borrowing = Borrowing { tries: &tries };
    assert_eq!(borrowing.borrow("xyz").await, Ok("yz"));
}
