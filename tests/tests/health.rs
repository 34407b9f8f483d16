//! How the program is doing: policies, the store, the user's own checks.

use std::{
    convert::Infallible,
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
        mpsc,
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use steadfast::{
    Bulkhead, CircuitBreaker, Health, HealthStatus, MemoryStore, PolicyHealth, Registry, Rejection,
    Verdict, circuit_breaker, rate_limited,
};

const SECOND: Duration = Duration::from_secs(1);

/// Real time that only a fault takes: what then ends is told instead of hanging.
const FAR: Duration = Duration::from_secs(30);

use HealthStatus::{Degraded, Healthy, Unhealthy};

fn policy<'h>(health: &'h Health, name: &str) -> &'h PolicyHealth {
    let mut named = health.policies.iter().filter(|policy| policy.name == name);
    named.next().unwrap_or_else(|| panic!("{name}: {health:?}"))
}

async fn of_policy(registry: &Registry, name: &str) -> (HealthStatus, String) {
    let health = registry.health().await;
    let policy = policy(&health, name);
    assert_eq!(health.status, policy.status);
    (policy.status, policy.detail.clone().unwrap())
}

async fn of_check(registry: &Registry) -> (HealthStatus, Option<String>) {
    let health = registry.health().await;
    let [check] = &health.checks[..] else {
        panic!("{health:?}")
    };
    assert_eq!(health.status, check.status);
    (check.status, check.detail.clone())
}

fn fail(breaker: &CircuitBreaker) {
    breaker.try_acquire().unwrap().failure();
}

// Policies

