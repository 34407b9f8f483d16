//! How a policy gets at its store.

use std::{
    fmt,
    sync::{Arc, OnceLock, Weak},
};

use super::{Member, Store, StoreError};
use crate::{kind::PolicyKind, name::PolicyName};

/// The store of a registry, once it is set.
#[derive(Clone, Default)]
pub(crate) struct StoreSlot(Arc<Slot>);

#[derive(Default)]
struct Slot {
    store: OnceLock<Arc<dyn Store>>,
    instance: OnceLock<Vec<u8>>,
}

impl StoreSlot {
    /// # Errors
    /// There is one already.
    pub(crate) fn set(&self, store: Arc<dyn Store>) -> Result<(), StoreError> {
        self.0.store.set(store).map_err(|_| StoreError::AlreadySet)
    }

    pub(crate) fn get(&self) -> Option<&Arc<dyn Store>> {
        self.0.store.get()
    }

    /// This registry, to all that share its store: a random number that no other has.
    pub(crate) fn instance(&self) -> &[u8] {
        self.0.instance.get_or_init(|| {
            let mut random = fastrand::Rng::new();
            format!("{:016x}{:016x}", random.u64(..), random.u64(..)).into_bytes()
        })
    }
}

impl fmt::Debug for StoreSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// A shared policy's way to its store: the store of its registry, and the keys that are its own there.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    slot: StoreSlot,
    kind: PolicyKind,
    name: PolicyName,
}

impl Link {
    pub(crate) fn new(slot: StoreSlot, kind: PolicyKind, name: PolicyName) -> Self {
        Self { slot, kind, name }
    }

    /// The store.
    ///
    /// # Errors
    /// None was set before the first shared call.
    pub(crate) fn store(&self) -> Result<&Arc<dyn Store>, StoreError> {
        self.slot.get().ok_or(StoreError::NotSet)
    }

    /// This instance, to the others.
    pub(crate) fn instance(&self) -> &[u8] {
        self.slot.instance()
    }

    /// Has the store tell this policy of the passing of time.
    pub(crate) fn attach(&self, member: Weak<dyn Member>) -> Result<(), StoreError> {
        self.store()?.attach(member);
        Ok(())
    }

    /// The key of one record of this policy: `rate_limiter:{name}:part`. All records of a policy that
    /// are made without a `key` share a hash tag, so that a script may touch several of them; the
    /// store puts its own prefix in front.
    pub(crate) fn key(&self, part: &str) -> Vec<u8> {
        let mut key = Vec::with_capacity(48);
        self.begin(&mut key);
        key.extend_from_slice(b"}:");
        key.extend_from_slice(part.as_bytes());
        key
    }

    /// The same for one value of a policy's `key`: `rate_limiter:{name/value}:part`, on a slot of its own.
    pub(crate) fn key_of(&self, value: &[u8], part: &str) -> Vec<u8> {
        let mut key = Vec::with_capacity(48 + value.len());
        self.begin(&mut key);
        key.push(b'/');
        escape(value, &mut key);
        key.extend_from_slice(b"}:");
        key.extend_from_slice(part.as_bytes());
        key
    }

    fn begin(&self, key: &mut Vec<u8>) {
        key.extend_from_slice(self.kind.as_str().as_bytes());
        key.extend_from_slice(b":{");
        escape(self.name.as_str().as_bytes(), key);
    }
}

/// Braces would end the hash tag early, and a slash would make the name of one policy the key of another.
fn escape(text: &[u8], key: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'{' => key.extend_from_slice(b"%7B"),
            b'}' => key.extend_from_slice(b"%7D"),
            b'/' => key.extend_from_slice(b"%2F"),
            b'%' => key.extend_from_slice(b"%25"),
            byte => key.push(byte),
        }
    }
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use super::*;

    fn link(name: &str) -> Link {
        Link::new(StoreSlot::default(), PolicyKind::RateLimiter, name.into())
    }

    #[test]
    fn keys_of_a_policy_share_its_hash_tag() {
        assert_eq!(link("a b").key("now"), b"rate_limiter:{a b}:now");
        assert_eq!(link("a").key_of(b"x", "now"), b"rate_limiter:{a/x}:now");
    }

    #[test]
    fn no_name_and_no_key_can_be_taken_for_another() {
        assert_ne!(link("a").key_of(b"x", "p"), link("a/x").key("p"));
        assert_ne!(link("a/").key_of(b"x", "p"), link("a").key_of(b"/x", "p"));
        assert_eq!(link("{}").key("p"), b"rate_limiter:{%7B%7D}:p");
        assert_ne!(link("{").key("p"), link("%7B").key("p"));
    }

    #[test]
    fn without_a_store_it_says_so() {
        assert_eq!(link("a").store().err(), Some(StoreError::NotSet));
    }
}
