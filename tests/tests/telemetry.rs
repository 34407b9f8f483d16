//! What operators see: `tracing` events under one target, and never the value of a key.

use std::{
    fmt::{Debug, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use steadfast::{
    Rejection, bulkhead, circuit_breaker, fallback, rate_limited, registry, retry, timeout,
};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// Collects events as `LEVEL field=value ...`.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "steadfast"
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

impl Collector {
    fn lines(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn assert_told(lines: &[String], level: Level, words: &[&str]) {
    let found = lines.iter().any(|line| {
        line.starts_with(level.as_str()) && words.iter().all(|word| line.contains(word))
    });
    assert!(found, "no {level} with {words:?} in {lines:#?}");
}

#[tokio::test(start_paused = true)]
async fn everything_that_happens_is_told_with_its_level_and_fields() {
    let _test = steadfast::test::isolated();
    let collector = Collector::default();
    let _default = tracing::subscriber::set_default(collector.clone());

    #[fallback("answers", value = 1)]
    #[retry("tries", max_attempts = 2, base_delay = "250ms", jitter = none)]
    #[circuit_breaker("guard", failure_threshold = 2)]
    #[timeout("limit", "1s")]
    async fn call() -> Result<u32, Rejection> {
        std::future::pending().await
    }
    call().await.unwrap();
    let lines = collector.lines();
    assert_told(
        &lines,
        Level::DEBUG,
        &["kind=\"timeout\"", "policy=\"limit\"", "after_ms=1000"],
    );
    assert_told(
        &lines,
        Level::INFO,
        &[
            "kind=\"retry\"",
            "policy=\"tries\"",
            "attempt=1",
            "delay_ms=250",
        ],
    );
    assert_told(
        &lines,
        Level::WARN,
        &["kind=\"retry\"", "attempts=2", "retries exhausted"],
    );
    assert_told(
        &lines,
        Level::WARN,
        &[
            "kind=\"circuit_breaker\"",
            "policy=\"guard\"",
            "state=\"open\"",
        ],
    );
    assert_told(
        &lines,
        Level::WARN,
        &[
            "kind=\"fallback\"",
            "policy=\"answers\"",
            "source=\"fallback\"",
            "count=1",
        ],
    );

    call().await.unwrap();
    let lines = collector.lines();
    assert_told(
        &lines,
        Level::DEBUG,
        &[
            "kind=\"circuit_breaker\"",
            "call refused",
            "retry_after_ms=60000",
        ],
    );
    assert_told(
        &lines,
        Level::DEBUG,
        &["kind=\"fallback\"", "fallback answered"],
    );
    assert!(
        !lines.iter().any(|line| line.starts_with("WARN")),
        "once a minute: {lines:#?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_value_of_a_key_appears_nowhere() {
    const SECRET: &str = "tenant-4711-secret";
    let test = steadfast::test::isolated();
    let collector = Collector::default();
    let _default = tracing::subscriber::set_default(collector.clone());
    let events = Arc::new(Mutex::new(String::new()));
    let writer = Arc::clone(&events);
    let _subscription = test.registry().subscribe(move |event| {
        write!(writer.lock().unwrap(), "{event:?}").unwrap();
    });

    #[fallback("f", cache(key = tenant, fresh = "1m"))]
    #[circuit_breaker("c", failure_threshold = 1, key = tenant)]
    #[rate_limited("r", rate = "2/s", key = tenant)]
    #[bulkhead("b", max_concurrent = 1, key = tenant)]
    async fn call(tenant: &str, good: bool) -> Result<u32, std::io::Error> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        if good {
            Ok(1)
        } else {
            Err(std::io::Error::other("down"))
        }
    }
    let mut errors = String::new();
    let (one, two) = tokio::join!(call(SECRET, true), call(SECRET, true));
    write!(errors, "{one:?}{two:?}").unwrap();
    for good in [true, true, true, false, false] {
        write!(errors, "{:?}", call(SECRET, good).await).unwrap();
    }
    let everything = format!(
        "{errors}{}{:?}{}{:?}{:?}{:?}{:?}",
        events.lock().unwrap(),
        collector.lines(),
        serde_json::to_string(&registry().snapshot()).unwrap(),
        registry().circuit_breaker("c"),
        registry().rate_limiter("r"),
        registry().bulkhead("b"),
        registry().fallback("f"),
    );
    assert!(everything.contains("Refused") && everything.contains("FellBack"));
    assert!(!everything.contains(SECRET));
}
