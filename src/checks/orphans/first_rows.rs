//! Examples where very many rows are wrong. Their ctids are too many to keep, and how many there are is known from the hashes;
//! so only five rows are wanted still. Where most rows of a table are wrong, the first five of those are among its first rows: a
//! thousand of these are compared with the same set.

use sqlx::Row;
use sqlx::postgres::PgConnection;

use crate::checks::check_error::CheckResult;
use crate::checks::table_scan::{Ctid, ValueHashes, decode_ctids, decode_hashes};
use crate::checks::task::Task;
use crate::checks::task_group::TaskGroup;
use crate::database::ident::SqlFragment;
use crate::database::query::query_statement;
use crate::database::sql_file::{Variables, render_file};

/// Of so many rows the hashes are looked at.
const ROWS: u32 = 1_000;

/// Which rows of a table are looked at, and what is compared.
pub struct FirstRows<'r> {
    /// The table.
    pub table: &'r SqlFragment,
    /// The hash of a row as the set has it, an expression.
    pub hash: String,
    /// The rows that count, a condition.
    pub condition: String,
    /// The order in which they are the first.
    pub order: SqlFragment,
}

impl FirstRows<'_> {
    /// The ctids of the first five rows that are not in the set, where the first rows of the table have as many.
    ///
    /// # Errors
    /// Undecided when the server refuses.
    pub async fn five_missing(
        self,
        group: &TaskGroup<'_, '_>,
        about: String,
        hashes: &ValueHashes,
    ) -> CheckResult<Option<Vec<Ctid>>> {
        let variables = Variables::default()
            .sql("hash", SqlFragment::assert_safe(self.hash))
            .sql("condition", SqlFragment::assert_safe(self.condition))
            .sql("ctid", SqlFragment::assert_safe(format!("{}.ctid", self.table)))
            .sql("order", self.order)
            .sql("table", self.table.clone())
            .text("limit", ROWS.to_string());
        let sql = render_file("sql/orphans/first_rows.sql", &variables)?;
        let read = async |connection: &mut PgConnection| {
            let rows = query_statement(connection, sql).await?;
            let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
            let bytes = |column| -> sqlx::Result<&[u8]> {
                Ok(row.try_get::<Option<&[u8]>, _>(column)?.unwrap_or_default())
            };
            Ok((decode_hashes(bytes("hashes")?), decode_ctids(bytes("ctids")?)))
        };
        let (of_rows, ctids) = group.run(Task::new(about, 0), read).await?;
        let missing = hashes.first_missing(&of_rows, &ctids);
        Ok((missing.len() == 5).then_some(missing))
    }
}
