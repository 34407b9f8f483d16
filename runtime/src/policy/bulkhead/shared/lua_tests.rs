//! The scripts on a real server against their twins: the same answers to the same questions at the same
//! times.

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use steadfast_servers::{Client, RedisServer};

use super::scripts::{ACQUIRE, RELEASE, RENEW};
use crate::store::{Arg, Reply, Script, Table, on_server::eval};

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
const NOW: i64 = 1_763_810_732 * SECOND + 123_457;

#[derive(Clone, Debug)]
enum Step {
    Acquire {
        limit: i64,
        ids: Vec<u32>,
    },
    Renew(Vec<u32>),
    Release(Vec<u32>),
    Pass(i64),
    /// Where the clock stands, apart from the time that passed.
    Clock(i64),
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    let ids = || {
        let set = prop::collection::btree_set(0u32..12, 0..6);
        set.prop_map(|ids| ids.into_iter().collect::<Vec<_>>())
    };
    prop_oneof![
        6 => (1i64..6, ids()).prop_map(|(limit, ids)| Step::Acquire { limit, ids }),
        3 => ids().prop_map(Step::Renew),
        3 => ids().prop_map(Step::Release),
        4 => (0i64..9 * SECOND).prop_map(Step::Pass),
        1 => prop_oneof![Just(-HOUR), Just(0), Just(HOUR)].prop_map(Step::Clock),
        1 => Just(Step::Flush),
    ]
}

/// Even numbers have a lease of ten seconds, odd ones of four.
fn holders(ids: &[u32]) -> (i64, Vec<Arg>) {
    let odd = ids.first().is_some_and(|id| id % 2 == 1);
    let lease = if odd { 4 * SECOND } else { 10 * SECOND };
    let holder = |id: &u32| {
        Arg::Bytes(
            format!(
                "{}:x.{id}",
                if id % 2 == 1 { 4 * SECOND } else { 10 * SECOND }
            )
            .into_bytes(),
        )
    };
    (lease, ids.iter().map(holder).collect())
}

struct Both {
    client: Client,
    table: Table,
    keys: Vec<Vec<u8>>,
}

impl Both {
    fn new(server: &RedisServer) -> Self {
        Self {
            client: server.client().unwrap(),
            table: Table::default(),
            keys: vec![b"{b}:holders".to_vec(), b"{b}:fence".to_vec()],
        }
    }

    fn flush(&mut self) {
        self.client.command(&["FLUSHALL"]).unwrap();
        self.table.clear();
    }

    fn by_lua(&mut self, script: &Script, args: &[Arg], now: i64) -> Result<Reply, String> {
        eval(&mut self.client, script, &self.keys, args, Some(now))
    }

    fn by_twin(&mut self, script: &Script, args: &[Arg], now: i64) -> Reply {
        Reply((script.twin)(&mut self.table.records(&self.keys, now), args).unwrap())
    }

    /// What both answer.
    fn ask(&mut self, script: &Script, args: &[Arg], now: i64) -> Result<Vec<i64>, TestCaseError> {
        let lua = self.by_lua(script, args, now);
        let lua = lua.map_err(TestCaseError::fail)?;
        prop_assert_eq!(&lua, &self.by_twin(script, args, now), "{}", script.name);
        Ok(lua.ints().unwrap())
    }
}

fn run(both: &mut Both, steps: Vec<Step>) -> Result<(), TestCaseError> {
    both.flush();
    let (mut passed, mut offset, mut highest, mut has_fence) = (0, 0, 0, false);
    for step in steps {
        let now = NOW + passed + offset;
        match step {
            Step::Acquire { limit, ids } => {
                let (lease, ids) = holders(&ids);
                let mut args = vec![Arg::Int(limit), Arg::Int(lease)];
                args.extend(ids);
                for fence in both
                    .ask(&ACQUIRE, &args, now)?
                    .into_iter()
                    .skip(2)
                    .filter(|f| *f > 0)
                {
                    prop_assert!(fence > highest && fence >= now);
                    (highest, has_fence) = (fence, true);
                }
            }
            Step::Renew(ids) => {
                let (lease, ids) = holders(&ids);
                let args: Vec<_> = [Arg::Int(lease)].into_iter().chain(ids).collect();
                both.ask(&RENEW, &args, now)?;
            }
            Step::Release(ids) => {
                both.ask(&RELEASE, &holders(&ids).1, now)?;
            }
            Step::Pass(micros) => passed += micros,
            Step::Clock(at) if has_fence || NOW + passed + at > highest => offset = at,
            Step::Flush if now > highest => {
                both.flush();
                has_fence = false;
            }
            Step::Clock(_) | Step::Flush => {}
        }
    }
    Ok(())
}

