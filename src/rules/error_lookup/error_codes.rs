//! Codes of Prisma and of Postgres: how they are recognised, and which of them mean the same.

use std::sync::LazyLock;

use regex::Regex;

/// The SQLSTATE behind a Prisma code, where there is one.
const SAME: &[(&str, &str)] = &[
    ("P1000", "28P01"),
    ("P1001", "08001"),
    ("P1002", "08001"),
    ("P1003", "3D000"),
    ("P1010", "42501"),
    ("P1014", "42P01"),
    ("P1017", "57P01"),
    ("P2000", "22001"),
    ("P2002", "23505"),
    ("P2003", "23503"),
    ("P2004", "23514"),
    ("P2011", "23502"),
    ("P2020", "22003"),
    ("P2034", "40P01"),
    ("P2021", "42P01"),
    ("P2022", "42703"),
    ("P2037", "53300"),
];

/// The SQLSTATEs that are an error of their own inside another one of Prisma's.
const WRAPPERS: &[&str] = &["P2010", "P3006", "P3018"];

/// Codes that say only that a migration stopped; what stopped it is inside.
pub(super) const OUTER: &[&str] = &["P3009", "P3018", "P3006"];

/// True if a code says only that a migration stopped.
pub(super) fn is_outer(code: &str) -> bool {
    OUTER.contains(&code)
}

/// Codes that stand for the same kind of error as another one.
const KINDS: &[(&str, &str)] = &[("23001", "23503"), ("40001", "40P01"), ("28000", "28P01")];

/// Digits that are a code only where the text says so.
static SAID: LazyLock<Regex> = LazyLock::new(|| {
    let before = r"(?i:sqlstate|sql ?state|(?:database )?error code|original_?code|err?code|codigo(?: de error| do erro)?|code|error|erro|fatal)";
    Regex::new(&format!(r#"\b{before}["']?\s*[:=\[(]?\s*[`'"(]?E?([0-9A-Z]{{5}})\b"#))
        .expect("a pattern of this program")
});

/// Five letters and digits with at least one of each, as few words are.
static BARE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\b(?:[0-9]{2}P[0-9]{2}|XX00[0-9]|[0-9]{2}000|[0-9]{1}[A-Z][0-9]{3}|[0-9][A-Z]{2}[0-9]{2})\b")
        .expect("a pattern of this program")
});

static PRISMA: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?:^|[^\w/-])(P[1-6]\d{3})\b").expect("a pattern of this program"));

/// Prisma's codes in the text.
pub(super) fn prisma_codes(text: &str) -> Vec<String> {
    distinct(PRISMA.captures_iter(text).map(|found| found[1].to_owned()))
}

/// Postgres's codes in the text.
pub(super) fn sqlstates(text: &str) -> Vec<String> {
    let said = SAID.captures_iter(text).map(|found| found[1].to_owned());
    let said = said.filter(|code| code.starts_with(|c: char| c.is_ascii_digit()) || code.starts_with("XX"));
    // A phone number or a count of thousands is not a code: digits alone count only where that is all of the text.
    let is_all = text.split_whitespace().count() == 1;
    let bare = BARE.find_iter(text).map(|found| found.as_str());
    let bare = bare.filter(|code| code.bytes().any(|byte| byte.is_ascii_alphabetic())).map(str::to_owned);
    let alone =
        text.split_whitespace().filter(|word| is_all && word.len() == 5 && is_state(word)).map(str::to_owned);
    distinct(said.chain(bare).chain(alone))
}

/// True if five characters can be a SQLSTATE.
fn is_state(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
        && word.starts_with(|first: char| first.is_ascii_digit())
}

/// The codes that a code implies.
pub(super) fn equivalents(code: &str) -> impl Iterator<Item = &'static str> {
    let first = SAME.iter().chain(KINDS).find(|(known, _)| *known == code).map(|(_, same)| *same);
    first.into_iter()
}

/// True if another error is inside an error of this code.
pub(super) fn is_wrapper(code: &str) -> bool {
    WRAPPERS.contains(&code)
}

fn distinct(codes: impl Iterator<Item = String>) -> Vec<String> {
    let mut found = Vec::new();
    for code in codes {
        if !found.contains(&code) {
            found.push(code);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_code_only_where_the_text_says_so() {
        for (text, codes) in [
            ("code: '42P10', message", vec!["42P10"]),
            ("Database error code: 53100", vec!["53100"]),
            ("SQLSTATE[23505]: Unique violation", vec!["23505"]),
            ("Code: `22021`. Message", vec!["22021"]),
            ("ERROR:  40P01: deadlock", vec!["40P01"]),
            ("53300", vec!["53300"]),
            ("5511987654321 sent 53100 messages", vec![]),
            ("the invoice 42000 is paid", vec![]),
            ("CEP 30140", vec![]),
        ] {
            assert_eq!(sqlstates(text), codes, "{text}");
        }
        assert_eq!(prisma_codes("P2002: AP2002X P20021 P2003"), ["P2002", "P2003"]);
    }
}
