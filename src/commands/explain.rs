//! `evodoctor explain`: the rule behind a code, or the code behind an error message.

use anyhow::Result;

use super::select::known;
use crate::cli::{self, Common, Format};
use crate::examine::rule::{Rule, is_code};
use crate::exit::{Exit, failure};
use crate::report::layout::Page;
use crate::report::{self, explain};
use crate::rules;

/// Explains.
///
/// # Errors
/// When nothing is known of the code or the text.
pub fn run(args: &cli::Explain, common: &Common) -> Result<Exit> {
    if args.json_schema {
        report::print(report::json::SCHEMA, common.output.as_deref())?;
        return Ok(Exit::Clean);
    }
    let text = args.text.join(" ");
    let wanted: Vec<&Rule> = if text.trim().is_empty() {
        rules::all().to_vec()
    } else if let Some(code) = as_code(&text) {
        let code = known(&[code])?.remove(0);
        rules::find(&code).into_iter().collect()
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
        _ if common.quiet => explain::brief(&wanted, Page::for_output(common)),
        _ => explain::human(&wanted, Page::for_output(common)),
    };
    match common.format {
        Format::Json => report::print(&text, common.output.as_deref())?,
        _ => report::print_painted(&text, common.output.as_deref())?,
    }
    Ok(Exit::Clean)
}

/// A text that is one word and looks like a code, also a mistyped one.
fn as_code(text: &str) -> Option<String> {
    let word = text.trim().to_ascii_uppercase();
    let digits_only = word.len() == 3 && word.bytes().all(|b| b.is_ascii_digit());
    (digits_only || is_code(&word) || (word.starts_with("EVO") && !word.contains(' ') && word.len() <= 8))
        .then_some(word)
}

/// The rules whose patterns the text holds, the most telling pattern first; only those that tell as much.
fn matching(text: &str) -> Vec<&'static Rule> {
    let mut scored: Vec<(usize, &Rule)> = rules::all()
        .to_vec()
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
