//! The twins against the plainest model that can be right.

use proptest::prelude::*;

use super::step::{Reply, START, Step, field, json, steps};
use crate::store::{Table, Value};

/// A list of answers, and when all of it expires.
#[derive(Default)]
struct Model {
    list: Vec<Entry>,
    expires: i64,
}

#[derive(Clone, PartialEq, Eq)]
struct Entry {
    field: Vec<u8>,
    json: Vec<u8>,
    written: i64,
}

impl Model {
    fn run(&mut self, step: &Step, now: i64) -> Reply {
        if self.expires <= now {
            self.list.clear();
        }
        match step {
            Step::Remember {
                field: f,
                json: j,
                stale,
                most,
            } => {
                self.expires = now + (stale / 1_000 + 1) * 1_000;
                self.remember(field(*f), json(*j), *stale, *most, now);
                Ok(vec![Value::Int(self.list.len() as i64)])
            }
            Step::Recall {
                field: f,
                stale,
                known,
            } => Ok(self.recall(&field(*f), *stale, *known, now)),
            Step::Forget(None) | Step::Lose(_) => {
                // Of two records that belong together, one alone is worth nothing.
                self.list.clear();
                Ok(vec![Value::Int(1)])
            }
            Step::Forget(Some(f)) => {
                self.list.retain(|entry| entry.field != field(*f));
                Ok(vec![Value::Int(1)])
            }
            Step::Wait(_) => Ok(Vec::new()),
        }
    }

    fn remember(&mut self, field: Vec<u8>, json: Vec<u8>, stale: i64, most: i64, now: i64) {
        let in_order = |list: &mut Vec<Entry>| {
            list.sort_by(|a, b| (a.written, &a.field).cmp(&(b.written, &b.field)));
        };
        in_order(&mut self.list);
        // From the future: the nearest sixteen.
        let mut dropped = 0;
        self.list.retain(|entry| {
            let goes = entry.written > now + 1_000_000 && dropped < 16;
            dropped += usize::from(goes);
            !goes
        });
        // One at a time: the oldest of the others, as long as there are too many or it is too old.
        let own = self.list.iter().position(|e| e.field == field);
        let is_among_the_oldest = own.is_some_and(|own| own < 17);
        let mut room = self.list.len() as i64 + i64::from(own.is_none()) - most;
        let looked_at = 17 - usize::from(is_among_the_oldest);
        let others: Vec<Entry> = self
            .list
            .iter()
            .filter(|e| e.field != field)
            .cloned()
            .collect();
        for entry in others.into_iter().take(looked_at.min(16)) {
            if room > 0 || entry.written < now - stale {
                self.list.retain(|other| *other != entry);
                room -= 1;
            }
        }
        self.list.retain(|entry| entry.field != field);
        self.list.push(Entry {
            field,
            json,
            written: now,
        });
    }

    fn recall(&self, field: &[u8], stale: i64, known: i64, now: i64) -> Vec<Value> {
        let Some(entry) = self.list.iter().find(|entry| entry.field == field) else {
            return Vec::new();
        };
        match now - entry.written {
            age if age > stale || age < -1_000_000 => Vec::new(),
            age if known >= 0 && age.max(0) >= known => vec![Value::Int(age.max(0))],
            age => vec![Value::Int(age.max(0)), Value::Bytes(entry.json.clone())],
        }
    }
}

/// The twins on a table of their own.
#[derive(Default)]
pub(super) struct Twin {
    table: Table,
}

impl Twin {
    pub(super) fn keys() -> Vec<Vec<u8>> {
        vec![
            b"fallback:{twin}:answers".to_vec(),
            b"fallback:{twin}:ages".to_vec(),
        ]
    }

    pub(super) fn run(&mut self, step: &Step, now: i64) -> Reply {
        let keys = Self::keys();
        let mut records = self.table.records(&keys, now);
        if let Step::Lose(nth) = step {
            records.remove(*nth);
        }
        match step.job() {
            None => Ok(vec![Value::Int(1)]),
            Some((script, args)) => (script.twin)(&mut records, &args).map_err(|_| ()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_twins_decide_as_the_model_does(steps in steps(120)) {
        let (mut twin, mut model, mut now) = (Twin::default(), Model::default(), START);
        let mut is_one_lost = false;
        for step in steps {
            if let Step::Wait(time) = step {
                now += time;
                continue;
            }
            match step {
                Step::Lose(_) => is_one_lost = true,
                Step::Remember { .. } => is_one_lost = false,
                _ => {}
            }
            let before = model.list.len() as i64;
            let (said, expected) = (twin.run(&step, now), model.run(&step, now));
            // A bound that held keeps holding.
            if let (Step::Remember { most, .. }, Ok([Value::Int(number)])) = (&step, said.as_deref()) {
                prop_assert!(before > *most || number <= most);
            }
            match is_one_lost {
                false => prop_assert_eq!(said, expected),
                // Ages without answers, or the other way round: nothing is served.
                true => prop_assert!(said.is_ok_and(|said| said.len() < 2)),
            }
        }
    }
}

#[test]
fn the_oldest_makes_room_and_what_is_written_anew_is_the_youngest() {
    let mut twin = Twin::default();
    let put = |field, most| Step::Remember {
        field,
        json: field.into(),
        stale: 100_000_000,
        most,
    };
    let has = |twin: &mut Twin, field, now| {
        let recall = Step::Recall {
            field,
            stale: 100_000_000,
            known: -1,
        };
        !twin.run(&recall, now).unwrap_or_default().is_empty()
    };
    for (time, field) in [1, 2, 3].into_iter().enumerate() {
        drop(twin.run(&put(field, 3), START + time as i64));
    }
    drop(twin.run(&put(1, 3), START + 3));
    drop(twin.run(&put(4, 3), START + 4));
    let kept: Vec<u8> = (1..5).filter(|f| has(&mut twin, *f, START + 5)).collect();
    assert_eq!(kept, [1, 3, 4]);
    // Written at the same time as another, with the least place among them, it stays all the same.
    drop(twin.run(&put(5, 1), START + 5));
    drop(twin.run(&put(0, 1), START + 5));
    assert!(has(&mut twin, 0, START + 5) && !has(&mut twin, 5, START + 5));
}
