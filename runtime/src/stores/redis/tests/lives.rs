//! A store's life does not hang on that of its callers.

use std::sync::mpsc;

use super::*;
use crate::waiter::wait_blocking;

fn add_blocking(store: &RedisStore, key: &str) -> Result<Reply, StoreError> {
    let keys = vec![key.as_bytes().to_vec()];
    wait_blocking(ask(store, |done| {
        Job::new(&ADD, keys, vec![1_i64.into()], done)
    }))
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// A deadline that a busy machine keeps as well.
async fn patient(server: &RedisServer) -> RedisStore {
    let builder = RedisStore::builder(&server.url()).deadline(Duration::from_secs(20));
    builder.connect().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_paused_clock_stops_nothing() {
    let server = RedisServer::start();
    let store = patient(&server).await;
    for nth in 1..=20 {
        assert_eq!(sum(add(&store, "{k}", 1).await), nth);
    }
    // And lets nothing time out.
    server.stop_process();
    let answer = add(&store, "{k}", 1);
    tokio::time::advance(Duration::from_secs(3_600)).await;
    server.continue_process();
    assert_eq!(sum(answer.await), 21);
}

#[test]
fn callers_that_block_their_runtime() {
    let server = RedisServer::start();
    current_thread().block_on(async {
        let store = patient(&server).await;
        // Nothing else on this runtime gets to run between these.
        for nth in 1..=20 {
            assert_eq!(sum(add_blocking(&store, "{k}")), nth);
        }
    });
}

#[test]
fn a_runtime_that_has_ended() {
    let server = RedisServer::start();
    let runtime = current_thread();
    let store = runtime.block_on(patient(&server));
    drop(runtime);
    assert_eq!(sum(add_blocking(&store, "{k}")), 1);
    assert_eq!(sum(current_thread().block_on(add(&store, "{k}", 1))), 2);
}

#[test]
fn connecting_needs_no_runtime_of_tokio() {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let server = RedisServer::start();
    let url = server.url();
    let mut connecting = Box::pin(RedisStore::connect(&url));
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let store = loop {
        let mut context = std::task::Context::from_waker(&waker);
        match connecting.as_mut().poll(&mut context) {
            std::task::Poll::Ready(store) => break store.unwrap(),
            std::task::Poll::Pending => std::thread::park(),
        }
    };
    assert!(store.is_up());
}

#[test]
fn the_last_clone_ends_the_thread_and_all_that_waits() {
    let server = RedisServer::start();
    let store = current_thread().block_on(patient(&server));
    let desk = store.desk();
    server.stop_process();
    let answers: Vec<Answer> = (0..10).map(|_| add(&store, "{k}", 1)).collect();
    let clone = store.clone();
    drop(store);
    assert!(clone.is_up());
    drop(clone);
    for answer in answers {
        let outcome = current_thread().block_on(answer);
        assert_eq!(outcome, Err(StoreError::Closed));
    }
    eventually("the thread has ended", || desk.strong_count() == 0);
    server.continue_process();
}

#[test]
fn a_store_that_is_dropped_by_its_own_thread() {
    struct Holder(Mutex<Option<RedisStore>>);
    impl Member for Holder {
        fn tick(self: Arc<Self>) {
            *self.0.lock().unwrap() = None;
        }
    }
    let server = RedisServer::start();
    let store = current_thread().block_on(patient(&server));
    let desk = store.desk();
    let holder: Arc<dyn Member> = Arc::new(Holder(Mutex::new(Some(store.clone()))));
    store.attach(Arc::downgrade(&holder));
    drop(store);
    eventually("the thread has ended", || desk.strong_count() == 0);
}

#[test]
fn a_connect_that_is_given_up_leaves_nothing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}/", listener.local_addr().unwrap());
    current_thread().block_on(async {
        let connecting = RedisStore::connect(&url);
        let outcome = tokio::time::timeout(Duration::from_millis(20), connecting).await;
        assert!(outcome.is_err());
    });
    let (mut peer, _) = listener.accept().unwrap();
    // Ends only when the other side does.
    std::io::copy(&mut peer, &mut std::io::sink()).unwrap();
}

#[test]
fn members_are_called_whatever_happens() {
    struct Panics(AtomicU32);
    impl Member for Panics {
        fn tick(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
            panic!("a member's own mistake");
        }
        fn down(self: Arc<Self>, _: &StoreError) {
            panic!("another");
        }
    }
    let server = RedisServer::start();
    let store = current_thread().block_on(patient(&server));
    let panics = Arc::new(Panics(AtomicU32::new(0)));
    let member: Arc<dyn Member> = panics.clone();
    store.attach(Arc::downgrade(&member));
    let witness = Witness::of(&store);
    server.kill();
    eventually("down", || !store.is_up());
    eventually("told", || !witness.told().is_empty());
    // Ticks go on while it is away, also those of the one that panics.
    let (before, theirs) = (witness.ticks.load(Relaxed), panics.0.load(Relaxed));
    eventually("ticks", || witness.ticks.load(Relaxed) > before + 2);
    assert!(panics.0.load(Relaxed) > theirs);
    server.restart();
    eventually("up", || store.is_up());
    assert_eq!(sum(add_blocking(&store, "{k}")), 1);
}

#[test]
fn a_reply_that_makes_its_taker_panic_hurts_nobody() {
    let server = RedisServer::start();
    let store = current_thread().block_on(patient(&server));
    store.run(Job::new(
        &ADD,
        vec![b"{k}".to_vec()],
        vec![1_i64.into()],
        |_| panic!("a policy's own mistake"),
    ));
    assert_eq!(sum(add_blocking(&store, "{k}")), 2);
    assert_eq!(store.health().in_flight, 0);
}

#[test]
fn a_taker_may_ask_again() {
    fn again(store: RedisStore, left: u32, done: mpsc::Sender<i64>) {
        let next = store.clone();
        store.run(Job::new(
            &ADD,
            vec![b"{k}".to_vec()],
            vec![1_i64.into()],
            move |outcome| match left {
                0 => done.send(sum(outcome)).unwrap(),
                _ => again(next, left - 1, done),
            },
        ));
    }
    let server = RedisServer::start();
    let store = current_thread().block_on(patient(&server));
    let (sender, receiver) = mpsc::channel();
    again(store, 99, sender);
    assert_eq!(receiver.recv_timeout(Duration::from_secs(20)), Ok(100));
}

#[test]
fn what_was_handed_in_before_the_end_is_sent() {
    let server = RedisServer::start();
    for nth in 1..=20 {
        let store = current_thread().block_on(patient(&server));
        drop(add(&store, "{k}", 1));
        drop(store);
        eventually("it has arrived", || number(&server, "steadfast:{k}") == nth);
    }
}
