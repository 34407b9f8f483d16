//! Durations and rates as they are shown can be written into an attribute: read by its own parser.

use std::time::Duration;

use proptest::prelude::*;
use steadfast::{PolicyKind, Rate, RateLimiter, Timeout};

// Not part of any interface: these two files are what attributes read literals with.
#[path = "../../macros/src/parse/duration.rs"]
mod duration;
#[path = "../../macros/src/parse/rate.rs"]
mod rate;

/// The longest time that is a limit; a longer one is none, and shown so.
const LONGEST: Duration = Duration::new(u64::MAX, 999_999_998);

fn shown(after: Duration) -> String {
    let test = steadfast::test::isolated();
    Timeout::builder("shown").after(after).install().unwrap();
    let snapshot = test.registry().snapshot();
    snapshot
        .policy(PolicyKind::Timeout, "shown")
        .unwrap()
        .settings["after"]
        .clone()
}

#[test]
fn the_ends_come_back() {
    for time in [Duration::from_nanos(1), LONGEST] {
        assert_eq!(duration::duration(&shown(time)), Ok(time));
    }
    assert_eq!(shown(Duration::MAX), "none");
}

#[test]
fn a_rate_is_shown_as_it_is_written() {
    let test = steadfast::test::isolated();
    let limiter = RateLimiter::builder("shown").rate("3/1.5s".parse().unwrap());
    limiter.install().unwrap();
    let snapshot = test.registry().snapshot();
    let shown = &snapshot
        .policy(PolicyKind::RateLimiter, "shown")
        .unwrap()
        .settings["rate"];
    assert_eq!(rate::rate(shown), Ok((3, Duration::from_millis(1500))));
}

proptest! {
    #[test]
    fn every_duration_comes_back(seconds: u64, nanos in 0u32..999_999_999) {
        prop_assume!(seconds > 0 || nanos > 0);
        let time = Duration::new(seconds, nanos);
        prop_assert_eq!(duration::duration(&shown(time)), Ok(time));
    }

    #[test]
    fn every_duration_of_every_size_comes_back(digits in 1u64..100_000, size in 0u32..12) {
        let time = Duration::from_nanos(digits * 10u64.pow(size));
        prop_assert_eq!(duration::duration(&shown(time)), Ok(time));
    }

    #[test]
    fn every_rate_comes_back(count in 1u32.., seconds: u64, nanos in 1u32..1_000_000_000) {
        let per = Duration::new(seconds, nanos);
        prop_assert_eq!(rate::rate(&Rate::new(count, per).to_string()), Ok((count, per)));
    }
}
