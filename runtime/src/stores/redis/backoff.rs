//! How long a server is left alone before it is tried again.

use std::time::Duration;

use crate::store::StoreError;

/// A server that is back is found within half a second.
const SOON: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(400));
/// A refused login stays refused until somebody changes something, and each try is a line in its log.
const LATER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// The delay after so many failures in a row, the last of this cause. `chance` is between 0 and 1: it
/// keeps instances that lost a server together from coming back together.
pub(super) fn delay(failures: u32, cause: Option<&StoreError>, chance: f64) -> Duration {
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
    whole.mul_f64(0.5 + chance / 2.0)
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_lost_server_is_tried_at_once_and_at_least_twice_a_second() {
        assert!(delay(0, None, 1.0) <= Duration::from_millis(10));
        for failures in 1..100 {
            for chance in [0.0, 0.5, 1.0] {
                let delay = delay(failures, None, chance);
                assert!(delay >= Duration::from_millis(25), "{failures}: {delay:?}");
                assert!(delay <= Duration::from_millis(400), "{failures}: {delay:?}");
            }
        }
    }

    #[test]
    fn a_refused_login_is_not_tried_in_a_storm() {
        let problem = String::new();
        let cause = StoreError::Login { problem };
        assert!(delay(1, Some(&cause), 0.0) >= Duration::from_millis(500));
        assert_eq!(delay(u32::MAX, Some(&cause), 1.0), Duration::from_secs(5));
    }
}
