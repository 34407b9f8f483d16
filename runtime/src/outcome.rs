//! What a protected function returns.

/// What a protected function returns: a value or an error. `Result` is one.
///
/// Attributes find it by trait, never by the spelling of a type: aliases, `io::Result` and
/// `anyhow::Result` are outcomes, and so is a type of yours that implements this trait.
#[diagnostic::on_unimplemented(
    message = "a protected function must return a `Result`, not `{Self}`",
    label = "the policies cannot tell success from failure in this type",
    note = "return `Result<T, E>`, or implement `steadfast::Outcome` for `{Self}`"
)]
pub trait Outcome: Sized {
    /// What a successful call gives.
    type Value;
    /// What a failed call gives.
    type Error;

    /// Looks at the outcome without taking it.
    ///
    /// # Errors
    /// The error of a failed call.
    fn as_result(&self) -> Result<&Self::Value, &Self::Error>;

    /// Takes the outcome apart.
    ///
    /// # Errors
    /// The error of a failed call.
    fn into_result(self) -> Result<Self::Value, Self::Error>;

    /// Puts an outcome together.
    fn from_result(result: Result<Self::Value, Self::Error>) -> Self;

    /// The outcome itself, good ones apart from bad ones.
    #[doc(hidden)]
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn good(self) -> Result<Self, Self> {
        match self.as_result() {
            Ok(_) => Ok(self),
            Err(_) => Err(self),
        }
    }
}

impl<T, E> Outcome for Result<T, E> {
    type Value = T;
    type Error = E;

    #[inline]
    fn as_result(&self) -> Result<&T, &E> {
        self.as_ref()
    }

    #[inline]
    fn into_result(self) -> Self {
        self
    }

    #[inline]
    fn from_result(result: Self) -> Self {
        result
    }

    // Put together anew, so that a value is never copied with the room for an error.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn good(self) -> Result<Self, Self> {
        match self {
            Ok(value) => Ok(Ok(value)),
            Err(error) => Err(Err(error)),
        }
    }
}
