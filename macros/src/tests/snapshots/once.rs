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
        order: 0,
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
    static __POLICIES: ::steadfast::__private::Slot<(::steadfast::CircuitBreaker, ())> = ::steadfast::__private::Slot::new(
        &__SITE,
    );
    let __call = ::steadfast::__private::Call::new();
    let __timed = ::steadfast::__private::Slot::time(&__POLICIES, &__call);
    let __step = '__group_0: {
        let mut __policies = ::steadfast::__private::Slot::get(&__POLICIES);
        let __permit_0 = match __policies
            .0
            .enter_key(&__call, ::steadfast::__private::Key::of(&(&self.host)).__shown())
        {
            ::core::result::Result::Ok(__permit) => __permit,
            ::core::result::Result::Err(__rejection) => {
                let __step = ::steadfast::__private::Step::Rejected(__rejection);
                break '__group_0 __step;
            }
        };
        let __step = ::steadfast::__private::Step::Done(
            ::steadfast::__private::Body::new(
                    &__call,
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
        let __step = match ::steadfast::__private::Step::good(__step) {
            ::core::result::Result::Ok(__outcome) => {
                ::steadfast::__private::Permit::succeed(__permit_0);
                let __step = ::steadfast::__private::Step::Done(__outcome);
                break '__group_0 __step;
            }
            ::core::result::Result::Err(__step) => __step,
        };
        let __judge = ::steadfast::__private::Judge::new(
            &__step,
            ::steadfast::__private::Probe::of(&__step).__traits(),
        );
        ::steadfast::__private::Permit::settle(__permit_0, __judge);
        __step
    };
    __step.end(__timed, ::steadfast::__private::reject)
}
