//! The SQL files of this program: a comment header, then statements with psql's variables.
//!
//! A file runs under `psql -v schema=public -f FILE` and here alike, because both know the same three forms:
//! `:"name"` is a quoted name, `:'name'` a quoted value, `:name` a fragment as it is.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use memchr::{memchr, memchr3};

use super::ident::SqlFragment;

/// Every file under `sql/`, by path, put here by `src/build.rs`.
pub static FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/sql_files.rs"));

/// The text of the file at `path` (from the project's root, such as `sql/catalog/tables.sql`).
///
/// # Panics
/// When there is no such file: the path is written in this program.
pub fn embedded_file(path: &str) -> &'static str {
    let found = FILES.binary_search_by_key(&path, |(name, _)| name);
    FILES[found.unwrap_or_else(|_| panic!("{path} is not under sql/"))].1
}

/// The values of a script's variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<String, Variable>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Variable {
    /// A plain string, which only the quoting forms may use.
    Text(String),
    /// SQL, which only the bare form may use.
    Sql(SqlFragment),
}

impl Variables {
    /// The variables that every script may use: Evolution's schema.
    pub fn for_schema(schema: &str) -> Self {
        Self::default().text("schema", schema)
    }

    /// Adds strings, for an operation that takes arguments.
    #[must_use]
    pub fn texts(self, values: &BTreeMap<String, String>) -> Self {
        values.iter().fold(self, |variables, (name, value)| variables.text(name, value))
    }

    /// Adds a string for `:"name"` and `:'name'`.
    #[must_use]
    pub fn text(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), Variable::Text(value.into()));
        self
    }

    /// Adds SQL for `:name`.
    #[must_use]
    pub fn sql(mut self, name: &str, fragment: SqlFragment) -> Self {
        self.0.insert(name.to_owned(), Variable::Sql(fragment));
        self
    }
}

/// One parsed SQL file.
#[derive(Debug, Clone)]
pub struct SqlFile {
    /// `key: value` pairs of the comment at the top; a line without a key goes on the value before it.
    pub header: Vec<(String, String)>,
    /// The statements, without comments before them and without the semicolon.
    pub statements: Vec<String>,
}

impl SqlFile {
    /// Reads a file's text.
    pub fn parse(text: &str) -> Self {
        let statements = split(text).into_iter().map(str::to_owned).collect();
        Self { header: parse_header(text), statements }
    }

    /// Reads the header alone, where nobody asks for the statements.
    pub fn parse_header(text: &str) -> Self {
        Self { header: parse_header(text), statements: Vec::new() }
    }

    /// The value of a header key, or `None`.
    pub fn header(&self, key: &str) -> Option<&str> {
        self.header.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Refuses an unknown header key, such as a misspelled one.
    pub fn expect_keys(&self, known: &[&str]) -> Result<()> {
        for (key, _) in &self.header {
            let word = key.split(' ').next().unwrap_or_default();
            if !known.contains(&word) {
                bail!("unknown header key {key:?}; known keys are {}", known.join(", "));
            }
        }
        Ok(())
    }

    /// The only statement.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn only_statement(&self) -> Result<&str> {
        match self.statements.as_slice() {
            [only] => Ok(only),
            others => bail!("expected one statement, found {}", others.len()),
        }
    }
}

/// Reads `-- key: value` lines up to the first line that is not a comment. Keys are words in lower case, perhaps with a
/// release or a name behind them (`after 2.3.0..`, `detail none`); a value goes on in lines that are indented.
fn parse_header(text: &str) -> Vec<(String, String)> {
    let mut header: Vec<(String, String)> = Vec::new();
    // Behind a comment for the reader, an indented line belongs to that.
    let mut goes_on = true;
    for line in text.lines() {
        let Some(line) = line.trim_end().strip_prefix("--") else { break };
        let line = line.strip_prefix(' ').unwrap_or(line);
        match line.split_once(':').filter(|(key, _)| is_key(key)) {
            Some((key, value)) => {
                header.push((key.to_owned(), value.trim().to_owned()));
                goes_on = true;
            }
            None if line.starts_with("  ") && goes_on => {
                if let Some((_, value)) = header.last_mut() {
                    if !value.is_empty() {
                        value.push(' ');
                    }
                    value.push_str(line.trim());
                }
            }
            None => goes_on = line.starts_with("  ") && goes_on,
        }
    }
    header
}

fn is_key(text: &str) -> bool {
    let mut words = text.split(' ');
    let first = words.next().unwrap_or_default();
    let is_word = !first.is_empty() && first.chars().all(|c| c.is_ascii_lowercase());
    let rest = words.count();
    is_word && (rest == 0 || (rest == 1 && ["after", "detail"].contains(&first)))
}

