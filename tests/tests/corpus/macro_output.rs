//! Annotated functions in the output of `macro_rules!`, with arguments from fragments of every kind.

use std::time::Duration;

use steadfast::{Rejection, bulkhead, circuit_breaker, fallback, rate_limited, retry, timeout};

use crate::support::{Failure, Tries};

macro_rules! by_literal {
    ($name:ident, $attempts:literal, $delay:literal) => {
        #[retry(max_attempts = $attempts, base_delay = $delay)]
        async fn $name(tries: &Tries) -> Result<u32, Failure> {
            tries.ask()
        }
    };
}
by_literal!(literal, 4, "10ms");

macro_rules! by_expression {
    ($name:ident, $attempts:expr, $delay:expr, $when:expr, $plus:expr) => {
        #[fallback(value = $plus)]
        #[retry(max_attempts = $attempts, base_delay = $delay, when = $when)]
        #[circuit_breaker(failure_rate = $attempts as f64 / 10.0, window = $delay)]
        #[timeout($delay)]
        async fn $name(tries: &Tries) -> Result<u32, Failure> {
            Ok(tries.ask()? + $plus)
        }
    };
}
by_expression!(
    expression,
    1 + 3,
    Duration::from_millis(5).saturating_mul(2),
    |error| error.is_down(),
    100
);

macro_rules! by_expression_literal {
    ($name:ident, $attempts:expr, $delay:expr, $rate:expr) => {
        #[retry(max_attempts = $attempts, base_delay = $delay)]
        #[rate_limited(rate = $rate)]
        async fn $name(tries: &Tries) -> Result<u32, Failure> {
            tries.ask()
        }
    };
}
by_expression_literal!(expression_literal, 4, "10ms", "1000/s");

macro_rules! by_path {
    ($name:ident, $when:path, $fallback:path, $error:path) => {
        #[fallback($fallback)]
        #[retry(max_attempts = 2, base_delay = "10ms", when = $when)]
        async fn $name(tries: &Tries) -> Result<u32, $error> {
            tries.ask()
        }
    };
}
by_path!(
    path,
    Failure::is_down,
    self::stand_in,
    crate::support::Failure
);

async fn stand_in(tries: &Tries, _error: Failure) -> Result<u32, Failure> {
    Ok(tries.made() * 1000)
}

macro_rules! by_type {
    ($name:ident, $value:ty, $output:ty) => {
        #[retry(base_delay = "10ms")]
        #[timeout("1s")]
        async fn $name(value: $value, tries: &Tries) -> $output {
            tries.ask()?;
            Ok(value)
        }
    };
}
by_type!(typed, u64, Result<u64, Failure>);

macro_rules! by_block {
    ($name:ident($($parameter:ident: $type:ty),*) $body:block) => {
        #[retry(base_delay = "10ms")]
        async fn $name($($parameter: $type),*) -> Result<u32, Failure> $body
    };
}
by_block!(block(tries: &Tries, plus: u32) {
    let n = tries.ask()?;
    Ok(n + plus)
});

macro_rules! by_synchronous_block {
    ($name:ident $body:block) => {
        #[retry(base_delay = "1ms")]
        #[circuit_breaker(failure_threshold = 100)]
        fn $name() -> Result<u32, Failure> $body
    };
}
by_synchronous_block!(synchronous_block {
    static TRIES: Tries = Tries::good_at(3);
    TRIES.ask()
});

macro_rules! by_identifier {
    ($name:ident, $argument:ident, $jitter:ident, $parameter:ident, $attempt:ident) => {
        #[retry(base_delay = "10ms", $argument = 2, jitter = $jitter, clone($parameter), attempt = $attempt)]
        async fn $name($parameter: String) -> Result<(String, u32), Failure> {
            if $attempt < 2 {
                drop($parameter);
                return Err(Failure::Down);
            }
            Ok(($parameter, $attempt))
        }
    };
}
by_identifier!(identifier, max_attempts, equal, text, nth);

macro_rules! by_tokens {
    ($($item:tt)*) => { $($item)* };
}
by_tokens! {
    #[fallback(|error| Ok(if error.is_down() { 1 } else { 2 }))]
    #[retry(max_attempts = 2, base_delay = "10ms")]
    #[circuit_breaker("corpus tokens", failure_threshold = 100)]
    #[rate_limited(rate = "1000/s")]
    #[bulkhead(max_concurrent = 3)]
    #[timeout("1s")]
    async fn tokens(tries: &Tries) -> Result<u32, Failure> {
        tries.ask()
    }
}

macro_rules! by_item {
    ($item:item) => {
        $item
    };
}
by_item! {
    #[retry(base_delay = "10ms")]
    #[timeout("1s")]
    async fn item(tries: &Tries) -> Result<u32, Failure> {
        tries.ask()
    }
}

