//! Settings in the environment: `STEADFAST_CIRCUIT_BREAKER__QUOTES__FAILURE_THRESHOLD=8`.

use std::{collections::BTreeMap, ffi::OsString};

use super::{
    ConfigPlace,
    document::{Entry, Table},
};
use crate::{
    error::ConfigError, kind::PolicyKind, name::PolicyName, nearest::nearest,
    policy::spelling::Given,
};

const PREFIX: &str = "STEADFAST_";

/// What separates kind, name and setting.
const SEPARATOR: &str = "__";

/// The variables that are ours. Which policy one is for shows only when the policies are known: a name is
/// not to be had back from how it is spelt here.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// By kind, and what follows it.
    variables: BTreeMap<(PolicyKind, String), (String, String)>,
    /// Those that begin as ours do, and have no `__`.
    others: Vec<String>,
    pub(super) mistakes: Vec<ConfigError>,
}

/// A name as variables spell it: upper case, every other character `_`.
pub(super) fn spelt(name: &str) -> String {
    let spell = |c: char| match c.is_ascii_alphanumeric() {
        true => c.to_ascii_uppercase(),
        false => '_',
    };
    name.chars().map(spell).collect()
}

/// Whether what follows a name may be a setting; else the name goes on, or nothing does.
fn is_setting(rest: &str) -> bool {
    !rest.is_empty() && !rest.starts_with('_') && !rest.contains(SEPARATOR)
}

/// In upper case, with single `_` between words, and none at the end.
fn squeezed(variable: &str) -> String {
    let words = variable.split('_').filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_").to_uppercase()
}

/// What the variables of a policy begin with.
pub(crate) fn prefix(kind: PolicyKind, name: &str) -> String {
    let [kind, name] = [kind.as_str(), name].map(spelt);
    format!("{PREFIX}{kind}{SEPARATOR}{name}{SEPARATOR}")
}

impl Environment {
    /// Of these variables. Those that only begin as ours do are somebody else's.
    pub(super) fn of(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut this = Self::default();
        let ours = variables
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| name.starts_with(PREFIX));
        for (name, value) in ours {
            match name.contains(SEPARATOR) {
                true => this.add(&name, value),
                false => this.others.push(name),
            }
        }
        this.others.sort();
        this
    }

    fn add(&mut self, name: &str, value: OsString) {
        let Some((word, rest)) = name[PREFIX.len()..].split_once(SEPARATOR) else {
            return;
        };
        let Some(kind) = PolicyKind::ALL
            .into_iter()
            .find(|kind| spelt(kind.as_str()) == spelt(word))
        else {
            let mistake = unknown_kind(name, word);
            return self.mistakes.push(mistake);
        };
        let upper = spelt(name);
        if name != upper {
            let problem = format!("variables are in upper case: write {upper}");
            return self.mistakes.push(wrong(name, problem));
        }
        match value.into_string() {
            Ok(value) => {
                let variable = (name.to_owned(), value);
                self.variables.insert((kind, rest.to_owned()), variable);
            }
            Err(_) => {
                let problem = "its value is no Unicode text: write one".to_owned();
                self.mistakes.push(wrong(name, problem));
            }
        }
    }

    /// What is said of one policy.
    pub(super) fn table(&self, kind: PolicyKind, name: &str) -> Option<Table> {
        let prefix = format!("{}{SEPARATOR}", spelt(name));
        let from = (kind, prefix.clone());
        let ours = self
            .variables
            .range(from..)
            .take_while(|((of, rest), _)| *of == kind && rest.starts_with(&prefix));
        let entries: Vec<_> = ours
            .filter_map(|((_, rest), (variable, value))| {
                let key = rest[prefix.len()..].to_lowercase();
                let at = place(variable);
                // Else it may be another policy's, whose name goes on here.
                is_setting(&key).then(|| Entry {
                    key,
                    at: at.clone(),
                    given: Given::Variable(value.clone()),
                    value_at: at,
                })
            })
            .collect();
        let at = entries.first()?.at.clone();
        Some(Table { at, entries })
    }

    /// The variables of a kind that are of none of these policies.
    pub(super) fn strangers(
        &self,
        kind: PolicyKind,
        names: &[impl AsRef<str>],
    ) -> impl Iterator<Item = Stranger<'_>> {
        let spelt: Vec<_> = names.iter().map(|name| spelt(name.as_ref())).collect();
        let is_known = move |rest: &str| {
            let key = |name: &String| rest.strip_prefix(name)?.strip_prefix(SEPARATOR);
            spelt.iter().filter_map(key).any(is_setting)
        };
        let of_kind = self
            .variables
            .iter()
            .filter(move |((of, _), _)| *of == kind);
        of_kind
            .filter(move |((_, rest), _)| !is_known(rest))
            .map(|((_, rest), (variable, _))| Stranger { variable, rest })
    }

    /// Those that were meant for one of these policies, with what to write: they would pass for somebody
    /// else's.
    pub(super) fn misspelt(
        &self,
        kind: PolicyKind,
        names: &[PolicyName],
        settings: &[&str],
    ) -> impl Iterator<Item = ConfigError> {
        let of_kind = format!("{PREFIX}{}_", spelt(kind.as_str()));
        let others = self.others.iter();
        let of_kind = others.filter(move |other| other.starts_with(&of_kind));
        of_kind.filter_map(move |other| misspelt(other, kind, names, settings))
    }
}

