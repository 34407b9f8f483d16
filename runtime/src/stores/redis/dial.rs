//! How a connection is made, and proven to be of use.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use crate::store::StoreError;

use super::{
    fault::{Fault, fault},
    plan::Plan,
    resp::Resp,
    script::Known,
    sentinel,
    stream::Stream,
    url::{Address, Login},
    wire::Wire,
};

/// How a server is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// By its address.
    At(Address),
    /// By its sentinels, anew each time.
    Sentinels {
        sentinels: Vec<Address>,
        master: String,
    },
}

/// Makes a connection after a while, and proves that its server does what is asked of it.
///
/// # Errors
/// It could not be made in time, or the server is of no use.
pub(super) async fn dial(
    plan: Rc<Plan>,
    route: Route,
    scripts: Vec<Rc<Known>>,
    wait: Duration,
) -> Result<Wire, StoreError> {
    tokio::time::sleep(wait).await;
    let patience = plan.patience() + plan.patience_with_sentinels();
    match tokio::time::timeout(patience, connect(&plan, &route, &scripts)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(StoreError::Unreachable {
            problem: format!("no answer within {patience:?}"),
        }),
    }
}

async fn connect(plan: &Plan, route: &Route, scripts: &[Rc<Known>]) -> Result<Wire, StoreError> {
    let address = match route {
        Route::At(address) => address.clone(),
        Route::Sentinels { sentinels, master } => sentinel::master(plan, sentinels, master).await?,
    };
    let mut wire = open(plan, &address).await?;
    if let Some(login) = &plan.login {
        log_in(&mut wire, login).await?;
    }
    if plan.db > 0 {
        select(&mut wire, plan.db).await?;
    }
    if matches!(route, Route::Sentinels { .. }) {
        check_role(&mut wire).await?;
    }
    prove(plan, &mut wire).await?;
    load(&mut wire, scripts).await?;
    Ok(wire)
}

/// A connection, and nothing more.
pub(super) async fn open(plan: &Plan, address: &Address) -> Result<Wire, StoreError> {
    let stream = Stream::open(address, plan.patience()).await?;
    #[cfg(feature = "redis-tls")]
    let stream = match &plan.tls {
        Some(tls) => {
            let patience = plan.patience() * 3 / 4;
            let secure = tokio::time::timeout(patience, tls.secure(stream, address));
            secure.await.unwrap_or_else(|_| {
                // Not an error of the encryption: whoever is merely away is soon tried again.
                Err(StoreError::Unreachable {
                    problem: "no answer to the TLS handshake: is it a `redis://` server?"
                        .to_owned(),
                })
            })?
        }
        None => Stream::Plain(stream),
    };
    #[cfg(not(feature = "redis-tls"))]
    let stream = Stream::Plain(stream);
    Ok(Wire::new(stream, Instant::now()))
}

pub(super) async fn log_in(wire: &mut Wire, login: &Login) -> Result<(), StoreError> {
    let password = login.password.as_bytes();
    let answer = match &login.user {
        Some(user) => wire.ask(&[b"AUTH", user.as_bytes(), password]).await?,
        None => wire.ask(&[b"AUTH", password]).await?,
    };
    match answer {
        Resp::Status(_) => Ok(()),
        Resp::Error(text) => Err(match fault(&text) {
            Fault::Away(StoreError::NotReady { problem }) => StoreError::NotReady { problem },
            // In words of our own: nobody knows what else a server may repeat.
            _ if text.starts_with("WRONGPASS") => StoreError::Login {
                problem: "wrong user or password".to_owned(),
            },
            _ if text.contains("without any password") => StoreError::Login {
                problem: "the server has no password: write the URL without one".to_owned(),
            },
            _ => StoreError::Login {
                problem: "it does not take this user and password".to_owned(),
            },
        }),
        _ => Err(StoreError::BadReply),
    }
}

async fn select(wire: &mut Wire, db: u32) -> Result<(), StoreError> {
    match wire.ask(&[b"SELECT", db.to_string().as_bytes()]).await? {
        Resp::Error(text) if text.contains("out of range") => Err(StoreError::BadUrl {
            problem: "the server has no database of that number".to_owned(),
        }),
        Resp::Error(text) => Err(refusal(&text)),
        _ => Ok(()),
    }
}

/// Sentinels may tell of a master that is none any more.
async fn check_role(wire: &mut Wire) -> Result<(), StoreError> {
    match wire.ask(&[b"ROLE"]).await? {
        Resp::Array(parts) => match parts.first() {
            Some(Resp::Bytes(role)) if role == b"master" => Ok(()),
            _ => Err(StoreError::NotReady {
                problem: "the sentinels tell of a server that is not master".to_owned(),
            }),
        },
        // A user that may not ask: whether it takes writes is seen next.
        Resp::Error(text) if matches!(fault(&text), Fault::Plain(StoreError::Forbidden { .. })) => {
            Ok(())
        }
        Resp::Error(text) => Err(refusal(&text)),
        _ => Err(StoreError::BadReply),
    }
}

/// One round trip to the server itself, with a write that changes nothing: a replica answers a PING as
/// well. A cluster's servers do not have all keys; they are asked for their table later.
async fn prove(plan: &Plan, wire: &mut Wire) -> Result<(), StoreError> {
    let key = [&plan.prefix[..], b"probe"].concat();
    let start = Instant::now();
    let answer = if plan.is_cluster() {
        wire.ask(&[b"PING"]).await?
    } else {
        wire.ask(&[b"PERSIST", &key]).await?
    };
    wire.round_trip = start.elapsed();
    match answer {
        Resp::Error(text) => match fault(&text) {
            // It answers, and what its user may do will be seen.
            Fault::Plain(StoreError::Forbidden { .. }) => Ok(()),
            _ => Err(refusal(&text)),
        },
        _ => Ok(()),
    }
}

/// Loads the scripts seen so far, so that the calls that wait need not bring them. A user that may not
/// load scripts does without.
async fn load(wire: &mut Wire, scripts: &[Rc<Known>]) -> Result<(), StoreError> {
    for known in scripts {
        wire.say(&[b"SCRIPT", b"LOAD", &known.text]);
    }
    for script in 0..scripts.len() {
        if let Resp::Bytes(_) = wire.answer().await? {
            wire.has_loaded(script);
        }
    }
    Ok(())
}

/// Why a server that answers is of no use.
pub(super) fn refusal(text: &str) -> StoreError {
    match fault(text) {
        Fault::Away(error) | Fault::Plain(error) | Fault::TryAgain(error) => error,
        Fault::Moved { .. } | Fault::Ask { .. } => part_of_a_cluster(),
        Fault::NoScript => StoreError::BadReply,
    }
}

pub(super) fn part_of_a_cluster() -> StoreError {
    StoreError::BadUrl {
        problem: "the server is one of a cluster: write `redis+cluster://`".to_owned(),
    }
}
