//! From what is written, wherever, to the settings in force of one policy.

use std::collections::BTreeMap;

use super::{
    Base, ConfigPlace, Resolved,
    document::{Entry, Table},
    draft::Draft,
    layers::Layers,
};
use crate::{
    error::{ConfigError, Said, Subject},
    name::PolicyName,
    nearest::nearest,
    policy::{
        Switch,
        settings::{PRESET, PolicySettings},
        spelling::{Given, Read, Shape, built_in_presets},
    },
    registry::listing::Origin,
};

/// Switches a policy off.
pub(crate) const ENABLED: &str = "enabled";
/// Holds a breaker open or closed.
pub(crate) const FORCE: &str = "force";
/// The value of a setting that is taken away.
pub(crate) const NONE: &str = "none";

/// Works out one policy, or one preset.
pub(super) struct Resolver<'l, S> {
    layers: &'l Layers,
    pub(super) subject: Subject,
    pub(super) base: Base<S>,
    /// All that is said so far.
    pub(super) draft: Draft<S>,
    /// The same without what the preset says: what another preset, or none, starts from.
    pub(super) plain: Draft<S>,
    /// What was said wrongly: what others lack by that is no mistake of theirs.
    pub(super) failed: Vec<&'static str>,
    extra: BTreeMap<&'static str, String>,
    mistakes: Vec<ConfigError>,
    is_off: bool,
    force: Option<Switch>,
}

