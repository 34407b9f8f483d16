//! The output: a timeline while a run lasts, a table of both runs at the end.

use crate::day::{self, Weather};
use crate::report::{Answer, Call};
use std::env;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;
use steadfast::CircuitState;

pub(crate) struct Screen {
    out: io::Stdout,
    colours: bool,
}

/// What happened since the line before.
pub(crate) struct Line {
    pub(crate) time: Duration,
    /// The states that the breaker went through; none without a breaker.
    pub(crate) breaker: Vec<CircuitState>,
    pub(crate) calls: u32,
    pub(crate) sent: u32,
    pub(crate) retries: u32,
    pub(crate) refused: u32,
    pub(crate) waiting: u32,
    pub(crate) finished: Vec<Mark>,
}

/// How an answer looks in the bar of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    InTime,
    Late,
    Cache,
    Stale,
    Fallback,
    Error,
}

#[derive(Clone, Copy)]
enum Colour {
    Red = 31,
    Green = 32,
    Yellow = 33,
    Magenta = 35,
    Cyan = 36,
    Grey = 90,
}

/// One mark in a bar stands for up to this many answers.
const ANSWERS_PER_MARK: usize = 4;
const LONGEST_BAR: usize = 36;

impl Mark {
    const ALL: [Self; 6] = [
        Self::InTime,
        Self::Late,
        Self::Cache,
        Self::Stale,
        Self::Fallback,
        Self::Error,
    ];

    pub(crate) fn of(call: &Call) -> Self {
        match call.answer {
            Answer::Service if call.late() => Self::Late,
            Answer::Service => Self::InTime,
            Answer::Cache => Self::Cache,
            Answer::Stale => Self::Stale,
            Answer::Fallback => Self::Fallback,
            Answer::Failed => Self::Error,
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::InTime => "by the service",
            Self::Late => "late (over 0.5 s)",
            Self::Cache => "cache",
            Self::Stale => "stale cache",
            Self::Fallback => "fallback",
            Self::Error => "error",
        }
    }

    fn look(self) -> (Colour, &'static str) {
        match self {
            Self::InTime => (Colour::Green, "█"),
            Self::Late => (Colour::Yellow, "▂"),
            Self::Cache => (Colour::Cyan, "▓"),
            Self::Stale => (Colour::Cyan, "▒"),
            Self::Fallback => (Colour::Magenta, "░"),
            Self::Error => (Colour::Red, "×"),
        }
    }
}

impl Screen {
    pub(crate) fn new() -> Self {
        let out = io::stdout();
        // https://no-color.org: any value that is not empty.
        let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colours = out.is_terminal() && !unwanted;
        Self { out, colours }
    }

    pub(crate) fn title(&mut self, text: &str) -> io::Result<()> {
        let line = "─".repeat(100 - 4 - text.chars().count());
        writeln!(self.out, "\n── {} {line}", self.bold(text))
    }

    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    pub(crate) fn timeline_header(&mut self) -> io::Result<()> {
        let legend: Vec<String> = Mark::ALL
            .into_iter()
            .map(|mark| format!("{} {}", self.marks(mark, 1), mark.meaning()))
            .collect();
        writeln!(self.out, "   {}", legend.join("   "))?;
        let header = "  time service breaker      calls  sent retries refused waiting  answers";
        writeln!(self.out, "\n{}", self.paint(Colour::Grey, header))
    }

    pub(crate) fn timeline(&mut self, line: &Line) -> io::Result<()> {
        let Line {
            calls,
            sent,
            retries,
            refused,
            waiting,
            ..
        } = line;
        let phase = day::phase_at(line.time.saturating_sub(Duration::from_millis(1)));
        let service = self.paint(weather_colour(phase.weather), &format!("{:<7}", phase.name));
        let breaker = self.breaker(&line.breaker);
        writeln!(
            self.out,
            " {:>4.1}s {service} {breaker} {calls:>5} {sent:>5} {retries:>7} {refused:>7} {waiting:>7}  {}",
            line.time.as_secs_f64(),
            self.bar(&line.finished),
        )?;
        self.out.flush()
    }

    fn breaker(&self, states: &[CircuitState]) -> String {
        let probed = states.contains(&CircuitState::HalfOpen);
        let (colour, text) = match states.last() {
            None => (Colour::Grey, "–"),
            Some(CircuitState::Closed) => (Colour::Green, "closed"),
            Some(CircuitState::HalfOpen) => (Colour::Yellow, "half-open"),
            Some(CircuitState::Open) if probed => (Colour::Red, "open, probed"),
            Some(_) => (Colour::Red, "open"),
        };
        self.paint(colour, &format!("{text:<12}"))
    }

    fn bar(&self, finished: &[Mark]) -> String {
        let mut room = LONGEST_BAR;
        let bars = Mark::ALL.into_iter().map(|mark| {
            let answers = finished.iter().filter(|other| **other == mark).count();
            let length = answers.div_ceil(ANSWERS_PER_MARK).min(room);
            room -= length;
            self.marks(mark, length)
        });
        bars.collect()
    }

    fn marks(&self, mark: Mark, count: usize) -> String {
        let (colour, symbol) = mark.look();
        self.paint(colour, &symbol.repeat(count))
    }

    fn bold(&self, text: &str) -> String {
        if self.colours {
            format!("\x1b[1m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn paint(&self, colour: Colour, text: &str) -> String {
        if self.colours && !text.is_empty() {
            format!("\x1b[{}m{text}\x1b[0m", colour as u8)
        } else {
            text.to_owned()
        }
    }
}

fn weather_colour(weather: Weather) -> Colour {
    match weather {
        Weather::Healthy => Colour::Green,
        Weather::Slow | Weather::Failing => Colour::Yellow,
        Weather::Down => Colour::Red,
    }
}
