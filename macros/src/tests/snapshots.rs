//! What a stack expands to, as a reader of `cargo expand` sees it. `STEADFAST_BLESS=1` writes the files
//! anew.

use super::{errors, expand};
use std::{env, fs, path::PathBuf};

fn snapshot(name: &str, source: &str) {
    let expanded = expand(source);
    assert_eq!(errors(expanded.clone()), Vec::<String>::new());
    let file = syn::parse2(expanded).expect("items");
    let expanded = prettyplease::unparse(&file);
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "src/tests/snapshots", name]
        .iter()
        .collect();
    let path = path.with_extension("rs");
    if env::var_os("STEADFAST_BLESS").is_some() {
        fs::write(&path, &expanded).expect("the snapshot is written");
    }
    let expected = fs::read_to_string(&path).expect("a snapshot");
    assert!(
        expanded == expected,
        "{name} expands differently now:\n{expanded}"
    );
}

#[test]
fn a_lone_retry() {
    snapshot(
        "retry",
        r#"
        #[retry(max_attempts = 4, base_delay = "100ms", jitter = none, when = is_transient, clone(order), attempt = n)]
        pub async fn place(&self, order: Order) -> Result<Receipt, Error> {
            self.send(order, n).await
        }
        "#,
    );
}

#[test]
fn a_retry_that_does_not_await() {
    snapshot(
        "retry_blocking",
        r#"
        #[retry(on_retry = |event| log(event))]
        fn read(path: &Path) -> io::Result<String> {
            fs::read_to_string(path)
        }
        "#,
    );
}

#[test]
fn a_full_stack() {
    snapshot(
        "full_stack",
        r#"
        #[fallback(|error| stale_quote(symbol, error).await)]
        #[retry(max_attempts = 4, base_delay = "100ms", when = QuoteError::is_transient)]
        #[circuit_breaker("quotes", failure_rate = 0.5, window = 100, recovery_timeout = "30s")]
        #[rate_limited("quotes", rate = "200/s", burst = 50, max_wait = "250ms")]
        #[bulkhead("quotes", max_concurrent = 16)]
        #[timeout("2s")]
        async fn quote(&self, symbol: &str) -> Result<Quote, QuoteError> {
            self.http.get(symbol).await
        }
        "#,
    );
}

#[test]
fn a_body_that_runs_once_owns_its_parameters() {
    snapshot(
        "once",
        r#"
        #[circuit_breaker("orders", key = &self.host)]
        /// Sends it.
        #[must_use]
        async fn send(self: Arc<Self>, mut order: Order, (a, b): (A, B), n: u32, _guard: Guard) -> Result<(), Error> {
            #![allow(unused)]
            order.send(a, b).await
        }
        "#,
    );
}

#[test]
fn a_remembered_answer() {
    snapshot(
        "cache",
        r#"
        #[fallback(cache(key = symbol, fresh = "5m", stale = "1h"), value = Quote::unknown(), reject_with = Error::from)]
        #[timeout(after = self.patience(symbol))]
        #[circuit_breaker(with = &self.breaker)]
        async fn quote(&self, symbol: &str) -> Result<Quote, Error> {
            self.http.get(symbol).await
        }
        "#,
    );
}

#[test]
fn a_remembered_answer_that_is_shared() {
    snapshot(
        "cache_shared",
        r#"
        #[fallback("quotes", cache(key = symbol, fresh = "5m", stale = "1h"), shared)]
        async fn quote(&self, symbol: &str) -> Result<Quote, Error> {
            self.http.get(symbol).await
        }
        "#,
    );
}

#[test]
fn a_remembered_answer_that_is_shared_and_not_awaited() {
    snapshot(
        "cache_shared_blocking",
        r#"
        #[fallback("quotes", cache(key = symbol, fresh = "5m"), shared, default)]
        fn quote(symbol: &str) -> Result<Quote, Error> {
            http::get(symbol)
        }
        "#,
    );
}

#[test]
fn a_returned_future() {
    snapshot(
        "future",
        r#"
        #[timeout("2s")]
        fn quote(&self) -> Pin<Box<dyn Future<Output = Result<Quote, Error>> + Send + '_>> {
            let start = now();
            Box::pin(async move { self.get(start).await })
        }
        "#,
    );
}
