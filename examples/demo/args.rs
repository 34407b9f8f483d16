//! The command line.

use lexopt::{Arg, Parser};
use std::ffi::OsStr;

pub(crate) const STORY: &str = "
A service has a bad day: it is healthy, then slow, then failing half its calls, then down, then back.
120 callers a second want a quote from it, over HTTP, whatever became of the calls before theirs.";

pub(crate) const HELP: &str = "\
A service has a bad day, twice: first its callers are unprotected, then six attributes protect them.

The service is real (HTTP on a free loopback port): healthy, then slow, then failing half its
calls, then down (port closed), then back. Both runs get the same calls at the same times.
Then as many calls as a healthy service can answer, without and with. Takes about 20 seconds.

Usage: cargo run --example demo -- [--seed N]
       cargo run --example demo -- steadfast (list | check FILE.. | init | schema)

Options:
      --seed N  Who calls when, and which calls fail (default: 1). The same number gives the same
                day; timings are real, so a few counts may differ.
  -h, --help    Print this text

`steadfast ..` tells what protects the calls, and checks a configuration file; `steadfast --help` for
more.

NO_COLOR=1 turns the colours off; they are off anyway where the output is not a terminal.

Exits with 0, with 1 if protection did not pay off, with 2 if the arguments are wrong.
";

/// What the user asked for.
pub(crate) enum Command {
    Help,
    Run { seed: u64 },
}

pub(crate) fn parse(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let mut seed = 1;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Long("seed") => seed = number(&parser.value()?)?,
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Run { seed })
}

fn number(value: &OsStr) -> Result<u64, lexopt::Error> {
    let text = value.to_string_lossy();
    let wrong = |_| format!("--seed takes a whole number, such as 7, not `{text}`").into();
    text.parse().map_err(wrong)
}
