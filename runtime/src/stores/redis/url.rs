//! What a URL says. Nothing of the URL is repeated in an error: it may hold a password, also where none
//! belongs.

use std::fmt;

use crate::store::StoreError;

/// A URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) tls: bool,
    pub(super) login: Option<Login>,
    pub(super) target: Target,
    pub(super) db: u32,
}

/// What is at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Single(Address),
    Sentinel {
        sentinels: Vec<Address>,
        master: String,
    },
    Cluster(Vec<Address>),
}

/// Where a server listens.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Address {
    /// A name or an IP address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

/// Who we are to a server.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    /// None: the default user.
    pub(super) user: Option<String>,
    pub(super) password: String,
}

const SERVER: u16 = 6379;
const SENTINEL: u16 = 26379;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Single,
    Sentinel,
    Cluster,
}

impl Url {
    /// # Errors
    /// What is wrong, and what to write.
    pub(super) fn parse(text: &str) -> Result<Self, StoreError> {
        parse(text).map_err(|problem| StoreError::BadUrl {
            problem: problem.into(),
        })
    }
}

fn parse(text: &str) -> Result<Url, &'static str> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err("it has no scheme: write `redis://host:port/`");
    };
    let (tls, kind) = self::scheme(scheme)?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if path.contains('@') {
        return Err(
            "there is an `@` after the first `/`: in a user or password, write `/` as `%2F` and `@` as `%40`",
        );
    }
    let (login, hosts) = match authority.rsplit_once('@') {
        Some((login, hosts)) => (Some(self::login(login)?), hosts),
        None => (None, authority),
    };
    if hosts.contains(['?', '#']) || path.contains(['?', '#']) {
        return Err(
            "it has no place for `?` and `#`: settings are methods of `RedisStore::builder(url)`; in a password, write them as `%3F` and `%23`",
        );
    }
    let port = if kind == Kind::Sentinel {
        SENTINEL
    } else {
        SERVER
    };
    let addresses = addresses(hosts, port)?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let (target, db) = match kind {
        Kind::Single => (Target::Single(single(addresses)?), self::db(path)?),
        Kind::Cluster if matches!(path, "" | "0") => (Target::Cluster(addresses), 0),
        Kind::Cluster => return Err("a cluster has no databases: end it with `/`"),
        Kind::Sentinel => {
            let (master, db) = path.split_once('/').unwrap_or((path, ""));
            let target = Target::Sentinel {
                sentinels: addresses,
                master: self::master(master)?,
            };
            (target, self::db(db)?)
        }
    };
    Ok(Url {
        tls,
        login,
        target,
        db,
    })
}

fn scheme(scheme: &str) -> Result<(bool, Kind), &'static str> {
    let (tls, kind) = match scheme.to_ascii_lowercase().as_str() {
        "redis" | "valkey" => (false, Kind::Single),
        "rediss" | "valkeys" => (true, Kind::Single),
        "redis+cluster" => (false, Kind::Cluster),
        "rediss+cluster" => (true, Kind::Cluster),
        "redis+sentinel" => (false, Kind::Sentinel),
        "rediss+sentinel" => (true, Kind::Sentinel),
        "unix" | "redis+unix" | "redis+socket" => {
            return Err("sockets in the file system are not supported: write `redis://host:port/`");
        }
        _ => {
            return Err(
                "its scheme is not known: write `redis://`, `rediss://`, `redis+cluster://`, `rediss+cluster://`, `redis+sentinel://` or `rediss+sentinel://`",
            );
        }
    };
    if tls && cfg!(not(feature = "redis-tls")) {
        return Err(
            "TLS needs the feature `redis-tls`: write `steadfast = { features = [\"redis-tls\"] }`",
        );
    }
    Ok((tls, kind))
}

fn login(text: &str) -> Result<Login, &'static str> {
    let Some((user, password)) = text.split_once(':') else {
        return Err(
            "there is no `:` before the `@`: write `user:password@`, or `:password@` for the default user",
        );
    };
    let user = decode(user)?;
    let password = decode(password)?;
    if password.is_empty() {
        return Err("the password is empty: write `user:password@`, or nothing before the host");
    }
    Ok(Login {
        user: Some(user).filter(|user| !user.is_empty()),
        password,
    })
}

