//! One job under way.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use crate::store::{Arg, Job, Reply, Script, StoreError, Value};

use super::{
    cluster::slot,
    resp::{self, Resp},
    script::Known,
};

/// A job with its deadline. Whatever way it takes, it ends in [`end`](Self::end).
#[derive(Debug)]
pub(super) struct Errand {
    job: Job,
    /// The time that it has, for its error.
    time: Duration,
    /// When it ends at the latest.
    pub(super) due: Instant,
    /// How often it was sent to another server.
    pub(super) hops: u8,
    /// Whether it was given to a connection.
    pub(super) sent: bool,
}

/// Not a script, but the shortest way to the server and back.
pub(super) static PING: Script = Script {
    name: "ping",
    lua: "",
    twin: |_, _| Ok(Vec::new()),
};

impl Errand {
    pub(super) fn new(job: Job, now: Instant, deadline: Duration) -> Self {
        let time = job.within.map_or(deadline, |within| within.min(deadline));
        // Timers are up to a millisecond late: they are set that much early.
        let early = (time / 16).min(Duration::from_millis(1));
        Self {
            due: now + (time - early),
            time,
            hops: 0,
            sent: false,
            job,
        }
    }

    /// What it runs, unless it is a [`PING`].
    pub(super) fn script(&self) -> Option<&'static Script> {
        Some(self.job.script).filter(|script| !std::ptr::eq(*script, &PING))
    }

    /// Its keys' place in a cluster.
    pub(super) fn slot(&self, prefix: &[u8]) -> Option<u16> {
        Some(slot(prefix, self.job.keys.first()?))
    }

    pub(super) fn end(self, outcome: Result<Reply, StoreError>) {
        // What a policy does with its reply must not end the thread that all policies need.
        let _ = catch_unwind(AssertUnwindSafe(|| self.job.finish(outcome)));
    }

    pub(super) fn too_late(&self) -> StoreError {
        StoreError::TimedOut {
            deadline: self.time,
        }
    }

    /// As it goes over the wire.
    pub(super) fn write(
        &self,
        known: Option<&Known>,
        by_text: bool,
        prefix: &[u8],
        out: &mut Vec<u8>,
    ) {
        let Some(known) = known else {
            return resp::command(out, &[b"PING"]);
        };
        let (keys, args) = (&self.job.keys, &self.job.args);
        resp::head(out, 4 + keys.len() + args.len());
        out.extend_from_slice(known.call(by_text));
        resp::part_int(out, keys.len() as i64);
        for key in keys {
            resp::part2(out, prefix, key);
        }
        match self.job.now {
            Some(now) => resp::part_int(out, now),
            None => resp::part(out, b""),
        }
        for arg in args {
            match arg {
                Arg::Int(int) => resp::part_int(out, *int),
                Arg::Bytes(bytes) => resp::part(out, bytes),
            }
        }
    }

    /// Takes the keys out of a server's message.
    pub(super) fn scrub(&self, error: StoreError) -> StoreError {
        let StoreError::Server { problem: mut text } = error else {
            return error;
        };
        for key in &self.job.keys {
            if let Ok(key) = std::str::from_utf8(key)
                && !key.is_empty()
            {
                text = text.replace(key, "…");
            }
        }
        StoreError::Server { problem: text }
    }
}

/// A script's reply; `None` where it is none of a script's.
pub(super) fn reply(resp: Resp) -> Option<Reply> {
    let values = match resp {
        Resp::Array(items) => items.into_iter().map(value).collect::<Option<Vec<_>>>()?,
        one => vec![value(one)?],
    };
    Some(Reply(values))
}

fn value(resp: Resp) -> Option<Value> {
    match resp {
        Resp::Int(int) => Some(Value::Int(int)),
        Resp::Bytes(bytes) | Resp::Status(bytes) => Some(Value::Bytes(bytes)),
        Resp::Nil => Some(Value::Nil),
        Resp::Error(_) | Resp::Array(_) => None,
    }
}
