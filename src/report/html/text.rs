//! Text from outside, safe for a page: escaped, isolated from the text direction around it, with no hidden characters,
//! and cut to a readable length.

use maud::{Markup, PreEscaped, html};
use serde_json::Value;

use crate::text::escape::{escape_control, is_command, truncate};

/// Bytes of a sentence that are shown.
const LONGEST_SENTENCE: usize = 2_000;

/// Bytes of a value in a table that are shown.
const LONGEST_VALUE: usize = 240;

/// Bytes of a statement or a diff that are shown.
const LONGEST_BLOCK: usize = 40_000;

/// Text for an attribute, or where no element may stand.
pub fn plain(text: &str) -> String {
    truncate(&escape_control(text), LONGEST_SENTENCE)
}

/// A sentence or a name. Letters that run from right to left turn nothing around it.
pub fn prose(text: &str) -> Markup {
    html! { bdi { (plain(text)) } }
}

/// A sentence of our own, in which options and hazards are not broken at their hyphens.
pub fn whole_words(text: &str) -> Markup {
    html! {
        @for (at, word) in text.split(' ').enumerate() {
            @if at > 0 { " " }
            @if word.contains('-') { span.whole-word { (plain(word)) } } @else { (plain(word)) }
        }
    }
}

/// The name of a thing in the database.
pub fn name(text: &str) -> Markup {
    html! { code { bdi { (plain(text)) } } }
}

/// Lines that stand as they are: a statement, a query.
pub fn block(text: &str, label: &str) -> Markup {
    html! {
        pre tabindex="0" role="group" aria-label=(label) { code {
            @for (at, line) in lines(text).lines().enumerate() {
                @if at > 0 { (PreEscaped(line_break(line))) }
                (line)
            }
        } }
    }
}

/// The line break before a line. The log of a pipeline, which a page may be written to, obeys lines that begin with a
/// marker; for a browser both breaks are the same.
fn line_break(line: &str) -> &'static str {
    if is_command(line) { "&#10;" } else { "\n" }
}

/// Lines of at most [`LONGEST_BLOCK`] bytes, with how much is left out.
pub fn lines(text: &str) -> String {
    let end = text.floor_char_boundary(LONGEST_BLOCK);
    let shown = text[..end].lines().map(escape_control).collect::<Vec<_>>().join("\n");
    match text.len() - end {
        0 => shown,
        more => format!("{shown}…\n({more} more bytes; --format json has all of it)"),
    }
}

/// A value out of a row: strings without quotes, everything else as JSON.
pub fn value(value: &Value) -> Markup {
    match value {
        Value::Null => html! { span.null { "null" } },
        Value::String(text) if text.is_empty() => html! { span.null { "empty" } },
        Value::String(text) => shortened(text),
        other => shortened(&other.to_string()),
    }
}

fn shortened(text: &str) -> Markup {
    let shown = truncate(&escape_control(text), LONGEST_VALUE);
    html! {
        bdi { (shown) }
        @if text.len() > LONGEST_VALUE { " " span.null { "(" (grouped(text.len() as u64)) " bytes)" } }
    }
}

/// `1234567` as `1,234,567`, in one piece.
pub fn grouped(number: u64) -> Markup {
    html! { span.number { (crate::text::humanize::format_count(number)) } }
}

/// A count with its word.
pub fn counted(number: u64, word: &str) -> Markup {
    html! { (grouped(number)) " " (word) @if number != 1 { "s" } }
}

/// A command to type. With JavaScript it has a button that copies it.
pub fn command(text: &str) -> Markup {
    // What is behind several spaces says what the command does.
    let (command, aside) = text.split_once("    ").unwrap_or((text, ""));
    html! {
        span.command {
            // Options are not broken at their hyphens.
            code {
                @for (at, word) in plain(command.trim()).split(' ').enumerate() {
                    @if at > 0 { " " }
                    @if word.starts_with('-') { span { (word) } } @else { (word) }
                }
            }
        }
        @if !aside.is_empty() { " " span.aside { (plain(aside.trim())) } }
    }
}

/// A table that scrolls in its own box where the page is too narrow.
pub fn table(label: &str, head: &[&str], rows: &[Vec<Markup>]) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label=(label) {
            table {
                thead { tr { @for cell in head { th scope="col" { (plain(cell)) } } } }
                tbody { @for row in rows { tr { @for cell in row { td { (cell) } } } } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_is_longer_than_somebody_reads_and_what_is_missing_is_said() {
        let huge = "é".repeat(500_000);
        for (markup, says) in [
            (value(&json!(huge)).0, "1,000,000"),
            (value(&json!({"text": huge})).0, "bytes)"),
            (block(&huge, "a statement").0, "more bytes; --format json has all of it"),
            (prose(&huge).0, "…"),
        ] {
            assert!(markup.len() < LONGEST_BLOCK + 300, "{} bytes", markup.len());
            assert!(markup.contains(says), "no {says:?}");
        }
    }

    #[test]
    fn no_line_of_a_statement_is_obeyed_by_a_pipeline() {
        let markup = block("SELECT '\n::error::owned\n  ##[error]owned\n::text", "a statement").0;
        assert!(
            markup.contains("SELECT '&#10;::error::owned&#10;  ##[error]owned&#10;::text</code>"),
            "{markup}"
        );
        assert!(block("SELECT\n1", "a statement").0.contains("SELECT\n1"));
    }

    #[test]
    fn a_command_reads_as_it_is_typed() {
        let markup = command("evodoctor fix --apply    does it").0;
        assert!(markup.contains("<code>evodoctor fix <span>--apply</span></code>"), "{markup}");
        assert!(markup.contains("does it"), "{markup}");
    }
}
