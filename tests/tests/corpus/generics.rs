//! Type and const generics, `where` clauses, associated types, generic errors.

use std::{
    collections::BTreeMap,
    fmt::{Debug, Display},
    hash::Hash,
    str::FromStr,
};

use steadfast::{Classify, Outcome, Rejection, circuit_breaker, fallback, retry, timeout};

use crate::support::{Failure, Tries};

#[fallback(value = T::default())]
#[retry(base_delay = "10ms")]
#[circuit_breaker(failure_threshold = 100)]
#[timeout("1s")]
async fn parsed<T>(text: &str, tries: &Tries) -> Result<T, Failure>
where
    T: FromStr + Default + Send,
{
    tries.ask()?;
    text.parse().map_err(|_| Failure::Gone(1))
}

#[retry(base_delay = "10ms", clone(value))]
async fn cloned<T: Clone + Sync>(value: T, tries: &Tries) -> Result<(T, T), Failure> {
    tries.ask()?;
    Ok((value.clone(), value))
}

#[retry(base_delay = "10ms")]
async fn lent<K: Hash + Display + Sync, V>(
    key: K,
    make: impl Fn(&K) -> V + Sync,
) -> Result<V, Failure> {
    Ok(make(&key))
}

#[timeout("1s")]
async fn moved<T, U: From<T>>(value: T) -> Result<U, Failure> {
    Ok(value.into())
}

#[retry(base_delay = "1ms")]
fn array<const N: usize>(tries: &Tries) -> Result<[usize; N], Failure> {
    tries.ask()?;
    Ok([N; N])
}

#[fallback(|_error| Ok([0; N]))]
#[retry(max_attempts = 2, base_delay = "10ms")]
#[timeout("1s")]
async fn array_in_a_stack<T, const N: usize>(
    bytes: [T; N],
    tries: &Tries,
) -> Result<[u64; N], Failure>
where
    T: Copy + Into<u64> + Send + Sync,
{
    tries.ask()?;
    Ok(bytes.map(Into::into))
}

#[retry(base_delay = "1ms")]
fn unsized_parameter<T: Debug + ?Sized>(value: &T, tries: &Tries) -> Result<String, Failure> {
    tries.ask()?;
    Ok(format!("{value:?}"))
}

/// Generic over the error: nothing is known of it, so that every error is retried.
#[retry(max_attempts = 2, base_delay = "1ms")]
fn any_error<T, E>(ask: impl Fn() -> Result<T, E>) -> Result<T, E> {
    ask()
}

/// Generic over the error, whose classification is declared and therefore seen.
#[retry(max_attempts = 2, base_delay = "1ms")]
fn classified_error<T, E: Classify>(ask: impl Fn() -> Result<T, E>) -> Result<T, E> {
    ask()
}

#[circuit_breaker(failure_threshold = 100)]
fn rejecting<T, E>(ask: impl FnOnce() -> Result<T, E>) -> Result<T, E>
where
    E: From<Rejection>,
{
    ask()
}

/// Generic over the outcome itself.
#[retry(max_attempts = 2, base_delay = "1ms")]
fn any_outcome<R: Outcome>(ask: impl Fn() -> R) -> R {
    ask()
}

trait Service {
    type Request;
    type Reply;
    type Error: From<Rejection> + Debug;

    fn send(&mut self, request: &Self::Request) -> Result<Self::Reply, Self::Error>;

    #[retry(base_delay = "1ms")]
    #[circuit_breaker(failure_threshold = 100)]
    fn send_again(&mut self, request: Self::Request) -> Result<Self::Reply, Self::Error> {
        self.send(&request)
    }
}

#[retry(base_delay = "10ms")]
#[timeout("1s")]
async fn through_a_service<S>(
    service: &mut S,
    request: S::Request,
) -> Result<<S as Service>::Reply, <S as Service>::Error>
where
    S: Service + Send,
    S::Request: Send + Sync,
{
    service.send(&request)
}

struct Echo(u32);

impl Service for Echo {
    type Request = &'static str;
    type Reply = String;
    type Error = Failure;

    fn send(&mut self, request: &&'static str) -> Result<String, Failure> {
        self.0 += 1;
        match self.0 {
            3.. => Ok((*request).to_owned()),
            _ => Err(Failure::Down),
        }
    }
}

struct Cache<K, V, const N: usize = 4> {
    entries: BTreeMap<K, V>,
    tries: Tries,
}