macro_rules! by_attributes {
    ($(#[$meta:meta])* $visibility:vis fn $name:ident) => {
        $(#[$meta])*
        #[retry(base_delay = "10ms")]
        $visibility async fn $name(tries: &Tries) -> Result<u32, Failure> {
            tries.ask()
        }
    };
}
by_attributes! {
    /// Documented.
    #[allow(clippy::unused_async)]
    #[timeout("1s")]
    pub(crate) fn attributes
}

macro_rules! by_closure {
    ($name:ident, $observe:expr, |$error:ident| $answer:expr) => {
        #[fallback(|$error| $answer)]
        #[retry(max_attempts = 2, base_delay = "10ms", on_retry = $observe)]
        async fn $name(tries: &Tries, seen: &mut Vec<u32>) -> Result<u32, Failure> {
            seen.push(0);
            tries.ask()
        }
    };
}
by_closure!(closure, |event| assert_eq!(event.attempt, 1), |error| Err(
    if error.is_down() {
        Failure::Gone(7)
    } else {
        error
    }
));

macro_rules! methods {
    ($type:ident { $($name:ident($self_:ident) -> $output:ty $body:block)* }) => {
        impl $type {
            $(
                #[retry(base_delay = "10ms")]
                #[timeout("1s")]
                async fn $name(&mut $self_) -> $output $body
            )*
        }
    };
}

struct Client(u32);

methods!(Client {
    call(self) -> Result<u32, Failure> {
        self.0 += 1;
        if self.0 < 3 { Err(Failure::Down) } else { Ok(self.0) }
    }
    other(self) -> Result<u32, Failure> { Ok(self.0) }
});

macro_rules! own_self {
    ($type:ident, $bound:ident) => {
        impl $type {
            #[retry(base_delay = "10ms")]
            async fn generic<T: $bound>(&mut self, value: T) -> Result<T, Failure> {
                self.0 += 1;
                if self.0 % 3 == 0 {
                    Ok(value)
                } else {
                    Err(Failure::Down)
                }
            }
        }
    };
}
own_self!(Client, Copy);

/// Local names in a macro are hygienic: its `n` is not the caller's.
macro_rules! hygiene {
    ($name:ident, $given:expr) => {
        #[retry(base_delay = "10ms")]
        async fn $name(n: u32, tries: &Tries) -> Result<u32, Failure> {
            tries.ask()?;
            let given = $given;
            Ok(n + given)
        }
    };
}
hygiene!(hygienic, {
    let n = 5;
    n * 10
});

macro_rules! policy_from {
    ($crate_:path, $name:ident, $policy:literal) => {
        #[circuit_breaker($policy, failure_threshold = 1, crate = $crate_)]
        async fn $name(tries: &Tries) -> Result<u32, Failure> {
            tries.ask()
        }
    };
}
policy_from!(::steadfast, named, "corpus from a macro");

/// Macros in the body see the parameters.
#[retry(base_delay = "10ms", clone(text))]
async fn macros_in_the_body(
    text: String,
    values: Vec<u32>,
    tries: &Tries,
) -> Result<String, Failure> {
    macro_rules! local {
        ($suffix:expr) => {
            format!("{text}{}", $suffix)
        };
    }
    let shown = local!(values.len());
    tries.ask()?;
    let joined = vec![shown, text].concat();
    Ok(format!("{joined}{values:?}"))
}

struct Holder {
    n: u32,
}

impl Holder {
    #[retry(base_delay = "10ms")]
    async fn self_in_a_macro(&self) -> Result<String, Failure> {
        macro_rules! of_self {
            ($field:ident) => {
                self.$field
            };
        }
        let n = of_self!(n);
        Ok(format!("{n} {}", self.n))
    }
}

#[tokio::test(start_paused = true)]
async fn literal_and_expression_fragments_are_arguments() {
    assert_eq!(literal(&Tries::good_at(4)).await, Ok(4));
    assert_eq!(expression(&Tries::good_at(4)).await, Ok(104));
    assert_eq!(expression(&Tries::never_good()).await, Ok(100));
    assert_eq!(expression_literal(&Tries::good_at(4)).await, Ok(4));
    assert_eq!(identifier("t".into()).await, Ok(("t".into(), 2)));
}

#[tokio::test(start_paused = true)]
async fn path_type_and_block_fragments_work() {
    assert_eq!(path(&Tries::never_good()).await, Ok(2000));
    assert_eq!(typed(8, &Tries::good_at(2)).await, Ok(8));
    assert_eq!(block(&Tries::good_at(3), 10).await, Ok(13));
    assert_eq!(synchronous_block(), Ok(3));
}

#[tokio::test(start_paused = true)]
async fn whole_items_pass_through_macros() {
    assert_eq!(tokens(&Tries::good_at(2)).await, Ok(2));
    assert_eq!(tokens(&Tries::never_good()).await, Ok(1));
    assert_eq!(item(&Tries::good_at(2)).await, Ok(2));
    assert_eq!(attributes(&Tries::good_at(2)).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn closures_come_from_macros() {
    let mut seen = Vec::new();
    let answer = closure(&Tries::never_good(), &mut seen).await;
    assert_eq!(answer, Err(Failure::Gone(7)));
    assert_eq!(seen, [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn methods_come_from_macros() {
    let mut client = Client(0);
    assert_eq!(client.call().await, Ok(3));
    assert_eq!(client.other().await, Ok(3));
    assert_eq!(client.generic("value").await, Ok("value"));
    assert_eq!(client.0, 6);
}

#[tokio::test(start_paused = true)]
async fn names_are_hygienic() {
    assert_eq!(hygienic(1, &Tries::good_at(2)).await, Ok(51));
    assert!(named(&Tries::never_good()).await.is_err());
    match named(&Tries::never_good()).await {
        Err(Failure::Rejected(Rejection::CircuitOpen(open))) => {
            assert_eq!(open.policy, "corpus from a macro");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn macros_in_the_body_see_the_parameters() {
    let tries = Tries::good_at(2);
    let call = macros_in_the_body("t".into(), vec![1], &tries);
    assert_eq!(call.await.unwrap(), "t1t[1]");
    assert_eq!(Holder { n: 4 }.self_in_a_macro().await.unwrap(), "4 4");
}
