//! A connection's bytes, plain or encrypted.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::url::Address;
use crate::store::StoreError;

/// An open connection.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    #[cfg(feature = "redis-tls")]
    Secure(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

impl Stream {
    /// Connects to the first of the server's addresses that answers.
    pub(super) async fn open(to: &Address, patience: Duration) -> Result<TcpStream, StoreError> {
        let found = tokio::net::lookup_host((to.host.as_str(), to.port)).await;
        let addresses: Vec<_> = found.map_err(|error| unreachable(&error))?.collect();
        let mut problem = "its name has no address".to_owned();
        for address in &addresses {
            // One of several addresses that swallows everything must not use up all the time.
            let patience = patience / addresses.len() as u32;
            match tokio::time::timeout(patience, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    tune(&stream, patience);
                    return Ok(stream);
                }
                Ok(Err(error)) => problem = error.to_string(),
                Err(_) => problem = format!("no connection within {patience:?}"),
            }
        }
        Err(StoreError::Unreachable { problem })
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut into = ReadBuf::new(into);
        let read = match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, &mut into),
            #[cfg(feature = "redis-tls")]
            Self::Secure(stream) => Pin::new(stream).poll_read(cx, &mut into),
        };
        ready!(read)?;
        Poll::Ready(Ok(into.filled().len()))
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            #[cfg(feature = "redis-tls")]
            Self::Secure(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(feature = "redis-tls")]
            Self::Secure(stream) => Pin::new(stream).poll_flush(cx),
        }
    }
}

/// Small commands must not wait for one another's acknowledgement, and a dead peer must be found out.
/// Where the system knows an option not, the connection does without.
fn tune(stream: &TcpStream, patience: Duration) {
    let _ = stream.set_nodelay(true);
    let socket = socket2::SockRef::from(stream);
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(10))
        .with_interval(Duration::from_secs(3));
    let _ = socket.set_tcp_keepalive(&keepalive);
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
    let _ = socket.set_tcp_user_timeout(Some(patience.max(Duration::from_secs(2))));
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "fuchsia")))]
    let _ = patience;
}

/// What the network says.
pub(super) fn unreachable(error: &io::Error) -> StoreError {
    #[cfg(feature = "redis-tls")]
    if let Some(error) = super::tls::problem(error) {
        return error;
    }
    StoreError::Unreachable {
        problem: error.to_string(),
    }
}