/// A variable that is of no policy.
pub(super) struct Stranger<'v> {
    variable: &'v str,
    /// What follows the kind.
    rest: &'v str,
}

impl Stranger<'_> {
    pub(super) fn at(&self) -> ConfigPlace {
        place(self.variable)
    }

    /// The policy that it is of, as far as that shows.
    pub(super) fn policy(&self) -> String {
        let name = self.rest.rsplit_once(SEPARATOR).map(|(name, _)| name);
        name.unwrap_or(self.rest).to_lowercase()
    }

    /// Where only the way it is written is wrong: what to write.
    pub(super) fn misspelt(
        &self,
        kind: PolicyKind,
        names: &[PolicyName],
        settings: &[&str],
    ) -> Option<ConfigError> {
        misspelt(self.variable, kind, names, settings)
    }
}

fn place(variable: &str) -> ConfigPlace {
    ConfigPlace::Environment {
        variable: variable.to_owned(),
    }
}

fn wrong(variable: &str, problem: String) -> ConfigError {
    ConfigError::Syntax {
        at: Box::new(place(variable)),
        problem,
    }
}

fn unknown_kind(variable: &str, word: &str) -> ConfigError {
    let rest = &variable[PREFIX.len()..];
    let behind = |kind: PolicyKind| {
        let begin = format!("{}_", spelt(kind.as_str()));
        let rest = rest.strip_prefix(&begin)?;
        Some(format!("{PREFIX}{begin}_{rest}"))
    };
    if let Some(meant) = PolicyKind::ALL.into_iter().find_map(behind) {
        return wrong(variable, format!("`__` follows the kind: write {meant}"));
    }
    if word.eq_ignore_ascii_case("preset") {
        let problem = "presets are defined in a file: write [preset.retry.name] there";
        return wrong(variable, problem.to_owned());
    }
    ConfigError::UnknownKind {
        at: Box::new(place(variable)),
        kind: word.to_owned(),
        nearest: nearest(word, PolicyKind::ALL.map(PolicyKind::as_str)),
    }
}

/// Where only the number of `_` is wrong, or the setting is left out.
fn misspelt(
    variable: &str,
    kind: PolicyKind,
    names: &[PolicyName],
    settings: &[&str],
) -> Option<ConfigError> {
    let written = squeezed(variable);
    names.iter().find_map(|name| {
        let prefix = prefix(kind, name);
        let setting = written.strip_prefix(&squeezed(&prefix))?;
        if setting.is_empty() {
            let settings = settings.join(", ");
            let problem = format!("it says no setting: write {prefix}.. with one of {settings}");
            return Some(wrong(variable, problem));
        }
        let is_it = |known: &&&str| setting.strip_prefix('_') == Some(&spelt(known));
        let meant = format!("{prefix}{}", spelt(settings.iter().find(is_it)?));
        let problem = format!("`__` stands before the name and before the setting: write {meant}");
        Some(wrong(variable, problem))
    })
}
