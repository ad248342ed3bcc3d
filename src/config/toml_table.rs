//! TOML with errors that name their line and suggest what was meant.

use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use jiff::civil::Date;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::user_error;
use crate::text::suggest::closest_match;

/// The text of a file.
#[derive(Debug)]
pub struct TomlFile {
    /// The file's name in error messages.
    shown: String,
    text: String,
}

/// A value and the line that it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// `evodoctor.toml:12`.
    pub place: String,
}

/// A table of a file.
#[derive(Debug, Clone, Copy)]
pub struct TomlTable<'t> {
    source: &'t TomlFile,
    span: (usize, usize),
    entries: &'t DeTable<'t>,
}

impl TomlFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or is not UTF-8.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let text = fs::read_to_string(path).with_context(|| format!("{shown} cannot be read"))?;
        Ok(Self::new(shown, text))
    }

    /// A text with its name in error messages.
    pub fn new(shown: impl Into<String>, text: impl Into<String>) -> Self {
        Self { shown: shown.into(), text: text.into() }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The file as a table, to be kept beside it.
    pub fn parse(&self) -> Result<Spanned<DeTable<'_>>> {
        DeTable::parse(&self.text).map_err(|error| {
            let message = error.message().replace('\n', ", ");
            let next = "correct the line; https://toml.io describes TOML";
            self.error_at(
                error.span().map_or(0, |span| span.start),
                format!("this is not TOML: {message}"),
                next,
            )
        })
    }

    /// The table that holds everything.
    pub fn root<'t>(&'t self, parsed: &'t Spanned<DeTable<'t>>) -> TomlTable<'t> {
        TomlTable { source: self, span: bounds(&parsed.span()), entries: parsed.get_ref() }
    }

    /// `FILE:LINE` of a place in the text.
    pub fn location(&self, at: usize) -> String {
        let before = self.text.get(..at.min(self.text.len())).unwrap_or(&self.text);
        format!("{}:{}", self.shown, before.matches('\n').count() + 1)
    }

    /// An error at a place in the text.
    pub fn error_at(&self, at: usize, message: impl AsRef<str>, next: impl Into<String>) -> anyhow::Error {
        user_error(format!("{}: {}", self.location(at), message.as_ref()), next)
    }
}

impl<T> Located<T> {
    /// An error at this value.
    pub fn error_at(&self, message: impl AsRef<str>, next: impl Into<String>) -> anyhow::Error {
        user_error(format!("{}: {}", self.place, message.as_ref()), next)
    }
}

impl<'t> TomlTable<'t> {
    /// Refuses every key but these.
    ///
    /// # Errors
    /// Names the first one, its line, and the nearest one that there is.
    pub fn deny_unknown_keys(&self, known: &[&str]) -> Result<()> {
        for (key, _) in self.entries {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let next = match closest_match(name, known) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("known are {}", known.join(", ")),
                };
                return Err(self.source.error_at(
                    key.span().start,
                    format!("there is no key {name:?} here"),
                    next,
                ));
            }
        }
        Ok(())
    }

    /// Its keys, each with its line.
    pub fn keys(&self) -> impl Iterator<Item = Located<&'t str>> {
        let source = self.source;
        self.entries
            .iter()
            .map(|(key, _)| Located { value: &**key.get_ref(), place: source.location(key.span().start) })
    }

    /// Where it begins.
    pub fn location(&self) -> String {
        self.source.location(self.span.0)
    }

    /// An error at it.
    pub fn error_at(&self, message: impl AsRef<str>, next: impl Into<String>) -> anyhow::Error {
        self.source.error_at(self.span.0, message, next)
    }

    /// A text.
    pub fn string(&self, key: &str) -> Result<Option<Located<String>>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        self.as_text(key, value).map(Some)
    }

    /// A list of texts.
    pub fn strings(&self, key: &str) -> Result<Option<Vec<Located<String>>>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let items = value.get_ref().as_array().ok_or_else(|| self.other(key, value, "a list of strings"))?;
        items.iter().map(|item| self.as_text(key, item)).collect::<Result<_>>().map(Some)
    }

    /// A whole number.
    pub fn number(&self, key: &str) -> Result<Option<Located<u64>>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = value.get_ref().as_integer().and_then(|number| number.as_str().parse().ok());
        match number {
            Some(number) if number > 0 => Ok(Some(self.at(value, number))),
            _ => Err(self.other(key, value, "a whole number of at least 1")),
        }
    }

    /// One of the words that the option on the command line takes.
    ///
    /// # Errors
    /// When it is none of them; the nearest one is suggested.
    pub fn choice<T: ValueEnum>(&self, key: &str) -> Result<Option<T>> {
        let Some(text) = self.string(key)? else { return Ok(None) };
        T::from_str(&text.value, false).map(Some).map_err(|_| {
            let words: Vec<String> = T::value_variants()
                .iter()
                .filter_map(|variant| Some(variant.to_possible_value()?.get_name().to_owned()))
                .collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let next = match closest_match(&text.value, &words) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("use one of {}", words.join(", ")),
            };
            text.error_at(format!("{key} cannot be {:?}", text.value), next)
        })
    }

    /// A day, as TOML writes it: without quotes.
    pub fn date(&self, key: &str) -> Result<Option<Located<Date>>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let date =
            value.get_ref().as_datetime().filter(|time| time.time.is_none()).and_then(|time| time.date);
        let date = date.and_then(|date| {
            Date::new(date.year.try_into().ok()?, date.month.try_into().ok()?, date.day.try_into().ok()?).ok()
        });
        let Some(date) = date else {
            return Err(self.other(key, value, "a date without quotes, such as 2027-01-31"));
        };
        Ok(Some(self.at(value, date)))
    }

    /// A table in it.
    pub fn table(&self, key: &str) -> Result<Option<TomlTable<'t>>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        self.as_table(value).ok_or_else(|| self.other(key, value, &format!("a table: [{key}]"))).map(Some)
    }

    /// Tables in it that have the same name.
    pub fn tables(&self, key: &str) -> Result<Vec<TomlTable<'t>>> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let other = || self.other(key, value, &format!("tables: [[{key}]]"));
        let items = value.get_ref().as_array().ok_or_else(other)?;
        items.iter().map(|item| self.as_table(item).ok_or_else(other)).collect()
    }

    fn get(&self, key: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.entries.iter().find(|(name, _)| *name.get_ref() == key).map(|(_, value)| value)
    }

    fn at<T>(&self, value: &Spanned<DeValue<'_>>, read: T) -> Located<T> {
        Located { value: read, place: self.source.location(value.span().start) }
    }

    fn as_text(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<Located<String>> {
        match value.get_ref().as_str().map(str::trim) {
            Some(text) if !text.is_empty() => Ok(self.at(value, text.to_owned())),
            _ => Err(self.other(key, value, "a non-empty string")),
        }
    }

    fn as_table(&self, value: &'t Spanned<DeValue<'t>>) -> Option<TomlTable<'t>> {
        let entries = value.get_ref().as_table()?;
        Some(TomlTable { source: self.source, span: bounds(&value.span()), entries })
    }

    fn other(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) -> anyhow::Error {
        let message = format!("{key} must be {wanted}");
        self.source.error_at(value.span().start, message, format!("write {key} as {wanted}"))
    }
}

fn bounds(span: &Range<usize>) -> (usize, usize) {
    (span.start, span.end)
}
