//! Names, sharing, conflicts, snapshots, events.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use steadfast::{
    CircuitBreaker, CircuitState, ConfigError, Event, PolicyKind, RateLimiter, Rejection, Value,
    bulkhead, circuit_breaker, rate_limited, retry,
};

#[circuit_breaker("shared", failure_threshold = 2)]
async fn defines(result: Result<(), Rejection>) -> Result<(), Rejection> {
    result
}

#[circuit_breaker("shared")]
async fn joins(result: Result<(), Rejection>) -> Result<(), Rejection> {
    result
}

fn failure() -> Result<(), Rejection> {
    let late = steadfast::Timeout::builder("t").after(Duration::from_nanos(1));
    let late = late.build().unwrap();
    // A runtime of its own: the callers are in one already.
    let time_out = move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime
            .enable_time()
            .build()
            .unwrap()
            .block_on(late.call(std::future::pending()))
    };
    std::thread::spawn(time_out).join().unwrap()
}

#[tokio::test]
async fn functions_that_name_a_policy_share_it_whoever_is_called_first() {
    let test = steadfast::test::isolated();
    joins(failure()).await.unwrap_err();
    defines(failure()).await.unwrap_err();
    assert_eq!(
        test.registry().circuit_breaker("shared").unwrap().state(),
        CircuitState::Open
    );
    assert!(matches!(
        joins(Ok(())).await,
        Err(Rejection::CircuitOpen(_))
    ));
}

#[tokio::test]
async fn a_policy_without_a_name_is_the_function_s_own() {
    #[retry(max_attempts = 1)]
    async fn lonely() -> Result<(), ()> {
        Ok(())
    }
    struct One;
    struct Two;
    impl One {
        #[bulkhead(max_concurrent = 1)]
        fn same(self) -> Result<(), Rejection> {
            Ok(())
        }
    }
    impl Two {
        #[bulkhead(max_concurrent = 1)]
        fn same(self) -> Result<(), Rejection> {
            Ok(())
        }
    }
    let test = steadfast::test::isolated();
    lonely().await.unwrap();
    One.same().unwrap();
    Two.same().unwrap();
    assert!(test.registry().retry("registry::lonely").is_some());
    let snapshot = test.registry().snapshot();
    let names: Vec<_> = snapshot
        .policies
        .iter()
        .filter(|policy| policy.name.starts_with("registry::same@"))
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(
        names
            .iter()
            .all(|policy| policy.name.contains("registry.rs:"))
    );
}

#[tokio::test]
async fn methods_of_one_name_share_no_state() {
    struct Of<T>(T);
    impl Of<u8> {
        #[circuit_breaker(failure_threshold = 1)]
        async fn call(&self, result: Result<u8, Rejection>) -> Result<u8, Rejection> {
            result.map(|_| self.0)
        }
    }
    impl Of<u16> {
        #[circuit_breaker(failure_threshold = 1)]
        async fn call(&self) -> Result<u16, Rejection> {
            Ok(self.0)
        }
    }
    let _test = steadfast::test::isolated();
    Of(1_u8).call(failure().map(|()| 0)).await.unwrap_err();
    assert!(matches!(
        Of(1_u8).call(Ok(0)).await,
        Err(Rejection::CircuitOpen(_))
    ));
    Of(1_u16).call().await.unwrap();
}

#[tokio::test]
async fn instantiations_of_a_generic_function_share_its_policy() {
    #[rate_limited(rate = "2/h")]
    async fn generic<T>(value: T) -> Result<T, Rejection> {
        Ok(value)
    }
    let _test = steadfast::test::isolated();
    generic(1).await.unwrap();
    generic("two").await.unwrap();
    assert!(generic(3.0).await.is_err());
}

#[circuit_breaker("disputed", failure_threshold = 2)]
async fn first_site() -> Result<(), Rejection> {
    Ok(())
}

#[circuit_breaker("disputed", failure_threshold = 7)]
async fn second_site() -> Result<(), Rejection> {
    Ok(())
}

#[rate_limited("nowhere defined")]
async fn joins_nothing() -> Result<(), Rejection> {
    Ok(())
}

#[tokio::test]
async fn a_conflict_names_both_places_and_the_first_one_holds() {
    let test = steadfast::test::isolated();
    let errors = test.registry().validate().unwrap_err();
    let conflict = errors
        .iter()
        .find(|error| error.policy().is_some_and(|policy| policy == "disputed"))
        .unwrap();
    let ConfigError::Conflict {
        setting,
        first,
        second,
        ..
    } = conflict
    else {
        panic!("{conflict}")
    };
    assert_eq!(
        (*setting, &*first.value, &*second.value),
        ("failure_threshold", "2", "7")
    );
    assert!(first.place.line < second.place.line);
    assert!(first.place.function.ends_with("first_site"));
    let text = conflict.to_string();
    assert!(
        text.contains("registry.rs:") && text.contains("second_site"),
        "{text}"
    );

    let told = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&told);
    let _subscription = test.registry().subscribe(move |event| {
        if matches!(event, Event::Misconfigured(_)) {
            *counter.lock().unwrap() += 1;
        }
    });
    second_site().await.unwrap();
    first_site().await.unwrap();
    assert_eq!(*told.lock().unwrap(), 1, "told once, at first use");
    let snapshot = test.registry().snapshot();
    let policy = snapshot
        .policy(PolicyKind::CircuitBreaker, "disputed")
        .unwrap();
    assert_eq!(policy.settings["failure_threshold"], "2");
}

#[circuit_breaker("across packages", failure_threshold = 2)]
async fn claims_the_name_too() -> Result<(), Rejection> {
    Ok(())
}

