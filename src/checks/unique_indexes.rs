//! Every unique index that should hold: those of the release, and those that the newest release will build.

use crate::database::catalog::{Catalog, CatalogTable};
use crate::database::ident::SqlFragment;
use crate::database::sql_file::Variables;
use crate::evolution::release::{Release, ReleaseRange};
use crate::evolution::schema::{self, schema};

/// One unique index on a table in Evolution's schema, whether or not the database has it.
#[derive(Debug, Clone)]
pub struct UniqueIndex {
    /// Upstream's name for it.
    pub name: String,
    /// The table.
    pub table: String,
    /// Its columns, in order.
    pub columns: Vec<String>,
    /// True if the release has it; otherwise only the newest release does.
    pub is_of_release: bool,
}

impl UniqueIndex {
    /// `Chat (instanceId, remoteJid)`.
    pub fn subject(&self) -> String {
        format!("{} ({})", self.table, self.columns.join(", "))
    }

    /// The condition for a row that the index would refuse, as one pastes it behind `FROM schema.table WHERE`.
    /// Rows with a null in one of the columns are never refused.
    pub fn duplicate_predicate(&self, catalog: &Catalog) -> SqlFragment {
        let columns = SqlFragment::columns(None, &self.columns);
        let table = SqlFragment::qualified(&catalog.schema, &self.table);
        SqlFragment::assert_safe(format!(
            "({columns}) IN (SELECT {columns} FROM {table} GROUP BY {columns} HAVING pg_catalog.count(*) > 1)"
        ))
    }

    /// The variables of checks and fixes that are run for each unique index.
    pub fn variables(&self, catalog: &Catalog) -> Variables {
        let primary_key =
            catalog.tables.get(&self.table).map(|table: &CatalogTable| table.primary_key.as_slice());
        let primary_key = primary_key.unwrap_or_default();
        let keys: Vec<String> = primary_key
            .iter()
            .map(|column| format!("{}, target.{}", SqlFragment::literal(column), SqlFragment::ident(column)))
            .collect();
        let order = if primary_key.is_empty() { &self.columns } else { primary_key };
        Variables::for_schema(&catalog.schema)
            .text("index", &self.name)
            .text("subject", self.subject())
            .text("table_name", &self.table)
            .text("column_names", serde_json::to_string(&self.columns).unwrap_or_default())
            .text("expected_by", if self.is_of_release { "release" } else { "newest" })
            .text("where", self.duplicate_predicate(catalog).as_str())
            .sql("table", SqlFragment::qualified(&catalog.schema, &self.table))
            .sql("columns", SqlFragment::columns(None, &self.columns))
            .sql("target_columns", SqlFragment::columns(Some("target"), &self.columns))
            .sql("twice_columns", SqlFragment::columns(Some("twice"), &self.columns))
            .sql("order", SqlFragment::columns(Some("target"), order))
            .sql(
                "key",
                SqlFragment::assert_safe(format!("pg_catalog.jsonb_build_object({})", keys.join(", "))),
            )
    }
}

/// The unique indexes of a database, those of its release first. Those whose table or column is not there refuse no
/// row, and are left out.
pub fn unique_indexes(catalog: &Catalog, range: Option<ReleaseRange>) -> Vec<UniqueIndex> {
    let mut indexes: Vec<UniqueIndex> = Vec::new();
    let release = range.map(|range| (range.to.unwrap_or_else(Release::newest), true));
    for (release, is_of_release) in release.into_iter().chain([(Release::newest(), false)]) {
        for table in schema().tables(release) {
            for index in
                table.indexes(release).filter(|index| index.unique && is_there(catalog, table, index))
            {
                let is_known =
                    |known: &UniqueIndex| known.table == table.name && known.columns == index.columns;
                if !indexes.iter().any(is_known) {
                    indexes.push(UniqueIndex {
                        name: index.name.clone(),
                        table: table.name.clone(),
                        columns: index.columns.clone(),
                        is_of_release,
                    });
                }
            }
        }
    }
    indexes
}

fn is_there(catalog: &Catalog, table: &schema::Table, index: &schema::Index) -> bool {
    // One that is closed is asked about, and undecided.
    if catalog.closed.contains_key(&table.name) {
        return true;
    }
    let found = catalog.tables.get(&table.name);
    found.is_some_and(|found| index.columns.iter().all(|column| found.columns.contains(column)))
}
