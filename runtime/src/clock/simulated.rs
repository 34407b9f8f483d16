//! A processor whose cores disagree, for tests: [`now`](super::now) reads it instead of the real one.

use std::cell::RefCell;

use super::{
    BASE, Nanos,
    ticks::{Speed, Ticks},
};

thread_local! {
    static PROCESSOR: RefCell<Option<Processor>> = const { RefCell::new(None) };
}

/// What this thread's clock is made of. Its counters count nanoseconds.
struct Processor {
    speed: Speed,
    ticks: Ticks,
    /// The system's clock.
    system: u64,
    /// The counter of the core that the thread is on.
    counter: u64,
}

/// Keeps the simulation in force on this thread.
pub(crate) struct Simulated(());

pub(crate) fn simulate() -> Simulated {
    let processor = Processor {
        speed: Speed::new(|ticks| ticks).expect("a useful counter"),
        ticks: Ticks::unknown(),
        system: BASE,
        counter: 1 << 40,
    };
    PROCESSOR.set(Some(processor));
    Simulated(())
}

impl Simulated {
    /// Time passes, and the counter shows it.
    pub(crate) fn pass(&self, nanos: u64) {
        self.pass_unnoticed(nanos);
        self.step(i64::try_from(nanos).expect("a moment"));
    }

    /// Time passes, and the counter stands still.
    pub(crate) fn pass_unnoticed(&self, nanos: u64) {
        change(|processor| processor.system += nanos);
    }

    /// The thread goes to a core whose counter is so far ahead, or behind.
    pub(crate) fn step(&self, nanos: i64) {
        change(|processor| processor.counter = processor.counter.wrapping_add_signed(nanos));
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        PROCESSOR.set(None);
    }
}

fn change(act: impl FnOnce(&mut Processor)) {
    PROCESSOR.with_borrow_mut(|processor| processor.as_mut().map(act));
}

/// The time, as a thread on this processor reads it. `None` where none is simulated.
pub(super) fn now() -> Option<Nanos> {
    PROCESSOR.with_borrow(|processor| {
        let Processor {
            speed,
            ticks,
            system,
            counter,
        } = processor.as_ref()?;
        Some(ticks.read(speed, *counter).unwrap_or_else(|| {
            ticks.learn(speed, *counter, Nanos(*system), *counter);
            Nanos(*system)
        }))
    })
}
