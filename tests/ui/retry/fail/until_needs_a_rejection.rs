//! Polling may end in `ConditionNotMet`.

use steadfast::retry;

#[retry(until = |value| *value > 3)]
async fn f0() -> Result<u32, Down> {
    Ok(1)
}

#[derive(Debug)]
struct Down;

fn main() {}
