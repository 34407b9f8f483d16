//! How far back a breaker looks, as users write it.

use std::{num::NonZeroU32, time::Duration};

use crate::{algorithm::window::Span, policy::settings::Show};

/// Which calls the rates are taken over. Both kinds really slide.
///
/// Wherever a window is asked for, a number (of calls) or a [`Duration`] will do.
///
/// ```
/// use std::time::Duration;
/// use steadfast::Window;
///
/// assert_eq!(Window::from(100), Window::Count(100));
/// assert_eq!(Window::from(Duration::from_secs(30)), Window::Time(Duration::from_secs(30)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Window {
    /// The last so many calls that ended. Takes a quarter of a byte a call.
    Count(u32),
    /// The calls that ended within the last while, in pieces of a tenth of it or one second, whichever
    /// is shorter.
    Time(Duration),
}

impl Window {
    pub(super) const DEFAULT: Self = Self::Count(100);

    pub(super) const fn is_empty(self) -> bool {
        match self {
            Self::Count(calls) => calls == 0,
            Self::Time(length) => length.is_zero(),
        }
    }

    pub(super) fn span(self) -> Span {
        match self {
            Self::Count(calls) => Span::Count(NonZeroU32::new(calls).unwrap_or(NonZeroU32::MIN)),
            Self::Time(length) => Span::Time(length),
        }
    }
}

impl From<u32> for Window {
    fn from(calls: u32) -> Self {
        Self::Count(calls)
    }
}

impl From<Duration> for Window {
    fn from(length: Duration) -> Self {
        Self::Time(length)
    }
}

impl Show for Window {
    fn show(&self) -> String {
        match self {
            Self::Count(calls) => calls.show(),
            Self::Time(length) => length.show(),
        }
    }
}

/// `window = expr` in const context, where `Into` cannot be called.
///
/// Of the integers only `u32` has an impl: with a second one, `2 * 50` would have no type.
#[derive(Debug)]
pub struct WindowArg<T>(pub T);

impl WindowArg<u32> {
    /// That many calls.
    #[must_use]
    pub const fn window(self) -> Window {
        Window::Count(self.0)
    }
}

impl WindowArg<Duration> {
    /// That long.
    #[must_use]
    pub const fn window(self) -> Window {
        Window::Time(self.0)
    }
}

impl WindowArg<Window> {
    /// As it is.
    #[must_use]
    pub const fn window(self) -> Window {
        self.0
    }
}
