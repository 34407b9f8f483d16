//! Settings that change a thousand times while 64 tasks call.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use steadfast::{
    CircuitState, Event, PolicyKind, Rejection, bulkhead, circuit_breaker, rate_limited, retry,
};

const TASKS: usize = 64;
const REWRITES: usize = 1_000;

/// The two sets of settings that the file goes to and fro between.
const SETTINGS: [&str; 2] = [
    r#"
[retry."load retry"]
max_attempts = 2
base_delay = "20us"
[bulkhead."load places"]
max_concurrent = 4
max_wait = "1m"
[bulkhead."load refusing"]
max_concurrent = 6
max_wait = "none"
[circuit_breaker."load open"]
failure_threshold = 3
recovery_timeout = "1h"
[circuit_breaker."load window"]
window = 500
[rate_limiter."load log"]
rate = "40/1000h"
[rate_limiter."load bucket"]
rate = "40/1000h"
"#,
    r#"
[retry."load retry"]
max_attempts = 5
base_delay = "30us"
[bulkhead."load places"]
max_concurrent = 7
max_wait = "2m"
[bulkhead."load refusing"]
max_concurrent = 3
max_wait = "1m"
max_queue = 1000
[circuit_breaker."load open"]
failure_threshold = 4
recovery_timeout = "2h"
[circuit_breaker."load window"]
window = 400
[rate_limiter."load log"]
rate = "60/1000h"
[rate_limiter."load bucket"]
rate = "60/1000h"
"#,
];

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("down")]
    Down,
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

/// What one call saw of its retry: each delay.
#[retry("load retry", max_attempts = 2, backoff = fixed, base_delay = "20us", jitter = none,
    on_retry = |event| delays.lock().unwrap().push(event.delay))]
async fn fails(delays: &Mutex<Vec<Duration>>) -> Result<(), Error> {
    Err(Error::Down)
}

/// Calls inside now, and the most that ever were.
#[derive(Default)]
struct Inside {
    now: AtomicU32,
    most: AtomicU32,
    ended: AtomicU64,
}

impl Inside {
    async fn stay(&self) {
        let now = self.now.fetch_add(1, Relaxed) + 1;
        self.most.fetch_max(now, Relaxed);
        tokio::task::yield_now().await;
        self.now.fetch_sub(1, Relaxed);
        self.ended.fetch_add(1, Relaxed);
    }
}

#[bulkhead("load places", max_concurrent = 4, max_wait = "1m")]
async fn waits(inside: &Inside) -> Result<(), Error> {
    inside.stay().await;
    Ok(())
}

#[bulkhead("load refusing", max_concurrent = 6)]
async fn may_be_refused(inside: &Inside) -> Result<(), Error> {
    inside.stay().await;
    Ok(())
}

#[circuit_breaker("load open", failure_threshold = 3, recovery_timeout = "1h")]
async fn breaks() -> Result<(), Error> {
    Err(Error::Down)
}

#[circuit_breaker("load window", failure_rate = 1.0, window = 500)]
async fn counts(is_good: bool) -> Result<(), Error> {
    if is_good { Ok(()) } else { Err(Error::Down) }
}

#[rate_limited("load log", rate = "40/1000h", algorithm = sliding_window)]
async fn logs() -> Result<(), Error> {
    Ok(())
}

#[rate_limited("load bucket", rate = "40/1000h")]
async fn pours() -> Result<(), Error> {
    Ok(())
}

/// What all tasks together saw.
#[derive(Default)]
struct Seen {
    retried: AtomicU64,
    places: Inside,
    refusing: Inside,
    refused: AtomicU64,
    logged: AtomicU64,
    poured: AtomicU64,
    counted: AtomicU64,
}

impl Seen {
    async fn call_everything(&self, nth: u64) {
        let delays = Mutex::new(Vec::new());
        assert!(matches!(fails(&delays).await, Err(Error::Down)));
        let delays = delays.into_inner().unwrap();
        let whole = [
            vec![Duration::from_micros(20); 1],
            vec![Duration::from_micros(30); 4],
        ];
        assert!(
            whole.contains(&delays),
            "a call saw some of each: {delays:?}"
        );
        self.retried.fetch_add(1, Relaxed);

        // Nobody is refused who may wait.
        waits(&self.places).await.unwrap();
        if may_be_refused(&self.refusing).await.is_err() {
            self.refused.fetch_add(1, Relaxed);
        }
        let error = breaks().await.unwrap_err();
        assert!(
            matches!(error, Error::Rejected(Rejection::CircuitOpen(_))),
            "{error}"
        );
        let is_good = !nth.is_multiple_of(4);
        assert_eq!(counts(is_good).await.is_ok(), is_good);
        self.counted.fetch_add(1, Relaxed);
        if logs().await.is_ok() {
            self.logged.fetch_add(1, Relaxed);
        }
        if pours().await.is_ok() {
            self.poured.fetch_add(1, Relaxed);
        }
    }
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("under-load.toml")
}

