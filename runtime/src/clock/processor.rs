//! The present time, from the processor's counter where there is one.

use std::{
    cell::Cell,
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
    speed: Speed,
}

/// `None` inside: the processor has no counter that is any use.
static COUNTER: OnceLock<Option<Counter>> = OnceLock::new();

thread_local! {
    static TICKS: Ticks = const { Ticks::unknown() };
    /// The counter, as long as this thread's ticks are to be believed.
    static BELIEVED: Cell<Option<&'static Counter>> = const { Cell::new(None) };
}

#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn now() -> Nanos {
    glance().unwrap_or_else(learn)
}

#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn glance() -> Option<Nanos> {
    let Counter { clock, speed } = BELIEVED.get()?;
    TICKS.with(|ticks| ticks.read(speed, clock.raw()))
}

#[cold]
#[inline(never)]
fn learn() -> Nanos {
    let counter = match COUNTER.get() {
        Some(counter) => counter.as_ref(),
        None => without_counter(),
    };
    let Some(Counter { clock, speed }) = counter else {
        return from_instant(Instant::now());
    };
    let before = clock.raw();
    let now = from_instant(Instant::now());
    let after = clock.raw();
    TICKS.with(|ticks| ticks.learn(speed, before, now, after));
    BELIEVED.set(counter);
    now
}

fn without_counter() -> Option<&'static Counter> {
    static MEASURED: AtomicBool = AtomicBool::new(false);
    if !MEASURED.load(Relaxed) && !MEASURED.swap(true, Relaxed) {
        // The measurement keeps a thread busy, for a millisecond as a rule and never more than a fifth
        // of a second: no caller's. Where no thread can be had, the system's clock stays.
        let measuring = thread::Builder::new().name("steadfast-clock".to_owned());
        drop(measuring.spawn(measure));
    }
    None
}

fn measure() {
    COUNTER.get_or_init(|| {
        let clock = Clock::new();
        let speed = Speed::new(|ticks| clock.delta_as_nanos(0, ticks))?;
        Some(Counter { clock, speed })
    });
}
