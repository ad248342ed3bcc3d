//! The tables that each release expects: columns, indexes, foreign keys and enums, with the releases that have
//! them.
//!
//! Source of the facts: the catalog of databases that upstream's own migrations built on PostgreSQL 15. One is as the
//! schema "public" has it: the Kafka table of 2.3.4, whose migration fails or goes astray in every other schema.

use std::sync::LazyLock;

use serde::{Deserialize, Deserializer};

use super::release::{Release, ReleaseRange};

/// Everything any release expects, oldest first where one thing changed.
#[derive(Debug, Deserialize)]
pub struct Schema {
    /// Enum types.
    pub enums: Vec<EnumType>,
    /// Tables, by name.
    pub tables: Vec<Table>,
}

/// An enum type.
#[derive(Debug, Deserialize)]
pub struct EnumType {
    /// Its name.
    pub name: String,
    /// Its labels, in order.
    pub values: Vec<String>,
    #[serde(default, deserialize_with = "range")]
    releases: Option<ReleaseRange>,
}

/// A table.
#[derive(Debug, Deserialize)]
pub struct Table {
    /// Its name.
    pub name: String,
    #[serde(default, deserialize_with = "range")]
    releases: Option<ReleaseRange>,
    /// The primary key's columns.
    pub primary_key: Vec<String>,
    columns: Vec<Column>,
    indexes: Vec<Index>,
    foreign_keys: Vec<ForeignKey>,
}

/// A column.
#[derive(Debug, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as `format_type` writes it inside Evolution's schema.
    #[serde(rename = "type")]
    pub data_type: String,
    /// True if it is NOT NULL.
    #[serde(default)]
    pub not_null: bool,
    /// Its default expression.
    #[serde(default)]
    pub default: Option<String>,
    #[serde(default, deserialize_with = "range")]
    releases: Option<ReleaseRange>,
}

/// An index that is not a primary key.
#[derive(Debug, Deserialize)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<String>,
    /// True if it is unique.
    #[serde(default)]
    pub unique: bool,
    #[serde(default, deserialize_with = "range")]
    releases: Option<ReleaseRange>,
}

/// A foreign key.
#[derive(Debug, Clone, Deserialize)]
pub struct ForeignKey {
    /// The constraint's name.
    pub name: String,
    /// The referencing columns.
    pub columns: Vec<String>,
    /// The referenced table.
    pub references: String,
    /// The referenced columns.
    pub referenced_columns: Vec<String>,
    /// `CASCADE`, `SET NULL`, `RESTRICT`, …
    pub on_delete: String,
    /// As `on_delete`.
    pub on_update: String,
    #[serde(default, deserialize_with = "range")]
    releases: Option<ReleaseRange>,
}

/// Something that only some releases have. No range of its own means: as long as what it belongs to.
trait Versioned {
    fn range(&self) -> Option<ReleaseRange>;
}

macro_rules! versioned {
    ($($kind:ty),*) => {$(
        impl Versioned for $kind {
            fn range(&self) -> Option<ReleaseRange> {
                self.releases
            }
        }
    )*};
}
versioned!(EnumType, Table, Column, Index, ForeignKey);

fn in_release<T: Versioned>(things: &[T], release: Release) -> impl Iterator<Item = &T> {
    things.iter().filter(move |thing| thing.range().is_none_or(|range| range.contains(release)))
}

impl Table {
    /// True if it has such a column in any release.
    pub fn has_column(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.name == name)
    }

    /// The types that a column has, one for each change.
    pub fn types_of(&self, name: &str) -> impl Iterator<Item = &str> {
        self.columns.iter().filter(move |column| column.name == name).map(|column| column.data_type.as_str())
    }

    /// Its columns in a release.
    pub fn columns(&self, release: Release) -> impl Iterator<Item = &Column> {
        in_release(&self.columns, release)
    }

    /// Its indexes in a release.
    pub fn indexes(&self, release: Release) -> impl Iterator<Item = &Index> {
        in_release(&self.indexes, release)
    }

    /// Its foreign keys in the newest release; of a table that is gone by then, all that it had.
    pub fn newest_foreign_keys(&self) -> impl Iterator<Item = &ForeignKey> {
        let newest = Release::newest();
        let is_gone = self.releases.is_some_and(|range| !range.contains(newest));
        self.foreign_keys
            .iter()
            .filter(move |key| is_gone || key.releases.is_none_or(|range| range.contains(newest)))
    }

    /// Its foreign keys in a release.
    pub fn foreign_keys(&self, release: Release) -> impl Iterator<Item = &ForeignKey> {
        in_release(&self.foreign_keys, release)
    }
}

