//! Bodies that are not `Send`, on a local runtime.

use std::{cell::RefCell, rc::Rc};

use steadfast::{bulkhead, circuit_breaker, fallback, rate_limited, retry, timeout};
use tokio::task::{LocalSet, spawn_local, yield_now};

use crate::support::{Failure, Tries};

#[fallback(|error| { yield_now().await; log.borrow_mut().push("answered"); Err(error) })]
#[retry(base_delay = "10ms", on_retry = |_event| { log.borrow_mut().push("again"); yield_now().await })]
#[circuit_breaker(failure_threshold = 100)]
#[rate_limited(rate = "1000/s", max_wait = "1s")]
#[bulkhead(max_wait = "1s")]
#[timeout("1s")]
async fn stacked(log: Rc<RefCell<Vec<&'static str>>>, tries: Rc<Tries>) -> Result<u32, Failure> {
    let held = Rc::clone(&log);
    yield_now().await;
    held.borrow_mut().push("called");
    tries.ask()
}

#[circuit_breaker]
#[timeout("1s")]
async fn once(value: Rc<u32>) -> Result<Rc<u32>, Failure> {
    yield_now().await;
    Ok(value)
}

#[retry(base_delay = "10ms")]
async fn local_error(tries: Rc<Tries>) -> Result<Rc<u32>, Rc<str>> {
    yield_now().await;
    match tries.ask() {
        Ok(n) => Ok(Rc::new(n)),
        Err(_) => Err(Rc::from("down")),
    }
}

#[retry(base_delay = "10ms")]
async fn raw_pointer(tries: &Tries) -> Result<bool, Failure> {
    let pointer: *const Tries = tries;
    yield_now().await;
    tries.ask()?;
    Ok(pointer.is_null())
}

#[tokio::test(start_paused = true)]
async fn a_full_stack_runs_on_a_local_set() {
    let set = LocalSet::new();
    set.run_until(async {
        let log = Rc::new(RefCell::new(Vec::new()));
        let call = stacked(log.clone(), Rc::new(Tries::good_at(2)));
        assert_eq!(spawn_local(call).await.unwrap(), Ok(2));
        assert_eq!(log.take(), ["called", "again", "called"]);
        let call = stacked(log.clone(), Rc::new(Tries::never_good()));
        assert_eq!(spawn_local(call).await.unwrap(), Err(Failure::Down));
        assert_eq!(log.borrow().last(), Some(&"answered"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn local_values_errors_and_pointers_work() {
    assert_eq!(once(Rc::new(1)).await, Ok(Rc::new(1)));
    let tries = Rc::new(Tries::good_at(2));
    assert_eq!(local_error(tries).await, Ok(Rc::new(2)));
    assert_eq!(raw_pointer(&Tries::good_at(2)).await, Ok(false));
}