impl<'l, S: PolicySettings> Resolver<'l, S> {
    pub(super) fn new(layers: &'l Layers, subject: Subject, base: Base<S>) -> Self {
        let mut plain = Draft::new(base.settings);
        plain.settings.clear(PRESET);
        Self {
            layers,
            subject,
            draft: Draft::new(base.settings),
            plain,
            base,
            failed: Vec::new(),
            extra: BTreeMap::new(),
            mistakes: Vec::new(),
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
        self.leave_out_what_calls_bring();
        self.refuse_needless_none();
        self.fit();
        self.check();
        self.resolved()
    }

    /// What is to be known of it where it need not be good by itself, as a preset need not: it is written
    /// over, or there is more below it.
    pub(super) fn finish_part(mut self) -> Resolved<S> {
        self.refuse_needless_none();
        self.finish_alone()
    }

    /// The same where anything may stand beside it.
    pub(super) fn finish_alone(mut self) -> Resolved<S> {
        self.fit();
        self.check_each();
        self.resolved()
    }

    fn resolved(self) -> Resolved<S> {
        Resolved {
            settings: self.draft.settings,
            switch: match self.force {
                _ if self.is_off => Switch::Off,
                Some(force) => force,
                None => Switch::On,
            },
            extra: self.extra,
            origins: self.draft.origins,
            mistakes: self.mistakes,
        }
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
        if is_none {
            self.take_away(described.name);
        } else {
            if let Err(problem) = self.draft.settings.write(described.name, &entry.given) {
                self.failed.push(described.name);
                return self.wrong(entry, problem);
            }
            let written = &self.draft.settings;
            self.plain.settings.copy(described.name, written);
        }
        self.note(described.name, entry);
    }

    fn note(&mut self, setting: &'static str, entry: &Entry) {
        self.draft.note(setting, entry);
        self.plain.note(setting, entry);
    }

    /// What the preset says would come back: so from now on it is as if its settings were written out.
    fn take_away(&mut self, setting: &str) {
        let effective = self.draft.settings.effective().into_iter();
        let preset = effective.filter(|each| each.name == PRESET && each.value != NONE);
        for preset in preset {
            self.extra.entry(PRESET).or_insert(preset.value);
        }
        self.draft.settings = self.draft.settings.unfolded();
        self.draft.settings.clear(setting);
        self.plain.settings.clear(setting);
    }

    fn switch(&mut self, entry: &Entry) {
        match bool::read(&entry.given) {
            Ok(enabled) => {
                self.is_off = !enabled;
                self.extra.insert(ENABLED, enabled.to_string());
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
        self.extra.insert(FORCE, text);
        self.note(FORCE, entry);
    }

    /// Naming a preset is as writing all that it says. Whatever was started from before says nothing any
    /// more.
    fn start_from(&mut self, entry: &Entry) {
        let Some(name) = entry.given.text() else {
            let found = entry.given.found();
            self.failed.push(PRESET);
            return self.wrong(entry, format!("write the name of a preset, not {found}"));
        };
        self.draft = self.plain.clone();
        self.extra.remove(PRESET);
        if name == NONE {
            return self.draft.note(PRESET, entry);
        }
        let own = matches!(self.subject, Subject::Policy(_))
            .then(|| self.layers.preset::<S>(name))
            .flatten();
        if let Some(own) = own {
            self.start_from_own(&own);
            self.extra.insert(PRESET, name.to_owned());
        } else if built_in::<S>().contains(&name) {
            self.start_from_built_in(name);
        } else {
            self.failed.push(PRESET);
            return self.unknown_preset(entry, name);
        }
        self.draft.note(PRESET, entry);
    }

    fn start_from_own(&mut self, preset: &Resolved<S>) {
        // They are told where it is defined.
        if !preset.mistakes.is_empty() {
            self.failed.push(PRESET);
        }
        let says = preset.settings.unfolded();
        self.start_with(says);
        // `none` is something to say, too.
        for setting in preset.origins.keys().filter(|each| **each != PRESET) {
            if !says.is_written(setting) {
                self.draft.settings.clear(setting);
                self.draft.note_preset(setting);
            }
        }
    }

    fn start_from_built_in(&mut self, name: &str) {
        let given = Given::Text(name.to_owned());
        let mut preset = S::default();
        // It is one of the words.
        drop(preset.write(PRESET, &given));
        for setting in implied(&preset) {
            self.draft.settings.clear(setting);
            self.draft.note_preset(setting);
        }
        self.start_with(preset.unfolded());
        // Known by its name in the settings, too.
        drop(self.draft.settings.write(PRESET, &given));
    }

    fn start_with(&mut self, says: S) {
        let names = S::DESCRIBED.iter().map(|each| each.name);
        for setting in names.filter(|name| says.is_written(name)) {
            self.draft.note_preset(setting);
        }
        self.draft.settings = says.over(self.draft.settings);
    }

    /// Its value is that of each call, whatever is written here.
    fn leave_out_what_calls_bring(&mut self) {
        if !self.base.varying {
            return;
        }
        for &setting in self.draft.settings.brought() {
            let written = self.draft.entry(setting).cloned();
            // A preset may say it, for others.
            if written.is_some() || S::default().missing() == Some(setting) {
                self.draft.give_back(setting, &self.base.settings);
            }
            if let Some(entry) = written {
                let problem = format!(
                    "each call brings its own: the attribute gives {}; leave it out here",
                    S::BROUGHT_BY
                );
                self.wrong(&entry, problem);
            }
        }
    }

    /// Has what nobody has written give way to what is.
    fn fit(&mut self) {
        let is_presets = |setting: &str| self.is_presets(setting);
        self.draft.settings = self.draft.settings.fitted(is_presets, self.base.varying);
    }

    fn is_presets(&self, setting: &str) -> bool {
        let origins = &self.draft.origins;
        match origins.get(setting) {
            Some(origin) => *origin == Origin::Preset,
            None => !origins.contains_key(PRESET) && self.base.settings.is_preset(setting),
        }
    }

    /// `none` where there is always something.
    fn refuse_needless_none(&mut self) {
        let is_none = |(_, entry): &&(&'static str, Entry)| entry.given.text() == Some(NONE);
        let written = self.draft.written.iter();
        let nones: Vec<_> = written.filter(is_none).cloned().collect();
        for (setting, entry) in nones {
            if let Some(problem) = self.is_never_none(setting) {
                self.draft.forget(setting);
                self.failed.push(setting);
                self.wrong(&entry, problem);
            }
        }
    }

    fn is_never_none(&self, setting: &str) -> Option<String> {
        let settings = &self.draft.settings;
        if settings.missing() == Some(setting) {
            return Some("it is required, and cannot be `none`".to_owned());
        }
        let mut effective = settings.effective().into_iter();
        let in_force = effective.find(|each| each.name == setting && each.value != NONE)?;
        let default = in_force.value;
        Some(format!("it cannot be `none`: write its default, {default}"))
    }

    pub(super) fn wrong(&mut self, entry: &Entry, problem: String) {
        self.wrong_beside(entry, problem, None);
    }

    pub(super) fn wrong_beside(&mut self, entry: &Entry, problem: String, also: Option<Box<Said>>) {
        self.mistakes.push(ConfigError::BadValue {
            at: Box::new(entry.value_at.clone()),
            kind: S::KIND,
            subject: self.subject.clone(),
            setting: entry.key.clone(),
            problem,
            also,
        });
    }

    fn unknown(&mut self, entry: &Entry) {
        let settings = settings_of::<S>(&self.subject);
        let meant = nearest(&entry.key, settings.iter().copied());
        self.failed.extend(meant);
        self.mistakes.push(ConfigError::UnknownSetting {
            at: Box::new(entry.at.clone()),
            kind: S::KIND,
            subject: self.subject.clone(),
            setting: entry.key.clone(),
            nearest: meant,
            settings,
        });
    }

    fn on_preset_of_own(&mut self, entry: &Entry, name: &str) {
        let problem = match built_in::<S>() {
            [] => format!(
                "a preset cannot start from `{name}`, nor from any other: write out what it says"
            ),
            built_in => format!(
                "a preset starts from one that is built in ({}), and `{name}` is not: write out what it says",
                built_in.join(", ")
            ),
        };
        self.wrong(entry, problem);
    }

    fn unknown_preset(&mut self, entry: &Entry, name: &str) {
        let own = self.layers.presets_of(S::KIND);
        let mut presets = match self.subject {
            Subject::Policy(_) => own,
            Subject::Preset(_) if own.iter().any(|each| each == name) => {
                return self.on_preset_of_own(entry, name);
            }
            Subject::Preset(_) => Vec::new(),
        };
        presets.extend(built_in::<S>().iter().map(|&word| word.to_owned()));
        presets.sort();
        presets.dedup();
        self.mistakes.push(ConfigError::UnknownPreset {
            at: Box::new(entry.value_at.clone()),
            kind: S::KIND,
            subject: self.subject.clone(),
            preset: name.to_owned(),
            nearest: nearest(name, presets.iter().map(String::as_str)).map(str::to_owned),
            presets,
        });
    }
}

/// What follows from what a preset says is no default any more, and said by it as well: a rate takes the
/// place of a threshold, for example.
fn implied<S: PolicySettings>(preset: &S) -> impl Iterator<Item = &'static str> {
    let says = preset.unfolded();
    let pairs = says.effective().into_iter().zip(S::default().effective());
    let changed = pairs.filter(|(said, default)| said.value != default.value);
    let names = changed.map(|(said, _)| said.name);
    names.filter(move |name| !says.is_written(name))
}

/// The settings that there are.
fn settings_of<S: PolicySettings>(subject: &Subject) -> Vec<&'static str> {
    let mut settings: Vec<_> = S::DESCRIBED.iter().map(|each| each.name).collect();
    if matches!(subject, Subject::Policy(_)) {
        settings.push(ENABLED);
        settings.extend(is_breaker::<S>().then_some(FORCE));
    }
    if !settings.contains(&PRESET) {
        settings.push(PRESET);
    }
    settings
}

/// The settings of any policy of this kind.
pub(super) fn settings_of_policies<S: PolicySettings>() -> Vec<&'static str> {
    settings_of::<S>(&Subject::Policy("".into()))
}

fn is_breaker<S: PolicySettings>() -> bool {
    S::KIND == crate::PolicyKind::CircuitBreaker
}

/// The presets that need not be defined.
pub(super) fn built_in<S: PolicySettings>() -> &'static [&'static str] {
    built_in_presets(S::DESCRIBED)
}

impl From<ConfigPlace> for Origin {
    fn from(place: ConfigPlace) -> Self {
        match place {
            ConfigPlace::File(place) => Self::File { place },
            ConfigPlace::Environment { variable } => Self::Environment { variable },
        }
    }
}

impl Origin {
    /// Where, if the configuration says it.
    pub(crate) fn configured(&self) -> Option<ConfigPlace> {
        match self.clone() {
            Self::File { place } => Some(ConfigPlace::File(place)),
            Self::Environment { variable } => Some(ConfigPlace::Environment { variable }),
            _ => None,
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
