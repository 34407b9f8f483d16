//! All sources of configuration, one over the other.

use std::{ffi::OsString, sync::Arc};

use super::{
    Base, Resolved, Source,
    document::{Document, Key, Table},
    environment::{self, Environment},
    resolve::{NONE, Resolver, built_in, nothing, policy, settings_of_policies},
};
use crate::{
    error::{ConfigError, Subject},
    kind::PolicyKind,
    name::PolicyName,
    nearest::nearest,
    policy::settings::PolicySettings,
};

/// The files and texts, later ones over earlier ones, and the environment over them all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layers {
    documents: Vec<(Source, Arc<Document>)>,
    environment: Arc<Environment>,
}

impl Layers {
    /// Nothing but the environment.
    pub(crate) fn of(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self {
            documents: Vec::new(),
            environment: Arc::new(Environment::of(variables)),
        }
    }

    /// With this text as that source, in the place of what the source said before, and what is wrong with
    /// it by itself. Nothing where it is no TOML.
    pub(crate) fn with(&self, source: Source, text: &str) -> (Option<Self>, Vec<ConfigError>) {
        let file = match &source {
            Source::Text => None,
            Source::File(file) => Some(file.name().to_string_lossy()),
        };
        let (document, mistakes) = super::file::read(text, file.as_deref());
        let Some(document) = document.map(Arc::new) else {
            return (None, mistakes);
        };
        let mut this = self.clone();
        match this.documents.iter_mut().find(|(of, _)| *of == source) {
            Some((_, before)) => *before = document,
            None => this.documents.push((source, document)),
        }
        (Some(this), mistakes)
    }

    /// What a policy is that was `base`.
    pub(crate) fn resolve<S: PolicySettings>(
        &self,
        name: &PolicyName,
        base: Base<S>,
    ) -> Resolved<S> {
        let key: Key = (S::KIND, name.to_string());
        let in_variables = self.environment.table(S::KIND, name);
        let in_files = self.documents.iter();
        let in_files = in_files.filter_map(|(_, document)| document.policies.get(&key));
        let tables: Vec<_> = in_files.chain(in_variables.as_ref()).collect();
        let mut resolver = Resolver::new(self, policy(name), base);
        for table in &tables {
            resolver.add(table);
        }
        let mut resolved = resolver.finish();
        // What goes over a mistake does not make it good: it may be gone one day.
        for table in tables.iter().rev().skip(1) {
            for mistake in self.alone::<S>(name, table) {
                if !resolved
                    .mistakes
                    .iter()
                    .any(|told| told.at() == mistake.at())
                {
                    resolved.mistakes.push(mistake);
                }
            }
        }
        resolved
    }

    /// What is wrong with a table of a policy, whatever else is said of it.
    fn alone<S: PolicySettings>(&self, name: &PolicyName, table: &Table) -> Vec<ConfigError> {
        let mut resolver = Resolver::new(self, policy(name), nothing::<S>());
        resolver.add(table);
        resolver.finish_alone().mistakes
    }

    /// What a preset of the configuration's own says: of several of one name, the last.
    pub(super) fn preset<S: PolicySettings>(&self, name: &str) -> Option<Resolved<S>> {
        let key: Key = (S::KIND, name.to_owned());
        let mut documents = self.documents.iter().rev();
        let table = documents.find_map(|(_, document)| document.presets.get(&key))?;
        Some(self.part(Subject::Preset(name.into()), table))
    }

    /// What one table says by itself.
    fn part<S: PolicySettings>(&self, subject: Subject, table: &Table) -> Resolved<S> {
        let mut resolver = Resolver::new(self, subject, nothing::<S>());
        resolver.add(table);
        resolver.finish_part()
    }

