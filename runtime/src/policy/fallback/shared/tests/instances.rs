//! Two registries as two instances of a service, with one store, in virtual time.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use tokio::{task::JoinHandle, time::advance};

use crate::{
    ConfigError, Event, Fallback, FallbackBuilder, MemoryStore, Registry, Store, StoreHealth,
    judge::Judge,
    policy::{
        Policy as _, Switch,
        fallback::{
            CacheKey, FallbackSettings, Marks,
            shared::script::{REMEMBER, micros},
        },
    },
    probe::Traits,
    step::Step,
    store::{Arg, Job, Member},
    test::{Isolated, isolated},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

type Outcome<T> = Result<T, &'static str>;

/// A store that notes what it is asked, and answers when the test lets it.
#[derive(Debug, Clone, Default)]
struct Watched(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: MemoryStore,
    seen: Mutex<Vec<&'static str>>,
    held: Mutex<Option<Vec<Job>>>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            store: MemoryStore::at_rest(),
            seen: Mutex::default(),
            held: Mutex::default(),
        }
    }
}

impl Watched {
    /// How often a script was asked for.
    fn count(&self, script: &str) -> usize {
        let seen = self.0.seen.lock().unwrap();
        seen.iter().filter(|name| **name == script).count()
    }

    fn hold(&self) {
        *self.0.held.lock().unwrap() = Some(Vec::new());
    }

    fn release(&self) {
        let held = self.0.held.lock().unwrap().take().unwrap_or_default();
        held.into_iter().for_each(|job| self.0.store.run(job));
    }

    /// An answer that some other program put there.
    fn put<T>(&self, key: &str, json: &[u8]) {
        let field = [std::any::type_name::<T>(), "\0", key]
            .concat()
            .into_bytes();
        let keys = ["answers", "ages"].map(|part| format!("fallback:{{f}}:{part}").into_bytes());
        let args = vec![
            Arg::Bytes(field),
            json.into(),
            micros(60 * MINUTE).into(),
            Arg::Int(100),
        ];
        self.0
            .store
            .run(Job::new(&REMEMBER, keys.into(), args, |done| {
                done.expect("it is there");
            }));
    }
}

impl Store for Watched {
    fn run(&self, job: Job) {
        self.0.seen.lock().unwrap().push(job.script.name);
        if let Some(held) = &mut *self.0.held.lock().unwrap() {
            return held.push(job);
        }
        self.0.store.run(job);
    }

    fn attach(&self, member: Weak<dyn Member>) {
        self.0.store.attach(member);
    }

    fn is_up(&self) -> bool {
        self.0.store.is_up()
    }

    fn health(&self) -> StoreHealth {
        self.0.store.health()
    }
}

/// An instance of the service, with its own memory.
struct Instance {
    fallback: Fallback,
    registry: Registry,
    _isolated: Isolated,
}

fn caching() -> FallbackBuilder {
    let builder = Fallback::builder("f").fresh(5 * MINUTE).stale(60 * MINUTE);
    builder.shared(true)
}

fn instance_of(builder: FallbackBuilder, store: &Watched) -> Instance {
    let isolated = isolated();
    let registry = isolated.registry();
    registry.set_store(store.clone()).unwrap();
    Instance {
        fallback: builder.build().unwrap(),
        registry,
        _isolated: isolated,
    }
}

fn instance(store: &Watched) -> Instance {
    instance_of(caching(), store)
}

impl Instance {
    async fn good<T>(&self, key: &str, value: T)
    where
        T: Clone + Send + Sync + Serialize + DeserializeOwned + 'static,
    {
        let answer: Outcome<T> = call(&self.fallback, key, Ok(value)).await;
        assert!(answer.is_ok());
    }

    async fn bad<T>(&self, key: &str) -> Option<T>
    where
        T: Clone + Send + Sync + Serialize + DeserializeOwned + 'static,
    {
        call(&self.fallback, key, Err("down")).await.ok()
    }

    /// A failing call on a task of its own.
    fn failing(&self, key: &'static str) -> JoinHandle<Outcome<i32>> {
        let fallback = self.fallback.clone();
        tokio::spawn(async move { call(&fallback, key, Err("down")).await })
    }
}

async fn call<T>(fallback: &Fallback, key: &str, outcome: Outcome<T>) -> Outcome<T>
where
    T: Clone + Send + Sync + Serialize + DeserializeOwned + 'static,
{
    fallback.cached(key).shared().call(async { outcome }).await
}

