//! Evolution's `.env`, read as the npm package dotenv reads it, because Evolution does.
//!
//! Its rules: `export` may be before a name; `=` or `: ` after it; values in `'`, `"` or `` ` `` may span lines and
//! hold `#`; `\n` and `\r` mean line ends in double quotes only; a value without quotes ends at `#` or the end of the
//! line and may hold spaces; a line that is none of this is skipped; the last of a name wins; nothing is expanded.

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::error::user_error;

/// The names of the connection string, in the order of preference.
pub const NAMES: [&str; 2] = ["DATABASE_CONNECTION_URI", "DATABASE_URL"];

/// The connection string in an `.env` file.
///
/// # Errors
/// When the file cannot be read, has no connection string, or belongs to an Evolution on MySQL.
pub fn connection_string(path: &Path) -> Result<String> {
    let shown = path.display();
    let bytes = fs::read(path).map_err(|error| {
        user_error(format!("{shown} cannot be read: {error}"), "name Evolution's .env file with --env-file")
    })?;
    let variables = parse(&String::from_utf8_lossy(&bytes));
    let value = |name: &str| {
        let last = variables.iter().rev().find(|(key, _)| key == name);
        last.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    };
    if let Some(provider @ ("mysql" | "mariadb")) = value("DATABASE_PROVIDER") {
        return Err(user_error(
            format!("{shown} says DATABASE_PROVIDER={provider}; evodoctor examines Postgres databases only"),
            "name the .env of an Evolution that runs on Postgres",
        ));
    }
    NAMES.iter().find_map(|name| value(name)).map(str::to_owned).ok_or_else(|| {
        user_error(
            format!("{shown} sets neither {} nor {}", NAMES[0], NAMES[1]),
            "give the connection string with --database-url, or name Evolution's own .env",
        )
    })
}

/// All variables of an `.env` file, in the order of the file.
pub fn variables(path: &Path) -> Result<Vec<(String, String)>> {
    let bytes = fs::read(path).map_err(|error| {
        user_error(
            format!("{} cannot be read: {error}", path.display()),
            "name Evolution's .env file with --env-file",
        )
    })?;
    Ok(parse(&String::from_utf8_lossy(&bytes)))
}

/// A name and its value, as a file sets it.
#[derive(Debug)]
pub struct Assignment {
    /// The name.
    pub name: String,
    /// The value without its quotes.
    pub value: String,
    /// True if it is in single quotes, between which nothing is ever put in.
    pub is_literal: bool,
}

/// All variables of an `.env` file, for callers that interpolate variables into their values.
pub fn assignments_of(path: &Path) -> Result<Vec<Assignment>> {
    let bytes = fs::read(path).map_err(|error| {
        user_error(
            format!("{} cannot be read: {error}", path.display()),
            "check the path, relative to the compose file's folder",
        )
    })?;
    Ok(assignments(&String::from_utf8_lossy(&bytes)))
}

/// All names and values, in the order of the file.
fn parse(text: &str) -> Vec<(String, String)> {
    assignments(text).into_iter().map(|assignment| (assignment.name, assignment.value)).collect()
}

fn assignments(text: &str) -> Vec<Assignment> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut variables = Vec::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (variable, length) = assignment(rest);
        variables.extend(variable);
        rest = &rest[length..];
    }
    variables
}

/// The variable that the next line sets, if it sets one, and how many bytes it takes with its line end.
fn assignment(text: &str) -> (Option<Assignment>, usize) {
    let line_end = text.find('\n').unwrap_or(text.len());
    let whole_line = (line_end + 1).min(text.len());
    let Some((name, value_at)) = name(&text[..line_end]) else { return (None, whole_line) };
    let space = text[value_at..line_end].len() - trim_start(&text[value_at..line_end]).len();
    let start = value_at + space;
    if let Some(length) = quoted_length(&text[start..]) {
        let end = start + length;
        let line_end = text[end..].find('\n').map_or(text.len(), |at| end + at);
        let value = clean(&text[start..end]);
        let is_literal = text[start..].starts_with('\'');
        let set = Assignment { name: name.to_owned(), value, is_literal };
        return (Some(set), (line_end + 1).min(text.len()));
    }
    let line = &text[start..line_end];
    let value = line.split('#').next().unwrap_or_default();
    (Some(Assignment { name: name.to_owned(), value: clean(value), is_literal: false }), whole_line)
}

