fn quote(&self) -> Pin<Box<dyn Future<Output = Result<Quote, Error>> + Send + '_>> {
    let start = now();
    Box::pin(async move {
        static __SITE: ::steadfast::__private::Site = ::steadfast::__private::Site {
            function: ::core::concat!(::core::module_path!(), "::quote"),
            file: ::core::file!(),
            line: ::core::line!(),
            column: ::core::column!(),
            order: 0,
            package: ::core::env!("CARGO_PKG_NAME"),
            policies: &[
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
        static __POLICIES: ::steadfast::__private::Slot<(::steadfast::Timeout, ())> = ::steadfast::__private::Slot::new(
            &__SITE,
        );
        let __call = ::steadfast::__private::Call::new();
        let __timed = ::steadfast::__private::Slot::time(&__POLICIES, &__call);
        let __step = {
            let __policies = ::steadfast::__private::Slot::get(&__POLICIES);
            let __ran = __policies
                .0
                .run_body::<
                    ::steadfast::__private::Outermost,
                    _,
                >(
                    &__call,
                    async move {
                        if false {
                            return ::steadfast::__private::hint::<
                                Result<Quote, Error>,
                            >();
                        }
                        { self.get(start).await }
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
                            .0
                            .elapsed(&__call, __elapsed),
                    )
                }
            }
        };
        __step.end(__timed, ::steadfast::__private::reject)
    })
}
