//! Settings from outside: files and the environment, over those of the attributes.

#[cfg(feature = "config")]
mod blame;
#[cfg(feature = "config")]
mod document;
#[cfg(feature = "config")]
mod draft;
#[cfg(feature = "config")]
mod environment;
#[cfg(feature = "config")]
mod file;
#[cfg(feature = "config")]
mod layers;
mod place;
#[cfg(feature = "cli")]
pub(crate) mod render;
#[cfg(feature = "config")]
mod resolve;
mod resolved;
#[cfg(feature = "config")]
mod source;
#[cfg(all(test, feature = "config", not(steadfast_loom)))]
mod tests;

#[cfg(feature = "cli")]
pub(crate) use environment::prefix;
#[cfg(feature = "config")]
pub(crate) use layers::Layers;
pub use place::{ConfigPlace, FilePlace};
#[cfg(feature = "cli")]
pub(crate) use resolve::NONE;
#[cfg(feature = "config")]
pub(crate) use resolve::{ENABLED, FORCE};
pub(crate) use resolved::{Base, Resolved};
#[cfg(feature = "config")]
pub(crate) use source::{ConfigFile, Source};

/// Documentation without its links: for those who read it elsewhere.
#[cfg(feature = "cli")]
pub(crate) fn plain(doc: &str) -> String {
    let mut plain = String::new();
    let mut rest = doc;
    while let Some((before, link)) = rest.split_once('[') {
        let Some((text, after)) = link.split_once(']') else {
            break;
        };
        plain.push_str(before);
        plain.push_str(text);
        // With or without what it leads to.
        rest = match after
            .strip_prefix('(')
            .and_then(|target| target.split_once(')'))
        {
            Some((_, after)) => after,
            None => after,
        };
    }
    plain.push_str(rest);
    plain
}
