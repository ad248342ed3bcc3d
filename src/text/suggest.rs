//! Suggestions for mistyped words.

/// The candidate that a mistyped text was probably meant to be; `None` where none is near. Of those that are as near
/// it is the first one.
pub fn closest_match<'a>(text: &str, all: &[&'a str]) -> Option<&'a str> {
    let distance = |candidate: &&str| strsim::damerau_levenshtein(text, candidate);
    let near = all.iter().copied().filter(|candidate| distance(candidate) <= (candidate.len() / 3).max(1));
    near.min_by_key(distance)
}
