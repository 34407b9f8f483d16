//! Which fallback answers are worth a warning.

use std::time::Duration;

use crate::clock::Nanos;

/// The first answer of an outage, then one a minute with a count: a dependency that is down for a night
/// must not fill the log, and one that flaps must not either.
#[derive(Debug, Default)]
pub(super) struct Outage {
    last: Option<Nanos>,
    since: u64,
}

const PAUSE: Duration = Duration::from_secs(60);

impl Outage {
    /// Counts one answer. `Some(count)` where it is worth a warning: how many there were since the last
    /// warning, this one included.
    pub(super) fn note(&mut self, now: Nanos) -> Option<u64> {
        self.since += 1;
        if self.last.is_some_and(|last| now.since(last) < PAUSE) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warns_first_and_then_once_a_minute_with_a_count() {
        let mut outage = Outage::default();
        let start = Nanos(1 << 60);
        assert_eq!(outage.note(start), Some(1));
        for second in 1..60 {
            assert_eq!(outage.note(start.after(Duration::from_secs(second))), None);
        }
        assert_eq!(outage.note(start.after(Duration::from_secs(60))), Some(60));
        assert_eq!(
            outage.note(start),
            None,
            "a clock that steps back warns no more often"
        );
    }
}
