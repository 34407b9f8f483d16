//! The script on a real server against its twin: the same answers to the same reports at the same times.

use std::cell::{Cell, RefCell};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use steadfast_servers::RedisServer;

use super::script::{EXCHANGE, answer, args};
use crate::{
    algorithm::fleet_circuit::brute::{rules, said, step},
    store::{Reply, Table, on_server::eval},
};

#[test]
fn the_script_and_its_twin_answer_alike() {
    let server = RedisServer::start();
    let client = RefCell::new(server.client().unwrap());
    let key = Cell::new(0_u32);
    let config = Config {
        cases: 60,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    // Other settings come in the middle, and both sides must make the same of what is there.
    let steps = (
        prop::collection::vec(rules(), 1..4),
        prop::collection::vec((step(), said(), prop::bool::weighted(0.1)), 1..120),
    );
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&steps, |(rules, steps)| {
        let mut client = client.borrow_mut();
        key.set(key.get() + 1);
        let keys = vec![key.get().to_string().into_bytes()];
        let (mut table, mut now) = (Table::default(), 1_700_000_000_000_000_i64);
        let (mut generation, mut epoch, mut numbers) = (now, 0, Vec::new());
        let mut all = rules.iter().cycle();
        let mut rules = all.next();
        for (step, said, reload) in steps {
            if reload {
                rules = all.next();
            }
            let report = said.report(generation, epoch, &mut numbers);
            let args = args(rules.unwrap(), &report);
            let twin = (EXCHANGE.twin)(&mut table.records(&keys, now), &args).unwrap();
            let lua = eval(&mut client, &EXCHANGE, &keys, &args, Some(now)).unwrap();
            prop_assert_eq!(&lua, &Reply(twin));
            let answer = answer(&lua).unwrap();
            (generation, epoch) = (answer.generation, answer.epoch);
            // Not beyond the life of a record: the server's goes by a clock that is not the test's.
            now += step.clamp(-1_000_000_000, 1_000_000_000);
        }
        let ttl = client.command(&[b"PTTL".to_vec(), keys[0].clone()]);
        prop_assert!(ttl.unwrap().integer() > 0, "written without an end");
        Ok(())
    });
    outcome.unwrap();
}
