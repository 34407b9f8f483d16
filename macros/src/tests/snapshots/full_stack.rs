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
        order: 0,
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
    static __POLICIES: ::steadfast::__private::Slot<
        (
            ::steadfast::Fallback,
            (
                ::steadfast::Retry,
                (
                    ::steadfast::CircuitBreaker,
                    (
                        ::steadfast::RateLimiter,
                        (::steadfast::Bulkhead, (::steadfast::Timeout, ())),
                    ),
                ),
            ),
        ),
    > = ::steadfast::__private::Slot::new(&__SITE);
    let __call = ::steadfast::__private::Call::new();
    let __timed = ::steadfast::__private::Slot::time(&__POLICIES, &__call);
    let __step = '__good_0: {
        {
            let __step = {
                let mut __policies = ::steadfast::__private::Slot::get(&__POLICIES);
                let mut __attempts = __policies.1.0.begin(&__call);
                loop {
                    {
                        let __step = '__group_2: {
                            let __permit_2 = match ::steadfast::__private::Admits::try_admit(
                                __policies.1.1.0,
                                &__call,
                            ) {
                                ::core::option::Option::Some(__permit) => __permit,
                                ::core::option::Option::None => {
                                    match ::steadfast::__private::Admits::admit_blocking(
                                        __policies.1.1.0,
                                        &__call,
                                    ) {
                                        ::core::result::Result::Ok(__permit) => __permit,
                                        ::core::result::Result::Err(__rejection) => {
                                            let __step = ::steadfast::__private::Step::Rejected(
                                                __rejection,
                                            );
                                            break '__group_2 __step;
                                        }
                                    }
                                }
                            };
                            let __permit_3 = '__entered_3: {
                                if let ::core::option::Option::Some(__permit) = ::steadfast::__private::Admits::try_admit(
                                    __policies.1.1.1.0,
                                    &__call,
                                ) {
                                    break '__entered_3 __permit;
                                }
                                let __wait = match ::steadfast::__private::Waits::admit(
                                    __policies.1.1.1.0,
                                    &__call,
                                ) {
                                    ::steadfast::__private::Entered::In(__permit) => {
                                        break '__entered_3 __permit;
                                    }
                                    ::steadfast::__private::Entered::Out(__rejection) => {
                                        let __step = ::steadfast::__private::Step::Rejected(
                                            __rejection,
                                        );
                                        break '__group_2 __step;
                                    }
                                    ::steadfast::__private::Entered::Wait(__wait) => __wait,
                                };
                                let __entered = __wait.await;
                                __policies = ::steadfast::__private::Slot::get(&__POLICIES);
                                match __entered {
                                    ::core::result::Result::Ok(__permit) => __permit,
                                    ::core::result::Result::Err(__rejection) => {
                                        let __step = ::steadfast::__private::Step::Rejected(
                                            __rejection,
                                        );
                                        break '__group_2 __step;
                                    }
                                }
                            };
                            let __permit_4 = '__entered_4: {
                                if let ::core::option::Option::Some(__permit) = ::steadfast::__private::Admits::try_admit(
                                    __policies.1.1.1.1.0,
                                    &__call,
                                ) {
                                    break '__entered_4 __permit;
                                }
                                let __wait = match ::steadfast::__private::Waits::admit(
                                    __policies.1.1.1.1.0,
                                    &__call,
                                ) {
                                    ::steadfast::__private::Entered::In(__permit) => {
                                        break '__entered_4 __permit;
                                    }
                                    ::steadfast::__private::Entered::Out(__rejection) => {
                                        let __step = ::steadfast::__private::Step::Rejected(
                                            __rejection,
                                        );
                                        break '__group_2 __step;
                                    }
                                    ::steadfast::__private::Entered::Wait(__wait) => __wait,
                                };
                                let __entered = __wait.await;
                                __policies = ::steadfast::__private::Slot::get(&__POLICIES);
                                match __entered {
                                    ::core::result::Result::Ok(__permit) => __permit,
                                    ::core::result::Result::Err(__rejection) => {
                                        let __step = ::steadfast::__private::Step::Rejected(
                                            __rejection,
                                        );
                                        break '__group_2 __step;
                                    }
                                }
                            };
                            let __step = {
                                let __ran = __policies
                                    .1
                                    .1
                                    .1
                                    .1
                                    .1
                                    .0
                                    .run_body::<
                                        ::steadfast::__private::Outermost,
                                        _,
                                    >(
                                        &__call,
                                        async {
                                            if false {
                                                return ::steadfast::__private::hint::<
                                                    Result<Quote, QuoteError>,
                                                >();
                                            }
                                            { self.http.get(symbol).await }
                                        },
                                    )
                                    .await;
                                match __ran {
                                    ::core::result::Result::Ok(__ran) => {
                                        ::steadfast::__private::Step::Done(__ran)
                                    }
                                    ::core::result::Result::Err(__elapsed) => {
                                        ::steadfast::__private::Step::Rejected(
                                            ::steadfast::__private::Slot::get(&__POLICIES)
                                                .1
                                                .1
                                                .1
                                                .1
                                                .1
                                                .0
                                                .elapsed(&__call, __elapsed),
                                        )
                                    }
                                }
                            };
                            let __step = match ::steadfast::__private::Step::good(
                                __step,
                            ) {
                                ::core::result::Result::Ok(__outcome) => {
                                    ::steadfast::__private::Permit::succeed((
                                        __permit_2,
                                        __permit_3,
                                    ));
                                    let __step = ::steadfast::__private::Step::Done(__outcome);
                                    break '__good_0 __step;
                                }
                                ::core::result::Result::Err(__step) => __step,
                            };
                            let __judge = ::steadfast::__private::Judge::new(
                                &__step,
                                ::steadfast::__private::Probe::of(&__step).__traits(),
                            );
                            ::steadfast::__private::Permit::settle(__permit_3, __judge);
                            ::steadfast::__private::Permit::settle(__permit_2, __judge);
                            __step
                        };
                        let __next = ::steadfast::__private::Attempts::next(
                            &mut __attempts,
                            &__call,
                            ::steadfast::__private::Judge::new(
                                    &__step,
                                    ::steadfast::__private::Probe::of(&__step).__traits(),
                                )
                                .when(QuoteError::is_transient),
                        );
                        match __next {
                            ::steadfast::__private::Next::Again => {
                                ::steadfast::__private::let_go(__step)
                            }
                            _ => break __step,
                        }
                    }
                    ::steadfast::__private::Attempts::pause(&mut __attempts).await;
                    __policies = ::steadfast::__private::Slot::get(&__POLICIES);
                }
            };
            let __policy = ::steadfast::__private::Slot::get(&__POLICIES).0;
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
                    ::steadfast::__private::Step::Done(
                        __policy.answered(__answer, __marks),
                    )
                }
            }
        }
    };
    __step.end(__timed, ::steadfast::__private::never)
}
