//! `#[fallback(.., cache(..), shared)]`: two instances of a service, each a registry of its own, with one
//! store, in virtual time.

use std::time::Duration;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use steadfast::{
    ConfigError, MemoryStore, PolicyKind, Rejection, Served, Source, circuit_breaker, fallback,
    registry, test::isolated,
};
use tokio::time::advance;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
enum Error {
    #[error("down")]
    Down,
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Quote {
    price: u32,
}

type Answer<T> = Result<T, Error>;

#[fallback("quotes", cache(key = symbol, fresh = "5m", stale = "1h"), shared)]
async fn quote(symbol: &str, answer: Answer<u32>) -> Answer<Served<Quote>> {
    Ok(Quote { price: answer? }.into())
}

/// Two isolations on one thread; the second is in force, the first is for what is in its scope.
macro_rules! two_instances {
    ($one:ident, $other:ident) => {
        let store = MemoryStore::at_rest();
        let $one = isolated();
        $one.registry().set_store(store.clone()).unwrap();
        let $other = isolated();
        $other.registry().set_store(store.clone()).unwrap();
    };
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_one_instance_serves_another_and_says_how_old_it_is() {
    two_instances!(one, other);
    let good = one.scope(quote("X", Ok(7))).await.unwrap();
    assert_eq!(
        (good.price, good.source, good.age),
        (7, Source::Primary, None)
    );

    advance(Duration::from_secs(60)).await;
    let cached = other.scope(quote("X", Err(Error::Down))).await.unwrap();
    assert_eq!((cached.price, cached.source), (7, Source::Cache));
    assert_eq!(cached.age, Some(Duration::from_secs(60)));
    assert_eq!(cached.warnings.len(), 1, "{:?}", cached.warnings);

    advance(Duration::from_secs(600)).await;
    let stale = other.scope(quote("X", Err(Error::Down))).await.unwrap();
    assert_eq!((stale.price, stale.source), (7, Source::StaleCache));
    assert_eq!(stale.age, Some(Duration::from_secs(660)));
    assert_eq!(stale.warnings.len(), 1, "{:?}", stale.warnings);

    let unknown = other.scope(quote("Y", Err(Error::Down))).await;
    assert_eq!(unknown, Err(Error::Down));
    advance(Duration::from_secs(3600)).await;
    let gone = other.scope(quote("X", Err(Error::Down))).await;
    assert_eq!(gone, Err(Error::Down));

    let metrics = other.registry().fallback("quotes").unwrap().metrics();
    assert_eq!((metrics.cached, metrics.stale, metrics.passed), (1, 1, 2));
    assert_eq!(metrics.from_store, 1);
    let snapshot = serde_json::to_value(other.registry().snapshot()).unwrap();
    assert!(
        snapshot.to_string().contains("\"from_store\":1"),
        "{snapshot}"
    );
    assert!(!snapshot.to_string().contains("\"X\""), "no key is shown");
}

#[test]
fn synchronous_functions_share_too() {
    #[fallback("files", cache(key = path, fresh = "5m"), shared, default)]
    fn read(path: &str, answer: Answer<String>) -> Answer<String> {
        answer
    }
    let store = MemoryStore::at_rest();
    let one = isolated();
    one.registry().set_store(store.clone()).unwrap();
    assert_eq!(read("a", Ok("text".into())).unwrap(), "text");
    let other = isolated();
    other.registry().set_store(store).unwrap();
    assert_eq!(read("a", Err(Error::Down)).unwrap(), "text");
    assert_eq!(read("b", Err(Error::Down)).unwrap(), "");
    let metrics = registry().fallback("files").unwrap().metrics();
    assert_eq!((metrics.from_store, metrics.answered), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_own_answer_comes_after_what_others_know_and_is_not_shared_itself() {
    #[fallback("own", cache(key = symbol, fresh = "5m"), shared, |_error| {
        tokio::task::yield_now().await;
        Ok(Served::from(0))
    })]
    #[circuit_breaker("own", failure_threshold = 1)]
    async fn call(symbol: &str, answer: Answer<u32>) -> Answer<Served<u32>> {
        Ok(answer?.into())
    }
    two_instances!(one, other);
    let bad = || Err(Error::Down);
    assert_eq!(*one.scope(call("a", bad())).await.unwrap(), 0);
    assert_eq!(*other.scope(call("a", Ok(7))).await.unwrap(), 7);
    let refused = one.scope(call("a", Ok(8))).await.unwrap();
    assert_eq!(
        (*refused, refused.source),
        (7, Source::Cache),
        "an open circuit"
    );
    let own = one.scope(call("b", Ok(8))).await.unwrap();
    assert_eq!((*own, own.source), (0, Source::Fallback));
}

#[tokio::test(start_paused = true)]
async fn generic_functions_and_methods_share_under_their_own_types() {
    struct Client<T>(T);
    impl<T: Clone + Send + Sync + Serialize + DeserializeOwned + 'static> Client<T> {
        #[fallback("clients", cache(key = id, fresh = "5m"), shared)]
        async fn get<E: From<Rejection>>(&mut self, id: u32, fails: Option<E>) -> Result<T, E> {
            match fails {
                None => Ok(self.0.clone()),
                Some(error) => Err(error),
            }
        }
    }
    two_instances!(one, other);
    let none = None::<Error>;
    one.scope(Client(7_u8).get(1, none.clone())).await.unwrap();
    one.scope(Client("seven".to_owned()).get(1, none))
        .await
        .unwrap();
    let (mut number, mut text) = (Client(0_u8), Client(String::new()));
    let down = || Some(Error::Down);
    assert_eq!(other.scope(number.get(1, down())).await, Ok(7));
    assert_eq!(other.scope(text.get(1, down())).await, Ok("seven".into()));
    let mut other_type = Client(0_i64);
    assert_eq!(
        other.scope(other_type.get(1, down())).await,
        Err(Error::Down)
    );
}

#[tokio::test(start_paused = true)]
async fn the_future_can_be_spawned() {
    two_instances!(one, other);
    let call = one.scope(async { quote("X", Ok(7)).await.map(|quote| quote.price) });
    assert_eq!(tokio::spawn(call).await.unwrap(), Ok(7));
    let call = other.scope(async { quote("X", Err(Error::Down)).await.map(|q| q.price) });
    assert_eq!(tokio::spawn(call).await.unwrap(), Ok(7));
}

#[tokio::test(start_paused = true)]
async fn a_reset_of_the_registry_clears_what_the_store_has() {
    two_instances!(one, other);
    one.scope(quote("X", Ok(7))).await.unwrap();
    one.registry().reset();
    let gone = other.scope(quote("X", Err(Error::Down))).await;
    assert_eq!(gone, Err(Error::Down));
}

#[tokio::test(start_paused = true)]
async fn without_a_store_validation_says_so() {
    let test = isolated();
    let errors = test.registry().validate().unwrap_err();
    let is_ours = |error: &ConfigError| matches!(error, ConfigError::NoStore { kind: PolicyKind::Fallback, policy } if *policy == "quotes");
    assert!(errors.iter().any(is_ours), "{errors}");
    quote("X", Ok(7)).await.unwrap();
    let own = quote("X", Err(Error::Down)).await.unwrap();
    assert_eq!(own.price, 7, "what is remembered here serves all the same");
}
