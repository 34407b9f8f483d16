//! What a server's errors mean.

use crate::store::StoreError;

use super::url::Address;

/// What to do about an error of a server.
#[derive(Debug, PartialEq)]
pub(super) enum Fault {
    /// The script has to be sent as text. Nothing was run.
    NoScript,
    /// Another server has these keys, from now on. Nothing was run.
    Moved { slot: u16, to: Address },
    /// Another server has these keys, this once. Nothing was run.
    Ask { to: Address },
    /// Keys are on their way from one server to another: again in a moment. Nothing was run.
    TryAgain(StoreError),
    /// This server can do nothing for anybody at present.
    Away(StoreError),
    /// That of one job.
    Plain(StoreError),
}

/// As in redis-rs and Redis itself: a message begins with a word in capitals.
pub(super) fn fault(text: &str) -> Fault {
    let (code, rest) = text.split_once(' ').unwrap_or((text, ""));
    let problem = || scrub(text);
    match code {
        "NOSCRIPT" => Fault::NoScript,
        "MOVED" | "ASK" => redirection(code, rest),
        "TRYAGAIN" => Fault::TryAgain(StoreError::NotReady { problem: problem() }),
        "LOADING" | "MASTERDOWN" | "READONLY" | "NOREPLICAS" | "MISCONF" => {
            Fault::Away(StoreError::NotReady { problem: problem() })
        }
        "NOAUTH" => Fault::Away(StoreError::Login { problem: problem() }),
        "WRONGPASS" => Fault::Away(StoreError::Login { problem: problem() }),
        "CLUSTERDOWN" | "BUSY" => Fault::Plain(StoreError::NotReady { problem: problem() }),
        "NOPERM" => Fault::Plain(forbidden(rest)),
        "WRONGTYPE" => Fault::Plain(StoreError::WrongType),
        "OOM" => Fault::Plain(StoreError::Full),
        "ERR" => err(rest),
        _ => Fault::Plain(StoreError::Server { problem: problem() }),
    }
}

/// What older servers say in other words: errors of commands within a script above all.
fn err(rest: &str) -> Fault {
    const WITHIN: [&str; 8] = [
        "WRONGTYPE ",
        "OOM ",
        "READONLY ",
        "LOADING ",
        "MASTERDOWN ",
        "NOREPLICAS ",
        "MISCONF ",
        "NOPERM ",
    ];
    if rest.starts_with("Error running script") || rest.starts_with("Error compiling script") {
        let within = WITHIN.iter().find_map(|code| rest.find(code));
        if let Some(at) = within {
            return fault(&rest[at..]);
        }
    }
    if rest.contains("user executing the script can't") {
        return Fault::Plain(forbidden(rest));
    }
    if rest.starts_with("max number of clients") {
        let problem = "its `maxclients` are connected already".to_owned();
        return Fault::Away(StoreError::NotReady { problem });
    }
    Fault::Plain(StoreError::Server {
        problem: scrub(rest),
    })
}

/// In words of our own: the server's name users, and keys.
fn forbidden(text: &str) -> StoreError {
    let problem = if text.contains("access") {
        "to use keys that begin with the store's prefix".to_owned()
    } else if let Some(command) = quoted(text) {
        format!("to run `{command}`")
    } else {
        "to run a command that the script needs".to_owned()
    };
    StoreError::Forbidden { problem }
}

/// What stands in quotes, if it can be a command.
fn quoted(text: &str) -> Option<&str> {
    let word = text.split('\'').nth(1)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"|-_.".contains(&byte);
    (word.len() < 40 && word.bytes().all(plain)).then_some(word)
}

fn redirection(code: &str, rest: &str) -> Fault {
    let parsed = rest.split_once(' ').and_then(|(slot, to)| {
        let (host, port) = to.trim().rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let to = Address {
            host: host.to_owned(),
            port: port.parse().ok()?,
        };
        Some((slot.parse().ok()?, to))
    });
    match parsed {
        Some((slot, to)) if code == "MOVED" => Fault::Moved { slot, to },
        Some((_, to)) => Fault::Ask { to },
        None => Fault::Plain(StoreError::BadReply),
    }
}

/// A server's message without what it may quote, and without the place in a script.
pub(super) fn scrub(text: &str) -> String {
    const MOST: usize = 200;
    let text = text.split(" script: ").next().unwrap_or(text);
    let mut scrubbed = String::with_capacity(text.len().min(MOST));
    let mut within = None;
    for (place, letter) in text.chars().enumerate() {
        if place == MOST {
            scrubbed.push('…');
            break;
        }
        match within {
            None if matches!(letter, '\'' | '"' | '`') && !inside_word(&scrubbed) => {
                within = Some(letter);
                scrubbed.push_str("'…'");
            }
            None if letter.is_control() => scrubbed.push(' '),
            None => scrubbed.push(letter),
            Some(quote) if quote == letter => within = None,
            Some(_) => {}
        }
    }
    scrubbed.trim_end().trim_end_matches(',').to_owned()
}