/// The only statement of the file at `path`, with its variables filled in.
///
/// # Errors
/// When a variable is unknown, or of the other kind than its use.
pub fn render_file(path: &str, variables: &Variables) -> Result<String> {
    let script = SqlFile::parse(embedded_file(path));
    script.only_statement().and_then(|sql| render(sql, variables)).with_context(|| path.to_owned())
}

/// Fills the variables of `sql` in.
///
/// # Errors
/// When a variable is unknown, or of the other kind than its use.
pub fn render(sql: &str, variables: &Variables) -> Result<String> {
    let mut out = String::with_capacity(sql.len());
    for token in Tokens::new(sql) {
        match token {
            Token::Other(text) | Token::Comment(text) | Token::Quoted(text) => out.push_str(text),
            Token::Variable { name, quote } => {
                let value = variables
                    .0
                    .get(name)
                    .with_context(|| format!("the SQL uses :{name}, which is not set"))?;
                match (value, quote) {
                    (Variable::Text(text), Some('"')) => out.push_str(SqlFragment::ident(text).as_str()),
                    (Variable::Text(text), Some(_)) => out.push_str(SqlFragment::literal(text).as_str()),
                    (Variable::Sql(sql), None) => out.push_str(sql.as_str()),
                    (Variable::Text(_), None) => bail!("the SQL uses :{name} without quotes"),
                    (Variable::Sql(_), Some(_)) => bail!("the SQL quotes :{name}, which is SQL already"),
                }
            }
        }
    }
    Ok(out)
}

/// Puts `fragment` in for `:name`, and as a literal for `:'name'`, as psql does. Other variables stay.
pub fn splice(sql: &str, name: &str, fragment: &str) -> String {
    let mut out = String::with_capacity(sql.len() + fragment.len());
    for token in Tokens::new(sql) {
        match token {
            Token::Other(text) | Token::Comment(text) | Token::Quoted(text) => out.push_str(text),
            Token::Variable { name: found, quote: None } if found == name => out.push_str(fragment),
            Token::Variable { name: found, quote: Some('\'') } if found == name => {
                out.push_str(SqlFragment::literal(fragment).as_str());
            }
            Token::Variable { name, quote } => {
                let quote = quote.map(String::from).unwrap_or_default();
                out.push_str(&format!(":{quote}{name}{quote}"));
            }
        }
    }
    out
}

/// True if `sql` uses the variable, in any of its forms.
pub fn uses_variable(sql: &str, variable: &str) -> bool {
    // Most texts do not have the word at all, and need not be taken apart.
    sql.contains(variable)
        && Tokens::new(sql).any(|token| matches!(token, Token::Variable { name, .. } if name == variable))
}

/// The names of all variables that `sql` uses, in any form.
pub fn variables_of(sql: &str) -> BTreeSet<&str> {
    let names = Tokens::new(sql).filter_map(|token| match token {
        Token::Variable { name, .. } => Some(name),
        Token::Other(_) | Token::Comment(_) | Token::Quoted(_) => None,
    });
    names.collect()
}

/// Splits at the semicolons outside of quotes and comments; drops comments that are before a statement.
fn split(text: &str) -> Vec<&str> {
    let mut statements = Vec::new();
    let mut begin = 0;
    let mut tokens = Tokens::new(text);
    loop {
        let at = tokens.at;
        match tokens.next() {
            Some(Token::Other(";")) => {
                statements.push(&text[begin..at]);
                begin = tokens.at;
            }
            Some(Token::Comment(_)) if text[begin..at].trim().is_empty() => begin = tokens.at,
            Some(_) => {}
            None => break,
        }
    }
    statements.push(&text[begin..]);
    statements.into_iter().map(str::trim).filter(|s| !s.is_empty()).collect()
}

