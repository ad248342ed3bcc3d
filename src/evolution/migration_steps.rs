//! The steps of each of upstream's migrations.
//!
//! Source of the facts: the tables of the releases before and after (`facts/schema.json`), the migrations' names, and
//! what was seen of them in runs. Where a release brings several migrations, its objects are given to them by their
//! names; `fixtures/migrations` holds migrations written from the same facts, which the tests run.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::release::{Migration, Release, ReleaseRange};
use super::schema::{Column, Index, Table, schema};

/// A statement of a migration, as far as a database can be hurt by it. Columns are written `Table.column`.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum MigrationStep {
    /// `CREATE TABLE`, with its primary key.
    CreateTable { create_table: String },
    /// `DROP TABLE`, without `CASCADE`.
    DropTable { drop_table: String },
    /// `ADD COLUMN`.
    AddColumn {
        add_column: String,
        /// Where the migration checks first whether the column exists.
        #[serde(default)]
        unless: Option<SkipCondition>,
        /// Its type, where the release ends with another.
        #[serde(default, rename = "type")]
        data_type: Option<String>,
        #[serde(default, deserialize_with = "super::schema::range")]
        releases: Option<ReleaseRange>,
    },
    /// `DROP COLUMN`.
    DropColumn {
        drop_column: String,
        /// The column that has taken its place, without its values.
        #[serde(default)]
        place: Option<ColumnPlace>,
    },
    /// `CREATE INDEX`, not concurrently.
    CreateIndex { create_index: String, on: String },
    /// `DROP INDEX`.
    DropIndex { drop_index: String, on: String },
    /// `ADD CONSTRAINT … FOREIGN KEY`.
    AddKey { add_key: String, on: String, references: String },
    /// `DROP CONSTRAINT` of a foreign key.
    DropKey { drop_key: String, on: String, references: String },
    /// `CREATE TYPE … AS ENUM`.
    CreateEnum { create_enum: String },
    /// `DROP TYPE`.
    DropEnum { drop_enum: String },
    /// `ALTER TYPE … ADD VALUE`, written `Type.value`.
    AddValue { add_value: String },
    /// A new type in the place of the old one, with the column that has it cast.
    ReplaceEnum { replace_enum: String, column: String },
    /// `ALTER COLUMN … TYPE`.
    ChangeType {
        change_type: String,
        /// The meaning of old values in the new type, if the migration does not translate them.
        #[serde(default)]
        words: BTreeMap<String, String>,
    },
    /// `ALTER COLUMN … DROP NOT NULL`.
    DropNotNull { drop_not_null: String },
    /// `DELETE`.
    DeleteRows { delete_rows: String },
    /// `UPDATE`.
    UpdateRows {
        update_rows: String,
        /// The columns that every row gets a new value in; none where it is not known which.
        #[serde(default)]
        set: BTreeMap<String, String>,
        #[serde(default, deserialize_with = "super::schema::range")]
        releases: Option<ReleaseRange>,
    },
    /// `COMMIT`: what was done so far stays, whatever comes after.
    Commit {
        #[serde(rename = "commit")]
        _commit: bool,
    },
}

/// Where a migration checks before it adds a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SkipCondition {
    /// In its own schema.
    Here,
    /// In every schema that its role can see.
    Anywhere,
}

/// Where the values of a dropped column belong.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnPlace {
    /// The column, in the same table.
    pub column: String,
    /// The table whose rows the values name.
    pub references: String,
    /// Values for other columns that are empty.
    #[serde(default)]
    pub with: BTreeMap<String, String>,
}

/// Where the values of a column belong that one of these migrations has dropped.
pub fn place_of(migrations: &[String], table: &str, column: &str) -> Option<&'static ColumnPlace> {
    let steps = STEPS.iter().filter(|fact| migrations.contains(&fact.name)).flat_map(|fact| &fact.steps);
    steps.into_iter().find_map(|step| match step {
        MigrationStep::DropColumn { drop_column: path, place } if split_path(path) == (table, column) => {
            place.as_ref()
        }
        _ => None,
    })
}

#[derive(Debug, Deserialize)]
struct Fact {
    name: String,
    /// Releases whose content names the schema `public` instead of leaving it to the connection.
    #[serde(default, deserialize_with = "super::schema::range")]
    only_in_public: Option<ReleaseRange>,
    steps: Vec<MigrationStep>,
}

static STEPS: LazyLock<Vec<Fact>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("facts/migrations.json")).expect("facts/migrations.json is well formed")
});

impl Migration {
    /// The steps in the content that `target` ships, in order.
    pub fn steps(&self, target: Release) -> impl Iterator<Item = &'static MigrationStep> {
        self.fact().steps.iter().filter(move |step| step.range().is_none_or(|range| range.contains(target)))
    }

    /// True if the content that `target` ships works on the schema `public`, whatever the connection says.
    pub fn is_bound_to_public(&self, target: Release) -> bool {
        self.fact().only_in_public.is_some_and(|range| range.contains(target))
    }

    /// The number in front of its name.
    pub fn number(&self) -> &str {
        self.name.split('_').next().unwrap_or_default()
    }

    fn fact(&self) -> &'static Fact {
        STEPS.iter().find(|fact| fact.name == self.name).expect("every migration has its steps")
    }

    /// A table as it is once the release that brought this migration is complete.
    pub fn table(&self, name: &str) -> Option<&'static Table> {
        schema().tables(self.since()).find(|table| table.name == name)
    }

    /// A column of such a table, written `Table.column`.
    pub fn column(&self, path: &str) -> Option<&'static Column> {
        let (table, column) = split_path(path);
        self.table(table)?.columns(self.since()).find(|existing| existing.name == column)
    }

    /// An index of such a table.
    pub fn index(&self, table: &str, name: &str) -> Option<&'static Index> {
        self.table(table)?.indexes(self.since()).find(|index| index.name == name)
    }
}

impl MigrationStep {
    fn range(&self) -> Option<ReleaseRange> {
        match self {
            Self::AddColumn { releases, .. } | Self::UpdateRows { releases, .. } => *releases,
            _ => None,
        }
    }
}

/// `Table.column` in its two parts; names of tables have no dot.
pub fn split_path(path: &str) -> (&str, &str) {
    path.split_once('.').unwrap_or((path, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evolution::release::facts;

    #[test]
    fn every_migration_has_steps_and_no_other_has() {
        assert!(STEPS.iter().map(|fact| &fact.name).eq(facts().migrations.iter().map(|m| &m.name)));
        assert!(STEPS.iter().all(|fact| !fact.steps.is_empty()));
    }

    #[test]
    fn the_content_of_the_target_decides() {
        let steps = |number: &str, target: &str| {
            let migration = facts().migrations.iter().find(|m| m.number() == number).unwrap();
            migration.steps(Release::find(target).unwrap()).count()
        };
        assert_eq!((steps("20241006130306", "2.1.2"), steps("20241006130306", "2.3.7")), (1, 2));
        assert_eq!((steps("20250116001415", "2.3.1"), steps("20250116001415", "2.3.2")), (1, 1));
    }
}
