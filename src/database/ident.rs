//! Names and values on their way into SQL text.
//!
//! SQL text is assembled only from the files under `sql/` and from [`SqlFragment`]s, and a fragment can only be made by
//! quoting. A string that a user controls therefore cannot become SQL.

use std::fmt;

/// A piece of SQL that is safe to splice: quoted names, or a keyword of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlFragment(String);

impl SqlFragment {
    /// A name as `"name"`.
    pub fn ident(name: &str) -> Self {
        Self(format!("\"{}\"", name.replace('"', "\"\"")))
    }

    /// A string as `'value'`; a backslash makes it `E'…'`, so that `standard_conforming_strings` does not matter.
    pub fn literal(value: &str) -> Self {
        let doubled = value.replace('\'', "''");
        if doubled.contains('\\') {
            Self(format!("E'{}'", doubled.replace('\\', "\\\\")))
        } else {
            Self(format!("'{doubled}'"))
        }
    }

    /// A table or index as `"schema"."name"`.
    pub fn qualified(schema: &str, name: &str) -> Self {
        Self(format!("{}.{}", Self::ident(schema), Self::ident(name)))
    }

    /// Columns as `"a", "b"`, each behind `alias.` when one is given.
    pub fn columns<S: AsRef<str>>(alias: Option<&str>, columns: &[S]) -> Self {
        let one = |column: &S| match alias {
            Some(alias) => format!("{alias}.{}", Self::ident(column.as_ref())),
            None => Self::ident(column.as_ref()).0,
        };
        Self(columns.iter().map(one).collect::<Vec<_>>().join(", "))
    }

    /// A keyword or expression written in this program.
    pub const fn assert_safe(text: String) -> Self {
        Self(text)
    }

    /// The SQL text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SqlFragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_cannot_escape() {
        assert_eq!(SqlFragment::ident("we\"ird").as_str(), "\"we\"\"ird\"");
        assert_eq!(SqlFragment::literal("it's").as_str(), "'it''s'");
        assert_eq!(SqlFragment::literal("a\\'b").as_str(), "E'a\\\\''b'");
        assert_eq!(SqlFragment::qualified("s", "T").as_str(), "\"s\".\"T\"");
        assert_eq!(SqlFragment::columns(Some("child"), &["a", "b"]).as_str(), "child.\"a\", child.\"b\"");
    }
}
