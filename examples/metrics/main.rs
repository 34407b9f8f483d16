//! A shop whose supplier has bad minutes, and what Prometheus sees of it.
//!
//! cargo run --example metrics
//! cargo run --example metrics -- --port 0 --seconds 20
//!
//! Then `curl http://127.0.0.1:9464/metrics`, or have a Prometheus scrape it. The dashboard and the alerts
//! for it are in `observability/`.

mod exporter;
mod shop;

use exporter::Exporter;
use lexopt::Arg;
use std::error::Error;
use std::time::Duration;

/// Where OpenTelemetry's exporters for Prometheus listen.
const PORT: u16 = 9464;

struct Args {
    port: u16,
    /// For ever, if it is not said.
    seconds: Option<u64>,
}

impl Args {
    fn parse() -> Result<Self, lexopt::Error> {
        let mut args = Self {
            port: PORT,
            seconds: None,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(arg) = parser.next()? {
            use lexopt::ValueExt;
            match arg {
                Arg::Long("port") => args.port = parser.value()?.parse()?,
                Arg::Long("seconds") => args.seconds = Some(parser.value()?.parse()?),
                Arg::Short('h') | Arg::Long("help") => {
                    println!(
                        "cargo run --example metrics [-- --port <port, 0: any>] [--seconds <how long>]"
                    );
                    std::process::exit(0);
                }
                arg => return Err(arg.unexpected()),
            }
        }
        Ok(args)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse()?;
    let exporter = Exporter::serve(args.port)?;
    // Shows what has not been called yet, too.
    let _ = steadfast::registry().snapshot();
    println!("http://127.0.0.1:{}/metrics", exporter.port());
    let day = shop::open();
    match args.seconds {
        None => day.await,
        Some(seconds) => {
            let _ = tokio::time::timeout(Duration::from_secs(seconds), day).await;
            steadfast::metrics::publish();
            print!("{}", exporter.render());
        }
    }
    Ok(())
}