    pub(super) fn presets_of(&self, kind: PolicyKind) -> Vec<String> {
        let presets = self.documents.iter().flat_map(|(_, d)| d.presets.keys());
        let mut names: Vec<_> = presets
            .filter(|(of, _)| *of == kind)
            .map(|(_, name)| name.clone())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// What is wrong, whatever the policies of any kind are.
    pub(crate) fn mistakes(&self) -> Vec<ConfigError> {
        self.environment.mistakes.clone()
    }

    /// What is wrong with what is said of policies of one kind that there are not, and of its presets.
    /// `used_by` knows the policy of a function.
    pub(crate) fn mistakes_of<S: PolicySettings>(
        &self,
        names: &[PolicyName],
        used_by: impl Fn(&str) -> Option<PolicyName>,
    ) -> Vec<ConfigError> {
        let mut mistakes = self.strangers::<S>(names, used_by);
        mistakes.extend(self.namesakes(S::KIND, names));
        let presets = self.documents.iter().flat_map(|(_, d)| &d.presets);
        for ((_, name), table) in presets.filter(|((kind, _), _)| *kind == S::KIND) {
            mistakes.extend(misnamed::<S>(name, table));
            let preset: Resolved<S> = self.part(Subject::Preset(name.as_str().into()), table);
            mistakes.extend(preset.mistakes);
        }
        mistakes
    }

    /// `names` are in order.
    fn strangers<S: PolicySettings>(
        &self,
        names: &[PolicyName],
        used_by: impl Fn(&str) -> Option<PolicyName>,
    ) -> Vec<ConfigError> {
        let meant = |name: &str| {
            let near = || nearest(name, names.iter().map(PolicyName::as_str)).map(Into::into);
            used_by(name).or_else(near)
        };
        let unknown = |at, name: &str| ConfigError::UnknownPolicy {
            at: Box::new(at),
            kind: S::KIND,
            policy: name.into(),
            nearest: meant(name),
        };
        let is_stranger = |(kind, name): &Key| {
            let known = |known: &PolicyName| known.as_str().cmp(name);
            *kind == S::KIND && names.binary_search_by(known).is_err()
        };
        let mut mistakes = Vec::new();
        let in_files = self.documents.iter().flat_map(|(_, d)| &d.policies);
        for ((_, name), table) in in_files.filter(|(key, _)| is_stranger(key)) {
            mistakes.push(unknown(table.at.clone(), name));
            // Once the name is mended, the rest shall not be wrong.
            let meant: Resolved<S> = self.part(Subject::Policy(name.as_str().into()), table);
            mistakes.extend(meant.mistakes);
        }
        let settings = settings_of_policies::<S>();
        for stranger in self.environment.strangers(S::KIND, names) {
            let misspelt = stranger.misspelt(S::KIND, names, &settings);
            let unknown = || unknown(stranger.at(), &stranger.policy());
            mistakes.push(misspelt.unwrap_or_else(unknown));
        }
        mistakes.extend(self.environment.misspelt(S::KIND, names, &settings));
        mistakes
    }

    /// Names that variables cannot tell apart, where there is one.
    fn namesakes(&self, kind: PolicyKind, names: &[PolicyName]) -> Vec<ConfigError> {
        let pairs = names.iter().enumerate().filter_map(|(nth, first)| {
            // Few have a variable: they alone are compared with all others.
            let table = self.environment.table(kind, first)?;
            let spelt = environment::spelt(first);
            let is_same = |other: &&PolicyName| environment::spelt(other) == spelt;
            let second = names[nth + 1..].iter().find(is_same)?;
            Some(ConfigError::Ambiguous {
                at: Box::new(table.at),
                kind,
                first: first.clone(),
                second: second.clone(),
            })
        });
        pairs.collect()
    }
}

/// A preset of a name that means another one, or none.
fn misnamed<S: PolicySettings>(name: &str, table: &Table) -> Option<ConfigError> {
    let what = match name {
        NONE => "is what takes a preset away",
        name if built_in::<S>().contains(&name) => "is built in",
        _ => return None,
    };
    let kind = S::KIND;
    Some(ConfigError::Syntax {
        at: Box::new(table.at.clone()),
        problem: format!("the preset `{name}` of {kind} {what}: give yours another name"),
    })
}
