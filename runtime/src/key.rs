//! What a call is told apart by: as text, without the formatting machinery where there is text already.
//!
//! The emitted code calls `Key::of(&key).__shown()` where the type is concrete. The ladder is that of
//! [`probe`](crate::probe): a type of [`Plain`] text is taken as it is, and every other by its `Display`.

use std::{
    borrow::Cow,
    fmt::{self, Display, Write},
    ops::Deref,
    rc::Rc,
    sync::Arc,
};

/// A key, by what is known of its type.
#[derive(Clone, Copy)]
pub enum Shown<'k> {
    /// Text as it is.
    Text(&'k str),
    /// A whole number from zero on.
    Number(u64),
    /// Whatever else can be put into text.
    Display(&'k dyn Display),
}

impl<'k> From<&'k str> for Shown<'k> {
    #[inline]
    fn from(text: &'k str) -> Self {
        Self::Text(text)
    }
}

impl<'k, K: Display> From<&'k K> for Shown<'k> {
    #[inline]
    fn from(key: &'k K) -> Self {
        Self::Display(key)
    }
}

/// A type of the standard library whose `Display` is known: none that derefs to text and shows another
/// is mistaken for it.
pub trait Plain {
    /// A [`Shown`] once it is needed: text remains text until then, two words that stay in registers.
    type Shown<'k>: Copy + Into<Shown<'k>>
    where
        Self: 'k;

    /// What its `Display` writes.
    fn shown(&self) -> Self::Shown<'_>;
}

macro_rules! texts {
    ($($text:ty),*) => {$(
        impl Plain for $text {
            type Shown<'k>
                = &'k str
            where
                Self: 'k;

            #[inline]
            fn shown(&self) -> &str {
                self
            }
        }
    )*};
}
texts!(str, String, Cow<'_, str>);

macro_rules! pointers {
    ($($pointer:ty),*) => {$(
        impl<K: Plain + ?Sized> Plain for $pointer {
            type Shown<'k>
                = K::Shown<'k>
            where
                Self: 'k;

            #[inline]
            fn shown(&self) -> K::Shown<'_> {
                (**self).shown()
            }
        }
    )*};
}
pointers!(&K, &mut K, Box<K>, Arc<K>, Rc<K>);

// All of them: a literal is one of them yet to be told which, and would be none if one were missing.
macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Plain for $number {
            type Shown<'k> = Shown<'k>;

            #[inline]
            fn shown(&self) -> Shown<'_> {
                match u64::try_from(*self) {
                    Ok(number) => Shown::Number(number),
                    Err(_) => Shown::Display(self),
                }
            }
        }
    )*};
}
numbers!(
    i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize
);

/// A key of a plain type.
pub struct Key<'k, K>(AnyKey<'k, K>);

/// A key of any other type.
pub struct AnyKey<'k, K>(&'k K);

impl<'k, K> Key<'k, K> {
    /// Looks at a key.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub const fn of(key: &'k K) -> Self {
        Self(AnyKey(key))
    }
}

impl<'k, K> Deref for Key<'k, K> {
    type Target = AnyKey<'k, K>;

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn deref(&self) -> &AnyKey<'k, K> {
        &self.0
    }
}

impl<'k, K: Plain> Key<'k, K> {
    /// How it is told apart.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn __shown(&self) -> K::Shown<'k> {
        self.0.0.shown()
    }
}

impl<'k, K> AnyKey<'k, K> {
    /// How it is told apart.
    // The bound is the method's, not the `impl`'s: where it does not hold, that is the error.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn __shown(&self) -> Shown<'k>
    where
        K: Display,
    {
        Shown::Display(self.0)
    }
}

/// Room on the stack for a key; longer ones take the heap.
const INLINE_KEY: usize = 128;

/// The digits of the largest number.
const DIGITS: usize = 20;

/// Hands the text of a key to `act`, without allocating for one of up to 128 bytes. As bytes: nobody asks
/// more of them than whether they are the same.
#[inline]
pub(crate) fn with_bytes<R>(key: Shown<'_>, act: impl FnOnce(&[u8]) -> R) -> R {
    match key {
        Shown::Text(text) => act(text.as_bytes()),
        Shown::Number(number) => {
            let mut room = [0; DIGITS];
            act(digits(number, &mut room))
        }
        Shown::Display(key) => {
            let mut text = Text::new();
            // A `Display` that gives up has still named what it wrote.
            let _ = write!(text, "{key}");
            act(text.as_bytes())
        }
    }
}