fn addresses(hosts: &str, port: u16) -> Result<Vec<Address>, &'static str> {
    let mut addresses = Vec::new();
    for host in hosts.split(',') {
        let address = address(host, port)?;
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

fn address(text: &str, default: u16) -> Result<Address, &'static str> {
    const PORT: &str = "a port is a number from 1 to 65535: write `host:port`";
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let Some((host, port)) = rest.split_once(']') else {
            return Err("an IPv6 address has brackets: write `[::1]:6379`");
        };
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err("what stands in brackets is no IPv6 address: write `[::1]:6379`");
        }
        match (port, port.strip_prefix(':')) {
            ("", _) => (host, None),
            (_, Some(port)) => (host, Some(port)),
            _ => return Err(PORT),
        }
    } else {
        match text.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err(
                    "a host has more than one `:`: write an IPv6 address in brackets, `[::1]:6379`, and `:` in a password as `%3A` with an `@` after it",
                );
            }
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    if host.is_empty() {
        return Err("a host is missing: write `host:port`, several with `,` between them");
    }
    let odd = |byte: u8| !(byte.is_ascii_alphanumeric() || b"-._:".contains(&byte));
    if host.bytes().any(odd) {
        return Err(
            "a host is made of letters, digits, `-`, `.` and `_`; before it may stand `user:password@`, its special characters percent-encoded",
        );
    }
    let port = match port {
        None => default,
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            port.parse().ok().filter(|port| *port > 0).ok_or(PORT)?
        }
        Some(_) => return Err(PORT),
    };
    Ok(Address {
        host: host.to_owned(),
        port,
    })
}

fn single(addresses: Vec<Address>) -> Result<Address, &'static str> {
    const SEVERAL: &str = "several hosts are a cluster or its sentinels: write `redis+cluster://` or `redis+sentinel://`";
    let [address] = <[Address; 1]>::try_from(addresses).map_err(|_| SEVERAL)?;
    Ok(address)
}

fn master(text: &str) -> Result<String, &'static str> {
    match decode(text)? {
        master if master.is_empty() => Err(
            "the name of the master is missing: write `redis+sentinel://host:port,host:port/master`",
        ),
        master => Ok(master),
    }
}

fn db(text: &str) -> Result<u32, &'static str> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text {
        "" => Ok(0),
        _ if digits => text.parse().map_err(|_| DATABASE),
        _ => Err(DATABASE),
    }
}

const DATABASE: &str = "the database is a number: write `redis://host:port/0`";

