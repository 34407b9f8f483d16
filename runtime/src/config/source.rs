//! Where configuration comes from.

use std::{
    fs::File,
    io::{self, Read},
    path::{self, Path, PathBuf},
};

use super::{ConfigPlace, place::Places};
use crate::error::ConfigError;

/// No configuration is larger, in bytes: what is may have no end, as a device has none.
const LARGEST: u64 = 64 << 20;

/// Which source: each is there once, in the order in which they came first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// The text that the program gave.
    Text,
    /// A file.
    File(ConfigFile),
}

/// A configuration file.
#[derive(Debug, Clone)]
pub(crate) struct ConfigFile {
    /// As its path was given: so it is called.
    name: PathBuf,
    /// Which one it is, however its path is spelt and wherever the program works later. Links are not
    /// followed: they may come to lead elsewhere.
    path: PathBuf,
}

impl PartialEq for ConfigFile {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for ConfigFile {}

impl ConfigFile {
    pub(crate) fn at(name: impl Into<PathBuf>) -> Self {
        let name = name.into();
        // An empty path, which nothing can be read from.
        let path = path::absolute(&name).unwrap_or_else(|_| name.clone());
        Self { name, path }
    }

    /// As its path was given.
    pub(crate) fn name(&self) -> &Path {
        &self.name
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What it says.
    pub(crate) fn text(&self) -> Result<String, ConfigError> {
        self.decode(self.bytes()?)
    }

    pub(crate) fn bytes(&self) -> Result<Vec<u8>, ConfigError> {
        let file = File::open(&self.path).map_err(|error| self.unreadable(&error))?;
        self.bytes_of(file)
    }

    /// What `input` says in its place.
    pub(crate) fn bytes_of(&self, input: impl Read) -> Result<Vec<u8>, ConfigError> {
        let mut bytes = Vec::new();
        let mut input = input.take(LARGEST + 1);
        match input.read_to_end(&mut bytes) {
            Ok(_) if input.limit() == 0 => Err(self.wrong(format!(
                "it is larger than {} MiB, as no configuration is",
                LARGEST >> 20
            ))),
            Ok(_) => Ok(bytes),
            Err(error) => Err(self.unreadable(&error)),
        }
    }

    pub(crate) fn decode(&self, bytes: Vec<u8>) -> Result<String, ConfigError> {
        String::from_utf8(bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let good = String::from_utf8_lossy(valid);
            let file = self.name.to_string_lossy();
            let place = Places::of(Some(&file), &good).at(good.len());
            ConfigError::Syntax {
                at: Box::new(ConfigPlace::File(place)),
                problem: "here it is no UTF-8: save the file as UTF-8".to_owned(),
            }
        })
    }

    fn unreadable(&self, error: &io::Error) -> ConfigError {
        self.wrong(format!("it cannot be read: {error}"))
    }

    /// What is wrong with it as a whole.
    pub(crate) fn wrong(&self, problem: String) -> ConfigError {
        let file = self.name.display().to_string();
        ConfigError::File { file, problem }
    }
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    #![allow(clippy::unwrap_used)] // clippy does not see that this module is for tests

    use super::*;

    #[test]
    fn a_file_is_one_however_its_path_is_spelt() {
        let here = std::env::current_dir().unwrap();
        let file = ConfigFile::at("a.toml");
        for same in ["./a.toml", ".//a.toml", "./././a.toml"] {
            assert_eq!(ConfigFile::at(same), file, "{same}");
        }
        assert_eq!(ConfigFile::at(here.join("a.toml")), file);
        // What lies between may be a link.
        assert_ne!(ConfigFile::at("b/../a.toml"), file);
        assert_ne!(ConfigFile::at(""), file);
    }

    #[test]
    fn what_has_no_end_is_no_configuration() {
        let error = ConfigFile::at("zero")
            .bytes_of(io::repeat(b' '))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "zero: it is larger than 64 MiB, as no configuration is"
        );
        assert_eq!(ConfigFile::at("a").bytes_of(&b"text"[..]).unwrap(), b"text");
    }
}
