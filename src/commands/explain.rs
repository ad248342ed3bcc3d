//! `evodoctor explain`: the rule behind a code, or the code behind an error message.

use std::io;

use anyhow::{Context, Result};

use super::shared::code_filter::parse_codes;
use crate::cli::{self, GlobalOptions, OutputFormat};
use crate::exit_code::Exit;
use crate::report::terminal::explain;
use crate::report::{self};
use crate::rules::code::parse_code;
use crate::rules::error_lookup::lookup::{LookupResult, lookup_error};
use crate::rules::registry;
use crate::rules::rule::{Rule, is_code};
use crate::terminal::page::Page;

/// Explains. A text that no rule is known for exits with 1, as findings do.
///
/// # Errors
/// When a code does not exist, or nothing can be read or written.
pub fn run(args: &cli::ExplainArgs, common: &GlobalOptions) -> Result<Exit> {
    if args.json_schema {
        report::print(report::json::SCHEMA, common.output.as_deref())?;
        return Ok(Exit::Clean);
    }
    let text = match args.text.as_slice() {
        [one] if one == "-" => {
            io::read_to_string(io::stdin().lock()).context("standard input cannot be read")?
        }
        words => words.join(" "),
    };
    let is_list = args.text.is_empty();
    let (wanted, answer): (Vec<&Rule>, Option<LookupResult>) = if is_list {
        (registry::all_rules().to_vec(), None)
    } else if let Some(code) = as_code(&text) {
        let code = parse_codes(&[code])?.remove(0);
        (registry::find_rule(&code).into_iter().collect(), None)
    } else {
        let answer = lookup_error(&text);
        (answer.rules(), Some(answer))
    };
    let page = Page::for_output(common.output.as_deref());
    let text = match (common.format, &answer) {
        (OutputFormat::Json, answer) => explain::json(&wanted, answer.as_ref())?,
        (_, Some(answer)) if answer.causes.is_empty() => explain::unknown(answer, page),
        _ if common.quiet => explain::brief(&wanted, page),
        (_, Some(answer)) => explain::answered(answer, page),
        _ => explain::human(&wanted, page),
    };
    match common.format {
        OutputFormat::Json => report::print(&text, common.output.as_deref())?,
        _ => report::print_painted(&text, common.output.as_deref())?,
    }
    Ok(if wanted.is_empty() { Exit::Findings } else { Exit::Clean })
}

/// A text that is a code or a rule's name, or one word that looks like a code, also a mistyped one.
fn as_code(text: &str) -> Option<String> {
    let word = text.trim().to_ascii_uppercase();
    let is_number = word.len() == 3 && word.bytes().all(|b| b.is_ascii_digit());
    let looks_like_one =
        is_number || is_code(&word) || (word.starts_with("EVO") && !word.contains(' ') && word.len() <= 8);
    (looks_like_one || parse_code(text).is_some()).then_some(word)
}
