//! A retried function cannot return a borrow of its `&mut` parameter.

use steadfast::{Rejection, retry};

#[retry]
fn f0(text: &mut String) -> Result<&str, Rejection> {
    Ok(text)
}

#[retry]
fn f1<'a>(text: &'a mut String, _other: &str) -> Result<&'a str, Rejection> {
    Ok(text)
}

fn main() {}
