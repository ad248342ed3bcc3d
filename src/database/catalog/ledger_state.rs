//! Finds out whether there is a ledger of evodoctor, and whether it can be trusted.

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use crate::database::query::query_file;
use crate::database::sql_file::Variables;
use crate::database::trusted_roles;

/// The start of the comment of a schema that is a ledger.
const COMMENT: &str = "evodoctor ledger";

/// The state of evodoctor's ledger in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerState {
    /// Nothing has been applied here yet.
    Absent,
    /// This role may not read it.
    Hidden,
    /// This role may read it.
    Readable,
    /// There is one that others could have forged, for this reason.
    Distrusted(String),
}

impl LedgerState {
    /// From the catalog alone: nothing in the ledger is read.
    pub(super) fn of(facts: &LedgerFacts) -> Self {
        match (&facts.comment, &facts.distrust) {
            (Some(comment), Some(why)) if comment.starts_with(COMMENT) => Self::Distrusted(why.clone()),
            (Some(comment), None) if comment.starts_with(COMMENT) => match facts.is_readable {
                true => Self::Readable,
                false => Self::Hidden,
            },
            _ => Self::Absent,
        }
    }
}

/// What the catalog says of the schema `evodoctor`.
#[derive(Debug, Clone, Default)]
pub struct LedgerFacts {
    /// Whether there is a schema of this name, whoever made it.
    pub exists: bool,
    /// Its comment: the format.
    pub comment: Option<String>,
    /// Whether this role may look into it.
    pub is_usable: bool,
    /// Whether this role may read its tables.
    pub is_readable: bool,
    /// Whether this role may act as its owner.
    pub is_owned: bool,
    /// Who owns it.
    pub owner: String,
    /// Who owns tables in it that this role does not.
    pub tables_owner: Option<String>,
    /// A role other than this one, and no superuser, that may write into it.
    pub other_writer: Option<String>,
    /// Why it is not to be trusted.
    pub distrust: Option<String>,
    /// Whether this role could create it.
    pub can_create: bool,
}

impl LedgerFacts {
    /// Reads them. Nothing in the ledger is read before they have been looked at.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn read(connection: &mut PgConnection, schema: &str) -> Result<Self> {
        let rows = query_file(connection, "sql/ledger/exists.sql", &Variables::default()).await?;
        let row = rows.first().context("the server did not answer")?;
        let absent = Self { can_create: row.try_get("can_create")?, ..Self::default() };
        if !row.try_get::<bool, _>("exists")? {
            return Ok(absent);
        }
        let variables = trusted_roles::trust_variables(schema)?;
        let rows = query_file(connection, "sql/ledger/state.sql", &variables).await?;
        // It may have been dropped just now.
        let Some(row) = rows.first() else { return Ok(absent) };
        Ok(Self {
            exists: true,
            comment: row.try_get("comment")?,
            is_usable: row.try_get("is_usable")?,
            is_readable: row.try_get("is_readable")?,
            is_owned: row.try_get("is_owned")?,
            owner: row.try_get("owner")?,
            tables_owner: row.try_get("tables_owner")?,
            other_writer: row.try_get("other_writer")?,
            distrust: row.try_get("distrust")?,
            can_create: absent.can_create,
        })
    }
}
