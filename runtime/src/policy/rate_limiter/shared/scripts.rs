//! The decisions of shared limits in the two languages of stores.

use crate::{
    algorithm::fleet::{
        self, Adapting, Ask, Bucket, BucketState, Commit, Counters, Log, Ratio, Refunded, Rules,
        Standing, Window,
    },
    store::{Arg, Records, Script, StoreError, Value},
};

/// What comes before the calls in a reply: permits taken on top, the mark, the limit, the success share.
pub(super) const HEADER: usize = 4;
/// For each call.
pub(super) const PER_CALL: usize = 3;

macro_rules! script {
    ($NAME:ident, $name:literal, $twin:expr) => {
        pub(super) static $NAME: Script = Script {
            name: concat!("limit_", $name),
            lua: concat!(
                include_str!("lua/batch.lua"),
                include_str!(concat!("lua/", $name, ".lua"))
            ),
            twin: $twin,
        };
    };
}
script!(BUCKET, "bucket", |records, args| decide(
    records,
    args,
    3,
    |p| Bucket(ratio(p))
));
script!(WINDOW, "window", |records, args| decide(
    records,
    args,
    2,
    |p| Window {
        per: p[0],
        count: p[1],
    }
));
script!(LOG, "log", |records, args| decide(records, args, 2, |p| {
    Log {
        per: p[0],
        count: p[1],
    }
}));
script!(COUNTERS, "counters", |records, args| decide(
    records,
    args,
    3,
    |p| Counters {
        per: p[0],
        count: p[1],
        tick: p[2],
    }
));
script!(ADAPTING, "adapting", |records, args| decide(
    records,
    args,
    11,
    |p| Adapting {
        ratio: ratio(p),
        scale: p[3],
        lowest: p[4],
        interval: p[5],
        threshold: p[6],
        backoff: p[7],
        recovery: p[8],
        well: p[9],
        badly: p[10],
    }
));

/// Gives permits of a bucket back.
pub(super) static REFUND: Script = Script {
    name: "limit_refund",
    lua: include_str!("lua/refund.lua"),
    twin: refund,
};

/// Makes a limit as if unused.
pub(super) static FORGET: Script = Script {
    name: "limit_forget",
    lua: include_str!("lua/forget.lua"),
    twin: |records, _| {
        records.remove(0);
        Ok(Vec::new())
    },
};

/// The first three parameters of a bucket.
fn ratio(params: &[i64]) -> Ratio {
    Ratio {
        permit: params[0].max(1),
        pace: params[1].max(1),
        burst: params[2].max(1),
    }
}

/// Decides a batch: whether calls wait, permits to take on top, so many parameters, then the calls.
fn decide<R: Rules>(
    records: &mut Records<'_>,
    args: &[Arg],
    params: usize,
    rules: fn(&[i64]) -> R,
) -> Result<Vec<Value>, StoreError> {
    let args = ints(args)?;
    let (Some(&[waits, extra]), Some(given)) = (args.get(..2), args.get(2..2 + params)) else {
        return Err(StoreError::BadReply);
    };
    let width = if waits == 1 { 2 } else { 1 };
    let calls = args[2 + params..].chunks_exact(width).map(|call| Ask {
        cost: call[0],
        patience: call.get(1).copied().unwrap_or(0),
    });
    let (rules, now) = (rules(given), records.now());
    // A list of many entries is moved, not copied.
    let state = records.get::<Option<R::State>>(0)?.and_then(std::mem::take);
    let (decided, commit) = fleet::decide(&rules, state, now, calls, extra);
    match commit {
        Commit::Put(state, ttl) => records.put(0, Some(state), ttl.max(1)),
        Commit::Keep(state) => {
            if let Some(record) = records.get::<Option<R::State>>(0)? {
                *record = state;
            }
        }
    }
    let Standing { limit, share, mark } = decided.standing;
    let calls = decided
        .answers
        .iter()
        .flat_map(|answer| [answer.retry, answer.remaining, answer.reset]);
    let reply = [decided.granted, mark, limit, share]
        .into_iter()
        .chain(calls);
    Ok(reply.map(Value::Int).collect())
}

fn refund(records: &mut Records<'_>, args: &[Arg]) -> Result<Vec<Value>, StoreError> {
    let args = ints(args)?;
    let (Some(given), Some(&[cost, mark])) = (args.get(..3), args.get(3..5)) else {
        return Err(StoreError::BadReply);
    };
    let (now, bucket) = (records.now(), Bucket(ratio(given)));
    let state = records
        .get::<Option<BucketState>>(0)?
        .and_then(|held| *held);
    let refunded = bucket.refund(state.as_ref(), now, mark, cost);
    let back = refunded.as_ref().map_or(0, |refunded| refunded.back);
    if let Some(Refunded { state, ttl, .. }) = refunded {
        records.put(0, Some(state), ttl.max(1));
    }
    Ok(vec![Value::Int(back)])
}

fn ints(args: &[Arg]) -> Result<Vec<i64>, StoreError> {
    args.iter().map(Arg::int).collect()
}
