//! The rules that answer an error.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::error_pattern::ErrorPattern;
use super::{ErrorParts, error_codes, split_errors};
use crate::rules::registry;
use crate::rules::rule::Rule;

/// One error of a paste, and the rules that answer it.
#[derive(Debug, Clone)]
pub struct MatchedError {
    /// Its parts.
    pub parts: ErrorParts,
    /// Its rules. More than one where the error alone does not tell which it is.
    pub rules: Vec<&'static Rule>,
}

/// The result for a paste.
#[derive(Debug, Default)]
pub struct LookupResult {
    /// The errors that are known, the innermost first.
    pub causes: Vec<MatchedError>,
    /// Where no error is known: the rules that are nearest, which may be about something else.
    pub perhaps: Vec<&'static Rule>,
}

/// Rules shown as perhaps.
const NEAREST: usize = 3;

static PATTERNS: LazyLock<Vec<(&'static Rule, ErrorPattern)>> = LazyLock::new(|| {
    let all =
        registry::all_rules().iter().flat_map(|rule| rule.answers.iter().map(move |line| (*rule, line)));
    all.map(|(rule, line)| {
        (rule, ErrorPattern::parse(line).expect("the tests keep every header well formed"))
    })
    .collect()
});

impl LookupResult {
    /// Every rule of every error, each once.
    pub fn rules(&self) -> Vec<&'static Rule> {
        let mut seen = BTreeSet::new();
        let all = self.causes.iter().flat_map(|cause| cause.rules.iter().copied());
        all.filter(|rule| seen.insert(rule.code.clone())).collect()
    }
}

/// The known errors in a pasted text.
pub fn lookup_error(paste: &str) -> LookupResult {
    let errors = split_errors(paste);
    let mut known: Vec<MatchedError> = errors.iter().flat_map(answered).collect();
    // Parts that stand far from each other in a log, such as a body after its status, may belong together.
    if known.is_empty() && errors.len() > 1 {
        let whole: Vec<&str> = errors.iter().map(|parts| parts.text.as_str()).collect();
        known = answered(&ErrorParts::parse(&whole.join(" ")));
    }
    known.dedup_by(|later, earlier| codes_of(&later.rules) == codes_of(&earlier.rules));
    let perhaps = if known.is_empty() { nearest(&errors) } else { Vec::new() };
    LookupResult { causes: known, perhaps }
}

fn codes_of<'a>(rules: &[&'a Rule]) -> Vec<&'a str> {
    rules.iter().map(|rule| rule.code.as_str()).collect()
}

/// The answer to one error, and to the one around it where that has an answer of its own.
fn answered(parts: &ErrorParts) -> Vec<MatchedError> {
    let Some((rules, used)) = most_specific(parts, |_| true) else { return Vec::new() };
    let mut causes = vec![MatchedError { parts: parts.clone(), rules }];
    let around = error_codes::OUTER
        .iter()
        .filter(|code| parts.prisma.iter().any(|own| own == *code) && !used.contains(**code));
    for code in around {
        let outer = ErrorParts::parse(code);
        if let Some((rules, _)) = most_specific(&outer, |_| true) {
            causes.push(MatchedError { parts: outer, rules });
        }
    }
    causes
}

/// The rules with the pattern that says most of what the error consists of, and the codes that it asks for.
fn most_specific(
    parts: &ErrorParts,
    is_asked: impl Fn(&Rule) -> bool,
) -> Option<(Vec<&'static Rule>, BTreeSet<String>)> {
    let fitting = PATTERNS.iter().filter(|(rule, _)| is_asked(rule));
    let weighed: Vec<(u32, &'static Rule, &ErrorPattern)> =
        fitting.filter_map(|(rule, pattern)| Some((pattern.specificity(parts)?, *rule, pattern))).collect();
    let most = weighed.iter().map(|(weight, ..)| *weight).max()?;
    let best = weighed.iter().filter(|(weight, ..)| *weight == most);
    let mut rules: Vec<&'static Rule> = best.clone().map(|(_, rule, _)| *rule).collect();
    rules.dedup_by_key(|rule| rule.code.clone());
    let used = best.flat_map(|(_, _, pattern)| pattern.codes().map(str::to_owned)).collect();
    Some((rules, used))
}

/// The rules that share the most telling words with the text.
fn nearest(errors: &[ErrorParts]) -> Vec<&'static Rule> {
    let text: Vec<&str> = errors.iter().map(|parts| parts.text.as_str()).collect();
    let asked = telling_words(&text.join(" "));
    let mut scored: Vec<(usize, &'static Rule)> = registry::all_rules()
        .iter()
        .map(|rule| {
            let own = telling_words(&format!("{} {} {}", rule.name, rule.summary, rule.matches.join(" ")));
            (own.intersection(&asked).count(), *rule)
        })
        .filter(|(shared, _)| *shared >= 2)
        .collect();
    scored.sort_by_key(|(shared, _)| std::cmp::Reverse(*shared));
    scored.into_iter().take(NEAREST).map(|(_, rule)| rule).collect()
}

/// Words that few texts have: no short ones, and none that every error and every rule has.
fn telling_words(text: &str) -> BTreeSet<String> {
    const COMMON: &[&str] = &[
        "error",
        "that",
        "with",
        "from",
        "this",
        "does",
        "have",
        "invalid",
        "failed",
        "table",
        "database",
        "server",
        "instance",
        "evolution",
        "message",
        "which",
        "there",
        "cannot",
        "another",
        "when",
        "what",
        "code",
        "value",
        "rows",
        "para",
        "erro",
    ];
    let words =
        text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() >= 4).map(str::to_lowercase);
    words.filter(|word| !COMMON.contains(&word.as_str())).collect()
}
