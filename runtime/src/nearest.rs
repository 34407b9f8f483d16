//! What somebody may have meant.

/// The candidate nearest to `word`, if one is near enough to be meant: a third of its letters may differ.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_lowercase();
    let distance = |candidate: &str| strsim::osa_distance(&word, &candidate.to_lowercase());
    let near = |(distance, candidate): &(usize, &str)| {
        *distance
            <= word
                .chars()
                .count()
                .max(candidate.chars().count())
                .div_ceil(3)
    };
    let all = candidates.into_iter().map(|each| (distance(each), each));
    all.min().filter(near).map(|(_, candidate)| candidate)
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
            ("a", &[], None),
        ] {
            assert_eq!(nearest(word, candidates.iter().copied()), expected);
        }
    }
}
