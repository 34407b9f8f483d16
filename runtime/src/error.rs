//! What is wrong with a setting.

use std::fmt;

use crate::{config::ConfigPlace, kind::PolicyKind, name::PolicyName, place::Place};

/// A mistake in the settings of a policy, or in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setting has a value that it cannot have.
    #[error("{kind} `{policy}`: {problem}")]
    BadSetting {
        /// The kind of the policy.
        kind: PolicyKind,
        /// Its name.
        policy: PolicyName,
        /// The setting.
        setting: &'static str,
        /// What is wrong, and what to write.
        problem: String,
    },
    /// Two places give one policy different settings.
    #[error(
        "{kind} `{policy}`: `{setting}` is {} at {}, but {} at {}; \
         write it at one of them (calls run under the first)",
        .first.value, .first.place, .second.value, .second.place
    )]
    Conflict {
        /// The kind of the policy.
        kind: PolicyKind,
        /// Its name.
        policy: PolicyName,
        /// The first setting that differs.
        setting: &'static str,
        /// What the first place says; it is in force.
        first: Box<Said>,
        /// What the second place says.
        second: Box<Said>,
    },
    /// Two packages give settings for one name.
    #[error(
        "{kind} `{policy}` gets settings from two packages: {} at {} and {} at {}; \
         give them different names, or the settings in one of them",
        .first.value, .first.place, .second.value, .second.place
    )]
    TwoPackages {
        /// The kind of the policy.
        kind: PolicyKind,
        /// Its name.
        policy: PolicyName,
        /// The package whose settings are in force, and where it gives them.
        first: Box<Said>,
        /// The other package, and where it gives them.
        second: Box<Said>,
    },
    /// A policy is joined by name, but nobody says what it is.
    #[error(
        "{kind} `{policy}` at {place} has no `{setting}`: write it there, at another site of that name, \
         or install such a policy before the first call (calls pass unlimited until then)"
    )]
    Undefined {
        /// The kind of the policy.
        kind: PolicyKind,
        /// Its name.
        policy: PolicyName,
        /// The setting that is required.
        setting: &'static str,
        /// The site that joins it.
        place: Place,
    },
    /// A policy is `shared`, and there is nothing to share it in.
    #[error(
        "{kind} `{policy}` is `shared`, but no store is set: call `steadfast::registry().set_store(..)` \
         before its first call, for example with a `steadfast::RedisStore` (feature `redis`)"
    )]
    NoStore {
        /// The kind of the policy.
        kind: PolicyKind,
        /// Its name.
        policy: PolicyName,
    },
    /// The configuration is not what it should be, whatever it is about.
    #[error("{at}: {problem}")]
    Syntax {
        /// Where.
        at: Box<ConfigPlace>,
        /// What is wrong.
        problem: String,
    },
    /// A configuration file cannot be read, or not be watched.
    #[error("{file}: {problem}")]
    File {
        /// The file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// The configuration speaks of a kind of policy that there is not.
    #[error(
        "{at}: there is no kind of policy `{kind}`{}; the kinds are retry, circuit_breaker, rate_limiter, \
         bulkhead, timeout and fallback",
        meant(*.nearest)
    )]
    UnknownKind {
        /// Where.
        at: Box<ConfigPlace>,
        /// What is written there.
        kind: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// The configuration speaks of a policy that there is not.
    #[error(
        "{at}: there is no {kind} `{policy}`{}; a policy that a builder makes must be installed first",
        meant(.nearest.as_deref())
    )]
    UnknownPolicy {
        /// Where.
        at: Box<ConfigPlace>,
        /// The kind of the policy.
        kind: PolicyKind,
        /// The name that is written there.
        policy: PolicyName,
        /// What was probably meant.
        nearest: Option<PolicyName>,
    },
    /// The configuration speaks of a setting that there is not.
    #[error(
        "{at}: {kind} {subject} has no setting `{setting}`{}; its settings are {}",
        meant(*.nearest), .settings.join(", ")
    )]
    UnknownSetting {
        /// Where.
        at: Box<ConfigPlace>,
        /// The kind of the policy.
        kind: PolicyKind,
        /// The policy or preset.
        subject: Subject,
        /// What is written there.
        setting: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
        /// The settings that there are.
        settings: Vec<&'static str>,
    },
    /// The configuration gives a setting a value that it cannot have, by itself or beside others.
    #[error("{at}: `{setting}` of {kind} {subject}: {problem}{}", beside(.also.as_deref()))]
    BadValue {
        /// Where.
        at: Box<ConfigPlace>,
        /// The kind of the policy.
        kind: PolicyKind,
        /// The policy or preset.
        subject: Subject,
        /// The setting.
        setting: String,
        /// What is wrong, and what to write.
        problem: String,
        /// What it does not go together with.
        also: Option<Box<Said>>,
    },
    /// A policy starts from a preset that there is not.
    #[error(
        "{at}: `preset` of {kind} {subject}: there is no preset `{preset}`{}; {}",
        meant(.nearest.as_deref()), list_presets(*.kind, .presets)
    )]
    UnknownPreset {
        /// Where.
        at: Box<ConfigPlace>,
        /// The kind of the policy.
        kind: PolicyKind,
        /// The policy or preset.
        subject: Subject,
        /// What is written there.
        preset: String,
        /// What was probably meant.
        nearest: Option<String>,
        /// The presets that there are.
        presets: Vec<String>,
    },
    /// A variable may mean either of two policies.
    #[error(
        "{at}: variables cannot tell {kind} `{first}` from `{second}`; use a file for them, or give one \
         another name"
    )]
    Ambiguous {
        /// One such variable.
        at: Box<ConfigPlace>,
        /// The kind of the policies.
        kind: PolicyKind,
        /// One of them.
        first: PolicyName,
        /// The other.
        second: PolicyName,
    },
    /// The configuration changes what cannot change while the program runs.
    #[error(
        "{}`{setting}` of {kind} `{policy}` is {value} since its first call, and stays so until the \
         program is started again",
        before(.at.as_deref())
    )]
    Fixed {
        /// Where; none where it was taken out.
        at: Option<Box<ConfigPlace>>,
        /// The kind of the policy.
        kind: PolicyKind,
        /// Its name.
        policy: PolicyName,
        /// The setting.
        setting: &'static str,
        /// Its value in force.
        value: String,
    },
    /// A policy of that kind and name is already in the registry.
    #[error("{kind} `{policy}` is already in use; install it before the first call, once")]
    AlreadyInUse {
        /// The kind of the policy.
        kind: PolicyKind,
        /// Its name.
        policy: PolicyName,
    },
}

