//! A shared answer is written as JSON by one instance, and read by another.

use serde::{Deserialize, Serialize};
use steadfast::{Rejection, Served, fallback};

#[derive(Clone)]
struct Quote;

#[fallback("f0", cache(fresh = "5m"), shared)]
async fn f0() -> Result<Quote, Rejection> {
    Ok(Quote)
}

#[fallback("f1", shared, cache(fresh = "5m"))]
fn f1() -> Result<Served<Quote>, Rejection> {
    Ok(Quote.into())
}

#[derive(Clone, Serialize)]
struct Written;

#[fallback("f2", cache(fresh = "5m"), shared)]
fn f2() -> Result<Written, Rejection> {
    Ok(Written)
}

#[derive(Clone, Deserialize)]
struct Read;

#[fallback("f3", cache(fresh = "5m"), shared)]
fn f3() -> Result<Read, Rejection> {
    Ok(Read)
}

#[fallback("f4", cache(fresh = "5m"), shared)]
fn f4() -> Result<&'static str, Rejection> {
    Ok("lent")
}

#[derive(Serialize, Deserialize)]
struct Unique;

#[fallback("f5", cache(fresh = "5m"), shared)]
fn f5() -> Result<Unique, Rejection> {
    Ok(Unique)
}

fn main() {}
