//! `evodoctor explain`: the rule behind a code, or the code behind an error message.

use anyhow::Result;

use super::select::{all_codes, known};
use crate::cli::{self, Common, Format};
use crate::examine::check::checks;
use crate::examine::rule::{Rule, is_code};
use crate::exit::{Exit, failure};
use crate::report::{self, explain};
use crate::requests::rules::rules;
use crate::upgrade::hazard::hazards;
use crate::upgrade::rehearsal::rules as rehearsal;

/// Explains.
///
/// # Errors
/// When nothing is known of the code or the text.
pub fn run(args: &cli::Explain, common: &Common) -> Result<Exit> {
    let text = args.text.join(" ");
    let wanted: Vec<&Rule> = if text.trim().is_empty() {
        all_rules()
    } else if let Some(code) = as_code(&text) {
        let code = known(&[code])?.remove(0);
        all_rules().into_iter().filter(|rule| rule.code == code).collect()
    } else {
        let found = matching(&text);
        if found.is_empty() {
            return Err(failure(
                "no rule is known for this text",
                "paste the whole line with the error, or see every code: evodoctor explain",
            ));
        }
        found
    };
    let text = match common.format {
        Format::Json => explain::json(&wanted)?,
        Format::Human => explain::human(&wanted, report::layout::Page::for_output(common)),
    };
    report::print(&text, common.output.as_deref())?;
    Ok(Exit::Clean)
}

fn all_rules() -> Vec<&'static Rule> {
    let mut all: Vec<&Rule> = checks()
        .iter()
        .map(|check| &check.rule)
        .chain(hazards().iter().map(|hazard| &hazard.rule))
        .chain(rehearsal::rules())
        .chain(rules())
        .collect();
    all.sort_by(|a, b| a.code.cmp(&b.code));
    debug_assert_eq!(all.len(), all_codes().len());
    all
}

/// A text that is one word and looks like a code, also a mistyped one.
fn as_code(text: &str) -> Option<String> {
    let word = text.trim().to_ascii_uppercase();
    let digits_only = word.len() == 3 && word.bytes().all(|b| b.is_ascii_digit());
    if digits_only {
        return Some(format!("EVO{word}"));
    }
    (is_code(&word) || (word.starts_with("EVO") && !word.contains(' ') && word.len() <= 8)).then_some(word)
}

/// The rules whose patterns the text holds, the most telling pattern first; only those that tell as much.
fn matching(text: &str) -> Vec<&'static Rule> {
    let mut scored: Vec<(usize, &Rule)> = all_rules()
        .into_iter()
        .filter_map(|rule| {
            let score = rule.matches.iter().filter(|p| holds(text, p)).map(|p| p.chars().count()).max()?;
            Some((score, rule))
        })
        .collect();
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    let best = scored.first().map_or(0, |(score, _)| *score);
    scored.into_iter().filter(|(score, _)| *score * 2 > best).map(|(_, rule)| rule).collect()
}

/// Whether the text holds every part of the pattern, in any order and case; `…` stands between parts.
fn holds(text: &str, pattern: &str) -> bool {
    let text = text.to_lowercase();
    pattern.to_lowercase().split('…').all(|part| text.contains(part.trim()))
}
