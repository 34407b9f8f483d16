//! Associated functions, and `Self` in its other places.

use steadfast::{circuit_breaker, fallback, retry, timeout};

use crate::support::{Failure, Tries};

#[derive(Debug, PartialEq, Default)]
struct Session {
    id: u32,
}

#[derive(Debug, PartialEq)]
struct Unit;

#[derive(Debug, PartialEq)]
struct Tuple(u32);

#[derive(Debug, PartialEq)]
enum Reply {
    Full(u32),
}

impl Session {
    const FIRST: u32 = 40;

    #[fallback(default)]
    #[retry(base_delay = "10ms")]
    #[timeout("1s")]
    async fn open(tries: &Tries) -> Result<Self, Failure> {
        let id = Self::FIRST + tries.ask()?;
        Ok(Self { id })
    }

    #[retry(base_delay = "1ms")]
    pub(crate) fn copy_of(other: &Self, tries: &Tries) -> Result<Self, Failure> {
        tries.ask()?;
        let Self { id } = other;
        Ok(Self { id: *id })
    }

    #[circuit_breaker]
    async fn reconnect(old: Self) -> Result<Self, Failure> {
        let Self { id } = old;
        Ok(Self { id: id + 1 })
    }
}

impl Unit {
    #[retry(base_delay = "10ms")]
    async fn make() -> Result<Self, Failure> {
        let _ = Self;
        Ok(Self)
    }
}

impl Tuple {
    #[retry(base_delay = "10ms")]
    async fn make() -> Result<Self, Failure> {
        Ok(2).map(Self)
    }
}

impl Reply {
    #[retry(base_delay = "10ms")]
    async fn make() -> Result<Self, Failure> {
        let reply = Self::Full(3);
        let Self::Full(_) = reply;
        Ok(reply)
    }
}

/// `Self` is the outcome.
#[derive(Debug, PartialEq)]
struct Answer(Result<u32, Failure>);

impl steadfast::Outcome for Answer {
    type Value = u32;
    type Error = Failure;

    fn as_result(&self) -> Result<&u32, &Failure> {
        self.0.as_ref()
    }

    fn into_result(self) -> Result<u32, Failure> {
        self.0
    }

    fn from_result(result: Result<u32, Failure>) -> Self {
        Self(result)
    }
}

impl Answer {
    #[fallback(|error| Self(Err(error)))]
    #[retry(base_delay = "10ms")]
    #[circuit_breaker(failure_threshold = 100)]
    #[timeout("1s")]
    async fn of(tries: &Tries) -> Self {
        Self(tries.ask())
    }

    #[retry(base_delay = "1ms")]
    fn now(tries: &Tries) -> Self {
        let answer = tries.ask();
        Self(answer)
    }
}

#[tokio::test(start_paused = true)]
async fn associated_functions_build_self() {
    assert_eq!(
        Session::open(&Tries::good_at(2)).await,
        Ok(Session { id: 42 })
    );
    assert_eq!(
        Session::open(&Tries::never_good()).await,
        Ok(Session::default())
    );
    assert_eq!(
        Session::reconnect(Session { id: 1 }).await,
        Ok(Session { id: 2 })
    );
    assert_eq!(Unit::make().await, Ok(Unit));
    assert_eq!(Tuple::make().await, Ok(Tuple(2)));
    assert_eq!(Reply::make().await, Ok(Reply::Full(3)));
}

#[test]
fn self_is_a_parameter_type() {
    let session = Session { id: 5 };
    assert_eq!(
        Session::copy_of(&session, &Tries::good_at(2)),
        Ok(Session { id: 5 })
    );
}

#[tokio::test(start_paused = true)]
async fn self_is_an_outcome() {
    assert_eq!(Answer::of(&Tries::good_at(3)).await, Answer(Ok(3)));
    assert_eq!(Answer::now(&Tries::good_at(3)), Answer(Ok(3)));
}
