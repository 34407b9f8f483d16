//! Four processes of one service act as one: they share a rate limit and a circuit breaker on a real
//! Redis, which dies half-way. `cargo run --example fleet`.
//!
//! What the service calls, with its attributes, is in `worker.rs`.

mod fleet;
mod partner;
mod report;
mod screen;
mod story;
mod worker;

use screen::Screen;
use std::{env, io, process::ExitCode};

fn main() -> ExitCode {
    let ran = match worker::Assignment::from_env() {
        Some(assignment) => worker::work(&assignment).map(|()| true),
        None if env::args().len() > 1 => {
            eprintln!("{}", story::HELP.trim_end());
            return ExitCode::from(2);
        }
        None => fleet(&mut Screen::new()),
    };
    match ran {
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

/// Whether the fleet was one before and after, and stayed within its bounds throughout.
fn fleet(screen: &mut Screen) -> io::Result<bool> {
    screen.text(story::STORY)?;
    let course = fleet::run(screen)?;
    let findings = report::findings(&course);
    screen.findings(&findings)?;
    Ok(findings.iter().all(|finding| finding.holds))
}
