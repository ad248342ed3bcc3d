//! The action of a foreign key on the referring rows.

use serde::{Deserialize, Serialize};

/// The action of a foreign key when the row it refers to is deleted or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReferentialAction {
    /// `NO ACTION`.
    #[serde(rename = "NO ACTION")]
    NoAction,
    /// `RESTRICT`.
    #[serde(rename = "RESTRICT")]
    Restrict,
    /// `CASCADE`.
    #[serde(rename = "CASCADE")]
    Cascade,
    /// `SET NULL`.
    #[serde(rename = "SET NULL")]
    SetNull,
    /// `SET DEFAULT`.
    #[serde(rename = "SET DEFAULT")]
    SetDefault,
}

impl ReferentialAction {
    const ALL: [(&str, &str, Self); 5] = [
        ("a", "NO ACTION", Self::NoAction),
        ("r", "RESTRICT", Self::Restrict),
        ("c", "CASCADE", Self::Cascade),
        ("n", "SET NULL", Self::SetNull),
        ("d", "SET DEFAULT", Self::SetDefault),
    ];

    /// As SQL writes it.
    pub fn as_sql(self) -> &'static str {
        Self::ALL.iter().find(|(_, _, action)| *action == self).map_or("", |(_, sql, _)| sql)
    }

    /// From SQL's words, or from the letter in `pg_constraint`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(letter, sql, _)| *letter == text || *sql == text)
            .map(|(_, _, action)| *action)
    }
}
