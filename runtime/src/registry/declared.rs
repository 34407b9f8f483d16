//! What one attribute says.

#[allow(clippy::wildcard_imports)]
use super::policies::*;
use crate::kind::PolicyKind;

/// One attribute of a site.
#[derive(Debug)]
pub struct Declared {
    pub(crate) name: Option<&'static str>,
    pub(crate) settings: AnySettings,
    /// `with = ...`: the instance is not the registry's.
    pub(crate) supplied: bool,
    /// The site brings with each call what is a setting elsewhere: an expression that sees the parameters,
    /// or a function.
    pub(crate) varying: bool,
}

impl Declared {
    /// Some of the policy's settings are said anew by each call.
    #[must_use]
    pub const fn varying(mut self) -> Self {
        self.varying = true;
        self
    }

    /// The policy is given by the site itself.
    #[must_use]
    pub const fn supplied(mut self) -> Self {
        self.supplied = true;
        self
    }

    pub(crate) const fn kind(&self) -> PolicyKind {
        self.settings.kind()
    }
}

macro_rules! declare {
    ($($handle:ident: $Policy:ident, $Settings:ident, $Builder:ident;)*) => {
        /// The settings of one attribute.
        #[derive(Debug)]
        pub enum AnySettings {
            $(
                #[doc = concat!("Of a `", stringify!($Policy), "`.")]
                $Policy($Settings),
            )*
        }

        impl AnySettings {
            const fn kind(&self) -> PolicyKind {
                match self {
                    $(Self::$Policy(_) => PolicyKind::$Policy,)*
                }
            }
        }

        impl Declared {
            $(
                /// What an attribute says; a mistake in a constant stops the compilation.
                #[must_use]
                pub const fn $handle(name: Option<&'static str>, settings: $Settings) -> Self {
                    Self {
                        name,
                        settings: AnySettings::$Policy(settings.checked()),
                        supplied: false,
                        varying: false,
                    }
                }
            )*
        }
    };
}
policies!(declare);
