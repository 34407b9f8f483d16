//! The load: who calls when, decided by the seed alone, so that both runs get the same.

use std::time::Duration;

const CALLS_PER_SECOND: f64 = 120.0;
const SYMBOLS: f64 = 150.0;

/// One call, at its time of the day.
pub(crate) struct Arrival {
    pub(crate) at: Duration,
    pub(crate) symbol: String,
}

/// Calls come independently of each other and of how the earlier ones fare, as users do: a slow
/// service is not spared because its callers wait. Some symbols are asked for all the time, most
/// of them rarely.
pub(crate) fn arrivals(seed: u64, length: Duration) -> Vec<Arrival> {
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut at = Duration::ZERO;
    let mut arrivals = Vec::new();
    loop {
        at += Duration::from_secs_f64(-(1.0 - dice.f64()).ln() / CALLS_PER_SECOND);
        if at >= length {
            return arrivals;
        }
        let popularity = SYMBOLS.powf(dice.f64());
        arrivals.push(Arrival {
            at,
            symbol: symbol(popularity as u32),
        });
    }
}

/// `1` is `AAB`, `27` is `ABB`.
fn symbol(number: u32) -> String {
    let letter = |place: u32| char::from(b'A' + (number / place % 26) as u8);
    [letter(676), letter(26), letter(1)].iter().collect()
}
