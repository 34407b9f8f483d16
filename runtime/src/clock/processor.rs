//! The present time, from the processor's counter where there is one.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Instant,
};

use quanta::Clock;

use super::{
    Nanos, from_instant,
    ticks::{Speed, Ticks},
};

/// A third of the cost of asking the system.
struct Counter {
    clock: Clock,
    speed: Option<Speed>,
}

static COUNTER: OnceLock<Counter> = OnceLock::new();

thread_local! {
    static TICKS: Ticks = const { Ticks::unknown() };
}

#[inline]
pub(super) fn now() -> Nanos {
    if let Some(Counter {
        clock,
        speed: Some(speed),
    }) = COUNTER.get()
    {
        let counter = clock.raw();
        match TICKS.with(|ticks| ticks.read(speed, counter)) {
            Some(now) => now,
            None => learn(clock, speed),
        }
    } else {
        without_counter()
    }
}

#[cold]
fn learn(clock: &Clock, speed: &Speed) -> Nanos {
    let before = clock.raw();
    let now = from_instant(Instant::now());
    let after = clock.raw();
    TICKS.with(|ticks| ticks.learn(speed, before, now, after));
    now
}

#[cold]
fn without_counter() -> Nanos {
    static MEASURED: AtomicBool = AtomicBool::new(false);
    if !MEASURED.load(Relaxed) && !MEASURED.swap(true, Relaxed) {
        // The measurement keeps a thread busy, for a millisecond as a rule and never more than a fifth
        // of a second: no caller's. Where no thread can be had, the system's clock stays.
        let measuring = thread::Builder::new().name("steadfast-clock".to_owned());
        drop(measuring.spawn(measure));
    }
    from_instant(Instant::now())
}

fn measure() {
    COUNTER.get_or_init(|| {
        let clock = Clock::new();
        let speed = Speed::new(|ticks| clock.delta_as_nanos(0, ticks));
        Counter { clock, speed }
    });
}
