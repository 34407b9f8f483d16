//! What values of one type are called in the store.

use std::{
    any::{TypeId, type_name},
    collections::HashMap,
    sync::Mutex,
};

use crate::{lock::lock, policy::fallback::memory::CacheKey};

/// The names of the types that one policy shares.
///
/// A type is known by its path: what another compiler calls otherwise is not found, which costs an answer
/// and never mixes two. Two types of one path (of two versions of a crate, of two blocks of a function)
/// cannot be told apart there, so neither is shared once both have been seen.
#[derive(Debug, Default)]
pub(super) struct Tags(Mutex<HashMap<&'static str, Option<TypeId>>>);

impl Tags {
    /// The field of a key's answer of this type; `None` where the type cannot be told from another.
    pub(super) fn field<T: 'static>(&self, key: &CacheKey) -> Option<Vec<u8>> {
        let name = type_name::<T>();
        self.is_alone(name, TypeId::of::<T>())
            .then(|| field(name, key.as_str()))
    }

    fn is_alone(&self, name: &'static str, of: TypeId) -> bool {
        let mut seen = lock(&self.0);
        let owner = seen.entry(name).or_insert(Some(of));
        if *owner != Some(of) {
            *owner = None;
        }
        owner.is_some()
    }
}

/// No type has a zero in its name: where the key begins cannot be mistaken.
fn field(name: &str, key: &str) -> Vec<u8> {
    [name.as_bytes(), b"\0", key.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_under_one_key_are_different_fields() {
        let (tags, key) = (Tags::default(), CacheKey::new("a"));
        assert_eq!(tags.field::<u32>(&key), Some(b"u32\0a".to_vec()));
        assert_eq!(tags.field::<i64>(&key), Some(b"i64\0a".to_vec()));
        assert_eq!(tags.field::<u32>(&key), Some(b"u32\0a".to_vec()));
    }

    #[test]
    fn of_two_types_with_one_name_neither_is_shared() {
        let tags = Tags::default();
        assert!(tags.is_alone("app::Quote", TypeId::of::<u8>()));
        assert!(!tags.is_alone("app::Quote", TypeId::of::<u16>()));
        assert!(!tags.is_alone("app::Quote", TypeId::of::<u8>()));
        assert!(tags.is_alone("app::Price", TypeId::of::<u8>()));
    }
}
