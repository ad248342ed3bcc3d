//! The text of an error: the chain of causes, then the hint.

use crate::error::{self, sqlstate};
use crate::redact;
use crate::redact::personal::for_stderr;
use crate::terminal::style::{COMMAND, DIM, ERROR};
use crate::text::escape::{escape_control, is_command, truncate};

/// The chain of causes, without what is a secret by its form.
pub fn cause_chain(error: &anyhow::Error) -> Vec<String> {
    let mut causes = Vec::new();
    for cause in error.chain() {
        if let Some(driver) = cause.downcast_ref::<sqlx::Error>() {
            causes.push(bounded(&for_stderr(&redact::redact_text(&sqlstate::describe_error(driver)))));
            // What comes below is the same once more.
            break;
        }
        let text = cause.to_string();
        // The name of our SQL file is left out: -vv shows the statement.
        if !text.starts_with("while running sql/") {
            causes.push(bounded(&for_stderr(&redact::redact_text(&text))));
        }
    }
    causes
}

/// A server, or a file, can say as much as it likes.
const LONGEST: usize = 8 * 1024;

fn bounded(text: &str) -> String {
    truncate(text, LONGEST)
}

/// Writes an error to stderr: the chain of causes, then the hint. Everything it quotes is plain text: no secret, and
/// nothing that a terminal or a pipeline would obey.
pub fn print_error(error: &anyhow::Error) {
    let causes = cause_chain(error);
    let first = causes.first().map(|cause| (ERROR, "error:", cause.as_str()));
    let others = causes.iter().skip(1).map(|cause| (DIM, "  because:", cause.as_str()));
    let next = [(COMMAND, "  next:", error::hint(error))];
    for (style, what, text) in first.into_iter().chain(others).chain(next) {
        anstream::eprintln!("{style}{what}{style:#} {}", harmless(text));
    }
}

/// Text of several lines in which every line is only text.
fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (number, line) in text.split('\n').enumerate() {
        match number {
            0 => {}
            _ if is_command(line) => shown.push_str("\\n"),
            _ => shown.push('\n'),
        }
        shown.push_str(&escape_control(line));
    }
    shown
}
