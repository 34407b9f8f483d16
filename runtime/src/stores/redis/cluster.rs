//! Which server of a cluster has which keys.

use super::{resp::Resp, url::Address};

/// How many parts a cluster's keys are divided into.
pub(super) const SLOTS: usize = 16_384;

/// The slot of a key: that of what stands between its first braces, if anything does.
pub(super) fn slot(prefix: &[u8], key: &[u8]) -> u16 {
    let crc = match tag(key) {
        Some(tag) => crc16(0, tag),
        None => crc16(crc16(0, prefix), key),
    };
    crc % SLOTS as u16
}

fn tag(key: &[u8]) -> Option<&[u8]> {
    let start = key.iter().position(|&byte| byte == b'{')? + 1;
    let len = key[start..].iter().position(|&byte| byte == b'}')?;
    (len > 0).then(|| &key[start..start + len])
}

/// CRC16/XMODEM, as clusters use it.
fn crc16(crc: u16, bytes: &[u8]) -> u16 {
    bytes.iter().fold(crc, |crc, &byte| {
        (crc << 8) ^ CRC[usize::from((crc >> 8) as u8 ^ byte)]
    })
}

static CRC: [u16; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut crc = (at as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
    }
    table
};

/// Some slots, and who has them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) master: Address,
}

/// What `CLUSTER SLOTS` says; a server without a name of its own is the one that was `asked`.
pub(super) fn shares(resp: Resp, asked: &Address) -> Option<Vec<Share>> {
    let Resp::Array(ranges) = resp else {
        return None;
    };
    ranges
        .into_iter()
        .map(|range| share(range, asked))
        .collect()
}

fn share(range: Resp, asked: &Address) -> Option<Share> {
    let Resp::Array(parts) = range else {
        return None;
    };
    let [Resp::Int(first), Resp::Int(last), Resp::Array(master), ..] = &parts[..] else {
        return None;
    };
    let [host, Resp::Int(port), ..] = &master[..] else {
        return None;
    };
    let host = match host {
        Resp::Bytes(host) if host.is_empty() || host == b"?" => asked.host.clone(),
        Resp::Bytes(host) => String::from_utf8(host.clone()).ok()?,
        Resp::Nil => asked.host.clone(),
        _ => return None,
    };
    let slot = |slot: i64| {
        u16::try_from(slot)
            .ok()
            .filter(|slot| usize::from(*slot) < SLOTS)
    };
    Some(Share {
        first: slot(*first)?,
        last: slot(*last)?,
        master: Address {
            host,
            port: u16::try_from(*port).ok()?,
        },
    })
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(0, b"123456789"), 0x31c3);
        assert_eq!(slot(b"", b"foo"), 12_182);
        assert_eq!(slot(b"f", b"oo"), 12_182);
        assert_eq!(slot(b"", b"user:{foo}:x"), 12_182);
        assert_eq!(slot(b"any:", b"{foo}{bar}"), 12_182);
        assert_eq!(slot(b"", b"{}foo"), slot(b"{", b"}foo"));
    }

    #[test]
    fn masters_are_read_and_replicas_are_not() {
        let host = |host: &str| Resp::Bytes(host.as_bytes().to_vec());
        let node = |name: Resp, port| Resp::Array(vec![name, Resp::Int(port), host("id")]);
        let range = |first, last, nodes: Vec<Resp>| {
            let mut parts = vec![Resp::Int(first), Resp::Int(last)];
            parts.extend(nodes);
            Resp::Array(parts)
        };
        let asked = Address {
            host: "asked".to_owned(),
            port: 1,
        };
        let table = Resp::Array(vec![
            range(0, 10, vec![node(host("a"), 7), node(host("b"), 8)]),
            range(11, 16_383, vec![node(Resp::Nil, 9)]),
        ]);
        let at = |host: &str, port| Address {
            host: host.to_owned(),
            port,
        };
        let expected = [(0, 10, at("a", 7)), (11, 16_383, at("asked", 9))];
        let expected = expected.map(|(first, last, master)| Share {
            first,
            last,
            master,
        });
        assert_eq!(shares(table, &asked).unwrap(), expected);
        for odd in [
            Resp::Nil,
            Resp::Array(vec![Resp::Nil]),
            Resp::Array(vec![range(0, 16_384, vec![node(host("a"), 7)])]),
            Resp::Array(vec![range(0, 1, vec![node(host("a"), 70_000)])]),
        ] {
            assert_eq!(shares(odd, &asked), None);
        }
    }
}
