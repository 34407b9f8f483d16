//! Parameters are dropped in the order in which the bare function drops them, where there is no retry.

use std::{cell::RefCell, rc::Rc};

use steadfast::{bulkhead, circuit_breaker, fallback, rate_limited, retry, timeout};

use crate::support::Failure;

type Log = Rc<RefCell<Vec<&'static str>>>;

/// Writes down when it is dropped.
struct Noted(&'static str, Log);

impl Drop for Noted {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

impl Noted {
    fn say(&self, what: &'static str) {
        self.1.borrow_mut().push(what);
    }
}

/// The same function, bare and under attributes.
macro_rules! twins {
    ($(#[$meta:meta])* $bare:ident $annotated:ident ($($parameters:tt)*) $body:block) => {
        async fn $bare($($parameters)*) -> Result<(), Failure> $body

        $(#[$meta])*
        async fn $annotated($($parameters)*) -> Result<(), Failure> $body
    };
}

macro_rules! synchronous_twins {
    ($(#[$meta:meta])* $bare:ident $annotated:ident ($($parameters:tt)*) $body:block) => {
        fn $bare($($parameters)*) -> Result<(), Failure> $body

        $(#[$meta])*
        fn $annotated($($parameters)*) -> Result<(), Failure> $body
    };
}

twins! {
    #[timeout("1s")]
    bare_plain timed_plain (_first: Noted, second: Noted, log: Log) {
        let local = Noted("local", log);
        local.say("body");
        second.say("used");
        Ok(())
    }
}

twins! {
    #[circuit_breaker]
    #[rate_limited(rate = "1000/s")]
    #[bulkhead]
    #[timeout("1s")]
    bare_patterns stacked_patterns (
        (a, _): (Noted, Noted),
        _: Noted,
        _unused: Noted,
        mut c: Noted,
        log: Log,
    ) {
        let local = Noted("local", log);
        c.0 = c.0.trim();
        drop(a);
        local.say("body");
        Ok(())
    }
}

twins! {
    #[circuit_breaker]
    bare_early guarded_early (first: Noted, second: Noted, log: Log) {
        let _local = Noted("local", log);
        Err(Failure::Down)?;
        first.say("never");
        second.say("never");
        Ok(())
    }
}

twins! {
    #[fallback(|error| Err(error))]
    #[timeout("1s")]
    bare_below_a_fallback below_a_fallback (first: Noted, second: Noted, _log: Log) {
        first.say("body");
        second.say("body");
        Err(Failure::Down)
    }
}

twins! {
    #[circuit_breaker]
    bare_ignored guarded_ignored (first: Noted, _: Noted, second: Noted, _: Noted, _log: Log) {
        first.say("body");
        second.say("body");
        Ok(())
    }
}

synchronous_twins! {
    #[circuit_breaker]
    #[bulkhead]
    bare_synchronous stacked_synchronous ((a, b): (Noted, Noted), _: Noted, log: Log) {
        let local = Noted("local", log);
        a.say("body");
        drop(b);
        local.say("end");
        Ok(())
    }
}

/// Under a retry the parameters live until the last attempt has ended.
#[retry(max_attempts = 2, base_delay = "10ms")]
async fn retried(first: Noted, second: Noted) -> Result<(), Failure> {
    first.say("attempt");
    let _ = &second;
    Err(Failure::Down)
}

fn noted(name: &'static str, log: &Log) -> Noted {
    Noted(name, log.clone())
}

#[tokio::test(start_paused = true)]
async fn a_timeout_changes_no_drop() {
    let log = Log::default();
    let (first, second) = (noted("first", &log), noted("second", &log));
    bare_plain(first, second, log.clone()).await.unwrap();
    let bare = log.take();
    let (first, second) = (noted("first", &log), noted("second", &log));
    timed_plain(first, second, log.clone()).await.unwrap();
    assert_eq!(log.take(), bare);
    assert_eq!(bare, ["body", "used", "local", "second", "first"]);
}

#[tokio::test(start_paused = true)]
async fn patterns_drop_alike() {
    let log = Log::default();
    let pair = (noted("pair.0", &log), noted("pair.1", &log));
    let rest = ["ignored", "unused", "c"].map(|name| noted(name, &log));
    let [ignored, unused, c] = rest;
    bare_patterns(pair, ignored, unused, c, log.clone())
        .await
        .unwrap();
    let bare = log.take();
    let pair = (noted("pair.0", &log), noted("pair.1", &log));
    let rest = ["ignored", "unused", "c"].map(|name| noted(name, &log));
    let [ignored, unused, c] = rest;
    stacked_patterns(pair, ignored, unused, c, log.clone())
        .await
        .unwrap();
    assert_eq!(log.take(), bare);
}

#[tokio::test(start_paused = true)]
async fn ignored_parameters_keep_their_place() {
    let log = Log::default();
    let all = || ["first", "ignored", "second", "also ignored"].map(|name| noted(name, &log));
    let [a, b, c, d] = all();
    bare_ignored(a, b, c, d, log.clone()).await.unwrap();
    let bare = log.take();
    let [a, b, c, d] = all();
    guarded_ignored(a, b, c, d, log.clone()).await.unwrap();
    assert_eq!(log.take(), bare);
}

#[tokio::test(start_paused = true)]
async fn an_early_return_drops_alike() {
    let log = Log::default();
    let (first, second) = (noted("first", &log), noted("second", &log));
    assert!(bare_early(first, second, log.clone()).await.is_err());
    let bare = log.take();
    let (first, second) = (noted("first", &log), noted("second", &log));
    assert!(guarded_early(first, second, log.clone()).await.is_err());
    assert_eq!(log.take(), bare);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_that_does_not_use_them_changes_no_drop() {
    let log = Log::default();
    let (first, second) = (noted("first", &log), noted("second", &log));
    let call = bare_below_a_fallback(first, second, log.clone());
    assert!(call.await.is_err());
    let bare = log.take();
    let (first, second) = (noted("first", &log), noted("second", &log));
    let call = below_a_fallback(first, second, log.clone());
    assert!(call.await.is_err());
    assert_eq!(log.take(), bare);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_never_polled_or_cut_off_drops_all() {
    let log = Log::default();
    drop(bare_plain(
        noted("first", &log),
        noted("second", &log),
        log.clone(),
    ));
    let bare = log.take();
    drop(timed_plain(
        noted("first", &log),
        noted("second", &log),
        log.clone(),
    ));
    assert_eq!(log.take(), bare);
}

#[test]
fn synchronous_functions_drop_alike() {
    let log = Log::default();
    let pair = (noted("a", &log), noted("b", &log));
    bare_synchronous(pair, noted("ignored", &log), log.clone()).unwrap();
    let bare = log.take();
    let pair = (noted("a", &log), noted("b", &log));
    stacked_synchronous(pair, noted("ignored", &log), log.clone()).unwrap();
    assert_eq!(log.take(), bare);
}

#[tokio::test(start_paused = true)]
async fn parameters_outlive_every_attempt() {
    let log = Log::default();
    let call = retried(noted("first", &log), noted("second", &log));
    assert!(call.await.is_err());
    let log = log.take();
    assert_eq!(log[..2], ["attempt", "attempt"]);
    assert_eq!(log.len(), 4);
}
