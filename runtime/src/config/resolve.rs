//! From what is written, wherever, to the settings in force of one policy.

use super::{
    Base, ConfigPlace, Resolved,
    document::{Entry, Table},
    layers::Layers,
};
use crate::{
    error::{ConfigError, Said, Subject},
    name::PolicyName,
    nearest::nearest,
    policy::{
        Switch,
        settings::{PRESET, PolicySettings, Problem},
        spelling::{Given, Read, Shape},
    },
    registry::listing::Origin,
};

/// Switches a policy off.
pub(crate) const ENABLED: &str = "enabled";
/// Holds a breaker open or closed.
pub(crate) const FORCE: &str = "force";
/// The value of a setting that is taken away.
const NONE: &str = "none";

/// Works out one policy, or one preset.
pub(super) struct Resolver<'l, S> {
    layers: &'l Layers,
    subject: Subject,
    base: Base<S>,
    resolved: Resolved<S>,
    /// What is written, and by which entry.
    written: Vec<(&'static str, Entry)>,
    is_off: bool,
    force: Option<Switch>,
}

impl<'l, S: PolicySettings> Resolver<'l, S> {
    pub(super) fn new(layers: &'l Layers, subject: Subject, base: Base<S>) -> Self {
        Self {
            layers,
            subject,
            resolved: Resolved::new(base.settings),
            base,
            written: Vec::new(),
            is_off: false,
            force: None,
        }
    }

    /// Puts one table over what there is.
    pub(super) fn add(&mut self, table: &Table) {
        // Whatever the order: the others go before what it says.
        if let Some(entry) = table.entry(PRESET) {
            self.start_from(entry);
        }
        for entry in table.entries.iter().filter(|entry| entry.key != PRESET) {
            self.write(entry);
        }
    }

    /// What comes of it.
    pub(super) fn finish(mut self) -> Resolved<S> {
        self.refuse_what_calls_bring();
        self.refuse_needless_none();
        self.check();
        self.resolved.switch = match self.force {
            _ if self.is_off => Switch::Off,
            Some(force) => force,
            None => Switch::On,
        };
        self.resolved
    }

    fn write(&mut self, entry: &Entry) {
        if entry.key == ENABLED && matches!(self.subject, Subject::Policy(_)) {
            return self.switch(entry);
        }
        if entry.key == FORCE && matches!(self.subject, Subject::Policy(_)) && is_breaker::<S>() {
            return self.hold(entry);
        }
        let Some(described) = S::DESCRIBED.iter().find(|each| each.name == entry.key) else {
            return self.unknown(entry);
        };
        // A jitter of `none` is one.
        let is_none =
            entry.given.text() == Some(NONE) && !matches!(described.shape, Shape::WordOrNumber(_));
        let written = match is_none {
            true => {
                self.take_away(described.name);
                Ok(())
            }
            false => self.resolved.settings.write(described.name, &entry.given),
        };
        match written {
            Ok(()) => self.note(described.name, entry),
            Err(problem) => self.wrong(entry, problem),
        }
    }

    /// What the preset says would come back: so from now on it is as if its settings were written out.
    fn take_away(&mut self, setting: &str) {
        let effective = self.resolved.settings.effective().into_iter();
        let preset = effective.filter(|each| each.name == PRESET && each.value != NONE);
        for preset in preset {
            self.resolved.extra.entry(PRESET).or_insert(preset.value);
        }
        self.resolved.settings = self.resolved.settings.unfolded();
        self.resolved.settings.clear(setting);
    }

    fn note(&mut self, setting: &'static str, entry: &Entry) {
        self.forget(setting);
        let origin = Origin::from(entry.at.clone());
        self.resolved.origins.insert(setting, origin);
        self.written.push((setting, entry.clone()));
    }

    fn forget(&mut self, setting: &'static str) {
        self.resolved.origins.remove(setting);
        self.written.retain(|(other, _)| *other != setting);
    }

    fn switch(&mut self, entry: &Entry) {
        match bool::read(&entry.given) {
            Ok(enabled) => {
                self.is_off = !enabled;
                self.resolved.extra.insert(ENABLED, enabled.to_string());
                self.note(ENABLED, entry);
            }
            Err(problem) => self.wrong(entry, problem),
        }
    }

