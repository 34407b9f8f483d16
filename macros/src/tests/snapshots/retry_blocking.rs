fn read(path: &Path) -> io::Result<String> {
    static __SITE: ::steadfast::__private::Site = ::steadfast::__private::Site {
        function: ::core::concat!(::core::module_path!(), "::read"),
        file: ::core::file!(),
        line: ::core::line!(),
        column: ::core::column!(),
        order: 0,
        package: ::core::env!("CARGO_PKG_NAME"),
        policies: &[
            ::steadfast::__private::Declared::retry(
                ::core::option::Option::None,
                ::steadfast::__private::RetrySettings::new(),
            ),
        ],
    };
    ::steadfast::__private::inventory::submit! {
        ::steadfast::__private::Registered(& __SITE)
    }
    static __POLICIES: ::steadfast::__private::Slot<(::steadfast::Retry, ())> = ::steadfast::__private::Slot::new(
        &__SITE,
    );
    let __call = ::steadfast::__private::Call::new();
    let __timed = ::steadfast::__private::Slot::time(&__POLICIES, &__call);
    let __step = '__good_0: {
        {
            let mut __policies = ::steadfast::__private::Slot::get(&__POLICIES);
            let mut __attempts = __policies.0.begin(&__call);
            loop {
                {
                    let __step = {
                        let __step = ::steadfast::__private::Step::<
                            _,
                            ::core::convert::Infallible,
                        >::Done(
                            ::steadfast::__private::Call::body(
                                &__call,
                                || -> io::Result<String> { fs::read_to_string(path) },
                            ),
                        );
                        match ::steadfast::__private::Step::good(__step) {
                            ::core::result::Result::Ok(__outcome) => {
                                let __step = ::steadfast::__private::Step::Done(__outcome);
                                break '__good_0 __step;
                            }
                            ::core::result::Result::Err(__step) => __step,
                        }
                    };
                    let __next = ::steadfast::__private::Attempts::next(
                        &mut __attempts,
                        &__call,
                        ::steadfast::__private::Judge::new(
                            &__step,
                            ::steadfast::__private::Probe::of(&__step).__traits(),
                        ),
                    );
                    match __next {
                        ::steadfast::__private::Next::Again => {
                            ::steadfast::__private::let_go(__step)
                        }
                        _ => break __step,
                    }
                }
                let __event = ::steadfast::__private::Attempts::event(&__attempts);
                ::steadfast::__private::on_retry(&__event, |event| log(event));
                ::steadfast::__private::Attempts::pause_blocking(&mut __attempts);
            }
        }
    };
    __step.end(__timed, ::steadfast::__private::never)
}