/// What the configuration gives settings to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// A policy.
    Policy(PolicyName),
    /// A preset that the configuration defines.
    Preset(PolicyName),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(name) => write!(f, "`{name}`"),
            Self::Preset(name) => write!(f, "preset `{name}`"),
        }
    }
}

fn before(at: Option<&ConfigPlace>) -> String {
    at.map_or_else(String::new, |at| format!("{at}: "))
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |near| format!(", did you mean `{near}`?"))
}

fn beside(said: Option<&Said>) -> String {
    said.map_or_else(String::new, |Said { value, place }| {
        format!(" (beside `{value}` at {place})")
    })
}

fn list_presets(kind: PolicyKind, presets: &[String]) -> String {
    match presets {
        [] => format!("there is none for this kind: define one as [preset.{kind}.name]"),
        presets => format!("those for this kind are {}", presets.join(", ")),
    }
}

/// What one place says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Said {
    /// The value (or the package) there.
    pub value: String,
    /// The place.
    pub place: Place,
}

impl Said {
    pub(crate) fn boxed(value: impl Into<String>, place: Place) -> Box<Self> {
        let value = value.into();
        Box::new(Self { value, place })
    }
}

/// Every mistake found at once. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub(crate) Vec<ConfigError>);

impl ConfigErrors {
    /// In the order of their places; those without one come last.
    pub(crate) fn of(mut mistakes: Vec<ConfigError>) -> Self {
        let place = |mistake: &ConfigError| mistake.at().map(ConfigPlace::order);
        mistakes.sort_by_cached_key(|mistake| (place(mistake).is_none(), place(mistake)));
        // Of a variable that two policies take for theirs.
        mistakes.dedup_by(|next, mistake| {
            let is_of_two = next.policy() != mistake.policy();
            is_of_two && next.variable().is_some() && next.variable() == mistake.variable()
        });
        Self(mistakes)
    }