fn digits(mut number: u64, room: &mut [u8; DIGITS]) -> &[u8] {
    let mut start = DIGITS;
    for (index, digit) in room.iter_mut().enumerate().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        start = index;
        if number == 0 {
            break;
        }
    }
    &room[start..]
}

struct Text {
    inline: [u8; INLINE_KEY],
    len: usize,
    /// In use (and holding everything) once the text outgrew `inline`.
    heap: Vec<u8>,
}

impl Text {
    const fn new() -> Self {
        Self {
            inline: [0; INLINE_KEY],
            len: 0,
            heap: Vec::new(),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self.heap.is_empty() {
            true => &self.inline[..self.len],
            false => &self.heap,
        }
    }

    #[cold]
    fn outgrow(&mut self, part: &[u8]) {
        if self.heap.is_empty() {
            self.heap = Vec::with_capacity(2 * (self.len + part.len()));
            self.heap.extend_from_slice(&self.inline[..self.len]);
        }
        self.heap.extend_from_slice(part);
    }
}

impl Write for Text {
    #[inline]
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let (part, end) = (part.as_bytes(), self.len + part.len());
        match self.inline.get_mut(self.len..end) {
            Some(room) if self.heap.is_empty() => {
                room.copy_from_slice(part);
                self.len = end;
            }
            _ => self.outgrow(part),
        }
        Ok(())
    }
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(key: Shown<'_>) -> String {
        with_bytes(key, |bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// What the emitted code sees of a key, and whether that takes the formatting machinery.
    macro_rules! seen {
        ($key:expr) => {{
            let key = $key;
            let shown = Shown::from(Key::of(&key).__shown());
            (text(shown), matches!(shown, Shown::Display(_)))
        }};
    }

    fn quick(text: &str) -> (String, bool) {
        (text.to_owned(), false)
    }

    fn formatted(text: &str) -> (String, bool) {
        (text.to_owned(), true)
    }

    #[test]
    fn plain_text_is_taken_as_it_is() {
        assert_eq!(seen!("a"), quick("a"));
        assert_eq!(seen!(&&"a"), quick("a"));
        assert_eq!(seen!(String::from("a")), quick("a"));
        assert_eq!(seen!(Cow::Borrowed("a")), quick("a"));
        assert_eq!(seen!(Box::<str>::from("a")), quick("a"));
        assert_eq!(seen!(&Arc::<str>::from("a")), quick("a"));
        assert_eq!(seen!(Rc::new(String::from("a"))), quick("a"));
        assert_eq!(seen!(&mut String::from("a")), quick("a"));
    }

    #[test]
    fn numbers_are_written_as_display_writes_them() {
        assert_eq!(seen!(0u8), quick("0"));
        assert_eq!(seen!(u64::MAX), quick("18446744073709551615"));
        assert_eq!(seen!(&7u32), quick("7"));
        assert_eq!(seen!(7), quick("7"));
        assert_eq!(seen!(-7), formatted("-7"));
        assert_eq!(seen!(i128::MIN), formatted(&i128::MIN.to_string()));
        assert_eq!(seen!(u128::MAX), formatted(&u128::MAX.to_string()));
        assert_eq!(seen!(1.5), formatted("1.5"));
    }

    #[test]
    fn a_type_that_derefs_to_text_is_shown_by_its_own_display() {
        struct Secret(String);
        impl Deref for Secret {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }
        impl Display for Secret {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("***")
            }
        }
        assert_eq!(seen!(Secret("a".into())), formatted("***"));
        assert_eq!(seen!(&Secret("a".into())), formatted("***"));
        assert_eq!(seen!(Box::new(Secret("a".into()))), formatted("***"));
    }

    #[test]
    fn a_generic_function_takes_what_it_declares() {
        fn shown<K: Display>(key: K) -> (String, bool) {
            seen!(key)
        }
        assert_eq!(shown("a"), formatted("a"));
        assert_eq!(shown(format_args!("{}-{}", 1, 2)), formatted("1-2"));
    }

    #[test]
    fn text_of_any_length_is_handed_out_whole() {
        for len in [0, 1, 127, 128, 129, 1000] {
            let key = "é".repeat(len / 2) + &"x".repeat(len % 2);
            assert_eq!(text(Shown::from(&key)), key);
            assert_eq!(text(Key::of(&key).__shown().into()), key);
            assert_eq!(
                text(Shown::from(&format_args!("{key}-{len}"))),
                format!("{key}-{len}")
            );
        }
    }

    proptest! {
        #[test]
        fn every_number_is_written_as_display_writes_it(number: u64, bits in 0u32..64) {
            let number = number >> bits;
            prop_assert_eq!(seen!(number), quick(&number.to_string()));
        }
    }
}
