//! What is known of the annotated functions, as users see it.

use std::fmt;

use crate::{config::FilePlace, kind::PolicyKind, name::PolicyName, place::Place};

/// One annotated function of the program, with the stack that protects it.
///
/// From [`Registry::sites`](crate::Registry::sites).
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Site {
    /// `module::path::function`.
    pub function: &'static str,
    /// The source file, as the compiler was given it.
    pub file: &'static str,
    /// The line of the attributes.
    pub line: u32,
    /// The package that it is compiled in.
    pub package: &'static str,
    /// Its policies, the outermost first.
    pub policies: Vec<SitePolicy>,
}

/// One attribute of a [`Site`]: the policy that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SitePolicy {
    /// Its kind.
    pub kind: PolicyKind,
    /// Its name; none where the policy is [supplied](Definition::Supplied) with each call.
    pub name: Option<PolicyName>,
    /// Who says what it is: this site, or the one that it joins by name.
    pub definition: Definition,
    /// Every setting in force, defaults included; empty where the policy is
    /// [supplied](Definition::Supplied).
    pub settings: Vec<SiteSetting>,
}

/// One setting of a [`SitePolicy`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SiteSetting {
    /// Its name, as in the attribute.
    pub name: &'static str,
    /// Its value, spelt as in the attribute; `none` where it is off, `of the call` where each call
    /// brings its own.
    pub value: String,
    /// Where the value comes from.
    pub origin: Origin,
}

// No variant is called `Default`: the compiler would no longer call the trait so in users' errors.

/// Who says what a policy is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(tag = "by", rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Definition {
    /// Nobody: every setting has its default. `default` where serialised.
    #[cfg_attr(feature = "serde", serde(rename = "default"))]
    BuiltIn,
    /// An attribute, of this function or of another one that gives the same name.
    Attribute {
        /// Where it stands.
        place: Place,
    },
    /// A builder, which [installed](crate::CircuitBreakerBuilder::install) it.
    Installed {
        /// Where that is called.
        place: Place,
    },
    /// The function itself with each call, by `with = ...`: its name and settings are known there.
    Supplied,
}

/// Where the value of a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(tag = "from", rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Origin {
    /// It is the default, also where that follows another setting. `default` where serialised.
    #[cfg_attr(feature = "serde", serde(rename = "default"))]
    BuiltIn,
    /// The preset that the policy starts from, wherever that is named.
    Preset,
    /// An attribute says so.
    Attribute {
        /// Where it stands.
        place: Place,
    },
    /// The builder of a policy that was installed says so.
    Installed {
        /// Where that was called.
        place: Place,
    },
    /// A configuration file, or a text, says so.
    File {
        /// Where.
        place: FilePlace,
    },
    /// The environment says so.
    Environment {
        /// The variable.
        variable: String,
    },
    /// Each call brings its own: an expression that sees the parameters, or a `backoff` function, beside
    /// which `base_delay` and `multiplier` are of no effect.
    Call,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("default"),
            Self::Preset => f.write_str("preset"),
            Self::Attribute { place } => write!(f, "attribute at {}:{}", place.file, place.line),
            Self::Installed { place } => write!(f, "installed at {}:{}", place.file, place.line),
            Self::File { place } => place.fmt(f),
            Self::Environment { variable } => f.write_str(variable),
            Self::Call => f.write_str("each call"),
        }
    }
}

impl Site {
    /// Its policy of that kind, the outermost where there are several.
    #[must_use]
    pub fn policy(&self, kind: PolicyKind) -> Option<&SitePolicy> {
        self.policies.iter().find(|policy| policy.kind == kind)
    }
}

impl SitePolicy {
    /// One of its settings, by the name that it has in the attribute.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&SiteSetting> {
        self.settings.iter().find(|setting| setting.name == name)
    }
}

impl Definition {
    /// Where it was installed, if it was.
    pub(crate) fn installed(&self) -> Option<&Place> {
        match self {
            Self::Installed { place } => Some(place),
            _ => None,
        }
    }

    /// Where a setting comes from that is written there.
    pub(super) fn origin(&self) -> Origin {
        match self {
            Self::Attribute { place } => Origin::Attribute {
                place: place.clone(),
            },
            Self::Installed { place } => Origin::Installed {
                place: place.clone(),
            },
            Self::BuiltIn | Self::Supplied => Origin::BuiltIn,
        }
    }
}
