//! Finds the rule that a typed code means, on the command line, in `evodoctor.toml` and for `explain`.

use super::registry::all_rules;
use super::rule::Rule;

/// More suggestions than these are none.
const MOST_LIKELY: usize = 3;

/// The rule that a code or a rule's name means. Small letters, a missing `EVO` and what is between it and the number
/// are not an error.
pub fn parse_code(text: &str) -> Option<&'static Rule> {
    let code = spelled(text);
    let name = text.trim().to_ascii_lowercase().replace('_', "-");
    all_rules().iter().copied().find(|rule| rule.code == code || rule.name == name)
}

/// A hint for a code that does not exist: the nearest ones, or those of its kind.
pub fn suggest_code(text: &str) -> String {
    let all: Vec<&str> = all_rules().iter().map(|rule| rule.code.as_str()).collect();
    let meant = spelled(text);
    let see = "evodoctor explain lists every code";
    match (likely(&meant, &all).as_slice(), family(&meant, &all)) {
        ([], Some(family)) => format!("codes of this kind are {family}; {see}"),
        ([], None) => see.to_owned(),
        (near, _) => format!("did you mean {}? {see}", near.join(" or ")),
    }
}

/// A code as the files write it.
fn spelled(text: &str) -> String {
    let typed = text.trim().to_ascii_uppercase();
    let number = typed.strip_prefix("EVO").unwrap_or(&typed).trim_start_matches(['-', '_', ' ']);
    format!("EVO{number}")
}

/// The codes that one slip of the finger away, or two digits the wrong way round, make what was typed; none when there are
/// too many to be a help.
fn likely<'a>(typed: &str, all: &[&'a str]) -> Vec<&'a str> {
    // Letters that look like digits are not a slip at all.
    let digits: String = typed
        .chars()
        .skip(3)
        .map(|c| match c {
            'O' | 'Q' => '0',
            'I' | 'L' => '1',
            'Z' => '2',
            'S' => '5',
            'B' => '8',
            other => other,
        })
        .collect();
    let read = format!("EVO{digits}");
    if let Some(code) = all.iter().find(|code| **code == read) {
        return vec![code];
    }
    for slips in 1..=2 {
        let near: Vec<&str> =
            all.iter().copied().filter(|code| strsim::damerau_levenshtein(&read, code) == slips).collect();
        if !near.is_empty() {
            return if near.len() <= MOST_LIKELY { near } else { Vec::new() };
        }
    }
    Vec::new()
}

/// The codes that begin with the same digit, from the first to the last.
fn family(typed: &str, all: &[&str]) -> Option<String> {
    let kind = typed.get(..4)?;
    let same = || all.iter().filter(|code| code.starts_with(kind));
    Some(format!("{} to {}", same().next()?, same().next_back()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_understood_however_it_is_typed() {
        for typed in
            ["EVO101", "evo101", "101", " EVO-101 ", "evo_101", "orphaned-reference", "ORPHANED_REFERENCE"]
        {
            assert_eq!(parse_code(typed).map(|rule| rule.code.as_str()), Some("EVO101"), "{typed}");
        }
        for typed in ["", "EVO", "EVO1", "EVO1010", "all", "orphaned"] {
            assert!(parse_code(typed).is_none(), "{typed}");
        }
    }

    #[test]
    fn a_typing_error_gets_a_suggestion() {
        assert!(suggest_code("EVO1O1").starts_with("did you mean EVO101?"), "{}", suggest_code("EVO1O1"));
        assert!(suggest_code("EVO199").contains("EVO1"), "{}", suggest_code("EVO199"));
        assert_eq!(suggest_code("x"), "evodoctor explain lists every code");
    }
}