#[tokio::test]
async fn a_program_that_has_used_nothing_is_healthy() {
    let test = steadfast::test::isolated();
    let health = test.registry().health().await;
    assert_eq!(health.status, Healthy);
    assert!(health.policies.is_empty() && health.checks.is_empty() && health.store.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_is_degraded_until_it_has_closed() {
    let test = steadfast::test::isolated();
    let breaker = CircuitBreaker::builder("quotes")
        .failure_threshold(1)
        .success_threshold(1)
        .recovery_timeout(SECOND)
        .install()
        .unwrap();
    let registry = test.registry();
    let now = || of_policy(&registry, "quotes");
    assert_eq!(now().await, (Healthy, "closed".to_owned()));
    fail(&breaker);
    assert_eq!(now().await, (Degraded, "open".to_owned()));
    tokio::time::sleep(SECOND).await;
    let probe = breaker.try_acquire().unwrap();
    assert_eq!(now().await, (Degraded, "half_open".to_owned()));
    probe.success();
    assert_eq!(now().await, (Healthy, "closed".to_owned()));
}

#[tokio::test]
async fn a_circuit_forced_open_is_degraded_and_a_disabled_one_is_not() {
    let test = steadfast::test::isolated();
    let breaker = CircuitBreaker::builder("quotes").install().unwrap();
    breaker.force_open();
    let registry = test.registry();
    let now = || of_policy(&registry, "quotes");
    assert_eq!(now().await, (Degraded, "forced_open".to_owned()));
    breaker.disable();
    assert_eq!(now().await, (Healthy, "disabled".to_owned()));
}

#[tokio::test]
async fn a_breaker_that_only_watches_hurts_nobody() {
    let test = steadfast::test::isolated();
    let breaker = CircuitBreaker::builder("watcher").failure_threshold(1);
    fail(&breaker.enforce(false).install().unwrap());
    assert_eq!(
        of_policy(&test.registry(), "watcher").await,
        (Healthy, "open".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn one_open_circuit_of_many_is_degraded_until_it_is_forgotten() {
    let test = steadfast::test::isolated();
    let breaker = CircuitBreaker::builder("hosts")
        .failure_threshold(1)
        .recovery_timeout(SECOND)
        .install()
        .unwrap();
    breaker.try_acquire_for("a").unwrap().failure();
    breaker.try_acquire_for("b").unwrap().success();
    let (status, detail) = of_policy(&test.registry(), "hosts").await;
    assert_eq!(
        (status, &*detail),
        (Degraded, "1 of 2 circuits are not closed")
    );
    tokio::time::sleep(100 * SECOND).await;
    assert_eq!(of_policy(&test.registry(), "hosts").await.0, Healthy);
}

#[tokio::test]
async fn a_bulkhead_is_degraded_while_it_would_refuse_the_next_caller() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let bulkhead = Bulkhead::builder("reports").max_concurrent(2);
    let bulkhead = bulkhead.install().unwrap();
    let first = bulkhead.try_acquire().unwrap();
    let now = || of_policy(&registry, "reports");
    assert_eq!(now().await, (Healthy, "1 in flight, 0 waiting".to_owned()));
    let second = bulkhead.try_acquire().unwrap();
    assert_eq!(now().await, (Degraded, "2 in flight, 0 waiting".to_owned()));
    drop((first, second));
    assert_eq!(now().await.0, Healthy);
}

#[tokio::test]
async fn a_key_that_is_full_is_told_and_says_nothing_of_the_others() {
    let test = steadfast::test::isolated();
    let bulkhead = Bulkhead::builder("tenants").max_concurrent(2);
    let bulkhead = bulkhead.install().unwrap();
    let taken = ["a", "a", "b"].map(|tenant| bulkhead.try_acquire_for(tenant).unwrap());
    assert_eq!(
        of_policy(&test.registry(), "tenants").await,
        (
            Healthy,
            "3 in flight, 0 waiting, 1 of 2 keys full".to_owned()
        )
    );
    drop(taken);
}

#[tokio::test(start_paused = true)]
async fn a_full_bulkhead_is_healthy_while_callers_may_wait() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let bulkhead = Bulkhead::builder("reports").max_concurrent(1);
    let bulkhead = bulkhead.max_wait(SECOND).max_queue(1).install().unwrap();
    let _taken = bulkhead.try_acquire().unwrap();
    assert_eq!(of_policy(&registry, "reports").await.0, Healthy);
    let waiting = pin!(bulkhead.acquire());
    let mut context = Context::from_waker(Waker::noop());
    assert!(waiting.poll(&mut context).is_pending());
    assert_eq!(
        of_policy(&registry, "reports").await,
        (Degraded, "1 in flight, 1 waiting".to_owned())
    );
}

#[tokio::test]
async fn a_store_that_is_away_is_degraded() {
    let test = steadfast::test::isolated();
    let store = MemoryStore::new();
    test.registry().set_store(store.clone()).unwrap();
    let health = test.registry().health().await;
    assert_eq!(health.store, Some(verdict(Healthy, "up")));
    store.disconnect();
    let health = test.registry().health().await;
    let down = health.store.unwrap();
    assert_eq!((health.status, down.status), (Degraded, Degraded));
    assert!(down.detail.unwrap().starts_with("down: "));
    store.restore();
    assert_eq!(test.registry().health().await.status, Healthy);
}

#[rate_limited("of the fleet", rate = "5/s", shared)]
async fn shared() -> Result<(), Rejection> {
    Ok(())
}

#[tokio::test]
async fn a_store_that_is_missing_is_degraded_once_it_is_needed() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    assert_eq!(registry.health().await.store, None, "nobody has needed it");
    shared().await.unwrap_err();
    let health = registry.health().await;
    let missing = "none is set, and `shared` policies need one";
    registry.validate().unwrap_err();
    assert_eq!(health.store, Some(verdict(Degraded, missing)));
    assert_eq!(health.status, Degraded);
    let off = "[rate_limiter.\"of the fleet\"]\nenabled = false";
    registry.configure_toml(off).unwrap();
    assert_eq!(registry.health().await.store, None, "it is switched off");
    registry.validate().unwrap();
    registry.configure_toml("").unwrap();
    registry.set_store(MemoryStore::new()).unwrap();
    assert_eq!(registry.health().await.store, Some(verdict(Healthy, "up")));
}

#[circuit_breaker("held", failure_threshold = 2)]
async fn held() -> Result<(), Rejection> {
    Ok(())
}

#[tokio::test]
async fn a_circuit_that_the_configuration_holds_open_is_degraded_before_its_first_call() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let load = |text| registry.configure_toml(text).unwrap();
    load("[circuit_breaker.held]\nforce = \"closed\"");
    assert!(registry.health().await.policies.is_empty());
    load("[circuit_breaker.held]\nforce = \"open\"");
    let now = of_policy(&registry, "held").await;
    assert_eq!(now, (Degraded, "forced_open".to_owned()));
    held().await.unwrap_err();
    load("");
    assert_eq!(
        of_policy(&registry, "held").await,
        (Healthy, "closed".to_owned())
    );
}

#[tokio::test]
async fn a_policy_that_is_switched_off_is_not_listed() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    held().await.unwrap();
    assert_eq!(registry.health().await.policies.len(), 1);
    let off = "[circuit_breaker.held]\nenabled = false\nforce = \"open\"";
    registry.configure_toml(off).unwrap();
    let health = registry.health().await;
    assert_eq!((health.policies.len(), health.status), (0, Healthy));
}