/// Takes percent-encoding back.
fn decode(text: &str) -> Result<String, &'static str> {
    const PROBLEM: &str =
        "a `%` in a user, a password or a name begins two hexadecimal digits: write it as `%25`";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(PROBLEM);
        };
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).map_err(|_| "what is percent-encoded is not UTF-8")
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(..)")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(all(test, not(steadfast_loom)))]
#[allow(clippy::unwrap_used)] // clippy knows tests by `cfg(test)` alone
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(host: &str, port: u16) -> Address {
        let host = host.to_owned();
        Address { host, port }
    }

    fn by(user: Option<&str>, password: &str) -> Option<Login> {
        Some(Login {
            user: user.map(str::to_owned),
            password: password.to_owned(),
        })
    }

    fn single(text: &str) -> (Address, u32, Option<Login>) {
        let url = Url::parse(text).unwrap();
        match url.target {
            Target::Single(address) => (address, url.db, url.login),
            other => panic!("{other:?}"),
        }
    }

    fn problem(text: &str) -> String {
        Url::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn one_server() {
        for text in [
            "redis://h",
            "redis://h/",
            "redis://h:6379",
            "REDIS://h/0",
            "redis://h/0/",
        ] {
            assert_eq!(single(text), (at("h", 6379), 0, None), "{text}");
        }
        assert_eq!(single("redis://10.0.0.5:7/3"), (at("10.0.0.5", 7), 3, None));
        assert_eq!(single("redis://[::1]:7/"), (at("::1", 7), 0, None));
        assert_eq!(single("redis://[::1]"), (at("::1", 6379), 0, None));
    }

    #[test]
    fn users_and_passwords() {
        let login = |text| single(text).2;
        assert_eq!(login("redis://u:p@h/"), by(Some("u"), "p"));
        assert_eq!(login("redis://:p@h/"), by(None, "p"));
        assert_eq!(login("redis://:p%40%2f%3A%25é@h/"), by(None, "p@/:%é"));
        // Not encoded, and yet plain enough.
        assert_eq!(login("redis://u:a:b@c?d#@h/"), by(Some("u"), "a:b@c?d#"));
    }

    #[test]
    fn sentinels_and_their_master() {
        let url = Url::parse("redis+sentinel://u:p@a:1,b,[::1]:3/my%20master/2").unwrap();
        assert_eq!(url.login, by(Some("u"), "p"));
        assert_eq!(url.db, 2);
        let target = Target::Sentinel {
            sentinels: vec![at("a", 1), at("b", 26379), at("::1", 3)],
            master: "my master".to_owned(),
        };
        assert_eq!(url.target, target);
    }

    #[test]
    fn nodes_of_a_cluster() {
        let url = Url::parse("redis+cluster://:p@a:1,b:2,a:1/").unwrap();
        assert_eq!(url.target, Target::Cluster(vec![at("a", 1), at("b", 2)]));
        assert_eq!(url.login, by(None, "p"));
    }

    #[test]
    #[cfg(feature = "redis-tls")]
    fn encrypted_ones() {
        for (text, tls) in [
            ("rediss://h", true),
            ("rediss+cluster://h", true),
            ("rediss+sentinel://h/m", true),
            ("redis://h", false),
        ] {
            assert_eq!(Url::parse(text).unwrap().tls, tls, "{text}");
        }
    }

    #[test]
    #[cfg(not(feature = "redis-tls"))]
    fn encrypted_ones_need_their_feature() {
        for text in ["rediss://h", "rediss+cluster://h", "rediss+sentinel://h/m"] {
            assert!(problem(text).contains("`redis-tls`"), "{text}");
        }
    }

    #[test]
    fn mistakes_are_told_with_what_to_write() {
        for (text, told) in [
            ("", "no scheme"),
            ("localhost:6379", "no scheme"),
            ("http://h/", "`redis://`"),
            ("unix:///tmp/redis.sock", "not supported"),
            ("redis://", "host is missing"),
            ("redis://:6379/", "host is missing"),
            ("redis://h:0/", "1 to 65535"),
            ("redis://h:65536/", "1 to 65535"),
            ("redis://h:+1/", "1 to 65535"),
            ("redis://h:/", "1 to 65535"),
            ("redis://::1/", "brackets"),
            ("redis://[::1/", "brackets"),
            ("redis://[::x]/", "IPv6"),
            ("redis://[::1]6379/", "1 to 65535"),
            ("redis://h h/", "letters"),
            ("redis://a,b/", "redis+cluster"),
            ("redis://h/x", "database"),
            ("redis://h/-1", "database"),
            ("redis://h/99999999999", "database"),
            ("redis://h/0/1", "database"),
            ("redis://h/?db=1", "builder"),
            ("redis://h#x", "builder"),
            ("redis://user@h/", ":password@"),
            ("redis://user:@h/", "empty"),
            ("redis://u:p%@h/", "%25"),
            ("redis://u:p%zz@h/", "%25"),
            ("redis://u:p%ff@h/", "UTF-8"),
            ("redis://u:a/b@h/", "%2F"),
            ("redis+cluster://h/1", "databases"),
            ("redis+sentinel://h/", "master"),
            ("redis+sentinel://h", "master"),
            ("redis+sentinel://a,,b/m", "host is missing"),
        ] {
            let problem = problem(text);
            assert!(problem.contains(told), "{text}: {problem}");
        }
    }

    proptest! {
        #[test]
        fn no_error_repeats_what_was_written(
            before in "(redis|rediss|http|redis[+]cluster)?(://)?[a-z:@/%?#]{0,6}",
            after in "[a-z0-9:@/%?#\\[\\],]{0,12}",
        ) {
            let secret = "hunter2secret";
            if let Err(error) = Url::parse(&format!("{before}{secret}{after}")) {
                let told = format!("{error}{error:?}");
                prop_assert!(!told.contains(secret));
            }
        }

        #[test]
        fn every_password_can_be_written(password in "\\PC{1,12}", user in "\\PC{0,8}") {
            let encode = |text: &str| {
                text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>()
            };
            let text = format!("redis://{}:{}@h:1/2", encode(&user), encode(&password));
            let user = Some(user.as_str()).filter(|user| !user.is_empty());
            prop_assert_eq!(single(&text), (at("h", 1), 2, by(user, &password)));
        }
    }

    #[test]
    fn a_login_is_never_shown() {
        let url = Url::parse("redis://alice:hunter2@h/").unwrap();
        let shown = format!("{url:?}");
        assert!(
            !shown.contains("alice") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
