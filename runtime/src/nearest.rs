//! What somebody may have meant.

/// So many letters at least say which word they are a part of.
const PART: usize = 4;

/// The candidate nearest to `word`, if one is near enough to be meant: a third of its letters may differ, or
/// it is the only one that `word` is the last name, or another part, of.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_lowercase();
    let candidates = candidates.into_iter();
    let all: Vec<_> = candidates.map(|each| (each.to_lowercase(), each)).collect();
    let distance = |lower: &str| strsim::osa_distance(&word, lower);
    let near = |(distance, candidate): &(usize, &str)| {
        *distance
            <= word
                .chars()
                .count()
                .max(candidate.chars().count())
                .div_ceil(3)
    };
    let nearest = all.iter().map(|(lower, each)| (distance(lower), *each));
    let path_end = format!("::{word}");
    let is_part = word.chars().count() >= PART;
    nearest
        .min()
        .filter(near)
        .map(|(_, candidate)| candidate)
        .or_else(|| only(&all, |lower| lower.ends_with(&path_end)))
        .or_else(|| only(&all, |lower| is_part && lower.contains(&word)))
}

/// The only one that is such.
fn only<'a>(all: &[(String, &'a str)], is_such: impl Fn(&str) -> bool) -> Option<&'a str> {
    let mut such = all.iter().filter(|(lower, _)| is_such(lower));
    let (_, first) = such.next()?;
    such.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_what_was_meant() {
        for (word, candidates, expected) in [
            ("qoutes", &["orders", "quotes"][..], Some("quotes")),
            ("Quotes", &["orders", "quotes"], Some("quotes")),
            (
                "max_atempts",
                &["max_delay", "max_attempts"],
                Some("max_attempts"),
            ),
            ("payments", &["orders", "quotes"], None),
            (
                "pay",
                &["shop::client::pay", "shop::client::pay_back"],
                Some("shop::client::pay"),
            ),
            (
                "breaker",
                &["circuit_breaker", "rate_limiter"],
                Some("circuit_breaker"),
            ),
            ("delay", &["base_delay_at_first", "max_delay_at_last"], None),
            ("e", &["circuit_breaker"], None),
            ("a", &[], None),
        ] {
            assert_eq!(nearest(word, candidates.iter().copied()), expected);
        }
    }
}
