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

impl Show for Cancelled {
    fn show(&self) -> String {
        match self {
            Self::Ignore => "ignore".to_owned(),
            Self::Failure => "failure".to_owned(),
        }
    }
}
