//! Colours: what each thing looks like on a terminal, in one place.
//!
//! Text for people is always styled; whether the style is kept is decided where it is written, by `--color`, by
//! `NO_COLOR` and `CLICOLOR_FORCE`, and by the destination.

use std::borrow::Cow;
use std::fmt::Display;
use std::path::Path;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use tabled::settings::Color;

use crate::rules::rule::Severity;

/// Nothing at all.
pub const PLAIN: Style = Style::new();
/// Names of things to look at: codes, tables, files.
pub const NAME: Style = Style::new().bold();
/// Less important text.
pub const DIM: Style = Style::new().dimmed();
/// A command to type.
pub const COMMAND: Style = AnsiColor::Cyan.on_default().bold();
/// Nothing is wrong.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Added lines, in git's colour.
pub const ADDED: Style = AnsiColor::Green.on_default();
/// Removed lines, in git's colour.
pub const REMOVED: Style = AnsiColor::Red.on_default();
/// Changed values.
pub const CHANGED: Style = AnsiColor::Yellow.on_default();
/// The place of a change, as git paints it.
pub const HUNK: Style = AnsiColor::Cyan.on_default();
/// Something is wrong.
pub const ERROR: Style = AnsiColor::Red.on_default().bold();
/// Something does not work, or cannot be said.
pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// Good to know.
pub const ADVICE: Style = AnsiColor::Blue.on_default().bold();

/// Returns the style of a severity.
pub fn severity_style(severity: Severity) -> Style {
    match severity {
        Severity::Error => ERROR,
        Severity::Warning => WARNING,
        Severity::Advice => ADVICE,
    }
}

/// A line of a unified diff.
pub fn diff_line_style(line: &str) -> Style {
    match line.as_bytes() {
        [b'-', b'-', b'-', ..] | [b'+', b'+', b'+', ..] => NAME,
        [b'@', b'@', ..] => HUNK,
        [b'-', ..] => REMOVED,
        [b'+', ..] => ADDED,
        _ => PLAIN,
    }
}

/// The text in a style. It has to be safe to print already: see [`crate::text::escape::escape_control`].
pub fn paint(style: Style, text: impl Display) -> String {
    let text = text.to_string();
    if style == PLAIN || text.trim().is_empty() { text } else { format!("{style}{text}{style:#}") }
}

/// The same style for a cell of a table, which is painted after it is laid out.
pub fn cell_color(style: Style) -> Color {
    Color::new(style.render().to_string(), style.render_reset().to_string())
}

/// The text as it has to be written: with its colours where they are wanted and can be seen.
pub fn for_output<'t>(text: &'t str, output: Option<&Path>) -> Cow<'t, str> {
    let keeps = match (ColorChoice::global(), output) {
        (ColorChoice::Always | ColorChoice::AlwaysAnsi, _) => true,
        (ColorChoice::Never, _) | (ColorChoice::Auto, Some(_)) => false,
        (ColorChoice::Auto, None) => AutoStream::choice(&std::io::stdout()) != ColorChoice::Never,
    };
    if keeps { Cow::Borrowed(text) } else { Cow::Owned(strip_styles(text)) }
}

/// The text without colours.
pub fn strip_styles(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_can_be_removed() {
        let text = paint(ERROR, "error") + " EVO101 → \"joão\"";
        assert_eq!(strip_styles(&text), "error EVO101 → \"joão\"");
        assert!(text.starts_with("\u{1b}["), "{text:?}");
        assert_eq!(paint(PLAIN, "as it is"), "as it is");
    }

    #[test]
    fn a_diff_looks_as_git_shows_it() {
        let styles =
            ["--- a/Chat", "+++ b/Chat", "@@ -1 +1 @@", "-one", "+two", " same"].map(diff_line_style);
        assert_eq!(styles, [NAME, NAME, HUNK, REMOVED, ADDED, PLAIN]);
    }
}
