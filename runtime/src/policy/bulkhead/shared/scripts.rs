//! What is asked of the store.
//!
//! Each takes the holders' key and, where it gives places, that of the fencing number; then the arguments
//! that its Rust half names.

use std::time::Duration;

use crate::{
    algorithm::{
        desk::Granted,
        holders::{Fence, Holder, Holders},
    },
    store::{Arg, Records, Reply, Script, StoreError, Value, int},
};

/// `limit, lease, holder..` gives `in flight, first end, fence or zero..`.
pub(super) static ACQUIRE: Script = Script {
    name: "bulkhead_acquire",
    lua: concat!(include_str!("holders.lua"), include_str!("acquire.lua")),
    twin: acquire,
};

/// `lease, holder..` gives `in flight, one or zero..`.
pub(super) static RENEW: Script = Script {
    name: "bulkhead_renew",
    lua: concat!(include_str!("holders.lua"), include_str!("renew.lua")),
    twin: renew,
};

/// `holder..` gives `one or zero..`.
pub(super) static RELEASE: Script = Script {
    name: "bulkhead_release",
    lua: include_str!("release.lua"),
    twin: release,
};

const HOLDERS: usize = 0;
const FENCE: usize = 1;

fn acquire(records: &mut Records<'_>, args: &[Arg]) -> Result<Vec<Value>, StoreError> {
    let (limit, lease, now) = (int(args, 0)?, int(args, 1)?, records.now());
    let asking = holders(args, 2)?;
    let mut fence = records.get::<Fence>(FENCE)?.copied().unwrap_or_default();
    let mut held = held(records)?;
    let acquired = held.acquire(&mut fence, now, limit, lease, &asking);
    if acquired.fences.iter().any(Option::is_some) {
        records.put(FENCE, fence, fence.kept(now));
    }
    keep(records, held);
    let fences = acquired.fences.into_iter().map(Option::unwrap_or_default);
    let head = [acquired.in_flight, acquired.first_end];
    Ok(head.into_iter().chain(fences).map(Value::Int).collect())
}

fn renew(records: &mut Records<'_>, args: &[Arg]) -> Result<Vec<Value>, StoreError> {
    let (lease, now) = (int(args, 0)?, records.now());
    let mut held = held(records)?;
    let renewed = held.renew(now, lease, &holders(args, 1)?);
    let in_flight = held.len();
    keep(records, held);
    let renewed = renewed.into_iter().map(i64::from);
    let values = [in_flight].into_iter().chain(renewed);
    Ok(values.map(Value::Int).collect())
}

fn release(records: &mut Records<'_>, args: &[Arg]) -> Result<Vec<Value>, StoreError> {
    let now = records.now();
    let mut held = held(records)?;
    let released = held.release(now, &holders(args, 0)?);
    keep(records, held);
    Ok(released.into_iter().map(|r| Value::Int(r.into())).collect())
}

fn held(records: &mut Records<'_>) -> Result<Holders, StoreError> {
    Ok(records
        .get::<Holders>(HOLDERS)?
        .cloned()
        .unwrap_or_default())
}

fn keep(records: &mut Records<'_>, held: Holders) {
    match held.kept(records.now()) {
        0 => records.remove(HOLDERS),
        kept => records.put(HOLDERS, held, kept),
    }
}

fn holders(args: &[Arg], from: usize) -> Result<Vec<Holder>, StoreError> {
    let holder = |arg: &Arg| arg.bytes().map(<[u8]>::to_vec);
    args.iter().skip(from).map(holder).collect()
}

/// What [`ACQUIRE`] gave to so many.
pub(super) fn granted(reply: &Reply, asked: usize) -> Result<Granted, StoreError> {
    let ints = all(reply, asked + 2)?;
    let fences = ints
        .iter()
        .skip(2)
        .map(|&fence| match u64::try_from(fence) {
            Ok(0) | Err(_) => None,
            Ok(fence) => Some(fence),
        });
    Ok(Granted {
        fences: fences.collect(),
        in_flight: number(ints.first()),
        first_end: Duration::from_micros(ints.get(1).map_or(0, |&end| end.max(0).unsigned_abs())),
    })
}

/// What [`RENEW`] gave to so many.
pub(super) fn renewed(reply: &Reply, asked: usize) -> Result<(u32, Vec<bool>), StoreError> {
    let ints = all(reply, asked + 1)?;
    let renewed = ints.iter().skip(1).map(|&renewed| renewed == 1);
    Ok((number(ints.first()), renewed.collect()))
}

/// What [`RELEASE`] gave to so many.
pub(super) fn released(reply: &Reply, asked: usize) -> Result<Vec<bool>, StoreError> {
    let ints = all(reply, asked)?;
    Ok(ints.into_iter().map(|released| released == 1).collect())
}

fn all(reply: &Reply, expected: usize) -> Result<Vec<i64>, StoreError> {
    let ints = reply.ints()?;
    match ints.len() == expected {
        true => Ok(ints),
        false => Err(StoreError::BadReply),
    }
}

fn number(int: Option<&i64>) -> u32 {
    let int = int.copied().unwrap_or(0).max(0);
    u32::try_from(int).unwrap_or(u32::MAX)
}
