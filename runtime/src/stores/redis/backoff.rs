//! How long a server is left alone before it is tried again.

use std::time::Duration;

use crate::store::StoreError;

/// A server that is back is found within half a second.
const SOON: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(400));
/// A refused login stays refused until somebody changes something, and each try is a line in its log.
const LATER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// The delay after so many failures in a row, the last of this cause, for which an attempt has taken so
/// long. `chance` is between 0 and 1: it keeps instances that lost a server together from coming back
/// together.
pub(super) fn delay(
    failures: u32,
    cause: Option<&StoreError>,
    lasted: Duration,
    chance: f64,
) -> Duration {
    let Some(doublings) = failures.checked_sub(1) else {
        return Duration::from_millis(10).mul_f64(chance);
    };
    let (first, last) = match cause {
        Some(StoreError::Login { .. } | StoreError::Forbidden { .. } | StoreError::Tls { .. }) => {
            LATER
        }
        Some(StoreError::BadUrl { .. }) => LATER,
        _ => SOON,
    };
    let whole = first.saturating_mul(1 << doublings.min(16)).min(last);
    let delay = whole.mul_f64(0.5 + chance / 2.0);
    // An attempt that nobody answered has waited already.
    delay.saturating_sub(lasted).max(delay / 8)
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_lost_server_is_tried_at_once_and_at_least_twice_a_second() {
        assert!(delay(0, None, Duration::ZERO, 1.0) <= Duration::from_millis(10));
        for failures in 1..100 {
            for chance in [0.0, 0.5, 1.0] {
                let delay = delay(failures, None, Duration::ZERO, chance);
                assert!(delay >= Duration::from_millis(25), "{failures}: {delay:?}");
                assert!(delay <= Duration::from_millis(400), "{failures}: {delay:?}");
            }
        }
    }

    #[test]
    fn an_attempt_that_took_long_is_followed_by_the_next_soon() {
        for chance in [0.0, 1.0] {
            let delay = delay(100, None, Duration::from_millis(500), chance);
            assert!(delay >= Duration::from_millis(25), "{delay:?}");
            assert!(delay <= Duration::from_millis(50), "{delay:?}");
        }
    }

    #[test]
    fn a_refused_login_is_not_tried_in_a_storm() {
        let problem = String::new();
        let cause = StoreError::Login { problem };
        assert!(delay(1, Some(&cause), Duration::ZERO, 0.0) >= Duration::from_millis(500));
        let last = delay(u32::MAX, Some(&cause), Duration::ZERO, 1.0);
        assert_eq!(last, Duration::from_secs(5));
    }
}