    fn hold(&mut self, entry: &Entry) {
        self.force = match entry.given.text().map(str::trim) {
            Some("open") => Some(Switch::ForcedOpen),
            Some("closed") => Some(Switch::ForcedClosed),
            Some(NONE) => None,
            _ => {
                let found = entry.given.found();
                let problem = format!("write \"open\", \"closed\" or \"none\", not {found}");
                return self.wrong(entry, problem);
            }
        };
        let text = entry.given.text().unwrap_or_default().trim().to_owned();
        self.resolved.extra.insert(FORCE, text);
        self.note(FORCE, entry);
    }

    /// Naming a preset is as writing all that it says.
    fn start_from(&mut self, entry: &Entry) {
        let Some(name) = entry.given.text() else {
            let found = entry.given.found();
            return self.wrong(entry, format!("write the name of a preset, not {found}"));
        };
        // Whatever was started from before says nothing any more.
        self.resolved.settings.clear(PRESET);
        self.resolved.extra.remove(PRESET);
        if name == NONE {
            return self.note(PRESET, entry);
        }
        let mut preset = S::default();
        let is_own = matches!(self.subject, Subject::Policy(_))
            .then(|| self.layers.preset::<S>(name))
            .flatten();
        match (is_own, built_in::<S>().contains(&name)) {
            (Some(own), _) => {
                preset = own;
                self.resolved.extra.insert(PRESET, name.to_owned());
            }
            (None, true) => {
                let given = Given::Text(name.to_owned());
                if let Err(problem) = preset.write(PRESET, &given) {
                    return self.wrong(entry, problem);
                }
            }
            (None, false) => return self.unknown_preset(entry, name),
        }
        let says = preset.unfolded();
        for described in S::DESCRIBED
            .iter()
            .filter(|each| says.is_written(each.name))
        {
            self.forget(described.name);
            self.resolved.origins.insert(described.name, Origin::Preset);
        }
        self.resolved.settings = says.over(self.resolved.settings);
        if !self.resolved.extra.contains_key(PRESET) {
            // Known by its name in the settings, too.
            drop(
                self.resolved
                    .settings
                    .write(PRESET, &Given::Text(name.to_owned())),
            );
        }
        self.note(PRESET, entry);
    }

    /// Its value is that of each call, whatever is written here.
    fn refuse_what_calls_bring(&mut self) {
        let Some(required) = S::default().missing().filter(|_| self.base.varying) else {
            return;
        };
        let written = self
            .written
            .iter()
            .find(|(setting, _)| *setting == required);
        if let Some((_, entry)) = written.cloned() {
            self.resolved.settings.clear(required);
            self.forget(required);
            let problem = "each call brings its own: the attribute gives an expression that sees the \
                           parameters; leave it out here";
            self.wrong(&entry, problem.to_owned());
        }
    }

