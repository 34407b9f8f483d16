//! A `&mut self` method is retried as it stands, and may mend the connection before each attempt.
//!
//! cargo run --example mut_self

use std::io::{Error, ErrorKind};
use steadfast::{RetryEvent, retry};

#[derive(Debug, Default)]
struct Connection {
    broken: bool,
    reconnects: u32,
    sent: Vec<String>,
}

impl Connection {
    /// `on_retry` sees `self` and the parameters, and may await.
    #[retry(
        max_attempts = 3,
        base_delay = "50ms",
        on_retry = |event| self.reconnect(event).await
    )]
    async fn send(&mut self, message: &str) -> Result<usize, Error> {
        if self.broken {
            return Err(ErrorKind::BrokenPipe.into());
        }
        self.sent.push(message.to_owned());
        Ok(self.sent.len())
    }

    async fn reconnect(&mut self, event: &RetryEvent) {
        println!("  attempt {} failed, reconnecting", event.attempt);
        self.reconnects += 1;
        self.broken = false;
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut connection = Connection::default();
    println!("message {}", connection.send("hello").await?);

    connection.broken = true;
    println!("The connection breaks.");
    println!("message {}", connection.send("are you still there?").await?);

    println!("{connection:?}");
    Ok(())
}
