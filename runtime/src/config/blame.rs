//! Which entry is wrong where settings do not go together.

use super::{document::Entry, draft::Draft, resolve::Resolver};
use crate::{
    error::Said,
    policy::settings::{PRESET, PolicySettings, Problem},
};

/// What is found to be wrong.
enum Blamed {
    Entry(&'static str, Entry),
    /// What the preset says.
    Preset(Entry),
}

impl<S: PolicySettings> Resolver<'_, S> {
    /// Finds one mistake after the other, each without those before, and leaves them out.
    pub(super) fn check(&mut self) {
        // Where the search has got to. What it leaves out on its way may be good beside other settings.
        let mut trial = self.draft.clone();
        let mut wrong = Vec::new();
        while let Err(problem) = trial.settings.check() {
            let is_consequence = self.is_consequence(&problem);
            match self.blamed(&problem, &trial) {
                Some(Blamed::Entry(setting, entry)) => {
                    if !is_consequence {
                        self.blame(&problem, setting, &entry, &trial);
                    }
                    wrong.push(setting);
                    if !leave_out(&mut trial, &problem, setting) {
                        trial.give_back(setting, &self.base.settings);
                        self.failed.push(setting);
                    }
                }
                Some(Blamed::Preset(entry)) => {
                    if !is_consequence {
                        self.blame(&problem, PRESET, &entry, &trial);
                    }
                    self.failed.push(PRESET);
                    self.draft = self.without_preset();
                    trial = self.draft.clone();
                    for setting in &wrong {
                        trial.give_back(setting, &self.base.settings);
                    }
                }
                // Attributes were checked when they were compiled.
                None => break,
            }
        }
        for setting in wrong {
            self.draft.give_back(setting, &self.base.settings);
        }
        if self.draft.settings.check().is_err() {
            self.draft = Draft::new(self.base.settings);
        }
    }

    /// Finds the settings that are wrong whatever stands beside them, and leaves them out.
    pub(super) fn check_each(&mut self) {
        let mut trial = self.draft.clone();
        while let Err(problem) = trial.settings.check() {
            let setting = problem.setting;
            let is_alone = settings::<S>().all(|each| each == setting || !mentions(&problem, each));
            if let Some(entry) = self.draft.entry(setting).filter(|_| is_alone).cloned() {
                self.wrong(&entry, problem.message.to_owned());
                self.draft.give_back(setting, &self.base.settings);
            }
            if !trial.settings.is_written(setting) {
                break;
            }
            trial.settings.clear(setting);
        }
    }

    /// The entry without which there is no such problem; of several, the one that the problem is about, or
    /// that it mentions.
    fn blamed(&self, problem: &Problem, trial: &Draft<S>) -> Option<Blamed> {
        let is_there = |settings: &S| settings.check() == Err(*problem);
        let without = |setting: &str| {
            let mut settings = trial.settings;
            settings.copy(setting, &self.base.settings);
            settings
        };
        let entries = || {
            let written = trial.written.iter();
            written.filter(|(setting, _)| *setting != PRESET && is_setting::<S>(setting))
        };
        let is_cause = |(setting, _): &&(&'static str, Entry)| !is_there(&without(setting));
        let first = |mut causes: Vec<&(&'static str, Entry)>| {
            causes.sort_by_key(|(setting, _)| {
                (*setting != problem.setting, !mentions(problem, setting))
            });
            let (setting, entry) = causes.first()?;
            Some(Blamed::Entry(setting, entry.clone()))
        };
        let preset = || {
            let entry = trial.entry(PRESET)?;
            Some(Blamed::Preset(entry.clone()))
        };
        let is_by_preset = || !is_there(&self.without_preset().settings);
        first(entries().filter(is_cause).collect())
            .or_else(|| preset().filter(|_| is_by_preset()))
            .or_else(|| first(entries().collect()))
            .or_else(preset)
    }

    /// As if the configuration named no preset.
    fn without_preset(&self) -> Draft<S> {
        let mut draft = Draft::new(self.base.settings);
        for (setting, entry) in &self.plain.written {
            draft.settings.copy(setting, &self.plain.settings);
            draft.note(setting, entry);
        }
        draft
    }

    /// It would not be there, had something else not been wrong.
    fn is_consequence(&self, problem: &Problem) -> bool {
        let is_about = |setting: &str| setting == problem.setting || mentions(problem, setting);
        let is_alone = settings::<S>().filter(|each| is_about(each)).count() == 1;
        let mut failed = self.failed.iter();
        failed.any(|failed| is_about(failed) || (*failed == PRESET && !is_alone))
    }

    /// Tells of it, with what it does not go together with where that stands elsewhere.
    fn blame(&mut self, problem: &Problem, setting: &str, entry: &Entry, trial: &Draft<S>) {
        let also = self.other_side(problem, setting, trial);
        let message = match other_entry(problem, setting, entry, trial) {
            Some(Entry { key, given, at, .. }) if also.is_none() => {
                let found = given.found();
                format!("{} (beside `{key} = {found}` at {at})", problem.message)
            }
            _ => problem.message.to_owned(),
        };
        self.wrong_beside(entry, message, also);
    }

    /// What the attribute says that it does not go together with.
    fn other_side(&self, problem: &Problem, blamed: &str, trial: &Draft<S>) -> Option<Box<Said>> {
        let place = self.base.place.clone()?;
        let written = settings::<S>().find(|setting| {
            *setting != blamed
                && (*setting == problem.setting || mentions(problem, setting))
                && self.base.settings.is_written(setting)
                && !trial.origins.contains_key(setting)
        })?;
        let effective = self.base.settings.effective();
        let value = effective
            .into_iter()
            .find(|each| each.name == written)?
            .value;
        Some(Said::boxed(format!("{written} = {value}"), place))
    }
}

/// What another source says that it does not go together with.
fn other_entry<'d, S>(
    problem: &Problem,
    blamed: &str,
    entry: &Entry,
    trial: &'d Draft<S>,
) -> Option<&'d Entry> {
    let is_other = |(setting, other): &&(&'static str, Entry)| {
        *setting != blamed
            && (*setting == problem.setting || mentions(problem, setting))
            && !other.at.is_beside(&entry.at)
    };
    let (_, other) = trial.written.iter().find(is_other)?;
    Some(other)
}

/// Goes on without what the blamed entry does not go together with, if that is not written itself: so what
/// else is wrong with what it brings shows, too.
fn leave_out<S: PolicySettings>(trial: &mut Draft<S>, problem: &Problem, blamed: &str) -> bool {
    let other = problem.setting;
    if other == blamed || trial.entry(other).is_some() {
        return false;
    }
    let mut settings = trial.settings;
    settings.clear(other);
    let is_solved = settings.check() != Err(*problem);
    if is_solved {
        trial.settings = settings;
    }
    is_solved
}

/// As `name`, or as `name = value`.
fn mentions(problem: &Problem, setting: &str) -> bool {
    let quoted = problem.message.split('`').skip(1).step_by(2);
    let mut names = quoted.map(|quoted| quoted.split(" = ").next());
    names.any(|name| name == Some(setting))
}

fn settings<S: PolicySettings>() -> impl Iterator<Item = &'static str> {
    S::DESCRIBED.iter().map(|each| each.name)
}

fn is_setting<S: PolicySettings>(setting: &str) -> bool {
    settings::<S>().any(|each| each == setting)
}
