//! Laying text out for a page of a certain width.

use std::env;
use std::io::IsTerminal;

use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::peaker::Priority;
use tabled::settings::{Modify, Padding, Style, Width};

use crate::cli::Common;
use crate::requests::shown::visible;

/// The page that is written on.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Characters in a line.
    pub width: usize,
}

impl Page {
    /// The terminal's width, else `COLUMNS`, else 100; never less than 40.
    fn new(is_terminal: bool) -> Self {
        let terminal =
            is_terminal.then(terminal_size::terminal_size).flatten().map(|(width, _)| width.0.into());
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
        text.lines().flat_map(|line| wrapped(line, width)).map(|line| format!("{margin}{line}\n")).collect()
    }

    /// Labels and texts in two columns, without lines around them.
    pub fn pairs(self, pairs: &[(&str, String)], indent: usize) -> String {
        let label_width = pairs.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
        let mut builder = Builder::default();
        for (label, text) in pairs {
            builder.push_record([(*label).to_owned(), visible(text)]);
        }
        let mut table = builder.build();
        table.with(Style::empty()).with(Padding::new(0, 2, 0, 0)).with(
            Modify::new(Columns::last()).with(
                Width::wrap(self.width.saturating_sub(indent + label_width + 4).max(20)).keep_words(true),
            ),
        );
        indented(&table.to_string(), indent)
    }

    /// A table with a head, as wide as it needs and at most as wide as the page.
    pub fn table(self, head: &[&str], rows: &[Vec<String>], indent: usize) -> String {
        let mut builder = Builder::default();
        builder.push_record(head.iter().map(|cell| (*cell).to_owned()));
        for row in rows {
            builder.push_record(row.iter().map(|cell| visible(cell)));
        }
        let mut table = builder.build();
        table.with(Style::sharp()).with(
            Width::wrap(self.width.saturating_sub(indent)).priority(Priority::max(true)).keep_words(true),
        );
        indented(&table.to_string(), indent)
    }
}

/// Lines of at most `width` characters, broken at spaces where there are any.
pub fn wrapped(sentence: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for (at, word) in sentence.split(' ').enumerate() {
        if at > 0 && used + 1 + word.chars().count() <= width {
            line.push(' ');
            used += 1;
        } else if at > 0 {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        for character in word.chars() {
            if used == width {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(character);
            used += 1;
        }
    }
    lines.push(line);
    lines
}

fn indented(text: &str, indent: usize) -> String {
    let margin = " ".repeat(indent);
    text.lines()
        .map(|line| format!("{margin}{}\n", line.trim_end()).replace(&format!("{margin}\n"), "\n"))
        .collect()
}

/// `1 row`, `2 rows`: a count with its word.
pub fn count<N: TryInto<u64> + Copy + std::fmt::Display>(number: N, word: &str) -> String {
    if number.try_into().is_ok_and(|n: u64| n == 1) {
        format!("{number} {word}")
    } else {
        format!("{number} {word}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_wider_than_the_page() {
        let page = Page { width: 80 };
        let long = "a sentence of words that go on for rather longer than any page is wide ".repeat(4);
        let rows = vec![vec!["Message".to_owned(), "12".to_owned(), long.clone()]];
        for text in [
            page.wrap(&long, 2),
            page.table(&["table", "rows", "why"], &rows, 2),
            page.pairs(&[("why", long)], 4),
        ] {
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= 80, "{widest}: {text}");
        }
    }
}
