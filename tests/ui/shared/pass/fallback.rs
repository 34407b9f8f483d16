//! Shared answers, on functions of every shape.

#![deny(warnings)]

use std::{future::Future, rc::Rc};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use steadfast::{Rejection, Served, fallback, retry};

#[derive(Clone, Serialize, Deserialize)]
struct Quote(u32);

#[fallback("a", cache(key = name, fresh = "5m", stale = "1h", max_entries = 10), shared, default)]
#[retry(max_attempts = 2)]
async fn all(name: &str) -> Result<usize, Rejection> {
    Ok(name.len())
}

#[fallback("b", cache(fresh = "5m"), shared, when = |_| true)]
fn blocking() -> Result<Served<Quote>, Rejection> {
    Ok(Quote(1).into())
}

#[fallback("c", cache(key = id, fresh = "5m"), shared, |error| { drop(error); Ok(T::default()) })]
async fn generic<T>(id: u32) -> Result<T, Rejection>
where
    T: Clone + Default + Send + Sync + Serialize + DeserializeOwned + 'static,
{
    let _ = id;
    Ok(T::default())
}

struct Counter(u64);

impl Counter {
    #[fallback("d", cache(key = self.0, fresh = "5m"), shared)]
    async fn count(&mut self) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
        self.0 += 1;
        Ok(self.0)
    }
}

// It waits for the store with its error at hand: it cannot be sent, and may be called all the same.
#[fallback("e", cache(fresh = "5m"), shared)]
async fn local() -> Result<u64, Rc<str>> {
    Ok(1)
}

#[fallback("f", cache(fresh = "5m"), shared)]
fn returned() -> impl Future<Output = Result<u64, Rejection>> {
    async { Ok(1) }
}

fn is_send(_: impl Send) {}

fn main() {
    is_send(all("x"));
    let _ = blocking;
    is_send(generic::<String>(1));
    is_send(Counter(1).count());
    drop(local());
    is_send(returned());
}