impl Schema {
    /// The tables of a release.
    pub fn tables(&self, release: Release) -> impl Iterator<Item = &Table> {
        in_release(&self.tables, release)
    }

    /// True if two releases have the same of everything.
    pub fn is_same(&self, one: Release, other: Release) -> bool {
        fn same<T: Versioned>(things: &[T], one: Release, other: Release) -> bool {
            things
                .iter()
                .all(|thing| thing.range().is_none_or(|range| range.contains(one) == range.contains(other)))
        }
        let same_inside = |table: &Table| {
            same(&table.columns, one, other)
                && same(&table.indexes, one, other)
                && same(&table.foreign_keys, one, other)
        };
        same(&self.enums, one, other) && same(&self.tables, one, other) && self.tables.iter().all(same_inside)
    }

    /// The table and the columns of a foreign key or index that any release has.
    pub fn constraint(&self, name: &str) -> Option<(&str, &[String])> {
        self.tables.iter().find_map(|table| {
            let indexes = table.indexes.iter().map(|index| (&index.name, &index.columns));
            let keys = table.foreign_keys.iter().map(|key| (&key.name, &key.columns));
            let (_, columns) = indexes.chain(keys).find(|(own, _)| *own == name)?;
            Some((table.name.as_str(), columns.as_slice()))
        })
    }

    /// The enum types of a release.
    pub fn enums(&self, release: Release) -> impl Iterator<Item = &EnumType> {
        in_release(&self.enums, release)
    }
}

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    serde_json::from_str(include_str!("facts/schema.json")).expect("facts/schema.json is well formed")
});

/// The embedded facts.
pub fn schema() -> &'static Schema {
    &SCHEMA
}

pub(super) fn range<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ReleaseRange>, D::Error> {
    let text = String::deserialize(deserializer)?;
    ReleaseRange::parse(&text).map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_agree_with_the_databases_they_were_read_from() {
        // (release, tables, foreign keys, indexes) as counted in the catalogs.
        let counted = [
            ("2.0.0-beta", 18, 22, 14),
            ("2.1.1", 29, 37, 24),
            ("2.3.7", 36, 46, 38),
            ("2.4.0-rc2", 37, 46, 39),
        ];
        for (version, tables, keys, indexes) in counted {
            let release = Release::find(version).unwrap();
            assert_eq!(schema().tables(release).count(), tables, "{version}");
            assert_eq!(
                schema().tables(release).flat_map(|t| t.foreign_keys(release)).count(),
                keys,
                "{version}"
            );
            assert_eq!(
                schema().tables(release).flat_map(|t| t.indexes(release)).count(),
                indexes,
                "{version}"
            );
        }
    }

    #[test]
    fn releases_that_differ_in_a_column_are_not_the_same() {
        let release = |version| Release::find(version).unwrap();
        assert!(schema().is_same(release("2.4.0-rc1"), release("2.4.0-rc2")));
        assert!(!schema().is_same(release("2.1.1"), release("2.2.3")));
        assert!(!schema().is_same(release("2.3.7"), release("2.4.0-rc2")));
    }

    #[test]
    fn no_release_has_a_column_twice() {
        for release in Release::all() {
            for table in schema().tables(release) {
                let mut names: Vec<_> = table.columns(release).map(|c| &c.name).collect();
                let count = names.len();
                names.sort();
                names.dedup();
                assert_eq!(names.len(), count, "{} in {release}", table.name);
            }
        }
    }
}
