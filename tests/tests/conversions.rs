//! Rejections in users' error types.

use std::{error::Error as _, io, time::Duration};

use steadfast::{PolicyName, Rejection, Timeout, timeout};

async fn timed_out() -> Rejection {
    let timeout = Timeout::builder("t")
        .after(Duration::from_millis(5))
        .build()
        .unwrap();
    let late: Result<(), _> = timeout.call(std::future::pending()).await;
    late.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn a_rejection_says_who_and_why() {
    let rejection = timed_out().await;
    assert_eq!(rejection.policy(), &PolicyName::from("t"));
    assert_eq!(rejection.to_string(), "cut off by timeout `t`");
    let source = rejection.source().unwrap();
    assert_eq!(source.to_string(), "no answer within 5ms (timeout `t`)");
    assert!(source.is::<steadfast::TimedOut>());
    assert!(!rejection.is_refusal());
    // Small enough for nobody's `Result` to be too large.
    assert!(size_of::<Rejection>() <= 72, "{}", size_of::<Rejection>());
}

#[tokio::test(start_paused = true)]
async fn the_usual_error_types_work_as_they_are() {
    #[timeout("1s")]
    async fn any() -> anyhow::Result<()> {
        std::future::pending().await
    }
    #[timeout("1s")]
    async fn boxed() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        std::future::pending().await
    }
    #[timeout("1s")]
    async fn in_out() -> io::Result<()> {
        std::future::pending().await
    }
    assert!(any().await.unwrap_err().is::<Rejection>());
    assert!(boxed().await.unwrap_err().is::<Rejection>());
    let error = in_out().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(error.get_ref().unwrap().is::<Rejection>());
}

/// A result type of one's own: found by trait, not by its spelling.
mod own {
    #[derive(Debug, PartialEq)]
    pub(crate) enum Answer {
        Yes(u32),
        No(String),
    }

    impl steadfast::Outcome for Answer {
        type Value = u32;
        type Error = String;

        fn as_result(&self) -> Result<&u32, &String> {
            match self {
                Self::Yes(value) => Ok(value),
                Self::No(error) => Err(error),
            }
        }

        fn into_result(self) -> Result<u32, String> {
            match self {
                Self::Yes(value) => Ok(value),
                Self::No(error) => Err(error),
            }
        }

        fn from_result(result: Result<u32, String>) -> Self {
            match result {
                Ok(value) => Self::Yes(value),
                Err(error) => Self::No(error),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_type_of_one_s_own_is_an_outcome() {
    use steadfast::retry;

    #[retry(base_delay = "1ms")]
    async fn call(calls: &mut u32) -> own::Answer {
        *calls += 1;
        if *calls < 3 {
            own::Answer::No("not yet".to_owned())
        } else {
            own::Answer::Yes(*calls)
        }
    }
    assert_eq!(call(&mut 0).await, own::Answer::Yes(3));
    assert_eq!(call(&mut 100).await, own::Answer::Yes(101));
}
