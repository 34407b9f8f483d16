//! Values as text that other programs, and other versions of this one, can read.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
};

use serde::{Serialize, de::DeserializeOwned};

/// What a fallback can share between instances: any type with `Serialize` and `DeserializeOwned`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be shared between instances",
    label = "the answers of a `shared` fallback are kept as JSON, which this type cannot be written to or read from",
    note = "write `#[derive(serde::Serialize, serde::Deserialize)]` on it, and on what it is made of; or leave `shared` out"
)]
pub trait Shareable: Sized {
    /// As JSON of at most so many bytes; `None` if it is longer, or has no JSON.
    #[doc(hidden)]
    fn to_json(&self, most: usize) -> Option<Vec<u8>>;

    /// From JSON; `None` if that says something else.
    #[doc(hidden)]
    fn from_json(json: &[u8]) -> Option<Self>;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Shareable for T {
    // Both are the user's code: a panic of theirs is an answer that is not shared, and nothing else.

    fn to_json(&self, most: usize) -> Option<Vec<u8>> {
        let mut json = Bounded {
            bytes: Vec::new(),
            most,
        };
        let write = AssertUnwindSafe(|| serde_json::to_writer(&mut json, self).is_ok());
        catch_unwind(write).unwrap_or(false).then_some(json.bytes)
    }

    fn from_json(json: &[u8]) -> Option<Self> {
        let read = AssertUnwindSafe(|| serde_json::from_slice(json).ok());
        catch_unwind(read).unwrap_or(None)
    }
}

/// Takes so many bytes, and no more: what is too long is not written to its end.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.most.checked_sub(self.bytes.len()) {
            Some(room) if bytes.len() <= room => {
                self.bytes.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::served::Served;

    #[test]
    fn a_value_comes_back_as_it_was_within_the_bound_and_not_beyond() {
        let value = "x".repeat(8);
        assert_eq!(value.to_json(9), None);
        let json = value.to_json(10).unwrap_or_default();
        assert_eq!(String::from_json(&json), Some(value));
    }

    #[test]
    fn what_json_cannot_say_is_no_answer() {
        assert_eq!(HashMap::from([((1, 2), 3)]).to_json(1_000), None);
        assert_eq!(u32::from_json(b"\"seven\""), None);
        assert_eq!(u32::from_json(b""), None);
        assert_eq!(u32::from_json(b"7 "), Some(7));
        assert_eq!(u32::from_json(b"7 8"), None);
        // What JSON has no word for is written as `null`, which is read as nothing.
        let json = f64::NAN.to_json(10).unwrap_or_default();
        assert_eq!(f64::from_json(&json), None);
    }

    #[test]
    fn a_served_value_comes_back_as_it_was() {
        let served = Served::from(7);
        let json = served.to_json(1_000).unwrap_or_default();
        assert_eq!(Served::from_json(&json), Some(served));
    }

    #[test]
    fn a_field_more_or_less_is_read_as_its_type_says() {
        #[derive(serde::Serialize)]
        struct New {
            price: u32,
            venue: &'static str,
        }
        #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        struct Old {
            price: u32,
            #[serde(default)]
            age: u32,
        }
        let new = New {
            price: 1,
            venue: "x",
        };
        let json = serde_json::to_vec(&new).unwrap_or_default();
        assert_eq!(Old::from_json(&json), Some(Old { price: 1, age: 0 }));
    }
}
