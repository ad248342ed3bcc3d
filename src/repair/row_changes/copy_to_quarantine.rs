//! Copying: marked rows are copied into the quarantine before anything is written.

use anyhow::Result;
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::RowChanges;
use crate::checks::references::decode_subject;
use crate::database::catalog::CatalogTable;
use crate::database::ident::SqlFragment;
use crate::database::query::query_file;
use crate::database::sql_file::Variables;
use crate::redact;
use crate::repair::quarantine::{Quarantine, RowAction, RowDiff, RowSample, digest, kept_values};
use crate::repair::work_tables::WorkTable;

impl RowChanges<'_> {
    /// Copies the marked rows. Returns what happens to them, per table, set of columns and reason.
    pub async fn keep(
        &self,
        connection: &mut PgConnection,
        quarantine: &mut Quarantine,
    ) -> Result<Vec<RowDiff>> {
        let mut diffs = Vec::new();
        for (name, marks) in self.marks.changed() {
            let table = self.table(name)?;
            let mut columns = table.primary_key.clone();
            for (changed, _) in self.marks.groups(connection, marks).await? {
                let news = changed.into_iter().filter(|column| !columns.contains(column));
                columns.extend(news.collect::<Vec<_>>());
            }
            let kept = self.copy(connection, quarantine, table, marks, RowAction::Changed, &columns).await?;
            diffs.extend(kept);
        }
        for (name, marks) in self.marks.removed() {
            let table = self.table(name)?;
            let columns = &table.stored_columns;
            let kept = self.copy(connection, quarantine, table, marks, RowAction::Removed, columns).await?;
            diffs.extend(kept);
        }
        diffs.sort_by(|a, b| {
            let key = |diff: &RowDiff| {
                (diff.table.clone(), diff.action.as_str(), diff.columns.clone(), diff.reason.clone())
            };
            key(a).cmp(&key(b))
        });
        Ok(diffs)
    }

    /// Copies these columns of the marked rows of one table, and writes down where they are.
    async fn copy(
        &self,
        connection: &mut PgConnection,
        quarantine: &mut Quarantine,
        table: &CatalogTable,
        marks: &WorkTable,
        action: RowAction,
        columns: &[String],
    ) -> Result<Vec<RowDiff>> {
        let relation =
            quarantine.table_for(connection, self.code, &self.catalog.schema, table, action, columns).await?;
        let variables = self
            .treated(table, marks)
            .sql("kept", Quarantine::name(&relation))
            .sql("kept_columns", kept_values(table, columns))
            .sql("digest", digest(columns));
        let (keep, sample) = match action {
            RowAction::Removed => ("sql/quarantine/keep_removed.sql", "sql/quarantine/sample_removed.sql"),
            _ => ("sql/quarantine/keep_changed.sql", "sql/quarantine/sample_changed.sql"),
        };
        let mut diffs = Vec::new();
        for row in query_file(connection, keep, &variables).await? {
            let reason: String = row.try_get("reason")?;
            let changed: Vec<String> = row.try_get("columns")?;
            let of_these = variables
                .clone()
                .text("reason", &reason)
                .text("changed_columns", serde_json::to_string(&changed)?)
                .sql("marked_key", SqlFragment::columns(Some("marked"), &table.primary_key));
            let samples = query_file(connection, sample, &of_these).await?;
            let diff = RowDiff {
                table: table.name.clone(),
                action,
                columns: changed,
                reason: decode_subject(&reason),
                count: row.try_get("count")?,
                digest: row.try_get("digest")?,
                sample: samples.iter().map(masked).collect::<Result<_>>()?,
            };
            quarantine.record(connection, self.code, &diff, &relation).await?;
            super::advance(u64::try_from(diff.count)?);
            diffs.push(diff);
        }
        Ok(diffs)
    }

    /// How many of the rows to remove refer to nothing, by each key that the server enforces: undo has to bring them back as
    /// they were. The keys come with what they are now.
    pub async fn orphans_among_removed(&self, connection: &mut PgConnection) -> Result<Vec<(String, i64)>> {
        let mut found = Vec::new();
        for (name, marks) in self.marks.removed() {
            let table = self.table(name)?;
            let keys =
                self.catalog.foreign_keys.iter().filter(|key| key.child_table == *name && key.is_enforced);
            for key in keys {
                if let Some(count) = self.counted.get(&(name.clone(), key.name.clone())) {
                    found.extend((*count > 0).then(|| (key.name.clone(), *count)));
                    continue;
                }
                let variables: Variables = key
                    .variables()
                    .sql("marks", marks.name())
                    .sql("marked_key", SqlFragment::columns(Some("marked"), &table.primary_key))
                    .sql("child_key", SqlFragment::columns(Some("child"), &table.primary_key));
                let counted =
                    query_file(connection, "sql/work_tables/orphans_among_removed.sql", &variables).await?;
                let count =
                    counted.first().map(|row| row.try_get::<i64, _>("count")).transpose()?.unwrap_or(0);
                if count > 0 {
                    found.push((key.name.clone(), count));
                }
            }
        }
        Ok(found)
    }
}

fn masked(row: &PgRow) -> Result<RowSample> {
    let mut sample =
        [row.try_get::<Value, _>("before")?, row.try_get::<Option<Value>, _>("after")?.unwrap_or_default()];
    sample.iter_mut().for_each(redact::redact_json);
    let [before, after] = sample;
    Ok(RowSample { before, after })
}
