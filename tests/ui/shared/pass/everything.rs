//! Every argument about shared state, and a fencing number that the body sees.

#![deny(warnings)]

use steadfast::{Rejection, bulkhead, circuit_breaker, rate_limited};

#[circuit_breaker("a", failure_threshold = 5, shared, quorum = 2, on_store_error = allow)]
#[rate_limited("a", rate = "5/s", key = name, shared, mode = lease, instances = 4)]
#[bulkhead("a", max_concurrent = 3, shared, lease = "5s", on_store_error = deny, fence = n)]
async fn all(name: &str) -> Result<u64, Rejection> {
    Ok(n + name.len() as u64)
}

#[bulkhead("a", fence = number)]
fn joins() -> Result<u64, Rejection> {
    Ok(number)
}

struct Counter(u64);

impl Counter {
    #[bulkhead("a", key = self.0, fence = n)]
    #[bulkhead("b", shared, fence = m)]
    async fn two(&mut self) -> Result<u64, Rejection> {
        self.0 += 1;
        Ok(n + m)
    }
}

fn main() {
    drop(all("x"));
    let _ = joins;
    drop(Counter(1).two());
}
