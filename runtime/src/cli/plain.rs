//! Documentation, for those who do not read it in Rust.

/// Documentation without its links: for those who read it elsewhere.
pub(super) fn plain(doc: &str) -> String {
    let mut plain = String::new();
    let mut rest = doc;
    while let Some((before, link)) = rest.split_once('[') {
        let Some((text, after)) = link_text(link) else {
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

/// What stands in the brackets, which may hold others, and what follows them.
fn link_text(link: &str) -> Option<(&str, &str)> {
    let mut open = 1;
    let end = link.find(|c| {
        match c {
            '[' => open += 1,
            ']' => open -= 1,
            _ => {}
        }
        open == 0
    })?;
    Some((&link[..end], &link[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn documentation_is_read_without_its_links() {
        for (doc, expected) in [
            ("as [`stale`](Self::stale), or", "as `stale`, or"),
            ("by [install], once", "by install, once"),
            (
                "see [`#[fallback]`](macro@crate::fallback), and",
                "see `#[fallback]`, and",
            ),
            ("a [b", "a [b"),
            ("", ""),
        ] {
            assert_eq!(plain(doc), expected);
        }
    }
}
