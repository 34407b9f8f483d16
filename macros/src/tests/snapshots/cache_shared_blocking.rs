fn quote(symbol: &str) -> Result<Quote, Error> {
    static __SITE: ::steadfast::__private::Site = ::steadfast::__private::Site {
        function: ::core::concat!(::core::module_path!(), "::quote"),
        file: ::core::file!(),
        line: ::core::line!(),
        column: ::core::column!(),
        order: 0,
        package: ::core::env!("CARGO_PKG_NAME"),
        policies: &[
            ::steadfast::__private::Declared::fallback(
                ::core::option::Option::Some("quotes"),
                ::steadfast::__private::FallbackSettings::new()
                    .fresh(::core::time::Duration::new(300, 0))
                    .shared(true),
            ),
        ],
    };
    ::steadfast::__private::inventory::submit! {
        ::steadfast::__private::Registered(& __SITE)
    }
    static __POLICIES: ::steadfast::__private::Slot<(::steadfast::Fallback, ())> = ::steadfast::__private::Slot::new(
        &__SITE,
    );
    let __call = ::steadfast::__private::Call::new();
    let __timed = ::steadfast::__private::Slot::time(&__POLICIES, &__call);
    let __step = {
        let __policy = ::steadfast::__private::Slot::get(&__POLICIES).0;
        let __key = __policy.cache_key(&(symbol));
        let __step = ::steadfast::__private::Step::<
            _,
            ::core::convert::Infallible,
        >::Done(
            ::steadfast::__private::Call::body(
                &__call,
                move || -> Result<Quote, Error> { http::get(symbol) },
            ),
        );
        let __marks = ::steadfast::__private::Mark::of(&__step).__marks();
        let __serve = __policy
            .serves(
                ::steadfast::__private::Judge::new(
                    &__step,
                    ::steadfast::__private::Probe::of(&__step).__traits(),
                ),
            );
        let __step: ::steadfast::__private::Step<_, ::core::convert::Infallible> = __step
            .settle(::steadfast::__private::never);
        let __taken = __policy.take(__step, __serve);
        match __taken {
            ::steadfast::__private::Taken::Keep(__step) => {
                __policy.remember_shared(&__key, &__step, __marks);
                __step
            }
            ::steadfast::__private::Taken::Failed(__error) => {
                let __recalled = __policy
                    .recall_shared_blocking(&__key, __marks, __serve);
                match __recalled {
                    ::core::option::Option::Some(__answer) => {
                        ::steadfast::__private::Step::Done(__answer)
                    }
                    ::core::option::Option::None => {
                        ::steadfast::__private::let_go(__error);
                        let __answer: Result<Quote, Error> = ::steadfast::__private::succeeded::<
                            Result<Quote, Error>,
                        >(::core::default::Default::default());
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
