//! A command for whoever operates your program: what is protected, and whether a configuration file is
//! good, without a line of code and before anything runs.
//!
//! | command | what it prints |
//! |---|---|
//! | `list [--config FILE].. [--all] [--json]` | every protected function with its policies, their settings, and where each comes from; then the policies that were installed and that no function joins |
//! | `check FILE..` | every mistake in these files, in the environment, and in the attributes |
//! | `init [--config FILE]..` | a commented configuration file of every policy with its present values |
//! | `schema` | the JSON Schema of the file, with which editors complete and check it |
//!
//! A file called `-` is the standard input. Of several files the later ones go over the earlier ones.
//!
//! Hand it the arguments of your program, where these are for it:
//!
//! ```no_run
//! use std::{env, process::ExitCode};
//!
//! fn main() -> ExitCode {
//!     let mut arguments = env::args_os().skip(1).peekable();
//!     if arguments.next_if(|first| first == "steadfast").is_some() {
//!         return steadfast::cli::run(arguments); // `shop steadfast list`
//!     }
//!     // ...
//! #   ExitCode::SUCCESS
//! }
//! ```
//!
//! or give it a program of its own, beside the one that it tells about:
//!
//! ```no_run
//! # /*
//! use shop as _; // what it tells about must be linked
//! # */
//! fn main() -> std::process::ExitCode {
//!     steadfast::cli::run(std::env::args_os().skip(1))
//! }
//! ```
//!
//! It knows what the attributes of the program and of its libraries say, and the policies that were
//! [installed](crate::CircuitBreakerBuilder::install) before.

mod check;
mod excerpt;
mod files;
mod init;
mod list;
mod plain;
mod schema;

use std::{
    ffi::OsString,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::registry::{Registry, registry};

/// Runs the command that the arguments say: those of your program without its name.
///
/// What was asked for goes to the standard output, mistakes in it and in the arguments to the standard
/// error.
///
/// Exits with 0 if all is well, with 1 if a file has mistakes, and with 2 if the arguments make no sense.
pub fn run(arguments: impl IntoIterator<Item: Into<OsString> + Clone>) -> ExitCode {
    let (mut out, mut errors) = (io::stdout().lock(), io::stderr().lock());
    match run_on(&registry(), arguments, &mut out, &mut errors) {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Mistakes) => ExitCode::FAILURE,
        Ok(Outcome::Misuse) => ExitCode::from(2),
        // Whoever reads has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(errors, "error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Good,
    Mistakes,
    Misuse,
}

fn run_on(
    registry: &Registry,
    arguments: impl IntoIterator<Item: Into<OsString> + Clone>,
    out: &mut dyn Write,
    errors: &mut dyn Write,
) -> io::Result<Outcome> {
    let matches = match command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(help) if !help.use_stderr() => {
            write!(out, "{help}")?;
            return Ok(Outcome::Good);
        }
        Err(misuse) => {
            write!(errors, "{misuse}")?;
            return Ok(Outcome::Misuse);
        }
    };
    match matches.subcommand() {
        Some(("list", matches)) => {
            let form = match (matches.get_flag("json"), matches.get_flag("all")) {
                (true, _) => list::Form::Json,
                (false, true) => list::Form::All,
                (false, false) => list::Form::Written,
            };
            with_files(registry, matches, errors, || {
                list::print(registry, form, out)
            })
        }
        Some(("check", matches)) => check::print(registry, files(matches), out, errors),
        Some(("init", matches)) => {
            with_files(registry, matches, errors, || init::print(registry, out))
        }
        _ => schema::print(registry, out).map(|()| Outcome::Good),
    }
}

/// Prints what there is once the files are in force, and warns of mistakes elsewhere.
fn with_files(
    registry: &Registry,
    matches: &ArgMatches,
    errors: &mut dyn Write,
    print: impl FnOnce() -> io::Result<()>,
) -> io::Result<Outcome> {
    let loaded = check::load(registry, files(matches), errors)?;
    if loaded == Outcome::Good {
        print()?;
        check::warn(registry, errors)?;
    }
    Ok(loaded)
}

/// So many of them, in words.
fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

fn files(matches: &ArgMatches) -> impl Iterator<Item = &Path> {
    let files = matches.get_many::<PathBuf>("file").into_iter().flatten();
    files.map(PathBuf::as_path)
}

fn command() -> Command {
    let file = Arg::new("file")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .action(ArgAction::Append);
    let config = file.clone().long("config").help(
        "As it would be with this file (`-`: the standard input); several go over each other",
    );
    let list = Command::new("list")
        .about("Prints every protected function with its policies and settings")
        .arg(config.clone())
        .arg(
            Arg::new("all")
                .long("all")
                .action(ArgAction::SetTrue)
                .help("Also the settings that have their defaults"),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("All of it as JSON"),
        );
    let check = Command::new("check")
        .about("Prints every mistake in configuration files, the environment and the attributes")
        .arg(
            file.required(true)
                .help("A configuration file (`-`: the standard input); several go over each other"),
        );
    let init = Command::new("init")
        .about("Prints a commented configuration file of every policy with its present values")
        .arg(config);
    let schema = Command::new("schema")
        .about("Prints the JSON Schema of the configuration file, for editors");
    Command::new("steadfast")
        .bin_name("steadfast")
        .about("What protects this program, and its configuration")
        .no_binary_name(true)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([list, check, init, schema])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        command().debug_assert();
    }
}