/// An apostrophe, as in `can't`, is no quote.
fn inside_word(before: &str) -> bool {
    before.ends_with(|letter: char| letter.is_ascii_alphanumeric())
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use super::*;

    fn at(host: &str, port: u16) -> Address {
        let host = host.to_owned();
        Address { host, port }
    }

    #[test]
    fn each_error_has_its_type() {
        let plain = |text: &str| match fault(text) {
            Fault::Plain(error) => error,
            other => panic!("{text}: {other:?}"),
        };
        let away = |text: &str| match fault(text) {
            Fault::Away(error) => error,
            other => panic!("{text}: {other:?}"),
        };
        for text in [
            "WRONGTYPE Operation against a key holding the wrong kind of value script: 1f, on @user_script:9.",
            "ERR Error running script (call to f_1f): @user_script:9: WRONGTYPE Operation against a key",
        ] {
            assert_eq!(plain(text), StoreError::WrongType);
        }
        for text in [
            "OOM command not allowed when used memory > 'maxmemory'.",
            "ERR Error running script (call to f_1f): @user_script:9: OOM command not allowed",
        ] {
            assert_eq!(plain(text), StoreError::Full);
        }
        for text in [
            "READONLY You can't write against a read only replica.",
            "ERR Error running script (call to f_1f): @user_script:9: READONLY You can't write",
            "LOADING Redis is loading the dataset in memory",
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            "NOREPLICAS Not enough good replicas to write.",
            "ERR max number of clients reached",
        ] {
            assert!(matches!(away(text), StoreError::NotReady { .. }), "{text}");
        }
        for text in ["CLUSTERDOWN Hash slot not served", "BUSY Redis is busy"] {
            assert!(matches!(plain(text), StoreError::NotReady { .. }), "{text}");
        }
        assert!(matches!(
            away("NOAUTH Authentication required."),
            StoreError::Login { .. }
        ));
        assert!(matches!(plain("ERR what"), StoreError::Server { .. }));
        assert!(matches!(plain(""), StoreError::Server { .. }));
    }

    #[test]
    fn a_lacking_permission_is_named_without_users_and_keys() {
        for (text, told) in [
            (
                "NOPERM User alice has no permissions to run the 'evalsha' command",
                "`evalsha`",
            ),
            (
                "NOPERM this user has no permissions to run the 'evalsha' command or its subcommand",
                "`evalsha`",
            ),
            (
                "NOPERM ACL failure in script: User alice has no permissions to run the 'set' command script: 1f, on @user_script:9.",
                "`set`",
            ),
            ("NOPERM No permissions to access a key", "prefix"),
            ("NOPERM No permissions to access the 'secret' key", "prefix"),
            (
                "ERR The user executing the script can't run this command or subcommand script: 1f",
                "command",
            ),
            (
                "ERR The user executing the script can't access at least one of the keys mentioned in the command arguments script: 1f",
                "prefix",
            ),
        ] {
            let Fault::Plain(StoreError::Forbidden { problem }) = fault(text) else {
                panic!("{text}");
            };
            assert!(problem.contains(told), "{text}: {problem}");
            assert!(
                !problem.contains("alice") && !problem.contains("secret"),
                "{problem}"
            );
        }
    }

    #[test]
    fn redirections_name_their_server() {
        let (slot, to) = (3999, at("127.0.0.1", 6381));
        assert_eq!(
            fault("MOVED 3999 127.0.0.1:6381"),
            Fault::Moved { slot, to }
        );
        assert_eq!(
            fault("ASK 1 ::1:6381"),
            Fault::Ask {
                to: at("::1", 6381)
            }
        );
        assert_eq!(fault("ASK 1 :6381"), Fault::Ask { to: at("", 6381) });
        for text in ["MOVED", "MOVED x y", "MOVED 99999 a:1", "ASK 1 a:99999"] {
            assert_eq!(fault(text), Fault::Plain(StoreError::BadReply), "{text}");
        }
    }

    #[test]
    fn messages_quote_nothing() {
        assert_eq!(
            scrub("ERR unknown command 'GET', with args beginning with: 'tenant' \"x\" "),
            "ERR unknown command '…', with args beginning with: '…' '…'"
        );
        assert_eq!(
            scrub("You can't write. script: 1f, on @user_script:9."),
            "You can't write."
        );
        assert_eq!(scrub("open 'never closed"), "open '…'");
        assert_eq!(scrub("a\r\nb"), "a  b");
        assert!(scrub(&"é".repeat(1_000)).chars().count() < 220);
    }
}
