//! A service has a bad day, twice: first its callers are unprotected, then they are protected by
//! six attributes. `cargo run --example demo`, and `-- --help` for more.
//!
//! The two functions that are called are in `client.rs`.

mod args;
mod client;
mod day;
mod load;
mod log;
mod report;
mod run;
mod rush;
mod screen;
mod service;
mod table;

use args::Command;
use report::{Answer, Report};
use run::Protection;
use screen::Screen;
use std::process::ExitCode;
use std::{env, io};
use table::Table;

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == "steadfast") {
        return steadfast::cli::run(arguments);
    }
    let command = match args::parse(lexopt::Parser::from_env()) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("error: {error}\nTry `cargo run --example demo -- --help`.");
            return ExitCode::from(2);
        }
    };
    let mut screen = Screen::new();
    let shown = match command {
        Command::Help => screen.text(args::HELP.trim_end()).map(|()| true),
        Command::Run { seed } => both_days(seed, &mut screen),
    };
    match shown {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // Whoever reads has had enough, as in `… | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether protection paid off.
#[tokio::main(flavor = "current_thread")]
async fn both_days(seed: u64, screen: &mut Screen) -> io::Result<bool> {
    // The back-off draws from this generator; seeded, it repeats itself.
    fastrand::seed(seed);
    screen.text(args::STORY)?;
    screen.title("1 of 2: unprotected")?;
    let without = run::run(Protection::None, seed, screen).await?;
    screen.title("2 of 2: the same day, the same calls, protected")?;
    let with = run::run(Protection::Full, seed, screen).await?;
    let rush = rush::rush(seed).await?;
    Table {
        screen,
        unprotected: &without,
        protected: &with,
        rush: &rush,
    }
    .show()?;
    conclude(screen, &without, &with)
}

fn conclude(screen: &mut Screen, without: &Report, with: &Report) -> io::Result<bool> {
    let paid_off = with.answers(Answer::Failed) < without.answers(Answer::Failed)
        && with.latency(99) < without.latency(99)
        && with.hammered() < without.hammered();
    let verdict = if paid_off {
        "More answers, sooner, and a service that is left alone while it cannot answer."
    } else {
        "Protection did not pay off on this day. Is this machine very busy? If not: that is a bug."
    };
    screen.text("")?;
    screen.text(verdict)?;
    Ok(paid_off)
}
