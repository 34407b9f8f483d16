//! The final table: both runs, side by side.

use crate::day::{self, Weather};
use crate::report::{Answer, Report};
use crate::rush::{Rush, Speed};
use crate::screen::Screen;
use std::fmt::Display;
use std::io;
use std::time::Duration;

pub(crate) struct Table<'a> {
    pub(crate) screen: &'a mut Screen,
    pub(crate) unprotected: &'a Report,
    pub(crate) protected: &'a Report,
    pub(crate) rush: &'a Rush,
}

impl Table<'_> {
    pub(crate) fn show(&mut self) -> io::Result<()> {
        self.screen.title("Both runs, side by side")?;
        self.line("", "unprotected", "protected")?;
        self.answers()?;
        self.screen.text("")?;
        self.latencies()?;
        self.screen.text("")?;
        self.requests()?;
        self.screen.text("")?;
        self.costs()?;
        self.screen.text("")?;
        self.full_speed()
    }

    fn answers(&mut self) -> io::Result<()> {
        let good = |run: &Report| run.answers(Answer::Service) - run.late();
        self.row("calls", |run| run.calls.len())?;
        self.row("answered", |run| share(run.answered(), run))?;
        self.row("  good: by the service", good)?;
        self.row("  good: from the cache, at most 1 s old", |run| {
            run.answers(Answer::Cache)
        })?;
        self.row("  late: by the service, after over 0.5 s", Report::late)?;
        self.row("  stale: from the cache, marked so", |run| {
            run.answers(Answer::Stale)
        })?;
        self.row("  fallback: yesterday's close, marked so", |run| {
            run.answers(Answer::Fallback)
        })?;
        self.row("failed", |run| share(run.answers(Answer::Failed), run))
    }

    fn latencies(&mut self) -> io::Result<()> {
        self.row("latency, p50", |run| time(run.latency(50)))?;
        self.row("         p99", |run| time(run.latency(99)))?;
        self.row("         longest", |run| time(run.latency(100)))
    }

    fn requests(&mut self) -> io::Result<()> {
        let hammered = format!("  hammered so, of {}", time(day::time_spent(Weather::Down)));
        self.row("retries", |run| run.retries)?;
        self.row("refusals", |run| run.refused)?;
        self.row("requests that reached the service (its count)", |run| {
            run.received
        })?;
        self.row("  sent while it was slow", |run| {
            run.sent_while(Weather::Slow)
        })?;
        self.row("requests to its closed port while it was down", |run| {
            run.sent_while(Weather::Down)
        })?;
        self.row(&hammered, |run| time(run.hammered()))
    }

    /// What protection costs.
    fn costs(&mut self) -> io::Result<()> {
        self.row("in the healthy morning: answers a second", |run| {
            format!("{:.0}", run.morning_throughput())
        })?;
        self.row("                        latency, p50", |run| {
            time(run.morning_latency(50))
        })?;
        self.row("                        latency, p99", |run| {
            time(run.morning_latency(99))
        })?;
        self.row("back up: its first answer after", |run| {
            time(run.recovery())
        })
    }

    /// Rates of this machine, and what protection takes off them.
    fn full_speed(&mut self) -> io::Result<()> {
        let rate = |speed: &Speed| format!("{:.0}", speed.per_second());
        let (without, with) = (rate(&self.rush.unprotected), rate(&self.rush.protected));
        let label = "healthy, at full speed: answers a second";
        self.line(label, without, with)?;
        let ratio = format!("{:.2} ×", self.rush.ratio());
        self.line("                        beside unprotected", "", ratio)
    }

    fn row<C: Display>(&mut self, label: &str, cell: impl Fn(&Report) -> C) -> io::Result<()> {
        self.line(label, cell(self.unprotected), cell(self.protected))
    }

    fn line(&mut self, label: &str, left: impl Display, right: impl Display) -> io::Result<()> {
        let (left, right) = (left.to_string(), right.to_string());
        self.screen
            .text(&format!("  {label:<47}  {left:>14}  {right:>14}"))
    }
}

fn share(part: usize, run: &Report) -> String {
    let percent = 100.0 * part as f64 / run.calls.len() as f64;
    format!("{part} ({percent:.1} %)")
}

fn time(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{:.1} ms", time.as_secs_f64() * 1e3)
    } else {
        format!("{:.2} s", time.as_secs_f64())
    }
}
