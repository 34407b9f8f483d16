//! The protocol: what goes over the wire, in both directions.

/// One reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resp {
    Int(i64),
    Bytes(Vec<u8>),
    Status(Vec<u8>),
    Error(String),
    Nil,
    Array(Vec<Resp>),
}

/// Whoever answers does not speak the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// What is there so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A reply, and the bytes that it took.
    Whole(Resp, usize),
    /// Too little: it takes at least so many bytes.
    Part(usize),
}

enum Stop {
    Part(usize),
    Malformed,
}

/// What Redis itself allows.
const MAX_BYTES: usize = 512 << 20;
const MAX_ITEMS: usize = 1 << 20;
const MAX_LINE: usize = 64 << 10;
/// Of arrays in arrays: the table of a cluster needs four.
const MAX_DEPTH: usize = 8;

/// The first reply in `bytes`.
///
/// # Errors
/// They are none of the protocol.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let mut reader = Reader { bytes, at: 0 };
    match reader.resp(0) {
        Ok(resp) => Ok(Parsed::Whole(resp, reader.at)),
        Err(Stop::Part(least)) => Ok(Parsed::Part(least)),
        Err(Stop::Malformed) => Err(Malformed),
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    fn resp(&mut self, depth: usize) -> Result<Resp, Stop> {
        let Some(&kind) = self.bytes.get(self.at) else {
            return Err(self.more());
        };
        self.at += 1;
        let line = self.line()?;
        match kind {
            b':' => Ok(Resp::Int(int(line)?)),
            b'+' => Ok(Resp::Status(line.to_vec())),
            b'-' => Ok(Resp::Error(String::from_utf8_lossy(line).into_owned())),
            b'$' => match length(line, MAX_BYTES)? {
                None => Ok(Resp::Nil),
                Some(len) => self.bulk(len),
            },
            b'*' => match length(line, MAX_ITEMS)? {
                None => Ok(Resp::Nil),
                Some(_) if depth == MAX_DEPTH => Err(Stop::Malformed),
                Some(len) => self.array(len, depth),
            },
            _ => Err(Stop::Malformed),
        }
    }

    fn bulk(&mut self, len: usize) -> Result<Resp, Stop> {
        let end = self.at + len + 2;
        let Some(there) = self.bytes.get(self.at..end) else {
            return Err(Stop::Part(end));
        };
        match there.split_at(len) {
            (content, b"\r\n") => {
                self.at = end;
                Ok(Resp::Bytes(content.to_vec()))
            }
            _ => Err(Stop::Malformed),
        }
    }

    fn array(&mut self, len: usize, depth: usize) -> Result<Resp, Stop> {
        let mut items = Vec::with_capacity(len.min(64));
        for _ in 0..len {
            items.push(self.resp(depth + 1)?);
        }
        Ok(Resp::Array(items))
    }

    /// Up to the end of the line; the next one is read next.
    fn line(&mut self) -> Result<&'b [u8], Stop> {
        let rest = &self.bytes[self.at..];
        let Some(end) = rest.iter().position(|&byte| byte == b'\r') else {
            return Err(if rest.len() > MAX_LINE {
                Stop::Malformed
            } else {
                self.more()
            });
        };
        match rest.get(end + 1) {
            Some(b'\n') => {
                self.at += end + 2;
                Ok(&rest[..end])
            }
            Some(_) => Err(Stop::Malformed),
            None => Err(self.more()),
        }
    }

    fn more(&self) -> Stop {
        Stop::Part(self.bytes.len() + 1)
    }
}

fn int(line: &[u8]) -> Result<i64, Stop> {
    std::str::from_utf8(line)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(Stop::Malformed)
}

/// `-1` is nothing.
fn length(line: &[u8], max: usize) -> Result<Option<usize>, Stop> {
    match int(line)? {
        -1 => Ok(None),
        len => match usize::try_from(len) {
            Ok(len) if len <= max => Ok(Some(len)),
            _ => Err(Stop::Malformed),
        },
    }
}

