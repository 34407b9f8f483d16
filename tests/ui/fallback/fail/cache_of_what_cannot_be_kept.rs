//! A remembered answer is cloned, and shared between threads.

use steadfast::{Rejection, fallback};

#[fallback(cache(fresh = "5m"))]
fn f0() -> Result<std::rc::Rc<u32>, Rejection> {
    Ok(std::rc::Rc::new(1))
}

#[fallback(cache(fresh = "5m"))]
fn f1() -> Result<Quote, Rejection> {
    Ok(Quote)
}

struct Quote;

fn main() {}
