//! Settings in the environment: `STEADFAST_CIRCUIT_BREAKER__QUOTES__FAILURE_THRESHOLD=8`.

use std::{collections::BTreeMap, ffi::OsString};

use super::{
    ConfigPlace,
    document::{Entry, Table},
};
use crate::{error::ConfigError, kind::PolicyKind, nearest::nearest, policy::spelling::Given};

const PREFIX: &str = "STEADFAST_";

/// What separates kind, name and setting.
const SEPARATOR: &str = "__";

/// The variables that are ours. Which policy one is for shows only when the policies are known: a name is
/// not to be had back from how it is spelt here.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// By kind, and what follows it.
    variables: BTreeMap<(PolicyKind, String), (String, String)>,
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

/// Whether what follows a name may be a setting; else the name goes on.
fn is_setting(rest: &str) -> bool {
    !rest.starts_with('_') && !rest.contains(SEPARATOR)
}

/// What the variables of a policy begin with.
#[cfg(feature = "cli")]
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
            .filter(|(name, _)| name.starts_with(PREFIX) && name.contains(SEPARATOR));
        for (name, value) in ours {
            this.add(&name, value);
        }
        this
    }

    fn add(&mut self, name: &str, value: OsString) {
        let at = || ConfigPlace::Environment {
            variable: name.into(),
        };
        let Some((word, rest)) = name[PREFIX.len()..].split_once(SEPARATOR) else {
            return;
        };
        let Some(kind) = PolicyKind::ALL
            .into_iter()
            .find(|kind| spelt(kind.as_str()) == spelt(word))
        else {
            let words = PolicyKind::ALL.map(PolicyKind::as_str);
            return self.mistakes.push(ConfigError::UnknownKind {
                at: Box::new(at()),
                kind: word.to_owned(),
                nearest: nearest(word, words),
            });
        };
        let upper = spelt(name);
        if name != upper {
            return self.mistakes.push(ConfigError::Syntax {
                at: Box::new(at()),
                problem: format!("variables are in upper case: write {upper}"),
            });
        }
        match value.into_string() {
            Ok(value) => {
                let variable = (name.to_owned(), value);
                self.variables.insert((kind, rest.to_owned()), variable);
            }
            Err(_) => self.mistakes.push(ConfigError::Syntax {
                at: Box::new(at()),
                problem: "its value is no Unicode text: write one".to_owned(),
            }),
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
                let at = ConfigPlace::Environment {
                    variable: variable.clone(),
                };
                // Else it is another policy's, whose name goes on here.
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
    ) -> impl Iterator<Item = (ConfigPlace, String)> {
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
            .map(|((_, rest), (variable, _))| {
                let variable = variable.clone();
                let name = rest
                    .rsplit_once(SEPARATOR)
                    .map_or(&**rest, |(name, _)| name);
                (ConfigPlace::Environment { variable }, name.to_lowercase())
            })
    }
}