async fn let_others_run() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_one_instance_serves_another_and_is_then_its_own() {
    let store = Watched::default();
    let (one, other) = (instance(&store), instance(&store));
    one.good("a", 7).await;
    assert_eq!(other.bad("a").await, Some(7));
    assert_eq!(other.bad("a").await, Some(7));
    assert_eq!(store.count("recall"), 1, "the second time it was here");
    let metrics = other.fallback.metrics();
    assert_eq!((metrics.cached, metrics.from_store), (2, 1));
    assert_eq!(other.bad::<i32>("b").await, None);
}

#[tokio::test(start_paused = true)]
async fn answers_of_others_are_fresh_then_stale_then_gone() {
    let store = Watched::default();
    let one = instance(&store);
    one.good("a", 7).await;
    advance(5 * MINUTE).await;
    let fresh = instance(&store);
    assert_eq!(fresh.bad("a").await, Some(7));
    assert_eq!(fresh.fallback.metrics().cached, 1);
    advance(Duration::from_millis(1)).await;
    let stale = instance(&store);
    assert_eq!(stale.bad("a").await, Some(7));
    assert_eq!(stale.fallback.metrics().stale, 1);
    advance(55 * MINUTE - Duration::from_millis(1)).await;
    let last = instance(&store);
    assert_eq!(last.bad("a").await, Some(7));
    advance(Duration::from_millis(1)).await;
    let late = instance(&store);
    assert_eq!(late.bad::<i32>("a").await, None);
    // Those who got it from the store forget it at the same time.
    for instance in [one, fresh, stale, last] {
        assert_eq!(instance.bad::<i32>("a").await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fresh_answer_at_hand_is_served_without_asking() {
    let store = Watched::default();
    let one = instance(&store);
    one.good("a", 7).await;
    advance(5 * MINUTE).await;
    assert_eq!(one.bad("a").await, Some(7));
    assert_eq!(store.count("recall"), 0);
    assert_eq!(one.fallback.metrics().from_store, 0);
}

#[tokio::test(start_paused = true)]
async fn the_younger_answer_wins_wherever_it_is() {
    let store = Watched::default();
    let (one, other) = (instance(&store), instance(&store));
    one.good("a", 1).await;
    advance(3 * MINUTE).await;
    other.good("a", 2).await;
    advance(3 * MINUTE).await;
    // Its own is stale; the other's is not.
    assert_eq!(one.bad("a").await, Some(2));
    assert_eq!(one.fallback.metrics().cached, 1);

    // This time the store does not get the younger one.
    store.0.store.disconnect();
    one.good("a", 3).await;
    store.0.store.restore();
    advance(6 * MINUTE).await;
    assert_eq!(one.bad("a").await, Some(3));
    let metrics = one.fallback.metrics();
    assert_eq!((metrics.stale, metrics.from_store), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_here_and_in_the_store_is_not_sent_again() {
    let store = Watched::default();
    let one = instance(&store);
    one.good("a", 7).await;
    advance(10 * MINUTE).await;
    for _ in 0..3 {
        assert_eq!(one.bad("a").await, Some(7));
    }
    assert_eq!(store.count("recall"), 3);
    assert_eq!(one.fallback.metrics().from_store, 0);
}

#[tokio::test(start_paused = true)]
async fn those_who_ask_together_ask_once_and_those_who_leave_take_nothing_with_them() {
    let store = Watched::default();
    let (one, other) = (instance(&store), instance(&store));
    one.good("a", 7).await;
    one.good("b", 8).await;
    store.hold();
    let first = other.failing("a");
    let_others_run().await;
    let rest: Vec<_> = (0..20).map(|_| other.failing("a")).collect();
    let another = other.failing("b");
    let_others_run().await;
    assert_eq!(store.count("recall"), 2, "one for each key");
    // The one that asked, and half of those who joined it.
    first.abort();
    rest.iter().step_by(2).for_each(JoinHandle::abort);
    let_others_run().await;
    store.release();
    for (nth, waiting) in rest.into_iter().enumerate() {
        if nth % 2 == 1 {
            assert_eq!(waiting.await.unwrap(), Ok(7));
        }
    }
    assert_eq!(another.await.unwrap(), Ok(8));
    assert_eq!(store.count("recall"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_all_have_left_is_still_answered_and_the_next_is_a_new_one() {
    let store = Watched::default();
    let (one, other) = (instance(&store), instance(&store));
    store.hold();
    let asking = other.failing("a");
    let_others_run().await;
    asking.abort();
    let_others_run().await;
    store.release();
    one.good("a", 7).await;
    assert_eq!(other.bad("a").await, Some(7));
    assert_eq!(store.count("recall"), 2);
}

/// The store was asked for a younger answer than the asker's; who has none is not content with "no".
#[tokio::test(start_paused = true)]
async fn who_knows_less_than_the_one_that_asked_asks_for_itself() {
    let store = Watched::default();
    let one = instance_of(caching().max_entries(1), &store);
    one.good("a", 7).await;
    advance(10 * MINUTE).await;
    store.hold();
    let knowing = one.failing("a");
    let_others_run().await;
    // Others take its place, here; the store has room enough.
    one.fallback.0.answers.clear();
    let without = one.failing("a");
    let joined = one.failing("a");
    let_others_run().await;
    assert_eq!(store.count("recall"), 2);
    store.release();
    for caller in [knowing, without, joined] {
        assert_eq!(caller.await.unwrap(), Ok(7));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_has_become_too_old_on_its_way_is_not_served() {
    let store = Watched::default();
    let (one, other) = (instance(&store), instance(&store));
    one.good("a", 7).await;
    advance(59 * MINUTE).await;
    store.hold();
    let asking = other.failing("a");
    let_others_run().await;
    // The store looks now, and its answer takes its time.
    let held = store.0.held.lock().unwrap().take().unwrap_or_default();
    let answered: Vec<JoinHandle<()>> = held
        .into_iter()
        .map(|job| tokio::spawn(later(job, &store.0.store)))
        .collect();
    let_others_run().await;
    advance(2 * MINUTE).await;
    for answered in answered {
        answered.await.unwrap();
    }
    assert_eq!(asking.await.unwrap(), Err("down"));
}

/// Runs the job now, and hands its outcome over after a minute and a half.
fn later(job: Job, store: &MemoryStore) -> impl Future<Output = ()> + use<> {
    let outcome = Arc::new(Mutex::new(None));
    let there = Arc::clone(&outcome);
    store.run(Job::new(
        job.script,
        job.keys.clone(),
        job.args.clone(),
        move |outcome| *there.lock().unwrap() = Some(outcome),
    ));
    async move {
        tokio::time::sleep(90 * SECOND).await;
        let outcome = outcome.lock().unwrap().take().expect("it was run");
        job.finish(outcome);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_is_written_once_an_interval_however_often_the_call_succeeds() {
    let store = Watched::default();
    let (one, other) = (instance(&store), instance(&store));
    for n in 0..300 {
        one.good("a", n).await;
        advance(SECOND / 10).await;
    }
    assert_eq!(store.count("remember"), 1, "a tenth of five minutes");
    one.good("a", 300).await;
    assert_eq!(store.count("remember"), 2);
    one.good("b", 1).await;
    assert_eq!(store.count("remember"), 3, "each key for itself");
    assert_eq!(other.bad("a").await, Some(300), "the newest at its time");
}

#[tokio::test(start_paused = true)]
async fn one_write_of_a_key_is_under_way_at_a_time_and_no_call_waits_for_it() {
    let store = Watched::default();
    let (one, other) = (instance(&store), instance(&store));
    store.hold();
    one.good("a", 1).await;
    advance(MINUTE).await;
    one.good("a", 2).await;
    assert_eq!(store.count("remember"), 1);
    store.release();
    one.good("a", 3).await;
    assert_eq!(store.count("remember"), 2);
    assert_eq!(other.bad("a").await, Some(3));
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_or_has_no_json_stays_here() {
    let store = Watched::default();
    let (one, other) = (instance(&store), instance(&store));
    // Quotation marks and the field belong to it.
    let field = std::any::type_name::<String>().len() + 2;
    let largest = "x".repeat((1 << 20) - field - 2);
    one.good("a", largest.clone()).await;
    assert_eq!(store.count("remember"), 1);
    one.good("b", format!("{largest}x")).await;
    assert_eq!(store.count("remember"), 1);
    assert_eq!(one.fallback.metrics().unshared, 1);
    assert_eq!(one.bad("b").await, Some(format!("{largest}x")));
    assert_eq!(other.bad::<String>("b").await, None);
    assert_eq!(other.bad("a").await, Some(largest));

    let no_json = std::collections::HashMap::from([((1, 2), 3)]);
    one.good("c", no_json.clone()).await;
    assert_eq!(one.fallback.metrics().unshared, 2);
    assert_eq!(one.bad("c").await, Some(no_json));
}

#[tokio::test(start_paused = true)]
async fn values_of_different_types_never_mix() {
    let store = Watched::default();
    let (one, other) = (instance(&store), instance(&store));
    one.good("a", 7_u32).await;
    one.good("a", "text".to_owned()).await;
    assert_eq!(other.bad::<u64>("a").await, None);
    assert_eq!(other.bad::<u32>("a").await, Some(7));
    assert_eq!(other.bad::<String>("a").await, Some("text".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_absent() {
    let store = Watched::default();
    let one = instance(&store);
    one.good("a", 7).await;
    advance(10 * MINUTE).await;
    store.put::<i32>("a", b"{\"price\":");
    assert_eq!(one.bad("a").await, Some(7), "what is here serves");
    store.put::<i32>("b", b"");
    assert_eq!(one.bad::<i32>("b").await, None);
    assert_eq!(one.fallback.metrics().unreadable, 2);
    store.put::<i32>("b", b"9");
    assert_eq!(one.bad("b").await, Some(9));
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_away_each_instance_goes_on_by_itself() {
    let store = Watched::default();
    let (one, other) = (instance(&store), instance(&store));
    one.good("a", 1).await;
    store.0.store.disconnect();
    one.good("a", 2).await;
    one.good("b", 3).await;
    assert_eq!(store.count("remember"), 1, "nobody is there to write to");
    assert_eq!((one.bad("a").await, one.bad("b").await), (Some(2), Some(3)));
    assert_eq!(other.bad::<i32>("a").await, None);
    advance(10 * MINUTE).await;
    assert_eq!(one.bad("a").await, Some(2), "stale, and all there is");

    // It comes back empty: what succeeds now is there for the others at once.
    store.0.store.clear();
    store.0.store.restore();
    one.good("a", 4).await;
    assert_eq!(other.bad("a").await, Some(4));
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_nothing_waits_for_its_interval() {
    let store = Watched::default();
    let (one, other) = (instance(&store), instance(&store));
    one.good("a", 1).await;
    store.0.store.disconnect();
    store.0.store.clear();
    store.0.store.restore();
    one.good("a", 2).await;
    assert_eq!(other.bad("a").await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_younger_answer_that_comes_while_the_store_is_asked_wins() {
    let store = Watched::default();
    let (one, other) = (instance(&store), instance(&store));
    one.good("a", 7).await;
    advance(MINUTE).await;
    store.hold();
    let asking = other.failing("a");
    let_others_run().await;
    other.good("a", 8).await;
    store.release();
    assert_eq!(asking.await.unwrap(), Ok(8));
    assert_eq!(other.bad("a").await, Some(8));
    assert_eq!(other.fallback.metrics().from_store, 0);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_is_made_up_for_by_a_success_a_second_later() {
    let store = Watched::default();
    let (one, other) = (instance(&store), instance(&store));
    store.hold();
    one.good("a", 1).await;
    store.0.held.lock().unwrap().take(); // dropped: a store that is closed
    one.good("a", 2).await;
    assert_eq!(other.bad::<i32>("a").await, None);
    advance(SECOND).await;
    one.good("a", 3).await;
    assert_eq!(other.bad("a").await, Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_drops_the_question_hangs_nobody() {
    let store = Watched::default();
    let one = instance(&store);
    store.hold();
    let asking = one.failing("a");
    let_others_run().await;
    drop(store.0.held.lock().unwrap().take());
    assert_eq!(asking.await.unwrap(), Err("down"));
    assert_eq!(one.bad::<i32>("a").await, None);
}

#[tokio::test(start_paused = true)]
async fn without_a_store_it_says_so_once_and_goes_on() {
    let isolated = isolated();
    let told = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&told);
    let _subscription = isolated.registry().subscribe(move |event| {
        if let Event::Misconfigured(event) = event
            && matches!(event.error, ConfigError::NoStore { .. })
        {
            counter.fetch_add(1, Relaxed);
        }
    });
    let fallback = caching().build().unwrap();
    for n in 0..3 {
        assert_eq!(call(&fallback, "a", Ok(n)).await, Ok(n));
        assert_eq!(call(&fallback, "a", Err("down")).await, Ok(n));
        assert_eq!(call::<i32>(&fallback, "b", Err("down")).await, Err("down"));
    }
    assert_eq!(told.load(Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reset_clears_the_store_of_this_policy_also_of_what_was_under_way() {
    let store = Watched::default();
    let (one, other) = (instance(&store), instance(&store));
    let neighbour = instance_of(Fallback::builder("g").fresh(MINUTE).shared(true), &store);
    neighbour.good("a", 5).await;
    one.good("a", 1).await;
    store.hold();
    one.good("b", 2).await;
    let write = store.0.held.lock().unwrap().take().unwrap_or_default();
    // The registry does the same for all its policies; this one was built beside it.
    crate::policy::Policy::reset(&one.fallback);
    write.into_iter().for_each(|job| store.0.store.run(job));
    for key in ["a", "b"] {
        assert_eq!(one.bad::<i32>(key).await, None);
        assert_eq!(other.bad::<i32>(key).await, None);
    }
    assert_eq!(
        instance_of(Fallback::builder("g").fresh(MINUTE).shared(true), &store)
            .bad("a")
            .await,
        Some(5)
    );
    one.good("a", 3).await;
    assert_eq!(other.bad("a").await, Some(3));
}

#[tokio::test(start_paused = true)]
async fn an_answer_asked_for_before_a_reset_is_not_remembered_after_it() {
    let store = Watched::default();
    let (one, other) = (instance(&store), instance(&store));
    one.good("a", 1).await;
    store.hold();
    let asking = other.failing("a");
    let_others_run().await;
    let question = store.0.held.lock().unwrap().take().unwrap_or_default();
    question.into_iter().for_each(|job| store.0.store.run(job));
    crate::policy::Policy::reset(&other.fallback);
    assert_eq!(asking.await.unwrap(), Ok(1), "the call was there first");
    assert_eq!(other.fallback.metrics().entries, 0);
}

#[tokio::test(start_paused = true)]
async fn the_bound_holds_for_the_fleet() {
    let store = Watched::default();
    let builder = || caching().max_entries(10);
    let (one, other) = (
        instance_of(builder(), &store),
        instance_of(builder(), &store),
    );
    for n in 0..50 {
        let instance = if n % 2 == 0 { &one } else { &other };
        instance.good(&n.to_string(), n).await;
        advance(SECOND).await;
    }
    let third = instance(&store);
    let mut found = Vec::new();
    for n in 0..50 {
        found.extend(third.bad::<i32>(&n.to_string()).await);
    }
    assert_eq!(found, (40..50).collect::<Vec<_>>());
}

/// Panics on its way out at 13, on its way in at 14.
#[derive(Debug, Clone, PartialEq)]
struct Bomb(u32);

impl Serialize for Bomb {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert_ne!(self.0, 13);
        serializer.serialize_u32(self.0)
    }
}

impl<'de> Deserialize<'de> for Bomb {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u32::deserialize(deserializer)?;
        assert_ne!(number, 14);
        Ok(Self(number))
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_users_serialization_hurts_nobody() {
    let store = Watched::default();
    let (one, other) = (instance(&store), instance(&store));
    one.good("a", Bomb(13)).await;
    assert_eq!(one.fallback.metrics().unshared, 1);
    assert_eq!(one.bad("a").await, Some(Bomb(13)));
    one.good("b", Bomb(14)).await;
    assert_eq!(other.bad::<Bomb>("b").await, None);
    assert_eq!(other.bad::<Bomb>("b").await, None);
    assert_eq!(other.fallback.metrics().unreadable, 2);
    advance(MINUTE).await;
    one.good("a", Bomb(1)).await;
    one.good("b", Bomb(2)).await;
    assert_eq!(other.bad("a").await, Some(Bomb(1)));
    assert_eq!(other.bad("b").await, Some(Bomb(2)));
}

/// Blocking waits are in real time; the store's answer comes from another thread.
#[test]
fn a_blocking_caller_waits_for_the_store() {
    let store = Watched::default();
    let (one, other) = (instance(&store), instance(&store));
    let key = CacheKey::new("a");
    let good: Step<Outcome<u32>> = Step::Done(Ok(7));
    one.fallback.remember_shared(&key, &good, Marks::none());
    store.hold();
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (fallback, key) = (other.fallback.clone(), key.clone());
            std::thread::spawn(move || {
                let step = Step::<_, Infallible>::Done(Outcome::<u32>::Err("no"));
                let serving = fallback.serves(Judge::new(&step, Traits::unknown()));
                fallback.recall_shared_blocking::<Outcome<u32>>(&key, Marks::none(), serving)
            })
        })
        .collect();
    while store.count("recall") == 0 {
        std::thread::yield_now();
    }
    store.release();
    for caller in callers {
        assert_eq!(caller.join().unwrap(), Some(Ok(7)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_half_shared_is_told_once() {
    let store = Watched::default();
    let shared = instance(&store);
    let told = Arc::new(Mutex::new(Vec::new()));
    let writer = Arc::clone(&told);
    let _subscription = shared.registry.subscribe(move |event| {
        if let Event::Misconfigured(event) = event {
            writer.lock().unwrap().push(event.error.to_string());
        }
    });
    let alone = Fallback::builder("g").fresh(MINUTE).build().unwrap();
    for _ in 0..2 {
        let good: Outcome<u32> = shared.fallback.cached("a").call(async { Ok(7) }).await;
        assert_eq!(good, Ok(7));
        assert_eq!(call(&alone, "a", Ok(7)).await, Ok(7));
        assert_eq!(call(&alone, "a", Err::<i32, _>("down")).await, Ok(7));
    }
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("write `cached(..).shared()`"), "{told:?}");
    assert!(told[1].contains("build it with `shared(true)`"), "{told:?}");
}

#[test]
fn it_is_refused_where_nothing_is_remembered() {
    let error = Fallback::builder("f").shared(true).build().unwrap_err();
    assert!(error.to_string().contains("without `fresh`"), "{error}");
}

fn change(instance: &Instance, settings: FallbackSettings, switch: Switch) {
    let shared = settings.shared(true);
    instance.fallback.reconfigure(&shared, switch);
}

fn ages(fresh: Duration, stale: Duration) -> FallbackSettings {
    FallbackSettings::new().fresh(fresh).stale(stale)
}

#[tokio::test(start_paused = true)]
async fn answers_here_and_in_the_store_are_judged_by_the_ages_in_force() {
    let store = Watched::default();
    let (one, other) = (instance(&store), instance(&store));
    one.good("a", 1).await;
    advance(10 * MINUTE).await;
    change(&other, ages(MINUTE, 5 * MINUTE), Switch::On);
    assert_eq!(other.bad::<i32>("a").await, None, "too old by now");
    change(&other, ages(20 * MINUTE, 30 * MINUTE), Switch::On);
    assert_eq!(other.bad("a").await, Some(1));
    assert_eq!(other.fallback.metrics().cached, 1);
    change(&one, ages(MINUTE, 5 * MINUTE), Switch::On);
    assert_eq!(one.bad::<i32>("a").await, None);
    change(&one, ages(MINUTE, 60 * MINUTE), Switch::On);
    assert_eq!(one.bad("a").await, Some(1));
    assert_eq!(one.fallback.metrics().stale, 1);
}

#[tokio::test(start_paused = true)]
async fn the_next_good_answer_is_kept_by_the_store_for_as_long_as_is_in_force() {
    let store = Watched::default();
    let (one, other) = (instance(&store), instance(&store));
    one.good("a", 1).await;
    let long = ages(5 * MINUTE, 600 * MINUTE);
    change(&one, long, Switch::On);
    change(&other, long, Switch::On);
    one.good("a", 2).await;
    assert_eq!(store.count("remember"), 2, "without waiting for its turn");
    advance(500 * MINUTE).await;
    assert_eq!(other.bad("a").await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn switched_off_it_asks_and_tells_the_store_nothing() {
    let store = Watched::default();
    let one = instance(&store);
    one.good("a", 1).await;
    change(&one, ages(MINUTE, MINUTE), Switch::Off);
    let asked = store.0.seen.lock().unwrap().len();
    one.good("a", 2).await;
    assert_eq!(one.bad::<i32>("a").await, None);
    assert_eq!(store.0.seen.lock().unwrap().len(), asked);
    let metrics = one.fallback.metrics();
    assert_eq!((metrics.cached, metrics.passed), (0, 0));
    change(&one, ages(MINUTE, MINUTE), Switch::On);
    assert_eq!(one.bad("a").await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_older_answers_asks_for_itself() {
    let store = Watched::default();
    let (one, other) = (instance(&store), instance(&store));
    one.good("a", 1).await;
    advance(10 * MINUTE).await;
    change(&other, ages(MINUTE, 5 * MINUTE), Switch::On);
    store.hold();
    let before = other.failing("a");
    let_others_run().await;
    change(&other, ages(MINUTE, 60 * MINUTE), Switch::On);
    let after = other.failing("a");
    let_others_run().await;
    assert_eq!(store.count("recall"), 2);
    store.release();
    assert_eq!(before.await.unwrap(), Err("down"));
    assert_eq!(after.await.unwrap(), Ok(1));
}
