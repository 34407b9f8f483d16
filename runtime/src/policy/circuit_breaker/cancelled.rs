//! What a call counts as that its caller dropped.

use crate::policy::settings::Show;

/// What a breaker counts a call as that was dropped by its caller before it ended. Its permit comes
/// back either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cancelled {
    /// Neither success nor failure. If it was slow already, that is counted.
    #[default]
    Ignore,
    /// A failure: right where callers give up because there is no answer.
    Failure,
}

impl Cancelled {
    /// The choice as attributes and configuration spell it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Failure => "failure",
        }
    }
}

impl Show for Cancelled {
    fn show(&self) -> String {
        self.as_str().to_owned()
    }
}
