//! `check`: every mistake, with the line that it is in.

use std::{
    collections::HashMap,
    fs,
    io::{self, Write},
    path::PathBuf,
};

use super::{Outcome, count};
use crate::{
    config::{ConfigPlace, FilePlace},
    error::ConfigError,
    registry::Registry,
};

/// Puts the files in force one after the other, and prints what is wrong with them.
pub(super) fn load<'f>(
    registry: &Registry,
    files: impl Iterator<Item = &'f PathBuf>,
    errors: &mut dyn Write,
) -> io::Result<Outcome> {
    let mistakes = load_all(registry, files);
    unless_closed(print_all(&mistakes, errors))?;
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
        .try_for_each(|mistake| writeln!(errors, "warning: {mistake}"))
}

/// Prints what is wrong with the files, and in the program.
pub(super) fn print<'f>(
    registry: &Registry,
    files: impl Iterator<Item = &'f PathBuf>,
    out: &mut dyn Write,
    errors: &mut dyn Write,
) -> io::Result<Outcome> {
    let mut mistakes = load_all(registry, files);
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
    let printed = print_all(&mistakes, errors).and_then(|()| writeln!(errors, "{number}"));
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

fn load_all<'f>(registry: &Registry, files: impl Iterator<Item = &'f PathBuf>) -> Vec<ConfigError> {
    let mut mistakes = Vec::new();
    for file in files {
        for mistake in registry.configure_file(file).err().into_iter().flatten() {
            // What is wrong in the environment is wrong with every file.
            if !mistakes.contains(&mistake) {
                mistakes.push(mistake);
            }
        }
    }
    mistakes
}

fn print_all(mistakes: &[ConfigError], errors: &mut dyn Write) -> io::Result<()> {
    let mut files = HashMap::new();
    for mistake in mistakes {
        writeln!(errors, "error: {mistake}")?;
        let Some(ConfigPlace::File(FilePlace {
            file: Some(file),
            line,
            column,
        })) = mistake.at()
        else {
            writeln!(errors)?;
            continue;
        };
        let read = || String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).into_owned();
        let text: &String = files.entry(file).or_insert_with(read);
        let source = text.lines().nth(*line as usize - 1).unwrap_or_default();
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        // Tabs stay as wide as they are in the line.
        let before = source.chars().take(*column as usize - 1);
        let before: String = before.map(|c| if c == '\t' { c } else { ' ' }).collect();
        writeln!(
            errors,
            "{margin} |\n{number} | {source}\n{margin} | {before}^\n"
        )?;
    }
    Ok(())
}