#[test]
fn both_halves_of_each_script_decide_alike() {
    let server = RedisServer::start();
    let both = std::cell::RefCell::new(Both::new(&server));
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let steps = prop::collection::vec(step(), 0..120);
    runner
        .run(&steps, |steps| run(&mut both.borrow_mut(), steps))
        .unwrap();
}

/// The server's own clock, whose keys must be gone when nothing depends on them any more.
#[test]
fn every_key_has_an_end() {
    let server = RedisServer::start();
    let mut both = Both::new(&server);
    let (lease, ids) = holders(&[0, 2]);
    let now = server.command(&["TIME"]);
    let seconds: i64 = now.items().first().unwrap().integer();
    let args: Vec<_> = [Arg::Int(2), Arg::Int(lease)]
        .into_iter()
        .chain(ids.clone())
        .collect();
    both.by_lua(&ACQUIRE, &args, seconds * SECOND).unwrap();
    for (key, most) in [
        ("{b}:holders", 10_000),
        ("{b}:fence", 3 * 3_600_000 + 1_000),
    ] {
        let ttl = server.command(&["PTTL", key]).integer();
        assert!((0..=most).contains(&ttl), "{key} {ttl}");
    }
    both.by_lua(&RELEASE, &ids, seconds * SECOND).unwrap();
    assert_eq!(server.command(&["EXISTS", "{b}:holders"]).integer(), 0);
}

#[test]
fn a_full_server_takes_back_and_renews_and_gives_nothing() {
    let server = RedisServer::start();
    let mut both = Both::new(&server);
    let acquire = |ids: &[u32]| {
        let (lease, ids) = holders(ids);
        [Arg::Int(9), Arg::Int(lease)]
            .into_iter()
            .chain(ids)
            .collect::<Vec<_>>()
    };
    both.by_lua(&ACQUIRE, &acquire(&[0, 2, 4]), NOW).unwrap();
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let refused = both.by_lua(&ACQUIRE, &acquire(&[6]), NOW + SECOND);
    assert!(
        matches!(&refused, Err(text) if text.contains("OOM") || text.contains("maxmemory")),
        "{refused:?}"
    );
    let (lease, ids) = holders(&[0, 2]);
    let renew: Vec<_> = [Arg::Int(lease)].into_iter().chain(ids).collect();
    let renewed = both.by_lua(&RENEW, &renew, NOW + SECOND);
    assert_eq!(renewed.unwrap().ints(), Ok(vec![3, 1, 1]));
    let released = both.by_lua(&RELEASE, &holders(&[2, 4, 6]).1, NOW + SECOND);
    assert_eq!(released.unwrap().ints(), Ok(vec![1, 1, 0]));
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    let again = both.by_lua(&ACQUIRE, &acquire(&[6]), NOW + SECOND);
    let again = again.unwrap().ints().unwrap();
    assert_eq!(again[0], 2, "nothing was left half done");
    assert!(again[2] > NOW);
}

#[test]
fn a_key_of_another_type_is_told_as_such_and_nothing_is_taken() {
    let server = RedisServer::start();
    let mut both = Both::new(&server);
    let (lease, ids) = holders(&[0]);
    let args: Vec<_> = [Arg::Int(9), Arg::Int(lease)]
        .into_iter()
        .chain(ids)
        .collect();
    for (key, set) in [
        ("{b}:holders", vec!["SET", "{b}:holders", "1"]),
        ("{b}:fence", vec!["SADD", "{b}:fence", "1"]),
        ("{b}:fence", vec!["SET", "{b}:fence", "x"]),
    ] {
        server.command(&["FLUSHALL"]);
        server.command(&set);
        let refused = both.by_lua(&ACQUIRE, &args, NOW);
        assert!(
            matches!(&refused, Err(text) if text.contains("WRONGTYPE")),
            "{key} {refused:?}"
        );
        assert_eq!(server.command(&["DBSIZE"]).integer(), 1);
    }
}
