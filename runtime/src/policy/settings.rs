//! What all settings have in common: each is optional where it is written, is checked in const
//! context, and can be shown.

use std::{fmt, time::Duration};

use crate::{kind::PolicyKind, units};

/// What the declaration of settings answers by itself, whatever they are.
pub(crate) trait Written {
    /// Whether anything is written at all; a site that only names a policy joins it.
    fn is_empty(&self) -> bool;

    /// Whether this setting is written.
    fn is_written(&self, setting: &str) -> bool;

    /// The first mistake.
    fn check(&self) -> Result<(), Problem>;
}

/// The settings of one kind of policy, as written: `None` where nothing is.
pub(crate) trait PolicySettings:
    Written + Configurable + Copy + Default + fmt::Debug + Send + Sync + 'static
{
    /// The kind of policy.
    const KIND: PolicyKind;

    /// How calls bring their own.
    #[cfg_attr(not(feature = "config"), allow(dead_code))] // nobody is told
    const BROUGHT_BY: &'static str = "an expression that sees the parameters";

    /// Every setting as it is in force, defaults filled in: what two sites of one name must agree on.
    fn effective(&self) -> Vec<Setting>;

    /// Whether the preset that they start from says this setting, and nothing written does.
    fn is_preset(&self, _setting: &str) -> bool {
        false
    }

    /// With what the preset says where nothing is written, and without it.
    #[cfg_attr(not(feature = "config"), allow(dead_code))] // nobody writes over it
    #[must_use]
    fn unfolded(self) -> Self {
        self
    }

    /// What nobody has written gives way, where it does not go with what is written: `is_presets` tells what
    /// the preset says, `varying` whether each call brings its own.
    #[cfg_attr(not(feature = "config"), allow(dead_code))] // nobody writes over it
    #[must_use]
    fn fitted(self, _is_presets: impl Fn(&str) -> bool, _varying: bool) -> Self {
        self
    }

    /// What calls bring at a site that brings its own, and of which the settings are of no effect there.
    fn brought(&self) -> &'static [&'static str] {
        &[]
    }

    /// A required setting that is not written.
    fn missing(&self) -> Option<&'static str> {
        None
    }

    /// Whether the state is kept in the registry's store.
    fn is_shared(&self) -> bool {
        false
    }

    /// These settings with the required ones filled in so that the policy lets everything through: a
    /// site that joins a name which nobody defines must not take the program down.
    #[must_use]
    fn harmless(self) -> Self {
        self
    }
}

#[cfg(feature = "config")]
pub(crate) use super::spelling::Spelt as Configurable;

/// What configuration asks of settings.
#[cfg(not(feature = "config"))]
pub(crate) trait Configurable {}

#[cfg(not(feature = "config"))]
impl<S> Configurable for S {}

/// The setting that gives the others their values where they are not written.
pub(crate) const PRESET: &str = "preset";

/// A mistake in a setting, in words that fit a compile error as well as a run-time one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The setting.
    pub(crate) setting: &'static str,
    /// What is wrong, then what to write.
    pub(crate) message: &'static str,
}

impl Problem {
    pub(crate) const fn new(setting: &'static str, message: &'static str) -> Self {
        Self { setting, message }
    }
}

/// One setting in force.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Setting {
    /// Its name, as in the attribute.
    pub name: &'static str,
    /// Its value, spelt as in the attribute; `none` where it is off.
    pub value: String,
}

impl Setting {
    pub(crate) fn new(name: &'static str, value: impl Show) -> Self {
        Self {
            name,
            value: value.show(),
        }
    }
}

/// A value in a snapshot.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(untagged))]
#[non_exhaustive]
pub enum Value {
    /// A count.
    Count(u64),
    /// A ratio or a rate.
    Number(f64),
    /// A state or a choice.
    Text(String),
    /// Not known (yet).
    Unknown,
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl<V: Into<Value>> From<Option<V>> for Value {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::Unknown, Into::into)
    }
}

/// How a setting is spelt.
pub(crate) trait Show {
    fn show(&self) -> String;
}

