//! The name of a policy.

use std::{borrow::Borrow, fmt, ops::Deref, sync::Arc};

/// The name of a policy instance: what errors, events and snapshots call it.
///
/// Cheap to clone, derefs to `str`, and compares with string literals.
///
/// ```
/// # use steadfast::PolicyName;
/// let name = PolicyName::from("quotes");
/// assert_eq!(name, "quotes");
/// assert!(name.starts_with("quo"));
/// ```
#[derive(Clone)]
pub struct PolicyName(Repr);

#[derive(Clone)]
enum Repr {
    /// Written in an attribute: no reference count that refusals on many threads would fight over.
    Static(&'static str),
    Shared(Arc<str>),
}

impl PolicyName {
    /// A name known at compile time.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        Self(Repr::Static(name))
    }

    /// The name as a string slice.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Static(name) => name,
            Repr::Shared(name) => name,
        }
    }
}

impl Deref for PolicyName {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for PolicyName {
    fn as_ref(&self) -> &str {
        self
    }
}

impl Borrow<str> for PolicyName {
    fn borrow(&self) -> &str {
        self
    }
}

impl From<&str> for PolicyName {
    fn from(name: &str) -> Self {
        Self(Repr::Shared(name.into()))
    }
}

impl From<String> for PolicyName {
    fn from(name: String) -> Self {
        Self(Repr::Shared(name.into()))
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq for PolicyName {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for PolicyName {}

impl PartialEq<str> for PolicyName {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for PolicyName {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialOrd for PolicyName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PolicyName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl std::hash::Hash for PolicyName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for PolicyName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for PolicyName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}