fn verdict(status: HealthStatus, detail: &str) -> Verdict {
    let mut verdict = Verdict::from(status);
    verdict.detail = Some(detail.to_owned());
    verdict
}

async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}

// Checks

#[tokio::test]
async fn a_check_answers_with_a_result_a_status_or_a_verdict() {
    async fn ping() -> Result<u32, Infallible> {
        Ok(1)
    }
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let all = [
        registry.register_check("ping", ping),
        registry.register_check("result", || async { Err::<(), _>("refused") }),
        registry.register_check("status", || async { Degraded }),
        registry.register_check("verdict", || async { Verdict::degraded("slow") }),
    ];
    let health = registry.health().await;
    let found: Vec<_> = health
        .checks
        .iter()
        .map(|check| (&*check.name, check.status, check.detail.as_deref()))
        .collect();
    assert_eq!(
        found,
        [
            ("ping", Healthy, None),
            ("result", Unhealthy, Some("refused")),
            ("status", Degraded, None),
            ("verdict", Degraded, Some("slow")),
        ]
    );
    assert_eq!(health.status, Unhealthy);
    drop(all);
}

#[tokio::test]
async fn an_optional_check_makes_nothing_worse_than_degraded() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let check = registry.register_check("mail", || async { Err::<(), _>("refused") });
    let _check = check.optional();
    assert_eq!(
        of_check(&registry).await,
        (Degraded, Some("refused".to_owned()))
    );
    assert!(!registry.health().await.checks[0].critical);
}

#[tokio::test(start_paused = true)]
async fn checks_are_asked_side_by_side_and_a_late_one_is_given_up() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let sleepy = |name: &str, millis| {
        registry.register_check(name, move || async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            Healthy
        })
    };
    let _checks = [
        sleepy("one", 300),
        sleepy("late", 900),
        sleepy("two", 400),
        sleepy("patient", 900).timeout(SECOND),
    ];
    let health = registry.health().await;
    let took = |nth: usize| health.checks[nth].took.as_millis();
    let found: Vec<_> = health.checks.iter().map(|check| check.status).collect();
    assert_eq!(found, [Healthy, Unhealthy, Healthy, Healthy]);
    assert_eq!(
        health.checks[1].detail.as_deref(),
        Some("no answer within 500ms")
    );
    // Tokio's timer is a millisecond coarse.
    assert!((300..310).contains(&took(0)), "{}", took(0));
    assert!((500..510).contains(&took(1)), "{}", took(1));
    assert!((900..910).contains(&health.took.as_millis()), "{health:?}");
}

