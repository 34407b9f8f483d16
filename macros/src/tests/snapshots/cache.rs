async fn quote(&self, symbol: &str) -> Result<Quote, Error> {
    #[timeout(__taken)]
    const _: () = ();
    #[circuit_breaker(__taken)]
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
                ::steadfast::__private::FallbackSettings::new()
                    .fresh(::core::time::Duration::new(300, 0))
                    .stale(::core::time::Duration::new(3600, 0)),
            ),
            ::steadfast::__private::Declared::timeout(
                    ::core::option::Option::None,
                    ::steadfast::__private::TimeoutSettings::new(),
                )
                .varying(),
            ::steadfast::__private::Declared::circuit_breaker(
                    ::core::option::Option::None,
                    ::steadfast::__private::CircuitBreakerSettings::new(),
                )
                .supplied(),
        ],
    };
    ::steadfast::__private::inventory::submit! {
        ::steadfast::__private::Registered(& __SITE)
    }
    static __POLICIES: ::steadfast::__private::Slot<
        (
            ::steadfast::Fallback,
            (::steadfast::Timeout, (::steadfast::__private::Supplied, ())),
        ),
    > = ::steadfast::__private::Slot::new(&__SITE);
    let __call = ::steadfast::__private::Call::new();
    let __timed = ::steadfast::__private::Slot::time(&__POLICIES, &__call);
    let __step = {
        let __policy = ::steadfast::__private::Slot::get(&__POLICIES).0;
        let __key = __policy.cache_key(&(symbol));
        let __step = {
            let __policies = ::steadfast::__private::Slot::get(&__POLICIES);
            let __after: ::core::time::Duration = self.patience(symbol);
            let __ran = __policies
                .1
                .0
                .run_for::<
                    ::steadfast::__private::Outermost,
                    _,
                >(
                    &__call,
                    __after,
                    {
                        let __call = &__call;
                        async move {
                            '__group_2: {
                                let mut __policies = ::steadfast::__private::Slot::get(
                                    &__POLICIES,
                                );
                                let __policy_2 = <::steadfast::CircuitBreaker as ::core::clone::Clone>::clone(
                                    &(&self.breaker),
                                );
                                let __policy_2 = &__policy_2;
                                ::steadfast::__private::Call::time_passes(__call);
                                let __permit_2 = match ::steadfast::__private::Admits::try_admit(
                                    __policy_2,
                                    __call,
                                ) {
                                    ::core::option::Option::Some(__permit) => __permit,
                                    ::core::option::Option::None => {
                                        match ::steadfast::__private::Admits::admit_blocking(
                                            __policy_2,
                                            __call,
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
                                let __step = ::steadfast::__private::Step::Done(
                                    ::steadfast::__private::Body::new(
                                            __call,
                                            async move {
                                                if false {
                                                    return ::steadfast::__private::hint::<
                                                        Result<Quote, Error>,
                                                    >();
                                                }
                                                { self.http.get(symbol).await }
                                            },
                                        )
                                        .await,
                                );
                                let __step = match ::steadfast::__private::Step::good(
                                    __step,
                                ) {
                                    ::core::result::Result::Ok(__outcome) => {
                                        ::steadfast::__private::Permit::succeed(__permit_2);
                                        let __step = ::steadfast::__private::Step::Done(__outcome);
                                        break '__group_2 __step;
                                    }
                                    ::core::result::Result::Err(__step) => __step,
                                };
                                let __judge = ::steadfast::__private::Judge::new(
                                    &__step,
                                    ::steadfast::__private::Probe::of(&__step).__traits(),
                                );
                                ::steadfast::__private::Permit::settle(__permit_2, __judge);
                                __step
                            }
                        }
                    },
                )
                .await;
            match __ran {
                ::core::result::Result::Ok(__ran) => __ran,
                ::core::result::Result::Err(__elapsed) => {
                    ::steadfast::__private::Step::Rejected(
                        ::steadfast::__private::Slot::get(&__POLICIES)
                            .1
                            .0
                            .elapsed(&__call, __elapsed),
                    )
                }
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
            .settle(Error::from);
        let __taken = __policy.take(__step, __serve);
        match __taken {
            ::steadfast::__private::Taken::Keep(__step) => {
                __policy.remember(&__key, &__step, __marks);
                __step
            }
            ::steadfast::__private::Taken::Failed(__error) => {
                let __recalled = __policy.recall(&__key, __marks, __serve);
                match __recalled {
                    ::core::option::Option::Some(__answer) => {
                        ::steadfast::__private::Step::Done(__answer)
                    }
                    ::core::option::Option::None => {
                        ::steadfast::__private::let_go(__error);
                        let __answer: Result<Quote, Error> = ::steadfast::__private::succeeded::<
                            Result<Quote, Error>,
                        >(Quote::unknown());
                        ::steadfast::__private::Step::Done(
                            __policy.answered(__answer, __marks),
                        )
                    }
                }
            }
        }
    };
    __step.end(__timed, ::steadfast::__private::never)
}