    /// `none` where there is always something.
    fn refuse_needless_none(&mut self) {
        let is_none = |(_, entry): &&(&'static str, Entry)| entry.given.text() == Some(NONE);
        let nones: Vec<_> = self.written.iter().filter(is_none).cloned().collect();
        for (setting, entry) in nones {
            if let Some(problem) = self.is_never_none(setting) {
                self.forget(setting);
                self.wrong(&entry, problem);
            }
        }
    }

    fn is_never_none(&self, setting: &str) -> Option<String> {
        let settings = &self.resolved.settings;
        if settings.missing() == Some(setting) {
            return Some("it is required, and cannot be `none`".to_owned());
        }
        let mut effective = settings.effective().into_iter();
        let in_force = effective.find(|each| each.name == setting && each.value != NONE)?;
        let default = in_force.value;
        Some(format!("it cannot be `none`: write its default, {default}"))
    }

    /// Finds one mistake after the other, each without those before.
    fn check(&mut self) {
        // A preset need not be good by itself.
        if matches!(self.subject, Subject::Preset(_)) {
            return;
        }
        while let Err(problem) = self.resolved.settings.check() {
            let Some((setting, entry)) = self.blamed(&problem) else {
                return self.refuse_all(&problem);
            };
            let also = self.other_side(&problem, setting);
            self.resolved.settings.clear(setting);
            self.forget(setting);
            self.wrong_beside(&entry, problem.message.to_owned(), also);
        }
    }

    /// Attributes were checked when they were compiled: so it comes from a preset.
    fn refuse_all(&mut self, problem: &Problem) {
        let also = self.other_side(problem, PRESET);
        let preset = self.written.iter().find(|(setting, _)| *setting == PRESET);
        if let Some((_, entry)) = preset.cloned() {
            self.wrong_beside(&entry, problem.message.to_owned(), also);
        }
        self.resolved.settings = self.base.settings;
        self.resolved.origins.clear();
    }

    /// The entry that a problem is about, or else one that its message mentions, or the last.
    fn blamed(&self, problem: &Problem) -> Option<(&'static str, Entry)> {
        let is_it = |(setting, _): &&(&'static str, Entry)| *setting == problem.setting;
        let is_mentioned = |(setting, _): &&(&'static str, Entry)| mentions(problem, setting);
        let is_own =
            |(setting, _): &&(&'static str, Entry)| *setting != PRESET && is_setting::<S>(setting);
        let settings = || self.written.iter().filter(is_own);
        let blamed = settings().find(is_it);
        let blamed = blamed.or_else(|| settings().find(is_mentioned));
        blamed.or_else(|| settings().next_back()).cloned()
    }

    /// What the attribute says that it does not go together with.
    fn other_side(&self, problem: &Problem, blamed: &str) -> Option<Box<Said>> {
        let place = self.base.place.clone()?;
        let written = S::DESCRIBED.iter().map(|each| each.name).find(|setting| {
            *setting != blamed
                && (*setting == problem.setting || mentions(problem, setting))
                && self.base.settings.is_written(setting)
                && !self.resolved.origins.contains_key(setting)
        })?;
        let effective = self.base.settings.effective();
        let value = effective
            .into_iter()
            .find(|each| each.name == written)?
            .value;
        Some(Said::boxed(format!("{written} = {value}"), place))
    }

    fn wrong(&mut self, entry: &Entry, problem: String) {
        self.wrong_beside(entry, problem, None);
    }

    fn wrong_beside(&mut self, entry: &Entry, problem: String, also: Option<Box<Said>>) {
        self.resolved.mistakes.push(ConfigError::BadValue {
            at: Box::new(entry.value_at.clone()),
            kind: S::KIND,
            subject: self.subject.clone(),
            setting: entry.key.clone(),
            problem,
            also,
        });
    }

    fn unknown(&mut self, entry: &Entry) {
        let mut settings: Vec<_> = S::DESCRIBED.iter().map(|each| each.name).collect();
        if matches!(self.subject, Subject::Policy(_)) {
            settings.push(ENABLED);
            settings.extend(is_breaker::<S>().then_some(FORCE));
        }
        if !settings.contains(&PRESET) {
            settings.push(PRESET);
        }
        self.resolved.mistakes.push(ConfigError::UnknownSetting {
            at: Box::new(entry.at.clone()),
            kind: S::KIND,
            subject: self.subject.clone(),
            setting: entry.key.clone(),
            nearest: nearest(&entry.key, settings.iter().copied()),
            settings,
        });
    }

    fn unknown_preset(&mut self, entry: &Entry, name: &str) {
        let mut presets = match self.subject {
            Subject::Policy(_) => self.layers.presets_of(S::KIND),
            Subject::Preset(_) => Vec::new(),
        };
        presets.extend(built_in::<S>().iter().map(|&word| word.to_owned()));
        presets.sort();
        presets.dedup();
        self.resolved.mistakes.push(ConfigError::UnknownPreset {
            at: Box::new(entry.value_at.clone()),
            kind: S::KIND,
            subject: self.subject.clone(),
            preset: name.to_owned(),
            nearest: nearest(name, presets.iter().map(String::as_str)).map(str::to_owned),
            presets,
        });
    }
}

fn mentions(problem: &Problem, setting: &str) -> bool {
    problem.message.contains(&format!("`{setting}`"))
}

fn is_setting<S: PolicySettings>(setting: &str) -> bool {
    S::DESCRIBED.iter().any(|each| each.name == setting)
}

fn is_breaker<S: PolicySettings>() -> bool {
    S::KIND == crate::PolicyKind::CircuitBreaker
}

/// The presets that need not be defined.
pub(super) fn built_in<S: PolicySettings>() -> &'static [&'static str] {
    let preset = S::DESCRIBED.iter().find(|each| each.name == PRESET);
    match preset.map(|each| each.shape) {
        Some(Shape::Word(words)) => words,
        _ => &[],
    }
}

impl From<ConfigPlace> for Origin {
    fn from(place: ConfigPlace) -> Self {
        match place {
            ConfigPlace::File(place) => Self::File { place },
            ConfigPlace::Environment { variable } => Self::Environment { variable },
        }
    }
}

/// What a preset is before what it says.
pub(super) fn nothing<S: PolicySettings>() -> Base<S> {
    Base {
        settings: S::default(),
        place: None,
        varying: false,
    }
}

/// A policy of that name.
pub(super) fn policy(name: &PolicyName) -> Subject {
    Subject::Policy(name.clone())
}
