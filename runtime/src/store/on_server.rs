//! Scripts on a real server, for the tests that hold them to their twins.

use steadfast_servers::{Client, Reply as Said};

use super::{Arg, PRELUDE, Reply, Script, Value};

/// Runs a script at a time of the test's own, in microseconds, or at the server's.
///
/// # Errors
/// What the server says is wrong.
pub(crate) fn eval(
    client: &mut Client,
    script: &Script,
    keys: &[Vec<u8>],
    args: &[Arg],
    now: Option<i64>,
) -> Result<Reply, String> {
    let mut words = vec![
        b"EVAL".to_vec(),
        [PRELUDE, script.lua].concat().into_bytes(),
        keys.len().to_string().into_bytes(),
    ];
    words.extend_from_slice(keys);
    words.push(now.map_or_else(Vec::new, |now| now.to_string().into_bytes()));
    words.extend(args.iter().map(|arg| match arg {
        Arg::Int(int) => int.to_string().into_bytes(),
        Arg::Bytes(bytes) => bytes.clone(),
    }));
    match client.command(&words).expect("it answers") {
        Said::Array(values) => Ok(Reply(values.into_iter().map(value).collect())),
        Said::Error(error) => Err(error),
        other => panic!("{}: {other:?}", script.name),
    }
}

fn value(said: Said) -> Value {
    match said {
        Said::Integer(int) => Value::Int(int),
        Said::Bulk(bytes) => Value::Bytes(bytes),
        other => panic!("{other:?}"),
    }
}