/// The beginning of a command of so many parts.
pub(super) fn head(out: &mut Vec<u8>, parts: usize) {
    out.push(b'*');
    out.extend_from_slice(Digits::new(parts as i64).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// One part of a command.
pub(super) fn part(out: &mut Vec<u8>, part: &[u8]) {
    part2(out, part, b"");
}

/// One part, of two pieces.
pub(super) fn part2(out: &mut Vec<u8>, first: &[u8], second: &[u8]) {
    out.push(b'$');
    out.extend_from_slice(Digits::new((first.len() + second.len()) as i64).as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(first);
    out.extend_from_slice(second);
    out.extend_from_slice(b"\r\n");
}

/// One part, a number.
pub(super) fn part_int(out: &mut Vec<u8>, int: i64) {
    part(out, Digits::new(int).as_bytes());
}

/// A whole command.
pub(super) fn command(out: &mut Vec<u8>, parts: &[&[u8]]) {
    head(out, parts.len());
    for each in parts {
        part(out, each);
    }
}

/// A number in decimal, without an allocation.
struct Digits {
    buffer: [u8; 20],
    start: usize,
}

impl Digits {
    fn new(int: i64) -> Self {
        let mut buffer = [0; 20];
        let mut start = buffer.len();
        let mut rest = int.unsigned_abs();
        loop {
            start -= 1;
            buffer[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if int < 0 {
            start -= 1;
            buffer[start] = b'-';
        }
        Self { buffer, start }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn write(resp: &Resp, out: &mut Vec<u8>) {
        match resp {
            Resp::Int(int) => out.extend(format!(":{int}\r\n").bytes()),
            Resp::Bytes(bytes) => part(out, bytes),
            Resp::Status(text) => out.extend([b"+", &text[..], b"\r\n"].concat()),
            Resp::Error(text) => out.extend(format!("-{text}\r\n").bytes()),
            Resp::Nil => out.extend(b"$-1\r\n"),
            Resp::Array(items) => {
                head(out, items.len());
                items.iter().for_each(|item| write(item, out));
            }
        }
    }

    fn replies() -> impl Strategy<Value = Resp> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Resp::Int),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(Resp::Bytes),
            "[ -~]{0,20}".prop_map(|text| Resp::Status(text.into_bytes())),
            "[ -~]{0,20}".prop_map(Resp::Error),
            Just(Resp::Nil),
        ];
        leaf.prop_recursive(4, 30, 5, |item| {
            prop::collection::vec(item, 0..5).prop_map(Resp::Array)
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again_however_it_is_cut(resp in replies()) {
            let mut bytes = Vec::new();
            write(&resp, &mut bytes);
            for end in 0..bytes.len() {
                let Ok(Parsed::Part(least)) = parse(&bytes[..end]) else {
                    panic!("{:?}", &bytes[..end]);
                };
                prop_assert!(least > end && least <= bytes.len());
            }
            let whole = bytes.len();
            bytes.extend(b"+next");
            prop_assert_eq!(parse(&bytes), Ok(Parsed::Whole(resp, whole)));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn digits_are_those_of_the_number(int: i64) {
            let (digits, text) = (Digits::new(int), int.to_string());
            prop_assert_eq!(digits.as_bytes(), text.as_bytes());
        }
    }

    #[test]
    fn the_ends_of_the_range_have_digits() {
        for int in [0, 9, 10, i64::MAX, i64::MIN] {
            assert_eq!(Digits::new(int).as_bytes(), int.to_string().as_bytes());
        }
    }

    #[test]
    fn what_is_no_reply_is_told_at_once() {
        for bytes in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            b":x\r\n",
            b"$-2\r\n",
            b"$99999999999\r\n",
            b"$1\r\nabc",
            b"+a\rb",
            b"\x15\x03\x03\x00\r\n",
        ] {
            assert_eq!(parse(bytes), Err(Malformed), "{bytes:?}");
        }
        let deep = b"*1\r\n".repeat(20);
        assert_eq!(parse(&deep), Err(Malformed));
    }
}
