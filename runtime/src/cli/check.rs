//! `check`: every mistake, with the line that it is in.

use std::{
    io::{self, Write},
    path::Path,
};

use super::{
    Outcome, count,
    excerpt::{Excerpt, visible},
    files::Files,
};
use crate::{
    config::{ConfigPlace, FilePlace},
    error::ConfigError,
    registry::Registry,
};

/// Puts the files in force one after the other, and prints what is wrong with them.
pub(super) fn load<'f>(
    registry: &Registry,
    paths: impl Iterator<Item = &'f Path>,
    errors: &mut dyn Write,
) -> io::Result<Outcome> {
    let mut files = Files::default();
    let mistakes = files.load(registry, paths);
    unless_closed(print_all(&mistakes, &files, errors))?;
    Ok(match mistakes.is_empty() {
        true => Outcome::Good,
        false => Outcome::Mistakes,
    })
}

/// Prints what is wrong in the environment, which is left out then.
pub(super) fn warn(registry: &Registry, errors: &mut dyn Write) -> io::Result<()> {
    let mistakes = registry.validate().err().into_iter().flatten();
    mistakes
        .filter(|mistake| mistake.at().is_some())
        .try_for_each(|mistake| writeln!(errors, "warning: {}", line(&mistake)))
}

/// Prints what is wrong with the files, and in the program.
pub(super) fn print<'f>(
    registry: &Registry,
    paths: impl Iterator<Item = &'f Path>,
    out: &mut dyn Write,
    errors: &mut dyn Write,
) -> io::Result<Outcome> {
    let mut files = Files::default();
    let mut mistakes = files.load(registry, paths);
    let is_good = mistakes.is_empty();
    let in_program = registry.validate().err().into_iter().flatten();
    mistakes.extend(in_program.filter(|mistake| match mistake {
        // The store is set by the program once it runs.
        ConfigError::NoStore { .. } => false,
        // A file that is not in force may say what lacks.
        ConfigError::Undefined { .. } => is_good,
        // Told with the first file, or by it.
        mistake => mistake.at().is_none() || is_good,
    }));
    if mistakes.is_empty() {
        return writeln!(out, "no mistakes").map(|()| Outcome::Good);
    }
    let number = count(mistakes.len(), "mistake", "mistakes");
    let printed = print_all(&mistakes, &files, errors).and_then(|()| writeln!(errors, "{number}"));
    unless_closed(printed)?;
    Ok(Outcome::Mistakes)
}

/// A mistake is one, also where nobody reads on.
fn unless_closed(printed: io::Result<()>) -> io::Result<()> {
    match printed {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}

/// In one line, whatever the names in it are.
fn line(mistake: &ConfigError) -> String {
    mistake.to_string().chars().map(visible).collect()
}

fn print_all(mistakes: &[ConfigError], files: &Files, errors: &mut dyn Write) -> io::Result<()> {
    for mistake in mistakes {
        writeln!(errors, "error: {}", line(mistake))?;
        if let Some(ConfigPlace::File(FilePlace {
            file: Some(file),
            line,
            column,
        })) = mistake.at()
        {
            let excerpt = Excerpt {
                line: files.line(file, *line),
                number: *line,
                column: *column,
            };
            writeln!(errors, "{excerpt}")?;
        }
        writeln!(errors)?;
    }
    Ok(())
}