macro_rules! show_by_display {
    ($($ty:ty),*) => {$(
        impl Show for $ty {
            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
show_by_display!(u32, bool);

/// Choices are spelt by their words.
macro_rules! spelt {
    ($($Choice:ty),*) => {$(
        impl ::std::fmt::Display for $Choice {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl $crate::policy::settings::Show for $Choice {
            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
pub(crate) use spelt;

impl Show for f64 {
    fn show(&self) -> String {
        // Attributes know no `-0`.
        if *self == 0.0 { 0.0 } else { *self }.to_string()
    }
}

impl Show for Duration {
    fn show(&self) -> String {
        units::format(*self).to_string()
    }
}

impl<V: Show> Show for Option<V> {
    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "none".to_owned(), Show::show)
    }
}

/// Declares the settings of a policy once: the struct that attributes fill in const context, and the
/// builder with a method of the same name for each.
///
/// `[into]` after a type lets the builder's method take `impl Into` of it.
macro_rules! settings {
    (
        $(#[$meta:meta])*
        $Settings:ident, $Builder:ident => $Policy:ident;
        $( $(#[doc = $doc:literal])* $field:ident: $ty:ty $([$into:ident])?, )*
    ) => {
        #[doc = concat!("The settings of a [`", stringify!($Policy), "`](crate::", stringify!($Policy), ") as written.")]
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub struct $Settings {
            $(pub(crate) $field: Option<$ty>,)*
        }

        impl $Settings {
            /// Nothing written.
            #[must_use]
            pub const fn new() -> Self {
                Self { $($field: None,)* }
            }

            $(
                $(#[doc = $doc])*
                #[must_use]
                pub const fn $field(mut self, value: $ty) -> Self {
                    self.$field = Some(value);
                    self
                }
            )*

            /// These settings, and those of `others` where nothing is written.
            #[allow(dead_code)] // only where there are presets, or configuration
            pub(crate) const fn or(self, others: Self) -> Self {
                Self {
                    $($field: match self.$field {
                        Some(value) => Some(value),
                        None => others.$field,
                    },)*
                }
            }

            /// Stops the compilation at the first mistake.
            pub(crate) const fn checked(self) -> Self {
                match self.problem() {
                    None => self,
                    Some(problem) => panic!("{}", problem.message),
                }
            }
        }

        impl $crate::policy::settings::Written for $Settings {
            fn is_empty(&self) -> bool {
                true $(&& self.$field.is_none())*
            }

            fn is_written(&self, setting: &str) -> bool {
                match setting {
                    $(stringify!($field) => self.$field.is_some(),)*
                    _ => false,
                }
            }

            fn check(&self) -> Result<(), $crate::policy::settings::Problem> {
                self.problem().map_or(Ok(()), Err)
            }
        }

        #[cfg(feature = "config")]
        impl $crate::policy::spelling::Spelt for $Settings {
            const DESCRIBED: &'static [$crate::policy::spelling::Described] = &[
                $($crate::policy::spelling::Described {
                    name: stringify!($field),
                    doc: concat!($($doc, "\n"),*),
                    shape: <$ty as $crate::policy::spelling::Read>::SHAPE,
                },)*
            ];

            fn write(
                &mut self,
                setting: &str,
                given: &$crate::policy::spelling::Given,
            ) -> Result<(), String> {
                match setting {
                    $(stringify!($field) => {
                        self.$field = Some(<$ty as $crate::policy::spelling::Read>::read(given)?);
                    })*
                    _ => {}
                }
                Ok(())
            }

            fn copy(&mut self, setting: &str, from: &Self) {
                match setting {
                    $(stringify!($field) => self.$field = from.$field,)*
                    _ => {}
                }
            }

            fn over(self, others: Self) -> Self {
                self.or(others)
            }
        }

        impl Default for $Settings {
            fn default() -> Self {
                Self::new()
            }
        }

        $(#[$meta])*
        #[derive(Debug, Clone)]
        #[must_use = "a builder does nothing until `build()` or `install()`"]
        pub struct $Builder {
            pub(crate) name: $crate::name::PolicyName,
            pub(crate) settings: $Settings,
        }

        impl $Builder {
            pub(crate) fn new(name: impl Into<$crate::name::PolicyName>) -> Self {
                Self { name: name.into(), settings: $Settings::new() }
            }

            $(
                $(#[doc = $doc])*
                pub fn $field(mut self, value: settings!(@arg $ty $(, $into)?)) -> Self {
                    self.settings = self.settings.$field(settings!(@value value $(, $into)?));
                    self
                }
            )*

            /// Checks the settings and makes the policy: an independent instance that no attribute
            /// joins.
            ///
            /// # Errors
            /// The first setting that has a value it cannot have, or a required one that is missing.
            pub fn build(self) -> Result<$Policy, $crate::error::ConfigError> {
                $crate::policy::build(self.name, &self.settings)
            }
        }
    };
    (@arg $ty:ty) => { $ty };
    (@arg $ty:ty, into) => { impl Into<$ty> };
    (@value $value:ident) => { $value };
    (@value $value:ident, into) => { $value.into() };
}
pub(crate) use settings;

#[cfg(all(test, not(steadfast_loom)))]
pub(crate) mod tests {
    use super::PolicySettings;

    /// The rows of the table of presets, each given by its name, the settings that start from it, and
    /// what it writes: the settings that some preset changes.
    pub(crate) fn table<S: PolicySettings>(presets: &[(&str, S, S)]) -> Vec<String> {
        let defaults = S::default().effective().into_iter().skip(1);
        let row = |(nth, default): (usize, super::Setting)| {
            let name = default.name;
            let cell = |(_, settings, written): &(&str, S, S)| {
                let value = settings.effective().swap_remove(nth + 1).value;
                let is_changed = written.is_written(name) || value != default.value;
                is_changed.then_some(value)
            };
            let cells: Vec<_> = presets.iter().map(cell).collect();
            let is_changed = cells.iter().any(Option::is_some);
            let cells = cells
                .into_iter()
                .map(|cell| cell.unwrap_or_else(|| "–".to_owned()));
            let cells: Vec<_> = [default.value].into_iter().chain(cells).collect();
            is_changed.then(|| format!("| `{name}` | {} |", cells.join(" | ")))
        };
        let head: Vec<_> = presets
            .iter()
            .map(|(name, ..)| format!("`{name}`"))
            .collect();
        let head = format!("| setting | without | {} |", head.join(" | "));
        let rows = defaults.enumerate().filter_map(row);
        [head].into_iter().chain(rows).collect()
    }

    /// The rows of the table in the documentation of a file.
    pub(crate) fn documented(source: &str) -> Vec<&str> {
        let lines = source.lines().filter_map(|line| line.strip_prefix("/// "));
        lines
            .filter(|line| line.starts_with("| ") && line.ends_with(" |"))
            .collect()
    }
}