#[tokio::test]
async fn settings_of_one_name_in_two_packages_are_a_conflict_even_if_they_agree() {
    let test = steadfast::test::isolated();
    steadfast_tests_library::claims_a_name().unwrap();
    claims_the_name_too().await.unwrap();
    let errors = test.registry().validate().unwrap_err();
    let error = errors
        .iter()
        .find(|error| {
            error
                .policy()
                .is_some_and(|policy| policy == "across packages")
        })
        .unwrap();
    let ConfigError::TwoPackages { first, second, .. } = error else {
        panic!("{error}")
    };
    let mut packages = [&*first.value, &*second.value];
    packages.sort_unstable();
    assert_eq!(packages, ["steadfast-tests", "steadfast-tests-library"]);
}

#[tokio::test]
async fn a_policy_of_a_library_is_known_before_its_first_call() {
    let test = steadfast::test::isolated();
    assert!(test.registry().retry("never called").is_some());
    let snapshot = test.registry().snapshot();
    let policy = snapshot.policy(PolicyKind::Retry, "never called").unwrap();
    assert_eq!(policy.settings["max_attempts"], "7");
}

#[tokio::test]
async fn a_limit_that_nobody_defines_is_told_and_lets_through() {
    let test = steadfast::test::isolated();
    let undefined = |error: &ConfigError| matches!(error, ConfigError::Undefined { policy, setting: "rate", .. } if *policy == "nowhere defined");
    assert!(
        test.registry()
            .validate()
            .unwrap_err()
            .iter()
            .any(undefined)
    );
    joins_nothing().await.unwrap();
    joins_nothing().await.unwrap();

    let test = steadfast::test::isolated();
    RateLimiter::builder("nowhere defined")
        .rate("1/h".parse().unwrap())
        .install()
        .unwrap();
    assert!(
        !test
            .registry()
            .validate()
            .unwrap_err()
            .iter()
            .any(undefined)
    );
    joins_nothing().await.unwrap();
    assert!(joins_nothing().await.is_err());
}

#[tokio::test]
async fn an_installed_policy_is_joined_and_may_not_contradict_a_site() {
    let test = steadfast::test::isolated();
    let error = CircuitBreaker::builder("shared")
        .failure_threshold(9)
        .install()
        .unwrap_err();
    assert!(matches!(&error, ConfigError::Conflict { .. }), "{error}");
    assert!(error.to_string().contains("registry.rs:"), "{error}");
    let breaker = CircuitBreaker::builder("shared")
        .failure_threshold(2)
        .install()
        .unwrap();
    breaker.force_open();
    assert!(defines(Ok(())).await.is_err());
    let again = CircuitBreaker::builder("shared")
        .failure_threshold(2)
        .install();
    assert!(matches!(again, Err(ConfigError::AlreadyInUse { .. })));
    test.registry().reset();
    assert!(defines(Ok(())).await.is_ok());
}

#[tokio::test]
async fn a_built_policy_stays_out_of_the_registry() {
    let test = steadfast::test::isolated();
    let _own = CircuitBreaker::builder("mine alone").build().unwrap();
    assert!(test.registry().circuit_breaker("mine alone").is_none());
}

#[tokio::test]
async fn a_snapshot_shows_every_policy_and_serialises() {
    let test = steadfast::test::isolated();
    defines(failure()).await.unwrap_err();
    let snapshot = test.registry().snapshot();
    let shared = snapshot
        .policy(PolicyKind::CircuitBreaker, "shared")
        .unwrap();
    assert_eq!(shared.state["state"], Value::Text("closed".to_owned()));
    assert_eq!(shared.state["failures"], Value::Count(1));
    assert!(
        snapshot
            .policy(PolicyKind::CircuitBreaker, "disputed")
            .is_some(),
        "never called"
    );
    let json = serde_json::to_value(&snapshot).unwrap();
    let kinds: Vec<_> = json["policies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["kind"].as_str().unwrap())
        .collect();
    assert!(
        kinds.contains(&"circuit_breaker") && kinds.contains(&"rate_limiter"),
        "{kinds:?}"
    );
}

#[tokio::test]
async fn subscribers_may_call_back_in_and_panics_hurt_nobody() {
    let test = steadfast::test::isolated();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&seen);
    let inside = test.registry();
    let _bad = test.registry().subscribe(|_| panic!("as planned"));
    let good = test.registry().subscribe(move |event| {
        if let Event::StateChanged(change) = event {
            let state = inside.circuit_breaker(&change.policy).unwrap().state();
            writer
                .lock()
                .unwrap()
                .push((change.from, change.to, state, change.generation));
        }
    });
    let breaker = CircuitBreaker::builder("watched").install().unwrap();
    breaker.force_open();
    breaker.reset();
    drop(good);
    breaker.force_open();
    let seen = seen.lock().unwrap();
    let states: Vec<_> = seen
        .iter()
        .map(|(from, to, state, _)| (*from, *to, *state))
        .collect();
    use CircuitState::{Closed, ForcedOpen};
    assert_eq!(
        states,
        [
            (Closed, ForcedOpen, ForcedOpen),
            (ForcedOpen, Closed, Closed)
        ]
    );
    assert!(seen[0].3 < seen[1].3, "generations rise");
}

#[tokio::test]
async fn isolated_tests_do_not_meet() {
    let one = steadfast::test::isolated();
    defines(failure()).await.unwrap_err();
    defines(failure()).await.unwrap_err();
    assert!(defines(Ok(())).await.is_err());
    {
        let _two = steadfast::test::isolated();
        assert!(defines(Ok(())).await.is_ok());
    }
    assert!(defines(Ok(())).await.is_err());
    let scoped = one.scope(async { defines(Ok(())).await });
    assert!(
        tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            runtime.block_on(scoped)
        })
        .await
        .unwrap()
        .is_err()
    );
}
