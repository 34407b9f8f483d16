//! The output: a line every half a second, and what came of it.

use crate::{
    fleet::{Calls, Happening},
    report::Finding,
};
use std::{
    io::{self, Write},
    time::Duration,
};

pub(crate) struct Screen(io::Stdout);

impl Screen {
    pub(crate) fn new() -> Self {
        Self(io::stdout())
    }

    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.0, "{text}")
    }

    pub(crate) fn head(&mut self) -> io::Result<()> {
        writeln!(
            self.0,
            "    time   to the partner   the workers' calls: good  failed  limited  circuit open"
        )
    }

    pub(crate) fn chapter(&mut self, at: Duration, title: &str) -> io::Result<()> {
        writeln!(self.0, "{:7.1}s  ── {title}", at.as_secs_f64())
    }

    /// Half a second: what reached the partner, and what the workers say.
    pub(crate) fn line(
        &mut self,
        at: Duration,
        came: usize,
        Calls([good, failed, limited, open]): Calls,
        news: &[Happening],
    ) -> io::Result<()> {
        let time = at.as_secs_f64();
        let a_second = 2 * came;
        let bar = "#".repeat(a_second.div_ceil(10).min(30));
        write!(
            self.0,
            "{time:7.1}s  {a_second:4}/s {bar:14} {good:24}  {failed:6}  {limited:7}  {open:12}"
        )?;
        let mut told: Vec<(&str, usize)> = Vec::new();
        for happening in news {
            match told.iter_mut().find(|(what, _)| *what == happening.what) {
                Some((_, times)) => *times += 1,
                None => told.push((&happening.what, 1)),
            }
        }
        for (what, times) in told {
            write!(self.0, "  {times}x {what}")?;
        }
        writeln!(self.0)?;
        self.0.flush()
    }

    pub(crate) fn findings(&mut self, findings: &[Finding]) -> io::Result<()> {
        writeln!(self.0)?;
        for Finding { text, holds } in findings {
            writeln!(
                self.0,
                "{} {text}",
                if *holds { "ok     " } else { "NOT SO " }
            )?;
        }
        Ok(())
    }
}
