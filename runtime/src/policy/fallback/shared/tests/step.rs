//! What is asked of a store, at random.

use proptest::prelude::*;

use crate::{
    policy::fallback::shared::script::{FORGET, RECALL, REMEMBER},
    store::{Arg, Script},
};

/// In microseconds.
pub(super) const SECOND: i64 = 1_000_000;
pub(super) const START: i64 = 1_763_812_345_678_901;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Remember {
        field: u8,
        json: u16,
        stale: i64,
        most: i64,
    },
    Recall {
        field: u8,
        stale: i64,
        known: i64,
    },
    Forget(Option<u8>),
    /// The clock moves, also back.
    Wait(i64),
    /// The server evicts one of the two keys.
    Lose(usize),
}

pub(super) fn field(field: u8) -> Vec<u8> {
    // What separates a type from a key, and bytes that are no text.
    [b"t\0".as_slice(), &[field, 0xff]].concat()
}

pub(super) fn json(json: u16) -> Vec<u8> {
    format!("{{\"price\":{json}}}\0\r\n").into_bytes()
}

impl Step {
    /// As a run of a script.
    pub(super) fn job(&self) -> Option<(&'static Script, Vec<Arg>)> {
        Some(match self {
            Self::Remember {
                field: f,
                json: j,
                stale,
                most,
            } => (
                &REMEMBER,
                vec![
                    Arg::Bytes(field(*f)),
                    Arg::Bytes(json(*j)),
                    Arg::Int(*stale),
                    Arg::Int(*most),
                ],
            ),
            Self::Recall {
                field: f,
                stale,
                known,
            } => (
                &RECALL,
                vec![Arg::Bytes(field(*f)), Arg::Int(*stale), Arg::Int(*known)],
            ),
            Self::Forget(f) => (&FORGET, vec![Arg::Bytes(f.map(field).unwrap_or_default())]),
            Self::Wait(_) | Self::Lose(_) => return None,
        })
    }
}

/// Ages from a minute on: less passes in a test that runs slowly on a real server.
fn stale() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => Just(100 * SECOND),
        1 => 60 * SECOND..200 * SECOND,
        1 => Just(3_155_760_000_000_000),
    ]
}

pub(super) fn steps(number: usize) -> impl Strategy<Value = Vec<Step>> {
    let most = prop_oneof![4 => Just(5_i64), 2 => 1_i64..40, 1 => Just(1_i64)];
    let step = prop_oneof![
        8 => (0_u8..40, any::<u16>(), stale(), most)
            .prop_map(|(field, json, stale, most)| Step::Remember { field, json, stale, most }),
        6 => (0_u8..40, stale(), prop_oneof![Just(-1), Just(0), 0..200 * SECOND])
            .prop_map(|(field, stale, known)| Step::Recall { field, stale, known }),
        1 => proptest::option::weighted(0.9, 0_u8..40).prop_map(Step::Forget),
        3 => prop_oneof![
            Just(0), Just(1), Just(100 * SECOND), Just(100 * SECOND + 1),
            0..SECOND, 0..30 * SECOND, 0..300 * SECOND,
            -2 * SECOND..0, Just(-SECOND), Just(-SECOND - 1), Just(-3_600 * SECOND),
        ].prop_map(Step::Wait),
        1 => (0_usize..2).prop_map(Step::Lose),
    ];
    proptest::collection::vec(step, 1..number)
}

/// Both scripts give an empty reply where there is nothing, and the model says so with this.
pub(super) type Reply = Result<Vec<crate::store::Value>, ()>;
