//! `Timeout` as a value, in virtual time.

use std::{future::pending, time::Duration};

use steadfast::{Rejection, Timeout};
use tokio::time::{Instant, sleep};

fn timeout(millis: u64) -> Timeout {
    Timeout::builder("t")
        .after(Duration::from_millis(millis))
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_call_that_ends_in_time_is_left_alone() {
    let call = async {
        sleep(Duration::from_millis(99)).await;
        Ok::<_, Rejection>(7)
    };
    assert_eq!(timeout(100).call(call).await, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn a_call_is_cut_off_at_its_deadline() {
    let timeout = timeout(100);
    let start = Instant::now();
    let result: Result<(), Rejection> = timeout.call(pending()).await;
    assert!(matches!(result, Err(Rejection::TimedOut(error)) if error.policy == "t"));
    assert_eq!(start.elapsed(), Duration::from_millis(100));
    assert_eq!(timeout.metrics().timed_out, 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_cut_call_holds_is_dropped_before_the_answer_is_given() {
    struct Flag<'f>(&'f std::cell::Cell<bool>);
    impl Drop for Flag<'_> {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let dropped = std::cell::Cell::new(false);
    let timeout = timeout(1);
    let call = timeout.call(async {
        let _held = Flag(&dropped);
        pending::<Result<(), Rejection>>().await
    });
    assert!(call.await.is_err());
    assert!(dropped.get());
}

#[tokio::test(start_paused = true)]
async fn the_nearer_of_two_deadlines_holds() {
    let (outer, inner) = (timeout(50), timeout(80));
    let start = Instant::now();
    let result: Result<(), Rejection> = outer.call(inner.call(pending())).await;
    assert!(
        matches!(result, Err(Rejection::TimedOut(error)) if error.after == Duration::from_millis(50))
    );
    assert_eq!(start.elapsed(), Duration::from_millis(50));
}

#[tokio::test(start_paused = true)]
async fn the_longest_time_there_is_never_ends() {
    let timeout = Timeout::builder("t").after(Duration::MAX).build().unwrap();
    assert_eq!(timeout.call(async { Ok::<_, Rejection>(1) }).await, Ok(1));
    let call = timeout.call(pending::<Result<(), Rejection>>());
    assert!(
        tokio::time::timeout(Duration::from_secs(1 << 20), call)
            .await
            .is_err()
    );
}

#[test]
fn no_time_at_all_is_refused() {
    let error = Timeout::builder("t")
        .after(Duration::ZERO)
        .build()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "timeout `t`: `after` must be longer than zero: a call needs some time"
    );
    let error = Timeout::builder("t").build().unwrap_err();
    assert_eq!(error.to_string(), "timeout `t`: `after` is required");
}
