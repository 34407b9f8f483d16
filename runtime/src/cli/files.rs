//! The files that the arguments name.

use std::{collections::BTreeMap, io, path::Path};

use crate::{
    config::{ConfigFile, Source},
    error::{ConfigError, ConfigErrors},
    registry::Registry,
};

/// Stands for the standard input.
const STANDARD_INPUT: &str = "-";

/// The lines of the files, read once: what comes through a pipe cannot be had again.
#[derive(Default)]
pub(super) struct Files(BTreeMap<String, Vec<String>>);

impl Files {
    /// Puts them in force one after the other, and answers with what is wrong with them.
    pub(super) fn load<'f>(
        &mut self,
        registry: &Registry,
        paths: impl Iterator<Item = &'f Path>,
    ) -> Vec<ConfigError> {
        let mut mistakes = Vec::new();
        let mut loaded = Vec::new();
        for path in paths {
            let file = ConfigFile::at(path);
            if loaded.contains(&file) {
                continue;
            }
            let told = mistakes.len();
            for mistake in self.load_one(registry, &file).err().into_iter().flatten() {
                // What is wrong in the environment is wrong with every file.
                if !mistakes[..told].contains(&mistake) {
                    mistakes.push(mistake);
                }
            }
            loaded.push(file);
        }
        mistakes
    }

    fn load_one(&mut self, registry: &Registry, file: &ConfigFile) -> Result<(), ConfigErrors> {
        let bytes = match file.name() == Path::new(STANDARD_INPUT) {
            true => file.bytes_of(io::stdin().lock()),
            false => file.bytes(),
        };
        let bytes = bytes.map_err(ConfigErrors::one)?;
        let lines = String::from_utf8_lossy(&bytes);
        let lines = lines.lines().map(str::to_owned).collect();
        self.0.insert(file.name().display().to_string(), lines);
        let text = file.decode(bytes).map_err(ConfigErrors::one)?;
        registry.configure(Source::File(file.clone()), &text)
    }

    /// A line of a file, from 1.
    pub(super) fn line(&self, file: &str, number: u32) -> &str {
        let lines = self.0.get(file).map_or(&[][..], Vec::as_slice);
        let line = lines.get(number.saturating_sub(1) as usize);
        let line = line.map_or("", String::as_str);
        // No editor shows the mark that some begin a file with.
        line.strip_prefix('\u{feff}').unwrap_or(line)
    }
}