/// Another file takes its name.
fn rewrite(settings: &str) {
    let other = file().with_extension("new");
    fs::write(&other, settings).unwrap();
    fs::rename(other, file()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_and_every_call_sees_one_set_of_settings_whole() {
    let registry = steadfast::registry();
    for _ in 0..3 {
        assert!(matches!(breaks().await, Err(Error::Down)));
    }
    let changes = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&changes);
    let _subscription = registry.subscribe(move |event| match event {
        Event::Reconfigured(event) if event.kind == PolicyKind::Retry => {
            told.fetch_add(1, Relaxed);
        }
        Event::ConfigRejected(event) => panic!("{}", event.errors),
        _ => {}
    });
    rewrite(SETTINGS[0]);
    // It is loaded by those who watch it, and by hand.
    let watch = registry.watch(file()).unwrap();

    let seen = Arc::new(Seen::default());
    let done = Arc::new(AtomicBool::new(false));
    let call = |task: usize| {
        let (seen, done) = (Arc::clone(&seen), Arc::clone(&done));
        tokio::spawn(async move {
            let mut nth = task as u64;
            while !done.load(Relaxed) {
                seen.call_everything(nth).await;
                nth += 1;
            }
        })
    };
    let tasks: Vec<_> = (0..TASKS).map(call).collect();
    let rewriting = tokio::task::spawn_blocking(move || {
        for nth in 1..=REWRITES {
            rewrite(SETTINGS[nth % 2]);
            steadfast::registry().configure_file(file()).unwrap();
        }
        // What holds at the end.
        rewrite(SETTINGS[1]);
        steadfast::registry().configure_file(file()).unwrap();
    });
    rewriting.await.unwrap();
    watch.stop();
    steadfast::registry().configure_file(file()).unwrap();
    // Until the limits have given out what they have, which is soon.
    let all = tokio::time::timeout(Duration::from_secs(60), async {
        while seen.logged.load(Relaxed) < 60 || seen.poured.load(Relaxed) < 60 {
            tokio::task::yield_now().await;
        }
    });
    let gave_all = all.await.is_ok();
    done.store(true, Relaxed);
    for task in tasks {
        task.await.unwrap();
    }

    let count = |count: &AtomicU64| count.load(Relaxed);
    println!(
        "{} calls of each kind, {} changes, {} refused, at most {} and {} inside",
        count(&seen.retried),
        count(&changes),
        count(&seen.refused),
        seen.places.most.load(Relaxed),
        seen.refusing.most.load(Relaxed),
    );
    assert!(count(&changes) >= REWRITES as u64 - 1, "{changes:?}");

    // No permit is lost, and none is there twice.
    for (name, inside, limit) in [
        ("load places", &seen.places, 7),
        ("load refusing", &seen.refusing, 3),
    ] {
        assert!(
            inside.most.load(Relaxed) <= 7,
            "{name}: {inside:?}",
            inside = inside.most
        );
        let bulkhead = registry.bulkhead(name).unwrap();
        let metrics = bulkhead.metrics();
        assert_eq!((metrics.in_flight, metrics.waiting), (0, 0), "{name}");
        assert_eq!(metrics.max_concurrent, limit, "{name}");
        let permits: Vec<_> = (0..limit)
            .map(|_| bulkhead.try_acquire().unwrap())
            .collect();
        assert!(bulkhead.try_acquire().is_err());
        drop(permits);
    }
    assert_eq!(count(&seen.places.ended), count(&seen.retried));
    assert_eq!(
        count(&seen.refusing.ended) + count(&seen.refused),
        count(&seen.retried)
    );

    // No state was reset: what is open is open, the windows hold what they held, what was taken is taken.
    assert_eq!(
        registry.circuit_breaker("load open").unwrap().state(),
        CircuitState::Open
    );
    let window = registry.circuit_breaker("load window").unwrap().metrics();
    assert_eq!(window.calls, 400.min(count(&seen.counted)));
    assert!(
        gave_all,
        "{} and {}",
        count(&seen.logged),
        count(&seen.poured)
    );
    assert_eq!((count(&seen.logged), count(&seen.poured)), (60, 60));
    assert!(logs().await.is_err() && pours().await.is_err());
}