impl<K, V, const N: usize> Cache<K, V, N>
where
    K: Ord + Clone + Send + Sync,
    V: Clone + Send + Sync,
{
    #[retry(base_delay = "10ms", clone(key, value))]
    #[timeout("1s")]
    async fn put(&mut self, key: K, value: V) -> Result<usize, Failure> {
        self.entries.insert(key, value);
        self.tries.ask()?;
        Ok(self.entries.len() * N)
    }

    #[retry(base_delay = "10ms")]
    async fn get<Q>(&self, key: &Q) -> Result<Option<V>, Failure>
    where
        K: std::borrow::Borrow<Q>,
        Q: Ord + ?Sized,
    {
        Ok(self.entries.get(key).cloned())
    }
}

#[derive(Debug, PartialEq)]
struct Final;

impl Classify for Final {
    fn is_retryable(&self) -> bool {
        false
    }
}

/// An associated type that borrows.
trait Lend {
    type Lent<'a>
    where
        Self: 'a;

    fn tries(&self) -> &Tries;

    fn lend(&self) -> Self::Lent<'_>;

    #[retry(base_delay = "1ms")]
    #[circuit_breaker(failure_threshold = 100)]
    fn lend_again<'a>(&'a self) -> Result<Self::Lent<'a>, Failure> {
        self.tries().ask()?;
        Ok(self.lend())
    }
}

impl Lend for (String, Tries) {
    type Lent<'a> = &'a str;

    fn tries(&self) -> &Tries {
        &self.1
    }

    fn lend(&self) -> &str {
        &self.0
    }
}

#[retry(base_delay = "10ms")]
#[timeout("1s")]
async fn lent_by<L>(lender: &L) -> Result<L::Lent<'_>, Failure>
where
    L: Lend + Sync,
{
    lender.tries().ask()?;
    Ok(lender.lend())
}

#[tokio::test(start_paused = true)]
async fn type_parameters_work_in_stacks() {
    assert_eq!(parsed::<u32>("17", &Tries::good_at(2)).await, Ok(17));
    assert_eq!(parsed::<i64>("-1", &Tries::good_at(2)).await, Ok(-1));
    assert_eq!(
        parsed::<String>("s", &Tries::never_good()).await.unwrap(),
        ""
    );
    assert_eq!(
        cloned(vec![1], &Tries::good_at(2)).await,
        Ok((vec![1], vec![1]))
    );
    assert_eq!(lent("k", |key| key.len()).await, Ok(1));
    let wide: Result<u64, _> = moved(3_u32).await;
    assert_eq!(wide, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn const_parameters_work() {
    assert_eq!(array::<3>(&Tries::good_at(2)), Ok([3; 3]));
    assert_eq!(
        array_in_a_stack([1_u8, 2], &Tries::good_at(2)).await,
        Ok([1, 2])
    );
    assert_eq!(
        array_in_a_stack([1_u8; 0], &Tries::never_good()).await,
        Ok([])
    );
}

#[test]
fn generic_errors_and_outcomes_work() {
    use std::cell::Cell;

    assert_eq!(unsized_parameter("s", &Tries::good_at(2)).unwrap(), "\"s\"");
    let calls = Cell::new(0);
    let count = || calls.set(calls.get() + 1);
    assert_eq!(
        any_error(|| {
            count();
            Err::<(), _>("text")
        }),
        Err("text")
    );
    assert_eq!(calls.replace(0), 2);
    assert_eq!(
        any_error(|| {
            count();
            Err::<(), _>(Final)
        }),
        Err(Final)
    );
    assert_eq!(
        calls.replace(0),
        2,
        "its classification is not in the signature"
    );
    assert_eq!(
        classified_error(|| {
            count();
            Err::<(), _>(Final)
        }),
        Err(Final)
    );
    assert_eq!(calls.replace(0), 1);
    assert_eq!(rejecting(|| Ok::<_, Failure>(1)), Ok(1));
    assert_eq!(
        any_outcome(|| {
            count();
            Err::<(), _>(1)
        }),
        Err(1)
    );
    assert_eq!(calls.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn associated_types_work() {
    assert_eq!(Echo(0).send_again("a").unwrap(), "a");
    assert_eq!(through_a_service(&mut Echo(0), "b").await.unwrap(), "b");
}

#[tokio::test(start_paused = true)]
async fn generic_implementations_work() {
    let mut cache = Cache::<_, _, 7> {
        entries: BTreeMap::new(),
        tries: Tries::good_at(3),
    };
    assert_eq!(cache.put("k".to_owned(), 5).await, Ok(7));
    assert_eq!(cache.get("k").await, Ok(Some(5)));
}

#[tokio::test(start_paused = true)]
async fn associated_types_that_borrow_work() {
    let lender = (String::from("lent"), Tries::good_at(3));
    assert_eq!(lender.lend_again(), Ok("lent"));
    assert_eq!(lent_by(&lender).await, Ok("lent"));
}
