//! Copies the rows of a table, with pseudonyms. Streamed: only a few rows are in memory.

use std::borrow::Cow;

use anyhow::{Context, Result, anyhow};
use futures_util::TryStreamExt;
use sqlx::postgres::{PgConnection, PgCopyIn};

use super::columns::StagingColumn;
use super::row_filter::RowFilter;
use crate::database::ident::SqlFragment;
use crate::database::sql_file::{Variables, render_file};
use crate::progress::ProgressTask;
use crate::pseudonym::{CopyField, Pseudonymizer, decode_field, encode_field};

/// Bytes that are sent at once.
const CHUNK: usize = 128 * 1024;

/// Number of rows between two progress updates.
const OFTEN: u64 = 1000;

/// A table on its way.
pub struct TableRows<'t> {
    /// Evolution's schema.
    pub schema: &'t str,
    /// The table.
    pub table: &'t str,
    /// Its columns.
    pub columns: &'t [StagingColumn],
    /// The pseudonyms for their values.
    pub names: &'t Pseudonymizer,
    /// The progress of the work.
    pub progress: &'t ProgressTask,
}

impl TableRows<'_> {
    fn variables(&self) -> Variables {
        Variables::for_schema(self.schema).text("table", self.table)
    }

    fn read_statement(&self, filter: &RowFilter) -> Result<String> {
        let expressions: Vec<String> =
            self.columns.iter().map(|column| column.expression(self.names).to_string()).collect();
        let variables = self
            .variables()
            .sql("columns", SqlFragment::assert_safe(expressions.join(", ")))
            .sql("filter", filter.clause(self.table));
        render_file("sql/staging/read_rows.sql", &variables)
    }

    /// Copies the rows that the filter chooses; `seen` hears every personal value of the original. Returns how many rows.
    ///
    /// # Errors
    /// When one of the connections is lost, or the copy refuses a row.
    pub async fn copy(
        &self,
        from: &mut PgConnection,
        to: &mut PgConnection,
        filter: &mut RowFilter,
        seen: &mut dyn FnMut(&str) -> bool,
    ) -> Result<u64> {
        let read = self.read_statement(filter)?;
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let variables = self.variables().sql("columns", SqlFragment::columns(None, &names));
        let load = render_file("sql/staging/load_rows.sql", &variables)?;
        let mut sink = to.copy_in_raw(&load).await.with_context(|| self.refused())?;
        match self.stream(from, &read, filter, seen, Some(&mut sink)).await {
            Ok(rows) => {
                sink.finish().await.with_context(|| self.refused())?;
                Ok(rows)
            }
            Err(error) => {
                // The connection would otherwise wait for more rows.
                let _ = sink.abort("the original could not be read").await;
                Err(error)
            }
        }
    }

    /// Reads all rows, calls `seen` for every personal value, and keeps nothing. Returns how many rows.
    pub async fn look(&self, from: &mut PgConnection, seen: &mut dyn FnMut(&str) -> bool) -> Result<u64> {
        let mut all = RowFilter::default();
        let read = self.read_statement(&all)?;
        self.stream(from, &read, &mut all, seen, None).await
    }

    fn refused(&self) -> String {
        format!("the rows of {:?} cannot be loaded into the copy", self.table)
    }

    async fn stream(
        &self,
        from: &mut PgConnection,
        read: &str,
        filter: &mut RowFilter,
        seen: &mut dyn FnMut(&str) -> bool,
        mut sink: Option<&mut PgCopyIn<&mut PgConnection>>,
    ) -> Result<u64> {
        let followed = self.followed(filter);
        let mut stream =
            from.copy_out_raw(read).await.with_context(|| format!("{:?} cannot be read", self.table))?;
        let (mut rest, mut out, mut count) = (Vec::new(), String::new(), 0_u64);
        while let Some(bytes) = stream.try_next().await? {
            // The server sends a row at a time; nothing promises that it always will.
            let mut bytes: Cow<'_, [u8]> = bytes.as_ref().into();
            if !rest.is_empty() {
                rest.extend_from_slice(&bytes);
                bytes = std::mem::take(&mut rest).into();
            }
            let end = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
            for line in bytes[..end].split_inclusive(|byte| *byte == b'\n') {
                self.map_row(&line[..line.len() - 1], &followed, filter, seen, &mut out)?;
                count += 1;
                if count.is_multiple_of(OFTEN) {
                    self.progress.advance(OFTEN);
                }
            }
            rest.extend_from_slice(&bytes[end..]);
            if out.len() > CHUNK {
                if let Some(sink) = &mut sink {
                    sink.send(out.as_bytes()).await.with_context(|| self.refused())?;
                }
                out.clear();
            }
        }
        if let Some(sink) = &mut sink {
            sink.send(out.as_bytes()).await.with_context(|| self.refused())?;
        }
        self.progress.advance(count % OFTEN);
        Ok(count)
    }

    /// For each reference of the table: where its columns stand, and what they refer to.
    fn followed(&self, filter: &RowFilter) -> Vec<(Vec<usize>, String, Vec<String>)> {
        let place = |name: &String| self.columns.iter().position(|column| column.name == *name);
        let followed = filter.followed(self.table).into_iter().filter_map(|reference| {
            let places = reference.child_columns.iter().map(place).collect::<Option<Vec<_>>>()?;
            Some((places, reference.parent_table.clone(), reference.parent_columns.clone()))
        });
        followed.collect()
    }

    fn map_row(
        &self,
        line: &[u8],
        followed: &[(Vec<usize>, String, Vec<String>)],
        filter: &mut RowFilter,
        seen: &mut dyn FnMut(&str) -> bool,
        out: &mut String,
    ) -> Result<()> {
        let damaged = || anyhow!("a row of {:?} cannot be understood", self.table);
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b'\t').collect();
        if fields.len() != self.columns.len() && !(self.columns.is_empty() && line.is_empty()) {
            return Err(damaged());
        }
        for (position, (column, field)) in self.columns.iter().zip(&fields).enumerate() {
            if position > 0 {
                out.push('\t');
            }
            if column.is_kept() || *field == b"\\N" {
                out.push_str(std::str::from_utf8(field).map_err(|_| damaged())?);
                continue;
            }
            let CopyField::Value(value) = decode_field(field).ok_or_else(damaged)? else { continue };
            encode_field(&column.map(self.table, &value, self.names, seen)?, out);
        }
        out.push('\n');
        for (places, table, columns) in followed {
            let values = places.iter().map(|place| match decode_field(fields[*place]) {
                Some(CopyField::Value(value)) => Some(value.into_owned()),
                _ => None,
            });
            if let Some(values) = values.collect() {
                filter.follow(table, columns, values);
            }
        }
        Ok(())
    }
}
