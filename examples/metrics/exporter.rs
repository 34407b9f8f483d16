//! The recorder, and `/metrics`. A real service answers that on a route of its own web framework, or has the
//! exporter listen by itself (its feature `http-listener`).

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;
use steadfast::metrics::SERIES;

/// What has been recorded, served on a loopback port by a thread of its own.
pub(crate) struct Exporter {
    port: u16,
    handle: PrometheusHandle,
}

impl Exporter {
    /// Installs the recorder and listens: before the first call.
    pub(crate) fn serve(port: u16) -> Result<Self, Box<dyn Error>> {
        let mut builder = PrometheusBuilder::new();
        // Without buckets, the exporter makes quantiles of a histogram, which cannot be added up.
        for series in SERIES.iter().filter(|series| !series.buckets.is_empty()) {
            let name = Matcher::Full(series.name.to_owned());
            builder = builder.set_buckets_for_metric(name, series.buckets)?;
        }
        let handle = builder.install_recorder()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let port = listener.local_addr()?.port();
        thread::spawn({
            let handle = handle.clone();
            move || {
                listener
                    .incoming()
                    .flatten()
                    .for_each(|stream| answer(stream, &handle))
            }
        });
        thread::spawn({
            let handle = handle.clone();
            // Keeps what histograms are told from piling up while nobody scrapes.
            move || loop {
                thread::sleep(Duration::from_secs(5));
                handle.run_upkeep();
            }
        });
        Ok(Self { port, handle })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn render(&self) -> String {
        self.handle.render()
    }
}

fn answer(stream: TcpStream, handle: &PrometheusHandle) {
    if let Err(error) = try_answer(&stream, handle) {
        eprintln!("a scrape failed: {error}");
    }
}

fn try_answer(mut stream: &TcpStream, handle: &PrometheusHandle) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut head = BufReader::new(stream).lines();
    let request = head.next().transpose()?.unwrap_or_default();
    while head
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let (status, body) = match request.starts_with("GET /metrics ") {
        true => ("200 OK", handle.render()),
        false => ("404 Not Found", "it is at /metrics\n".to_owned()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
