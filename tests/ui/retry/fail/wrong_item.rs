//! Functions only.

use steadfast::{Rejection, retry};

#[retry]
struct S0;

#[retry]
const C1: u32 = 1;

#[retry]
const fn f2() -> Result<u32, Rejection> {
    Ok(1)
}

#[retry]
impl Client {
    fn call() {}
}

trait Api {
    #[retry]
    fn call(&self) -> Result<u32, Rejection>;
}

#[retry]
mod inner5 {}

struct Client;

fn main() {}
