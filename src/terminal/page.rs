//! Laying text out for a page of a certain width.

use std::env;
use std::io::IsTerminal;
use std::path::Path;

use anstyle::Style;
use tabled::Table;
use tabled::builder::Builder;
use tabled::settings::object::{Cell, Columns, Rows, Segment};
use tabled::settings::peaker::{Priority, PriorityMax};
use tabled::settings::width::Wrap;
use tabled::settings::{Alignment, Format, Modify, Padding, Width, style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::terminal::style::{COMMAND, DIM, NAME, PLAIN, cell_color, paint};
use crate::text::escape::escape_control;

/// The page that is written on.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Columns in a line.
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

    /// The page that is written on: a file's, or stdout's.
    pub fn for_output(file: Option<&Path>) -> Self {
        Self::new(file.is_none() && std::io::stdout().is_terminal())
    }

    /// The page that stdout is.
    pub fn for_stdout() -> Self {
        Self::new(std::io::stdout().is_terminal())
    }

    /// Wraps text to the page at words, each line behind `indent` spaces. Its colours take no room.
    pub fn wrap(self, text: &str, indent: usize) -> String {
        self.wrap_hanging(text, indent, indent)
    }

    /// The same, with all lines but the first behind `hanging` spaces.
    pub fn wrap_hanging(self, text: &str, indent: usize, hanging: usize) -> String {
        let width = self.width.saturating_sub(indent.max(hanging)).max(20);
        let lines = text.lines().flat_map(|line| wrapped(line, width)).enumerate();
        lines.map(|(at, line)| format!("{:1$}{line}\n", "", if at == 0 { indent } else { hanging })).collect()
    }

    /// A command, and its effect. The command is never broken, however long it is, because it is there to be copied.
    pub fn command_hint(self, command: &str, what: &str, indent: usize) -> String {
        let command = escape_control(command);
        let width = indent + 6 + columns(&command);
        let command = format!("{:indent$}next: {}", "", paint(COMMAND, command));
        match what {
            "" => format!("{command}\n"),
            what if width + 4 + columns(what) <= self.width => format!("{command}    {what}\n"),
            what => format!("{command}\n{}", self.wrap(what, indent + 6)),
        }
    }

    /// Labels and texts in two columns, without lines around them.
    pub fn pairs(self, pairs: &[(&str, String)], indent: usize) -> String {
        let label_width = pairs.iter().map(|(label, _)| label.width()).max().unwrap_or(0);
        let mut out = String::new();
        for (label, text) in pairs {
            let width = self.width.saturating_sub(indent + label_width + 2).max(20);
            for (at, line) in wrapped(&escape_control(text), width).into_iter().enumerate() {
                let label = if at == 0 { *label } else { "" };
                let gap = " ".repeat(label_width - label.width() + 2);
                out.push_str(&format!("{:indent$}{}{gap}{line}\n", "", paint(DIM, label)));
            }
        }
        out
    }

    /// A table with a head, as wide as it needs and at most as wide as the page.
    pub fn table(self, head: &[&str], rows: &[Vec<String>], indent: usize) -> String {
        self.painted_table(head, rows, indent, |_, _| PLAIN)
    }

    /// The same, with a style for each cell, by row and column. Columns of numbers stand to the right.
    pub fn painted_table(
        self,
        head: &[&str],
        rows: &[Vec<String>],
        indent: usize,
        style: impl Fn(usize, usize) -> Style,
    ) -> String {
        let mut table = built(head, rows, style);
        table
            .with(style::Style::sharp())
            .with(self.fitting(indent))
            .with(Modify::new(Segment::all()).with(Format::content(continued)));
        indented(&table, indent)
    }

    /// The same without lines around the cells, which take a fifth of a narrow page.
    pub fn plain_table(
        self,
        head: &[&str],
        rows: &[Vec<String>],
        indent: usize,
        style: impl Fn(usize, usize) -> Style,
    ) -> String {
        let mut table = built(head, rows, style);
        table.with(style::Style::empty()).with(Padding::new(0, 2, 0, 0));
        // Room behind the last column is no reason to break a line.
        table.with(Modify::new(Columns::last()).with(Padding::zero()));
        table.with(self.fitting(indent)).with(Modify::new(Segment::all()).with(Format::content(continued)));
        indented(&table, indent)
    }

    fn fitting(self, indent: usize) -> Wrap<usize, PriorityMax> {
        Width::wrap(self.width.saturating_sub(indent)).priority(Priority::max(true)).keep_words(true)
    }
}