#[derive(Debug, PartialEq)]
enum Token<'a> {
    Other(&'a str),
    Quoted(&'a str),
    Comment(&'a str),
    Variable { name: &'a str, quote: Option<char> },
}

/// The bytes that a token other than plain text may begin with, three in each group: so many are looked for at once.
const SPECIAL: [[u8; 3]; 3] = [*b"\"':", *b"-;$", *b"///"];

/// SQL cut into quoted parts, comments, variables, semicolons and the text between them, as psql's lexer would.
struct Tokens<'a> {
    text: &'a str,
    at: usize,
    /// Where the next special byte of each group is. Every run of the program cuts a megabyte of SQL.
    next: [usize; 3],
}

impl<'a> Tokens<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, next: [0; 3] }
    }

    /// The bytes before the next special one. None of these is part of a longer character.
    fn ordinary_length(&mut self) -> usize {
        let (at, bytes) = (self.at, self.text.as_bytes());
        for ([a, b, c], next) in SPECIAL.into_iter().zip(&mut self.next) {
            // A byte that was passed over within a quoted part is of no use any more.
            if *next <= at {
                *next = memchr3(a, b, c, &bytes[at..]).map_or(bytes.len(), |found| at + found);
            }
        }
        self.next.into_iter().fold(bytes.len(), usize::min) - at
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let rest = &self.text[self.at..];
        let (token, length) = match rest.as_bytes().first()? {
            quote @ (b'\'' | b'"') => {
                let length = quoted_length(rest, *quote);
                (Token::Quoted(&rest[..length]), length)
            }
            b'-' if rest.starts_with("--") => {
                let length = memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |end| end + 1);
                (Token::Comment(&rest[..length]), length)
            }
            b'/' if rest.starts_with("/*") => {
                let length = rest.find("*/").map_or(rest.len(), |end| end + 2);
                (Token::Comment(&rest[..length]), length)
            }
            b'$' => match dollar_quoted_length(rest) {
                Some(length) => (Token::Quoted(&rest[..length]), length),
                None => (Token::Other(&rest[..1]), 1),
            },
            b':' if rest.starts_with("::") => (Token::Other(&rest[..2]), 2),
            b':' => match variable(rest) {
                Some((token, length)) => (token, length),
                None => (Token::Other(&rest[..1]), 1),
            },
            b'-' | b'/' | b';' => (Token::Other(&rest[..1]), 1),
            _ => {
                let length = self.ordinary_length();
                (Token::Other(&rest[..length]), length)
            }
        };
        self.at += length;
        Some(token)
    }
}

/// The length of a string or name that starts here; a doubled quote inside belongs to it.
fn quoted_length(text: &str, quote: u8) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(next) = memchr(quote, &bytes[at..]) {
        at += next + 1;
        if bytes.get(at) != Some(&quote) {
            return at;
        }
        at += 1;
    }
    text.len()
}

fn dollar_quoted_length(text: &str) -> Option<usize> {
    let tag_end = text[1..].find('$')? + 2;
    let tag = &text[..tag_end];
    let is_tag = tag[1..tag_end - 1].chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !tag[1..].starts_with(|c: char| c.is_ascii_digit());
    is_tag.then(|| text[tag_end..].find(tag).map_or(text.len(), |end| tag_end + end + tag_end))
}

fn variable(text: &str) -> Option<(Token<'_>, usize)> {
    let after = &text[1..];
    let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
    let body = if quote.is_some() { &after[1..] } else { after };
    let length = body.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(body.len());
    let name = &body[..length];
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    match quote {
        None => Some((Token::Variable { name, quote: None }, 1 + length)),
        Some(q) if body[length..].starts_with(q) => {
            Some((Token::Variable { name, quote: Some(q) }, 1 + 1 + length + 1))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_joins_lines_and_ends_at_the_first_statement() {
        let script = SqlFile::parse(
            "-- code: EVO1\n-- Not a key.\n--   nor this: no\n-- why: it\n--   hurts: much\n-- after 2.3.0..: no\nSELECT 1;",
        );
        assert_eq!(script.header("code"), Some("EVO1"));
        assert_eq!(script.header.len(), 3);
        assert_eq!(script.header("why"), Some("it hurts: much"));
        assert_eq!(script.header("after 2.3.0.."), Some("no"));
        assert_eq!(script.statements, ["SELECT 1"]);
    }

    #[test]
    fn variables_are_filled_in_outside_of_quotes_only() {
        let variables = Variables::for_schema("we\"ird").sql("list", SqlFragment::ident("a"));
        let sql = "SELECT :list, ':list', x::text, 'it''s :schema', $$:schema$$ FROM :\"schema\".\"T\" -- :x\n WHERE a = :'schema'";
        assert_eq!(
            render(sql, &variables).unwrap(),
            "SELECT \"a\", ':list', x::text, 'it''s :schema', $$:schema$$ FROM \"we\"\"ird\".\"T\" -- :x\n WHERE a = 'we\"ird'"
        );
        assert!(render("SELECT :schema", &variables).is_err(), "text must be quoted");
        assert!(render("SELECT :\"list\"", &variables).is_err());
        assert!(render("SELECT :nothing", &variables).is_err());
    }

    #[test]
    fn statements_are_split_outside_of_quotes() {
        let script =
            SqlFile::parse("-- code: A\n\nSELECT ';' /* ; */;\n-- note\nDROP INDEX :\"schema\".\"a;b\";\n");
        assert_eq!(script.statements, ["SELECT ';' /* ; */", "DROP INDEX :\"schema\".\"a;b\""]);
    }
}