/// The name that a line sets, and where its value begins.
fn name(line: &str) -> Option<(&str, usize)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let body = trim_start(line);
    let body = match body.strip_prefix("export") {
        Some(after) if after.starts_with(char::is_whitespace) => trim_start(after),
        _ => body,
    };
    let name = &body[..body.find(|c| !is_part(c)).unwrap_or(body.len())];
    let after = &body[name.len()..];
    let value = trim_start(after)
        .strip_prefix('=')
        .or_else(|| after.strip_prefix(':').filter(|value| value.starts_with(char::is_whitespace)))?;
    (!name.is_empty()).then(|| (name, line.len() - value.len()))
}

/// JavaScript counts the byte order mark as space.
fn trim_start(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

/// The length of a quoted value that starts here, over several lines if need be. `None` when it does not end,
/// or when anything but a comment follows on its last line: then the quote is part of a plain value.
fn quoted_length(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"' | '`'))?;
    let mut is_escaped = false;
    let inside = text[1..].find(|c: char| {
        let is_end = c == quote && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    })?;
    let length = inside + 2;
    let after = text[length..].split('\n').next().unwrap_or_default().trim();
    (after.is_empty() || after.starts_with('#')).then_some(length)
}

/// The value without the space and the quotes around it.
fn clean(value: &str) -> String {
    let value = value.trim();
    let quote = value.chars().next().filter(|c| matches!(c, '\'' | '"' | '`'));
    let inside = quote.and_then(|quote| value[1..].strip_suffix(quote));
    match (inside, quote) {
        (Some(inside), Some('"')) => inside.replace("\\n", "\n").replace("\\r", "\r"),
        (Some(inside), _) => inside.to_owned(),
        (None, _) => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(text: &str) -> Option<String> {
        parse(text).into_iter().rev().find(|(name, _)| name == "A").map(|(_, value)| value)
    }

    /// Each expectation was compared with dotenv 16.4.5 under Node.
    #[test]
    fn lines_are_read_as_dotenv_reads_them() {
        for (text, expected) in [
            ("A=1", Some("1")),
            ("  export A = 1 ", Some("1")),
            ("A: 1", Some("1")),
            ("\u{feff}A=1", Some("1")),
            ("A=1\r\nB=2\r\n", Some("1")),
            ("A=1\nA=2", Some("2")),
            ("A=Evolution API", Some("Evolution API")),
            ("A=x#y", Some("x")),
            ("A='x#y' # note", Some("x#y")),
            ("A=\"x#y\"", Some("x#y")),
            ("A=`it's`", Some("it's")),
            ("A='it''s'", Some("it''s")),
            ("A=\"one\\ntwo\"", Some("one\ntwo")),
            ("A='one\\ntwo'", Some("one\\ntwo")),
            ("A=one\\ntwo", Some("one\\ntwo")),
            ("A=\"one\ntwo\"\nB=1", Some("one\ntwo")),
            ("A=\"open\nB=1", Some("\"open")),
            ("A='x'y", Some("'x'y")),
            ("A='x#y'z", Some("'x")),
            ("A='q\\'", Some("q\\")),
            ("A='a\\'b'", Some("a\\'b")),
            ("A='x' #'y'", Some("x")),
            ("A=a'b'c", Some("a'b'c")),
            ("A==x", Some("=x")),
            ("A=  \nB=1", Some("")),
            ("A=", Some("")),
            ("A=#x", Some("")),
            ("A=$B", Some("$B")),
            ("#A=1", None),
            ("A", None),
            ("A:1", None),
            ("exportA=1", None),
            ("what is this\nA=1", Some("1")),
        ] {
            assert_eq!(value(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn the_connection_string_is_found_or_the_failure_says_what_was_looked_for() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |text: &str| {
            fs::write(file.path(), text).unwrap();
            connection_string(file.path()).map_err(|error| error.to_string())
        };
        assert_eq!(
            read("CONFIG_SESSION_PHONE_CLIENT=Evolution API\nDATABASE_URL=b\nDATABASE_CONNECTION_URI='a'")
                .unwrap(),
            "a"
        );
        assert_eq!(read("DATABASE_CONNECTION_URI=\nDATABASE_URL=b").unwrap(), "b");
        assert!(read("OTHER=1").unwrap_err().contains("DATABASE_CONNECTION_URI nor DATABASE_URL"));
        assert!(read("DATABASE_PROVIDER=mysql\nDATABASE_CONNECTION_URI=x").unwrap_err().contains("mysql"));
        let missing = connection_string(Path::new("no/such/.env")).unwrap_err().to_string();
        assert!(missing.contains("no/such/.env"), "{missing}");
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "([A-Z =:#'\"`\\\\nré\u{feff}]|export|\n|\r){0,40}") {
            parse(&text);
        }

        #[test]
        fn a_quoted_value_comes_back(value in "[^'\r\\\\]{0,40}") {
            prop_assert_eq!(super::tests::value(&format!("A='{value}'")).unwrap(), value);
        }
    }
}
