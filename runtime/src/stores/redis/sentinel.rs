//! Who is master, as the sentinels know it.

use crate::store::StoreError;

use super::{dial, plan::Plan, resp::Resp, url::Address};

/// Asks one sentinel after the other.
///
/// # Errors
/// None of them knows: what the last one said.
pub(super) async fn master(
    plan: &Plan,
    sentinels: &[Address],
    name: &str,
) -> Result<Address, StoreError> {
    let mut problem = StoreError::Unreachable {
        problem: "there is no sentinel".to_owned(),
    };
    // Each instance begins with another, so that one is not asked by all.
    let first = fastrand::usize(..sentinels.len().max(1));
    for place in 0..sentinels.len() {
        let sentinel = &sentinels[(first + place) % sentinels.len()];
        let patience = plan.patience_with_sentinels() / sentinels.len().min(3) as u32;
        match tokio::time::timeout(patience, ask(plan, sentinel, name)).await {
            Ok(Ok(master)) => return Ok(master),
            Ok(Err(error)) => problem = error,
            Err(_) => problem = no_answer(),
        }
    }
    Err(problem)
}

async fn ask(plan: &Plan, sentinel: &Address, name: &str) -> Result<Address, StoreError> {
    let mut wire = dial::open(plan, sentinel).await?;
    let question: [&[u8]; 3] = [b"SENTINEL", b"get-master-addr-by-name", name.as_bytes()];
    let mut answer = wire.ask(&question).await?;
    // Most sentinels want no password; those that do get that of the servers.
    if let (Resp::Error(text), Some(login)) = (&answer, &plan.login)
        && text.starts_with("NOAUTH")
    {
        dial::log_in(&mut wire, login).await?;
        answer = wire.ask(&question).await?;
    }
    let address = match answer {
        Resp::Array(parts) => address(&parts, sentinel),
        Resp::Error(text) => return Err(dial::refusal(&text)),
        _ => None,
    };
    address.ok_or_else(|| StoreError::Unreachable {
        problem: "a sentinel knows no master of that name".to_owned(),
    })
}

fn address(parts: &[Resp], sentinel: &Address) -> Option<Address> {
    let [Resp::Bytes(host), Resp::Bytes(port)] = parts else {
        return None;
    };
    let host = match String::from_utf8(host.clone()).ok()? {
        host if host.is_empty() => sentinel.host.clone(),
        host => host,
    };
    let port = std::str::from_utf8(port).ok()?.parse().ok()?;
    Some(Address { host, port })
}

fn no_answer() -> StoreError {
    StoreError::Unreachable {
        problem: "a sentinel did not answer".to_owned(),
    }
}
