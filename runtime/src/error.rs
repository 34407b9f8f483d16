//! What is wrong with a setting.

use std::fmt;

use crate::{kind::PolicyKind, name::PolicyName, place::Place};

/// A mistake in the settings of a policy.
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
    /// A policy of that kind and name is already in the registry.
    #[error("{kind} `{policy}` is already in use; install it before the first call, once")]
    AlreadyInUse {
        /// The kind of the policy.
        kind: PolicyKind,
        /// Its name.
        policy: PolicyName,
    },
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
    /// The mistakes, in the order of their policies.
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
    /// The kind of the policy that it is about.
    #[must_use]
    pub fn kind(&self) -> PolicyKind {
        match self {
            Self::BadSetting { kind, .. }
            | Self::Conflict { kind, .. }
            | Self::TwoPackages { kind, .. }
            | Self::Undefined { kind, .. }
            | Self::NoStore { kind, .. }
            | Self::AlreadyInUse { kind, .. } => *kind,
        }
    }

    /// The name of that policy.
    #[must_use]
    pub fn policy(&self) -> &PolicyName {
        match self {
            Self::BadSetting { policy, .. }
            | Self::Conflict { policy, .. }
            | Self::TwoPackages { policy, .. }
            | Self::Undefined { policy, .. }
            | Self::NoStore { policy, .. }
            | Self::AlreadyInUse { policy, .. } => policy,
        }
    }
}
