//! What `shared` policies can be told, whatever their kind.

use super::settings::{Problem, spelt};

/// What a shared policy does while its store is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum OnStoreError {
    /// This instance goes on by itself; a limiter or bulkhead with its share, the limit divided by the
    /// instances last seen, at least by `instances`.
    #[default]
    Local,
    /// Every call is let through.
    Allow,
    /// Every call is refused, with [`StoreUnavailable`](crate::StoreUnavailable).
    Deny,
}

/// How often a shared limiter asks its store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Mode {
    /// For each decision: one round trip, and the bounds of its [`Algorithm`](crate::Algorithm) hold for
    /// the fleet.
    #[default]
    Exact,
    /// For some permits ahead, which are then given out without asking.
    ///
    /// Permits that are taken ahead are counted as taken, and given out for as long as the limit's time,
    /// and for a second at most. An instance holds at most a tenth of the limit, divided by the instances
    /// last seen (at least by `instances`), and one at least, for each key. It holds as many as it
    /// uses in an eighth of their life; more are fetched in the background when half of them are gone.
    ///
    /// With a limit of `n`, `i` instances, and what the [`Algorithm`](crate::Algorithm) lets through in
    /// any time `x`, all instances together let through
    ///
    /// | | |
    /// |---|---|
    /// | at most | what it lets through in `x` and a second; and no more than `i`, or `n / 10` if that is more, above what it lets through in `x` |
    /// | at least | so many fewer, where callers are refused: what is held by those who do not need it is lost when it expires |
    ///
    /// A bucket gets back what an instance holds when its limiter is dropped.
    Lease,
}

impl OnStoreError {
    /// The choice as attributes and configuration spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

impl Mode {
    /// The choice as attributes and configuration spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Lease => "lease",
        }
    }
}

spelt!(OnStoreError, Mode);

/// The first of these settings that is written although nothing is shared.
macro_rules! needs_shared {
    ($settings:expr; $($setting:ident),*) => {
        match $settings.shared {
            Some(true) => None,
            _ => {
                let mut problem = None;
                $(
                    if problem.is_none() && $settings.$setting.is_some() {
                        problem = Some($crate::policy::settings::Problem::new(
                            stringify!($setting),
                            concat!("`", stringify!($setting), "` does nothing without `shared`: write that too"),
                        ));
                    }
                )*
                problem
            }
        }
    };
}
pub(super) use needs_shared;

/// A number of instances that is none.
pub(super) const fn no_instances(instances: Option<u32>) -> Option<Problem> {
    match instances {
        Some(0) => Some(Problem::new(
            "instances",
            "`instances` must be at least 1: this one is there",
        )),
        _ => None,
    }
}
