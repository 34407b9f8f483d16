async fn quote(&self, symbol: &str) -> Result<Quote, QuoteError> {
    #[retry(__taken)]
    const _: () = ();
    #[circuit_breaker(__taken)]
    const _: () = ();
    #[rate_limited(__taken)]
    const _: () = ();
    #[bulkhead(__taken)]
    const _: () = ();
    #[timeout(__taken)]
    const _: () = ();
    static __SITE: ::steadfast::__private::Site = ::steadfast::__private::Site {
        function: ::core::concat!(::core::module_path!(), "::quote"),
        file: ::core::file!(),
        line: ::core::line!(),
        column: ::core::column!(),
        package: ::core::env!("CARGO_PKG_NAME"),
        policies: &[
            ::steadfast::__private::Declared::fallback(
                ::core::option::Option::None,
                ::steadfast::__private::FallbackSettings::new(),
            ),
            ::steadfast::__private::Declared::retry(
                ::core::option::Option::None,
                ::steadfast::__private::RetrySettings::new()
                    .max_attempts(4)
                    .base_delay(::core::time::Duration::new(0, 100000000)),
            ),
            ::steadfast::__private::Declared::circuit_breaker(
                ::core::option::Option::Some("quotes"),
                ::steadfast::__private::CircuitBreakerSettings::new()
                    .failure_rate(0.5)
                    .window(::steadfast::Window::Count(100))
                    .recovery_timeout(::core::time::Duration::new(30, 0)),
            ),
            ::steadfast::__private::Declared::rate_limiter(
                ::core::option::Option::Some("quotes"),
                ::steadfast::__private::RateLimiterSettings::new()
                    .rate(::steadfast::Rate::new(200, ::core::time::Duration::new(1, 0)))
                    .burst(50)
                    .max_wait(::core::time::Duration::new(0, 250000000)),
            ),
            ::steadfast::__private::Declared::bulkhead(
                ::core::option::Option::Some("quotes"),
                ::steadfast::__private::BulkheadSettings::new().max_concurrent(16),
            ),
            ::steadfast::__private::Declared::timeout(
                ::core::option::Option::None,
                ::steadfast::__private::TimeoutSettings::new()
                    .after(::core::time::Duration::new(2, 0)),
            ),
        ],
    };
    ::steadfast::__private::inventory::submit! {
        ::steadfast::__private::Registered(& __SITE)
    }
    static __POLICY_0: ::steadfast::__private::Slot<::steadfast::Fallback> = ::steadfast::__private::Slot::new(
        &__SITE,
        0usize,
    );
    static __POLICY_1: ::steadfast::__private::Slot<::steadfast::Retry> = ::steadfast::__private::Slot::new(
        &__SITE,
        1usize,
    );
    static __POLICY_2: ::steadfast::__private::Slot<::steadfast::CircuitBreaker> = ::steadfast::__private::Slot::new(
        &__SITE,
        2usize,
    );
    static __POLICY_3: ::steadfast::__private::Slot<::steadfast::RateLimiter> = ::steadfast::__private::Slot::new(
        &__SITE,
        3usize,
    );
    static __POLICY_4: ::steadfast::__private::Slot<::steadfast::Bulkhead> = ::steadfast::__private::Slot::new(
        &__SITE,
        4usize,
    );
    static __POLICY_5: ::steadfast::__private::Slot<::steadfast::Timeout> = ::steadfast::__private::Slot::new(
        &__SITE,
        5usize,
    );
    let __call = &::steadfast::__private::Call::new();
    let __step = {
        let __policy = ::steadfast::__private::Slot::get(&__POLICY_0);
        let __step = {
            let __policy = ::steadfast::__private::Slot::get(&__POLICY_1);
            let mut __attempts = __policy.begin(__call);
            loop {
                let __event = {
                    let __step = {
                        let __policy = ::steadfast::__private::Slot::get(&__POLICY_2);
                        '__layer_2: {
                            let __permit = {
                                let __entered = __policy.enter(__call);
                                match __entered {
                                    ::core::result::Result::Ok(__permit) => __permit,
                                    ::core::result::Result::Err(__rejection) => {
                                        let __step = ::steadfast::__private::Step::Rejected(
                                            __rejection,
                                        );
                                        break '__layer_2 __step;
                                    }
                                }
                            };
                            let __step = {
                                let __policy = ::steadfast::__private::Slot::get(
                                    &__POLICY_3,
                                );
                                '__layer_3: {
                                    let __permit = {
                                        let __entered = '__entered_3: {
                                            let __wait = {
                                                let __entering = __policy
                                                    .enter(__call, ::steadfast::__private::Request::new());
                                                match __entering {
                                                    ::steadfast::__private::Entered::Now(__entered) => {
                                                        break '__entered_3 __entered;
                                                    }
                                                    ::steadfast::__private::Entered::Wait(__wait) => __wait,
                                                }
                                            };
                                            __wait.await
                                        };
                                        match __entered {
                                            ::core::result::Result::Ok(__permit) => __permit,
                                            ::core::result::Result::Err(__rejection) => {
                                                let __step = ::steadfast::__private::Step::Rejected(
                                                    __rejection,
                                                );
                                                break '__layer_3 __step;
                                            }
                                        }
                                    };
                                    let __step = {
                                        let __policy = ::steadfast::__private::Slot::get(
                                            &__POLICY_4,
                                        );
                                        '__layer_4: {
                                            let __permit = {
                                                let __entered = '__entered_4: {
                                                    let __wait = {
                                                        let __entering = __policy.enter(__call);
                                                        match __entering {
                                                            ::steadfast::__private::Entered::Now(__entered) => {
                                                                break '__entered_4 __entered;
                                                            }
                                                            ::steadfast::__private::Entered::Wait(__wait) => __wait,
                                                        }
                                                    };
                                                    __wait.await
                                                };
                                                match __entered {
                                                    ::core::result::Result::Ok(__permit) => __permit,
                                                    ::core::result::Result::Err(__rejection) => {
                                                        let __step = ::steadfast::__private::Step::Rejected(
                                                            __rejection,
                                                        );
                                                        break '__layer_4 __step;
                                                    }
                                                }
                                            };
                                            let __step = {
                                                let __policy = ::steadfast::__private::Slot::get(
                                                    &__POLICY_5,
                                                );
                                                __policy
                                                    .run(
                                                        __call,
                                                        async {
                                                            ::steadfast::__private::Step::Done(
                                                                ::steadfast::__private::Body::new(
                                                                        __call,
                                                                        async {
                                                                            if false {
                                                                                return ::steadfast::__private::hint::<
                                                                                    Result<Quote, QuoteError>,
                                                                                >();
                                                                            }
                                                                            { self.http.get(symbol).await }
                                                                        },
                                                                    )
                                                                    .await,
                                                            )
                                                        },
                                                    )
                                                    .await
                                            };
                                            __permit
                                                .settle(
                                                    ::steadfast::__private::Judge::new(
                                                        &__step,
                                                        ::steadfast::__private::Probe::of(&__step).__traits(),
                                                    ),
                                                );
                                            __step
                                        }
                                    };
                                    __permit
                                        .settle(
                                            ::steadfast::__private::Judge::new(
                                                &__step,
                                                ::steadfast::__private::Probe::of(&__step).__traits(),
                                            ),
                                        );
                                    __step
                                }
                            };
                            __permit
                                .settle(
                                    ::steadfast::__private::Judge::new(
                                        &__step,
                                        ::steadfast::__private::Probe::of(&__step).__traits(),
                                    ),
                                );
                            __step
                        }
                    };
                    let __next = ::steadfast::__private::Attempts::next(
                        &mut __attempts,
                        ::steadfast::__private::Judge::new(
                                &__step,
                                ::steadfast::__private::Probe::of(&__step).__traits(),
                            )
                            .when(QuoteError::is_transient),
                    );
                    match __next {
                        ::steadfast::__private::Next::Again(__event) => {
                            ::steadfast::__private::let_go(__step);
                            __event
                        }
                        _ => break __step,
                    }
                };
                ::steadfast::__private::Attempts::pause(&mut __attempts, __event).await;
            }
        };
        let __marks = ::steadfast::__private::Mark::of(&__step).__marks();
        let __serve = __policy
            .serves(
                ::steadfast::__private::Judge::new(
                    &__step,
                    ::steadfast::__private::Probe::of(&__step).__traits(),
                ),
            );
        let __step: ::steadfast::__private::Step<_, ::core::convert::Infallible> = __step
            .settle(::steadfast::__private::reject);
        let __taken = __policy.take(__step, __serve);
        match __taken {
            ::steadfast::__private::Taken::Keep(__step) => __step,
            ::steadfast::__private::Taken::Failed(__error) => {
                let __answer: Result<Quote, QuoteError> = async move {
                    if false {
                        return ::steadfast::__private::hint::<
                            Result<Quote, QuoteError>,
                        >();
                    }
                    match __error {
                        error => stale_quote(symbol, error).await,
                    }
                }
                    .await;
                ::steadfast::__private::Step::Done(__policy.answered(__answer, __marks))
            }
        }
    };
    __step.finish(|__never: ::core::convert::Infallible| match __never {})
}
