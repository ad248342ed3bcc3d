//! A declared foreign key.

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::referential_action::ReferentialAction;
use crate::database::ident::SqlFragment;
use crate::database::sql_file::Variables;

/// A foreign key that the database declares.
#[derive(Debug, Clone)]
pub struct DeclaredKey {
    /// The constraint's name.
    pub name: String,
    /// The referencing table's schema.
    pub child_schema: String,
    /// The referencing table.
    pub child_table: String,
    /// Its columns.
    pub child_columns: Vec<String>,
    /// The referenced table's schema.
    pub parent_schema: String,
    /// The referenced table.
    pub parent_table: String,
    /// Its columns.
    pub parent_columns: Vec<String>,
    /// ON DELETE.
    pub on_delete: ReferentialAction,
    /// ON UPDATE.
    pub on_update: ReferentialAction,
    /// True if it is MATCH FULL.
    pub is_match_full: bool,
    /// DEFERRABLE.
    pub is_deferrable: bool,
    /// INITIALLY DEFERRED.
    pub is_deferred: bool,
    /// The catalog's claim; after a restore with triggers off it may be false.
    pub is_validated: bool,
    /// True if the server enforces it (18 and later can switch that off).
    pub is_enforced: bool,
    /// True if it compares periods (18 and later).
    pub is_temporal: bool,
    /// Its comment.
    pub comment: Option<String>,
    /// The role that one of its tables belongs to, where that is not trusted.
    pub stranger: Option<String>,
}

impl DeclaredKey {
    /// Both ends, as `child` and `parent`.
    pub fn variables(&self) -> Variables {
        Variables::default()
            .text("child_schema", &self.child_schema)
            .text("child_table", &self.child_table)
            .text("parent_schema", &self.parent_schema)
            .text("parent_table", &self.parent_table)
            .sql("child", SqlFragment::qualified(&self.child_schema, &self.child_table))
            .sql("parent", SqlFragment::qualified(&self.parent_schema, &self.parent_table))
            .sql("child_columns", SqlFragment::columns(Some("child"), &self.child_columns))
            .sql("parent_columns", SqlFragment::columns(Some("parent"), &self.parent_columns))
    }

    pub(super) fn read(row: &PgRow) -> Result<Self> {
        let action = |column: &str| -> Result<ReferentialAction> {
            let letter: String = row.try_get(column)?;
            ReferentialAction::parse(&letter).with_context(|| format!("unknown key action {letter:?}"))
        };
        Ok(Self {
            name: row.try_get("name")?,
            child_schema: row.try_get("child_schema")?,
            child_table: row.try_get("child_table")?,
            child_columns: row.try_get("child_columns")?,
            parent_schema: row.try_get("parent_schema")?,
            parent_table: row.try_get("parent_table")?,
            parent_columns: row.try_get("parent_columns")?,
            on_delete: action("delete_action")?,
            on_update: action("update_action")?,
            is_match_full: row.try_get::<String, _>("match_type")? == "f",
            is_deferrable: row.try_get("is_deferrable")?,
            is_deferred: row.try_get("is_deferred")?,
            is_validated: row.try_get("is_validated")?,
            is_enforced: row.try_get("is_enforced")?,
            is_temporal: row.try_get("is_temporal")?,
            comment: row.try_get("comment")?,
            stranger: row.try_get("stranger")?,
        })
    }
}