#[tokio::test]
async fn a_check_that_panics_is_unhealthy_and_hurts_no_other() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let never = || async { panic!("as planned") };
    let _checks = (
        registry.register_check::<_, _>("when called", || -> std::future::Ready<Verdict> {
            panic!("as planned")
        }),
        registry.register_check("when polled", move || async move {
            let () = never().await;
            Healthy
        }),
        registry.register_check("well", || async { Healthy }),
    );
    for _ in 0..2 {
        let health = registry.health().await;
        let found: Vec<_> = health.checks.iter().map(|check| check.status).collect();
        assert_eq!(found, [Unhealthy, Unhealthy, Healthy]);
        assert_eq!(
            health.checks[0].detail.as_deref(),
            Some("the check panicked")
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_blocks_its_thread_is_not_started_twice() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let (release, blocked) = mpsc::channel::<()>();
    let blocked = Arc::new(std::sync::Mutex::new(blocked));
    let runs = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&runs);
    let _bad = registry.register_check("blocks", move || {
        let (blocked, runs) = (Arc::clone(&blocked), Arc::clone(&counter));
        async move {
            if runs.fetch_add(1, Relaxed) == 0 {
                let _ = blocked.lock().unwrap().recv_timeout(FAR);
            }
            Healthy
        }
    });
    let _good = registry.register_check("well", || async { Healthy });
    // The real timeout of half a second ends the first look.
    let look = || tokio::time::timeout(FAR, registry.health());
    for detail in [
        "no answer within 500ms",
        "no answer within 500ms: an earlier run has not ended",
        "no answer within 500ms: an earlier run has not ended",
    ] {
        let health = look().await.unwrap();
        assert_eq!(health.checks[0].detail.as_deref(), Some(detail));
        assert_eq!(health.checks[1].status, Healthy);
    }
    assert_eq!(runs.load(Relaxed), 1);
    release.send(()).unwrap();
    let is_well = async {
        while registry.health().await.status != Healthy {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(FAR, is_well).await.unwrap();
    assert_eq!(runs.load(Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_asks_for_the_health_of_all_does_not_ask_itself() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    CircuitBreaker::builder("quotes").install().unwrap();
    let runs = Arc::new(AtomicU32::new(0));
    let asks = |name: &str| {
        let (registry, runs) = (registry.clone(), Arc::clone(&runs));
        test.registry().register_check(name, move || {
            let (registry, runs) = (registry.clone(), Arc::clone(&runs));
            // A fault would start more and more of them, and no time would ever pass.
            assert!(runs.fetch_add(1, Relaxed) < 100);
            async move {
                tokio::task::yield_now().await;
                let inner = registry.health().await;
                assert_eq!((inner.policies.len(), inner.checks.len()), (1, 0));
                inner.status
            }
        })
    };
    let _checks = (asks("one"), asks("two"));
    for looks in 1..=2 {
        let health = registry.health().await;
        let found: Vec<_> = health.checks.iter().map(|check| check.status).collect();
        assert_eq!((found, runs.load(Relaxed)), (vec![Healthy; 2], 2 * looks));
    }
}

#[tokio::test]
async fn the_login_of_a_url_is_left_out_of_what_a_check_says() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let _checks = [
        registry.register_check("error", || async {
            Err::<(), _>("postgres://ann:s3cret@db/shop: refused")
        }),
        registry.register_check("verdict", || async {
            Verdict::degraded("slow: amqp://ann:s3cret@mq")
        }),
    ];
    let health = registry.health().await;
    let said = health.checks.iter().map(|check| check.detail.as_deref());
    let said: Vec<_> = said.map(Option::unwrap).collect();
    assert_eq!(
        said,
        ["postgres://***@db/shop: refused", "slow: amqp://***@mq"]
    );
    assert!(!format!("{health:?}").contains("s3cret"));
}

#[tokio::test]
async fn checks_of_one_name_are_all_asked_and_all_listed() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let first = registry.register_check("database", || async { Healthy });
    let _second = registry.register_check("database", || async { Unhealthy });
    let statuses = || async {
        let checks = registry.health().await.checks;
        checks.iter().map(|check| check.status).collect::<Vec<_>>()
    };
    assert_eq!(statuses().await, [Healthy, Unhealthy]);
    drop(first);
    assert_eq!(statuses().await, [Unhealthy]);
}

#[tokio::test]
async fn a_check_is_asked_as_long_as_its_registration_is_kept() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let held = Arc::new(());
    let inside = Arc::clone(&held);
    let check = registry.register_check("database", move || {
        let _ = &inside;
        async { Healthy }
    });
    assert_eq!(registry.health().await.checks.len(), 1);
    drop(check);
    assert_eq!(registry.health().await.checks.len(), 0);
    assert_eq!(Arc::strong_count(&held), 1, "what it held is gone, too");
    registry.register_check("kept", || async { Healthy }).keep();
    assert_eq!(registry.health().await.checks.len(), 1);
}

#[tokio::test]
async fn a_look_that_is_dropped_drops_the_checks() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let held = Arc::new(());
    let inside = Arc::clone(&held);
    let _check = registry.register_check("endless", move || {
        let inside = Arc::clone(&inside);
        async move {
            let _inside = inside;
            std::future::pending::<Verdict>().await
        }
    });
    tokio::select! {
        biased;
        _ = registry.health() => panic!("it is endless"),
        () = async {
            while Arc::strong_count(&held) < 3 {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    let is_gone = async {
        while Arc::strong_count(&held) > 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(FAR, is_gone).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looks_that_are_dropped_start_a_check_that_blocks_no_second_time() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let (release, blocked) = mpsc::channel::<()>();
    let blocked = Arc::new(std::sync::Mutex::new(blocked));
    let runs = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&runs);
    let _check = registry.register_check("blocks", move || {
        let (blocked, runs) = (Arc::clone(&blocked), Arc::clone(&counter));
        async move {
            runs.fetch_add(1, Relaxed);
            let _ = blocked.lock().unwrap().recv_timeout(FAR);
            Healthy
        }
    });
    for _ in 0..5 {
        // Some real time for the check to begin in; how much does not matter to what must hold.
        let look = tokio::time::timeout(Duration::from_millis(20), registry.health());
        assert!(look.await.is_err());
    }
    assert!(runs.load(Relaxed) <= 1);
    drop(release);
    assert_eq!(of_check(&registry).await, (Healthy, None));
}

#[tokio::test]
async fn a_look_right_after_one_that_was_dropped_is_answered() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let _check = registry.register_check("short", || async {
        tokio::task::yield_now().await;
        Healthy
    });
    for steps in 0..6 {
        let mut look = Box::pin(registry.health());
        for _ in 0..steps {
            if poll_once(look.as_mut()).await.is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(look);
        assert_eq!(of_check(&registry).await, (Healthy, None));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_sees_the_registry_of_its_test_whatever_thread_it_runs_on() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    CircuitBreaker::builder("of this test").install().unwrap();
    let _check = registry.register_check("looks", || async {
        tokio::task::yield_now().await;
        match steadfast::registry().circuit_breaker("of this test") {
            Some(_) => Healthy,
            None => Unhealthy,
        }
    });
    assert_eq!(of_check(&registry).await.0, Healthy);
    let _other = steadfast::test::isolated();
    assert_eq!(steadfast::registry().health().await.checks.len(), 0);
}

#[test]
fn without_a_runtime_checks_are_unhealthy_and_say_so() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let _check = registry.register_check("database", || async { Healthy });
    let look = pin!(of_check(&registry));
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready((status, detail)) = look.poll(&mut context) else {
        panic!("there is nothing to wait for")
    };
    assert_eq!(status, Unhealthy);
    assert!(detail.unwrap().contains("no Tokio runtime"));
}

#[test]
fn without_a_timer_checks_are_unhealthy_and_say_so() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let _check = registry.register_check("database", || async { Healthy });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (status, detail) = runtime.block_on(of_check(&registry));
    assert_eq!(status, Unhealthy);
    assert!(detail.unwrap().contains("no timer"));
}

#[test]
fn a_handler_may_await_it_on_any_thread() {
    fn is_send<T: Send>(_: &T) {}
    let registry = steadfast::registry();
    is_send(&registry.health());
}

#[tokio::test(start_paused = true)]
async fn it_serialises() {
    let test = steadfast::test::isolated();
    let registry = test.registry();
    let breaker = CircuitBreaker::builder("quotes").install().unwrap();
    breaker.force_open();
    registry.set_store(MemoryStore::new()).unwrap();
    let check = registry.register_check("mail", || async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err::<(), _>("refused")
    });
    let _check = check.optional();
    let mut json = serde_json::to_value(registry.health().await).unwrap();
    for took in [json["took_ms"].take(), json["checks"][0]["took_ms"].take()] {
        assert!((20.0..25.0).contains(&took.as_f64().unwrap()), "{took}");
    }
    assert_eq!(
        json,
        serde_json::json!({
            "status": "degraded",
            "policies": [{
                "kind": "circuit_breaker", "name": "quotes",
                "status": "degraded", "detail": "forced_open",
            }],
            "store": {"status": "healthy", "detail": "up"},
            "checks": [{
                "name": "mail", "status": "degraded", "detail": "refused",
                "critical": false, "took_ms": null,
            }],
            "took_ms": null,
        })
    );
}
