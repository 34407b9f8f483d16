//! Logins in texts that somebody else wrote.

/// A text with `***` for the user and password of each URL in it: `postgres://ann:secret@db/shop` becomes
/// `postgres://***@db/shop`.
///
/// Of a URL's text all goes up to its last `@`, since passwords are not always encoded as they should be.
pub(super) fn without_logins(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        let end = after.find(ends_url).unwrap_or(after.len());
        let (url, tail) = after.split_at(end);
        shown.push_str(before);
        shown.push_str("://");
        match url.rsplit_once('@') {
            Some((_, host)) => {
                shown.push_str("***@");
                shown.push_str(host);
            }
            None => shown.push_str(url),
        }
        rest = tail;
    }
    shown.push_str(rest);
    shown
}

/// What never stands in a URL as it is.
fn ends_url(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '<' | '>' | '`')
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use super::without_logins;

    #[test]
    fn a_login_is_hidden_wherever_it_stands_and_however_it_is_spelt() {
        for (text, shown) in [
            ("refused", "refused"),
            ("", ""),
            ("://", "://"),
            ("http://host:80/path", "http://host:80/path"),
            (
                "cannot reach postgres://ann:s3cret@db:5432/shop: refused",
                "cannot reach postgres://***@db:5432/shop: refused",
            ),
            ("redis://:pä@ß@host/0", "redis://***@host/0"),
            ("amqp://a:un/enc#od?ed@host", "amqp://***@host"),
            ("it's 'mongodb://a:it's@h'", "it's 'mongodb://***@h'"),
            ("{\"url\":\"nats://tok@h\"}", "{\"url\":\"nats://***@h\"}"),
            ("a://u:p@h and b://u:p@i", "a://***@h and b://***@i"),
            ("a://u:p@h,b://u:p@i", "a://***@i"),
            ("see ann@example.org", "see ann@example.org"),
        ] {
            assert_eq!(without_logins(text), shown, "{text}");
        }
    }
}
