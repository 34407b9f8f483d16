/// Sends it.
#[must_use]
#[allow(unused)]
async fn send(
    self: Arc<Self>,
    order: Order,
    (a, b): (A, B),
    n: u32,
    _guard: Guard,
) -> Result<(), Error> {
    static __SITE: ::steadfast::__private::Site = ::steadfast::__private::Site {
        function: ::core::concat!(::core::module_path!(), "::send"),
        file: ::core::file!(),
        line: ::core::line!(),
        column: ::core::column!(),
        package: ::core::env!("CARGO_PKG_NAME"),
        policies: &[
            ::steadfast::__private::Declared::circuit_breaker(
                ::core::option::Option::Some("orders"),
                ::steadfast::__private::CircuitBreakerSettings::new(),
            ),
        ],
    };
    ::steadfast::__private::inventory::submit! {
        ::steadfast::__private::Registered(& __SITE)
    }
    static __POLICY_0: ::steadfast::__private::Slot<::steadfast::CircuitBreaker> = ::steadfast::__private::Slot::new(
        &__SITE,
        0usize,
    );
    let __call = &::steadfast::__private::Call::new();
    let __step = {
        let __policy = ::steadfast::__private::Slot::get(&__POLICY_0);
        '__layer_0: {
            let __permit = {
                let __entered = __policy.enter_key(__call, &(&self.host));
                match __entered {
                    ::core::result::Result::Ok(__permit) => __permit,
                    ::core::result::Result::Err(__rejection) => {
                        let __step = ::steadfast::__private::Step::Rejected(__rejection);
                        break '__layer_0 __step;
                    }
                }
            };
            let __step = ::steadfast::__private::Step::Done(
                ::steadfast::__private::Body::new(
                        __call,
                        async move {
                            if false {
                                return ::steadfast::__private::hint::<Result<(), Error>>();
                            }
                            match (order, a, b, _guard) {
                                (mut order, a, b, _guard) => order.send(a, b).await,
                            }
                        },
                    )
                    .await,
            );
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
    __step.finish(::steadfast::__private::reject)
}
