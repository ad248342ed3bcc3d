//! What was probably meant.

/// The candidate that a mistyped text was probably meant to be; `None` where none is near.
pub fn nearest<'a>(text: &str, all: &[&'a str]) -> Option<&'a str> {
    all.iter()
        .map(|candidate| (strsim::damerau_levenshtein(text, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len() / 3)
        .min()
        .map(|(_, candidate)| candidate)
}
