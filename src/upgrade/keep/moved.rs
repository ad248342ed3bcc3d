//! References whose column a migration dropped silently, and for which the newer tables have another column.

use anyhow::Result;
use sqlx::postgres::PgConnection;

use super::KeptPart;
use super::bring_back::{BringingBack, BroughtBack, changed, rendered};
use crate::database::catalog::CatalogTable;
use crate::database::ident::SqlFragment;
use crate::evolution::migration_steps::place_of;

impl BringingBack<'_> {
    /// Puts the values of a dropped column into the column that took its place. What has none is named.
    pub(super) async fn moved(
        &self,
        connection: &mut PgConnection,
        kept: &KeptPart,
        table: &CatalogTable,
        column: &str,
        done: &mut BroughtBack,
    ) -> Result<()> {
        let name = SqlFragment::ident(column);
        let mut condition = format!("kept.{name} IS NOT NULL");
        let mut waiting = 0;
        let place = place_of(&kept.part.migrations, &table.name, column);
        if let Some(place) = place.filter(|place| table.columns.contains(&place.column))
            && let Some(referenced) = self.catalog.tables.get(&place.references)
            && let [referenced_key] = referenced.primary_key.as_slice()
        {
            let target = SqlFragment::ident(&place.column);
            let variables = self
                .variables(kept, table)
                .sql("column", name.clone())
                .sql("place", target.clone())
                .sql("referenced", SqlFragment::qualified(&self.catalog.schema, &referenced.name))
                .sql("referenced_key", SqlFragment::ident(referenced_key));
            let found = rendered("sql/quarantine/moved.sql", &variables)?;
            let mut columns = vec![place.column.clone()];
            let mut assignments = vec![format!("{target} = found.\"evodoctor value\"")];
            for (with, value) in place.with.iter().filter(|(with, _)| table.columns.contains(*with)) {
                let (with_name, value) = (SqlFragment::ident(with), SqlFragment::literal(value));
                assignments.push(format!("{with_name} = COALESCE(target.{with_name}, {value})"));
                columns.push(with.clone());
            }
            let rows = self.write(connection, table, &found, &assignments.join(",\n    "), done).await?;
            let reason = format!("the upgrade had dropped {column}, and {} was empty", place.column);
            done.rows.extend(changed(table, &columns, rows, &reason));
            let key = self.restored_key(table).join(", ");
            condition.push_str(&format!(
                " AND NOT EXISTS (SELECT FROM {} AS target WHERE ({key}) = ({}) AND target.{target} = kept.{name})",
                SqlFragment::qualified(&self.catalog.schema, &table.name),
                SqlFragment::columns(Some("target"), &table.primary_key),
            ));
            waiting = if self.writes { 0 } else { rows };
        }
        let left = self.count(connection, kept, &condition).await? - waiting;
        if left > 0 {
            let path = format!("{}.{column}", table.name);
            done.stays.push(format!("{path}: the column is gone, or another one; {left} values stay kept"));
        }
        Ok(())
    }
}
