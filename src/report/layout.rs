//! Laying text out for a page of a certain width.

use std::env;
use std::io::IsTerminal;

use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::peaker::Priority;
use tabled::settings::{Modify, Padding, Style, Width};

use crate::cli::Common;

/// The page that is written on.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Characters in a line.
    pub width: usize,
}

impl Page {
    /// The terminal's width, else `COLUMNS`, else 100; never less than 40.
    fn new(is_terminal: bool) -> Self {
        let terminal = is_terminal.then(terminal_size::terminal_size).flatten().map(|(width, _)| width.0.into());
        let columns = || env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
        Self { width: terminal.or_else(columns).unwrap_or(100).clamp(40, 240) }
    }

    /// The page that the options lead to.
    pub fn for_output(common: &Common) -> Self {
        Self::new(common.output.is_none() && std::io::stdout().is_terminal())
    }

    /// The page that stdout is.
    pub fn for_stdout() -> Self {
        Self::new(std::io::stdout().is_terminal())
    }

    /// Wraps text to the page at words, each line behind `indent` spaces.
    pub fn wrap(self, text: &str, indent: usize) -> String {
        let width = self.width.saturating_sub(indent).max(20);
        let margin = " ".repeat(indent);
        let mut out = String::new();
        for line in text.lines() {
            let mut length = 0;
            out.push_str(&margin);
            for word in line.split(' ') {
                let word_length = word.chars().count();
                if length > 0 && length + 1 + word_length > width {
                    out.push('\n');
                    out.push_str(&margin);
                    length = 0;
                } else if length > 0 {
                    out.push(' ');
                    length += 1;
                }
                out.push_str(word);
                length += word_length;
            }
            out.push('\n');
        }
        out
    }

    /// Labels and texts in two columns, without lines around them.
    pub fn pairs(self, pairs: &[(&str, String)], indent: usize) -> String {
        let label_width = pairs.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
        let mut builder = Builder::default();
        for (label, text) in pairs {
            builder.push_record([(*label).to_owned(), shown(text)]);
        }
        let mut table = builder.build();
        table
            .with(Style::empty())
            .with(Padding::new(0, 2, 0, 0))
            .with(Modify::new(Columns::last()).with(
                Width::wrap(self.width.saturating_sub(indent + label_width + 4).max(20)).keep_words(true),
            ));
        indented(&table.to_string(), indent)
    }

    /// A table with a head, as wide as it needs and at most as wide as the page.
    pub fn table(self, head: &[&str], rows: &[Vec<String>], indent: usize) -> String {
        let mut builder = Builder::default();
        builder.push_record(head.iter().map(|cell| (*cell).to_owned()));
        for row in rows {
            builder.push_record(row.iter().map(|cell| shown(cell)));
        }
        let mut table = builder.build();
        table.with(Style::sharp()).with(
            Width::wrap(self.width.saturating_sub(indent)).priority(Priority::max(true)).keep_words(true),
        );
        indented(&table.to_string(), indent)
    }
}

/// Text from a database, without anything that could move the cursor or turn the reading direction around.
pub fn shown(text: &str) -> String {
    let is_hostile = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    if !text.chars().any(is_hostile) {
        return text.to_owned();
    }
    text.chars().map(|c| if is_hostile(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

fn indented(text: &str, indent: usize) -> String {
    let margin = " ".repeat(indent);
    text.lines().map(|line| format!("{margin}{}\n", line.trim_end()).replace(&format!("{margin}\n"), "\n")).collect()
}

/// `1 row`, `2 rows`: a count with its word.
pub fn count<N: TryInto<u64> + Copy + std::fmt::Display>(number: N, word: &str) -> String {
    if number.try_into().is_ok_and(|n: u64| n == 1) { format!("{number} {word}") } else { format!("{number} {word}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_wider_than_the_page() {
        let page = Page { width: 80 };
        let long = "a sentence of words that go on for rather longer than any page is wide ".repeat(4);
        let rows = vec![vec!["Message".to_owned(), "12".to_owned(), long.clone()]];
        for text in [page.wrap(&long, 2), page.table(&["table", "rows", "why"], &rows, 2), page.pairs(&[("why", long)], 4)]
        {
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= 80, "{widest}: {text}");
        }
    }

    #[test]
    fn names_cannot_move_the_cursor() {
        assert_eq!(shown("a\u{1b}[2Jb\u{202e}c"), "a\\u{1b}[2Jb\\u{202e}c");
    }
}
