#![deny(warnings, clippy::all, clippy::pedantic)]
//! x
use steadfast::{fallback, timeout, Rejection};

#[derive(Debug, thiserror::Error)]
enum QuoteError {
    #[error("down")]
    Down,
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

#[timeout("2s")]
async fn plain(symbol: &str) -> Result<usize, QuoteError> {
    if symbol.is_empty() {
        return Err(QuoteError::Down);
    }
    let n: usize = symbol.parse().map_err(|_| QuoteError::Down)?;
    Ok(n)
}

#[fallback(|error| other(symbol, &error).await)]
#[timeout("2s")]
async fn answered(symbol: &str, owned: String) -> Result<usize, QuoteError> {
    let n: usize = symbol.parse().map_err(|_| QuoteError::Down)?;
    drop(owned);
    Ok(n)
}

#[allow(clippy::unused_async)]
async fn other(symbol: &str, _: &QuoteError) -> Result<usize, QuoteError> {
    Ok(symbol.len())
}

#[fallback(default)]
fn sync(symbol: &str) -> Result<usize, String> {
    let n: usize = symbol.parse().map_err(|_| "bad".to_owned())?;
    Ok(n)
}

#[fallback(stale)]
fn path(symbol: &str) -> Result<usize, String> {
    let n: usize = symbol.parse().map_err(|_| "bad".to_owned())?;
    Ok(n)
}

#[allow(clippy::unnecessary_wraps)]
fn stale(_: &str, _: String) -> Result<usize, String> {
    Ok(1)
}

#[fallback(cache(key = symbol, fresh = "5m", stale = "1h"), value = 5)]
async fn cached(symbol: &str) -> Result<usize, QuoteError> {
    let n: usize = symbol.parse().map_err(|_| QuoteError::Down)?;
    Ok(n)
}

#[tokio::test]
async fn runs() {
    assert_eq!(plain("5").await.unwrap(), 5);
    assert_eq!(answered("xyz", String::new()).await.unwrap(), 3);
    assert_eq!(sync("xyz"), Ok(0));
    assert_eq!(path("xyz"), Ok(1));
    assert_eq!(cached("7").await.unwrap(), 7);
    assert_eq!(cached("xyz").await.unwrap(), 5);
    tokio::spawn(answered("xyz", String::new())).await.unwrap().unwrap();
}