    #[cfg(feature = "config")]
    pub(crate) fn one(error: ConfigError) -> Self {
        Self(vec![error])
    }

    /// The mistakes: those of the configuration in the order of their places, and those of policies in
    /// theirs.
    pub fn iter(&self) -> std::slice::Iter<'_, ConfigError> {
        self.0.iter()
    }
}

impl<'e> IntoIterator for &'e ConfigErrors {
    type Item = &'e ConfigError;
    type IntoIter = std::slice::Iter<'e, ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for ConfigErrors {
    type Item = ConfigError;
    type IntoIter = std::vec::IntoIter<ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0.len();
        write!(
            f,
            "{n} mistake{} in the settings",
            if n == 1 { "" } else { "s" }
        )?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

impl std::error::Error for ConfigErrors {}

impl ConfigError {
    /// The kind of the policy that it is about; none where it is about no policy.
    #[must_use]
    pub fn kind(&self) -> Option<PolicyKind> {
        match self {
            Self::BadSetting { kind, .. }
            | Self::Conflict { kind, .. }
            | Self::TwoPackages { kind, .. }
            | Self::Undefined { kind, .. }
            | Self::NoStore { kind, .. }
            | Self::UnknownPolicy { kind, .. }
            | Self::UnknownSetting { kind, .. }
            | Self::BadValue { kind, .. }
            | Self::UnknownPreset { kind, .. }
            | Self::Ambiguous { kind, .. }
            | Self::Fixed { kind, .. }
            | Self::AlreadyInUse { kind, .. } => Some(*kind),
            Self::Syntax { .. } | Self::File { .. } | Self::UnknownKind { .. } => None,
        }
    }

    /// The name of that policy.
    #[must_use]
    pub fn policy(&self) -> Option<&PolicyName> {
        match self {
            Self::BadSetting { policy, .. }
            | Self::Conflict { policy, .. }
            | Self::TwoPackages { policy, .. }
            | Self::Undefined { policy, .. }
            | Self::NoStore { policy, .. }
            | Self::UnknownPolicy { policy, .. }
            | Self::Fixed { policy, .. }
            | Self::AlreadyInUse { policy, .. } => Some(policy),
            Self::UnknownSetting { subject, .. }
            | Self::BadValue { subject, .. }
            | Self::UnknownPreset { subject, .. } => match subject {
                Subject::Policy(policy) => Some(policy),
                Subject::Preset(_) => None,
            },
            Self::Ambiguous { first, .. } => Some(first),
            Self::Syntax { .. } | Self::File { .. } | Self::UnknownKind { .. } => None,
        }
    }

    /// Whether `other` is there because of it: what is written wrongly is not written.
    pub(crate) fn explains(&self, other: &Self) -> bool {
        let Self::Undefined {
            setting: lacking, ..
        } = other
        else {
            return false;
        };
        match self {
            Self::BadValue { setting, .. } => setting == lacking,
            Self::UnknownSetting { nearest, .. } => nearest == &Some(*lacking),
            Self::UnknownPreset { .. } => true,
            _ => false,
        }
    }

    /// The variable whose value is wrong.
    fn variable(&self) -> Option<&str> {
        match self {
            Self::UnknownSetting { at, .. }
            | Self::BadValue { at, .. }
            | Self::UnknownPreset { at, .. } => match &**at {
                ConfigPlace::Environment { variable } => Some(variable),
                ConfigPlace::File(_) => None,
            },
            _ => None,
        }
    }

    /// Where in the configuration it is; none where it is elsewhere.
    #[must_use]
    pub fn at(&self) -> Option<&ConfigPlace> {
        match self {
            Self::Syntax { at, .. }
            | Self::UnknownKind { at, .. }
            | Self::UnknownPolicy { at, .. }
            | Self::UnknownSetting { at, .. }
            | Self::BadValue { at, .. }
            | Self::UnknownPreset { at, .. }
            | Self::Ambiguous { at, .. } => Some(at),
            Self::Fixed { at, .. } => at.as_deref(),
            _ => None,
        }
    }
}