/// A broken text without the spaces at which it was broken, where they begin a line.
fn continued(text: &str) -> String {
    text.replace("\n ", "\n")
}

/// A table that is neither framed nor fitted to a page.
fn built(head: &[&str], rows: &[Vec<String>], style: impl Fn(usize, usize) -> Style) -> Table {
    let mut builder = Builder::default();
    builder.push_record(head.iter().map(|cell| (*cell).to_owned()));
    for row in rows {
        builder.push_record(row.iter().map(|cell| escape_control(cell)));
    }
    let mut table = builder.build();
    table.with(Modify::new(Rows::first()).with(cell_color(NAME)));
    for column in 0..head.len() {
        let cells = || rows.iter().filter_map(|row| row.get(column));
        if cells().next().is_some() && cells().all(|cell| is_number(cell)) {
            table.with(Modify::new(Columns::one(column)).with(Alignment::right()));
        }
        for row in (0..rows.len()).filter(|row| style(*row, column) != PLAIN) {
            table.with(Modify::new(Cell::new(row + 1, column)).with(cell_color(style(row, column))));
        }
    }
    table
}

/// Stands in a column of numbers where there is none.
pub const NO_NUMBER: &str = "-";

fn is_number(cell: &str) -> bool {
    cell == NO_NUMBER || !cell.is_empty() && cell.bytes().all(|byte| byte.is_ascii_digit() || byte == b',')
}

/// Lines of at most `width` columns, broken at spaces where there are any. Colours take no room.
pub fn wrapped(sentence: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for (at, word) in sentence.split(' ').enumerate() {
        if at > 0 && used + 1 + columns(word) <= width {
            line.push(' ');
            used += 1;
        } else if at > 0 {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        let mut in_colour = false;
        for character in word.chars() {
            in_colour |= character == '\u{1b}';
            let wide = if in_colour { 0 } else { character.width().unwrap_or(0) };
            in_colour &= character != 'm';
            if used + wide > width {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(character);
            used += wide;
        }
    }
    lines.push(line);
    lines
}

/// The number of columns a terminal needs for the text.
pub fn columns(text: &str) -> usize {
    anstream::adapter::strip_str(text).map(UnicodeWidthStr::width).sum()
}

fn indented(table: &Table, indent: usize) -> String {
    table.to_string().lines().map(|line| format!("{:indent$}{}\n", "", line.trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::style::ERROR;

    #[test]
    fn nothing_is_wider_than_the_page() {
        let page = Page { width: 80 };
        let long = "a sentence of words that go on for rather longer than any page is wide ".repeat(4);
        let wide = "文字化け".repeat(30);
        let rows = vec![vec!["Message".to_owned(), "12".to_owned(), long.clone() + &wide]];
        for text in [
            page.wrap(&paint(ERROR, &long), 2),
            page.wrap(&wide, 2),
            page.painted_table(&["table", "rows", "why"], &rows, 2, |_, _| ERROR),
            page.pairs(&[("why", long), ("what", wide)], 4),
        ] {
            let widest = text.lines().map(columns).max().unwrap();
            assert!(widest <= 80, "{widest}: {text}");
            assert!(widest > 70, "{widest}: {text}");
        }
    }

    #[test]
    fn no_line_of_a_cell_begins_with_the_space_it_was_broken_at() {
        let rows = vec![vec!["MessageUpdate.messageId \u{2192} Message is gone".to_owned()]];
        for width in 12..50 {
            let table = Page { width }.plain_table(&["because"], &rows, 0, |_, _| PLAIN);
            assert!(!table.lines().any(|line| line.starts_with(' ')), "{width}:\n{table}");
        }
    }

    #[test]
    fn names_stay_text_in_a_table() {
        let rows = vec![vec!["a\u{1b}[2Jb\u{202e}c\nd".to_owned()]];
        let table = Page { width: 80 }.table(&["name"], &rows, 0);
        assert!(table.contains("a\\x1b[2Jb\\u{202e}c\\nd"), "{table}");
    }
}
