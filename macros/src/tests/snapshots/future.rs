fn quote(&self) -> Pin<Box<dyn Future<Output = Result<Quote, Error>> + Send + '_>> {
    let start = now();
    Box::pin(async move {
        static __SITE: ::steadfast::__private::Site = ::steadfast::__private::Site {
            function: ::core::concat!(::core::module_path!(), "::quote"),
            file: ::core::file!(),
            line: ::core::line!(),
            column: ::core::column!(),
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
        static __POLICY_0: ::steadfast::__private::Slot<::steadfast::Timeout> = ::steadfast::__private::Slot::new(
            &__SITE,
            0usize,
        );
        let __call = &::steadfast::__private::Call::new();
        let __step = {
            let __policy = ::steadfast::__private::Slot::get(&__POLICY_0);
            __policy
                .run(
                    __call,
                    async move {
                        ::steadfast::__private::Step::Done(
                            ::steadfast::__private::Body::new(
                                    __call,
                                    async move {
                                        if false {
                                            return ::steadfast::__private::hint::<
                                                Result<Quote, Error>,
                                            >();
                                        }
                                        { self.get(start).await }
                                    },
                                )
                                .await,
                        )
                    },
                )
                .await
        };
        __step.finish(::steadfast::__private::reject)
    })
}
