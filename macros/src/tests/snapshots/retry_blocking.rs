fn read(path: &Path) -> io::Result<String> {
    static __SITE: ::steadfast::__private::Site = ::steadfast::__private::Site {
        function: ::core::concat!(::core::module_path!(), "::read"),
        file: ::core::file!(),
        line: ::core::line!(),
        column: ::core::column!(),
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
    static __POLICY_0: ::steadfast::__private::Slot<::steadfast::Retry> = ::steadfast::__private::Slot::new(
        &__SITE,
        0usize,
    );
    let __call = &::steadfast::__private::Call::new();
    let __step = {
        let __policy = ::steadfast::__private::Slot::get(&__POLICY_0);
        let mut __attempts = __policy.begin(__call);
        loop {
            let __event = {
                let __step = ::steadfast::__private::Step::<
                    _,
                    ::core::convert::Infallible,
                >::Done(
                    __call.body(|| -> io::Result<String> { fs::read_to_string(path) }),
                );
                let __next = ::steadfast::__private::Attempts::next(
                    &mut __attempts,
                    ::steadfast::__private::Judge::new(
                        &__step,
                        ::steadfast::__private::Probe::of(&__step).__traits(),
                    ),
                );
                match __next {
                    ::steadfast::__private::Next::Again(__event) => {
                        ::steadfast::__private::let_go(__step);
                        __event
                    }
                    _ => break __step,
                }
            };
            ::steadfast::__private::on_retry(&__event, |event| log(event));
            ::steadfast::__private::Attempts::pause_blocking(&mut __attempts, __event);
        }
    };
    __step.finish(|__never: ::core::convert::Infallible| match __never {})
}
