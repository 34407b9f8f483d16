//! The final table: both runs, side by side.

use crate::day::{self, Weather};
use crate::report::{Answer, Report};
use crate::screen::{LATE, Screen};
use std::fmt::Display;
use std::io;
use std::time::Duration;

/// The first column is the run without protection.
pub(crate) fn show(screen: &mut Screen, runs: [&Report; 2]) -> io::Result<()> {
    screen.title("Both runs, side by side")?;
    row(screen, "", ["unprotected", "protected"])?;
    answers(screen, runs)?;
    screen.text("")?;
    latencies(screen, runs)?;
    screen.text("")?;
    requests(screen, runs)?;
    screen.text("")?;
    costs(screen, runs)
}

fn answers(screen: &mut Screen, runs: [&Report; 2]) -> io::Result<()> {
    let count = |answer| runs.map(|run| run.answers(answer));
    row(screen, "calls", runs.map(|run| run.calls.len()))?;
    row(
        screen,
        "answered",
        runs.map(|run| share(run.answered(), run)),
    )?;
    row(screen, "  good: by the service", count(Answer::Service))?;
    row(
        screen,
        "  good: from the cache, at most 1 s old",
        count(Answer::Cache),
    )?;
    row(
        screen,
        "  stale: from the cache, marked so",
        count(Answer::Stale),
    )?;
    row(
        screen,
        "  fallback: yesterday's close, marked so",
        count(Answer::Fallback),
    )?;
    row(
        screen,
        "failed",
        runs.map(|run| share(run.answers(Answer::Failed), run)),
    )
}

fn latencies(screen: &mut Screen, runs: [&Report; 2]) -> io::Result<()> {
    row(
        screen,
        "latency, p50",
        runs.map(|run| time(run.latency(50))),
    )?;
    row(
        screen,
        "         p99",
        runs.map(|run| time(run.latency(99))),
    )?;
    row(
        screen,
        "waited longer than half a second",
        runs.map(|run| run.slower_than(LATE)),
    )
}

fn requests(screen: &mut Screen, runs: [&Report; 2]) -> io::Result<()> {
    let sent_while = |weather| runs.map(|run| run.sent_while(weather));
    row(screen, "retries", runs.map(|run| run.retries))?;
    row(screen, "refusals", runs.map(|run| run.refused))?;
    row(
        screen,
        "requests that reached the service (its count)",
        runs.map(|run| run.received),
    )?;
    row(
        screen,
        "  sent while it was slow",
        sent_while(Weather::Slow),
    )?;
    row(
        screen,
        "requests to its closed port while it was down",
        sent_while(Weather::Down),
    )?;
    let outage = format!(
        "  so it was hammered, of {}",
        time(day::time_spent(Weather::Down))
    );
    row(screen, &outage, runs.map(|run| time(run.hammered())))
}

/// What protection costs.
fn costs(screen: &mut Screen, runs: [&Report; 2]) -> io::Result<()> {
    let morning = |percent| runs.map(|run| time(run.morning_latency(percent)));
    let throughput = runs.map(|run| format!("{:.0}", run.morning_throughput()));
    row(
        screen,
        "in the healthy morning: answers a second",
        throughput,
    )?;
    row(screen, "                        latency, p50", morning(50))?;
    row(screen, "                        latency, p99", morning(99))?;
    row(
        screen,
        "back up: its first answer after",
        runs.map(|run| time(run.recovery())),
    )
}

fn row(screen: &mut Screen, label: &str, cells: [impl Display; 2]) -> io::Result<()> {
    let [without, with] = cells.map(|cell| cell.to_string());
    screen.text(&format!("  {label:<47}  {without:>14}  {with:>14}"))
}

fn share(part: usize, run: &Report) -> String {
    format!(
        "{part} ({:.1} %)",
        100.0 * part as f64 / run.calls.len() as f64
    )
}

fn time(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{:.1} ms", time.as_secs_f64() * 1e3)
    } else {
        format!("{:.2} s", time.as_secs_f64())
    }
}
