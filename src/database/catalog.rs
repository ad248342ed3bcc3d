//! The database's declarations: server, schema, tables, foreign keys, and the canonical DDL that diffs compare.

mod declared_key;
mod ledger_state;
mod referential_action;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::column_stats::{ColumnStatsMap, LARGE};
pub use declared_key::DeclaredKey;
pub use ledger_state::{LedgerFacts, LedgerState};
pub use referential_action::ReferentialAction;

use super::ident::SqlFragment;
use super::query::query_file;
use super::session::Session;
use super::sql_file::Variables;
use super::trusted_roles::{self, UntrustedCode};
use crate::error::user_error;
use crate::evolution::instances::Instance;
use crate::evolution::release::HistoryRow;

/// The server and the session on it.
#[derive(Debug, Clone)]
pub struct ServerInfo {
    /// Such as `15.18 (Debian 15.18-0+deb12u1)`.
    pub version: String,
    /// The database's name.
    pub database: String,
    /// The database's oid, which a restored copy does not share.
    pub database_oid: i64,
    /// The role that asks.
    pub role: String,
    /// True if this is a standby.
    pub in_recovery: bool,
    /// True if the users' triggers may fire: in a dry run on a live server only with consent, as what leaves the
    /// transaction is not rolled back.
    pub may_fire: bool,

    /// The cluster's system identifier, if the server shows it.
    pub system_identifier: Option<String>,
}

impl ServerInfo {
    /// What the session knows already, and what distinguishes this database from a copy of it.
    pub async fn read(session: &mut Session) -> Result<Self> {
        let rows =
            query_file(session.connection(), "sql/catalog/identity.sql", &Variables::default()).await?;
        let row = rows.first().context("the server did not say what it is")?;
        Ok(Self {
            version: session.server_version.clone(),
            database: session.database.clone(),
            database_oid: row.try_get("database_oid")?,
            role: session.role.clone(),
            in_recovery: session.is_in_recovery,
            may_fire: true,
            system_identifier: row.try_get("system_identifier")?,
        })
    }
}

/// Decides which schema holds Evolution's tables: the one asked for, else the only one that has them.
///
/// # Errors
/// When the one asked for has none of them, when none or several do; the message names the candidates.
pub async fn find_schema(
    connection: &mut PgConnection,
    wanted: Option<&str>,
    database: &str,
) -> Result<String> {
    let rows = query_file(connection, "sql/catalog/candidate_schemas.sql", &Variables::default()).await?;
    let candidates: Vec<String> = rows.iter().map(|row| row.try_get("schema")).collect::<Result<_, _>>()?;
    let named = candidates.iter().map(|c| format!("{c:?}")).collect::<Vec<_>>().join(" and ");
    match (wanted, candidates.as_slice()) {
        (Some(wanted), _) if candidates.iter().any(|c| c == wanted) => Ok(wanted.to_owned()),
        (Some(wanted), []) => Err(user_error(
            format!(
                "schema {wanted:?} of database {database:?} holds no Evolution tables, and no other schema does"
            ),
            "check the database's name in the URL; a role sees only schemas that exist in the database it connects to",
        )),
        (Some(wanted), _) => Err(user_error(
            format!("schema {wanted:?} of database {database:?} holds no Evolution tables"),
            format!("they are in {named}: name it with --schema"),
        )),
        (None, [only]) => Ok(only.clone()),
        (None, []) => Err(user_error(
            format!("database {database:?} holds no Evolution tables in any schema"),
            "check the database's name in the URL; a server that never started has created none yet",
        )),
        (None, _) => Err(user_error(
            format!("database {database:?} holds Evolution tables in more than one schema: {named}"),
            "choose one with --schema NAME, or put schema=NAME into the URL",
        )),
    }
}

/// A table, or a view that replaces one.
#[derive(Debug, Clone)]
pub struct CatalogTable {
    /// Its name.
    pub name: String,
    /// `r` for a table, `p` for a partitioned one, `v` for a view, …
    pub kind: String,
    /// The owner's role.
    pub owner: String,
    /// True if the role that asks may alter it.
    pub is_owned: bool,
    /// True if the role that asks could become the owner (`SET ROLE`).
    pub may_become_owner: bool,
    /// The rights on its rows that the role lacks: of `SELECT`, `INSERT`, `UPDATE`, `DELETE`.
    pub lacks: Vec<String>,
    /// True if row-level security hides rows from the role that asks.
    pub hides_rows: bool,
    /// True if the role that asks may read it.
    pub is_readable: bool,
    /// Columns, in order.
    pub columns: Vec<String>,
    /// Columns that hold data of their own (not generated).
    pub stored_columns: Vec<String>,
    /// Their types, as SQL writes them.
    pub stored_types: Vec<String>,
    /// The primary key's columns; empty without one.
    pub primary_key: Vec<String>,
    /// Enabled triggers that are not the server's own.
    pub triggers: Vec<String>,
    /// Those of them that an update or a delete fires.
    pub firing_triggers: Vec<String>,
    /// True if other tables inherit from it: their rows show up in it and belong to them. Partitions are no such
    /// tables.
    pub has_heirs: bool,
    /// About how many pages it has, with those of its partitions: what the statistics say, which may be old.
    pub pages: u64,
    /// About how many rows it has, likewise.
    pub rows: u64,
    not_null_columns: BTreeSet<String>,
    /// Code that is not trusted and runs when rows of it are changed, or it is altered.
    pub foreign_code: Vec<UntrustedCode>,
    is_trusted: bool,
}

impl CatalogTable {
    /// Why it is neither planned nor read, if it is not.
    fn closed(&self, role: &str) -> Option<String> {
        if !self.is_trusted {
            return Some(format!("{:?} belongs to role {:?}: not examined", self.name, self.owner));
        }
        let code = self.foreign_code.iter().find(|code| code.on_read)?;
        Some(format!("{:?} is not examined: {}; {}", self.name, code.reason(role), code.hint(&self.owner)))
    }

    /// True if every one of the columns may be null.
    pub fn all_nullable(&self, columns: &[String]) -> bool {
        !columns.iter().any(|column| self.not_null_columns.contains(column))
    }

    fn read(row: &PgRow) -> Result<Self> {
        Ok(Self {
            name: row.try_get("name")?,
            kind: row.try_get("kind")?,
            owner: row.try_get("owner")?,
            is_owned: row.try_get("is_owned")?,
            may_become_owner: row.try_get("may_become_owner")?,
            lacks: row.try_get("lacks")?,
            hides_rows: row.try_get("hides_rows")?,
            is_readable: row.try_get("is_readable")?,
            columns: row.try_get("columns")?,
            stored_columns: row.try_get("stored_columns")?,
            stored_types: row.try_get("stored_types")?,
            primary_key: row.try_get("primary_key")?,
            triggers: row.try_get("triggers")?,
            firing_triggers: row.try_get("firing_triggers")?,
            has_heirs: row.try_get("has_heirs")?,
            pages: row.try_get::<i64, _>("pages")?.try_into().unwrap_or_default(),
            rows: row.try_get::<i64, _>("rows")?.try_into().unwrap_or_default(),
            not_null_columns: row.try_get::<Vec<String>, _>("not_null_columns")?.into_iter().collect(),
            foreign_code: Vec::new(),
            is_trusted: row.try_get("is_trusted")?,
        })
    }
}

/// The tables and keys of Evolution's schema.
#[derive(Debug, Clone)]
pub struct Catalog {
    /// The schema's name.
    pub schema: String,
    /// Tables and views by name.
    pub tables: BTreeMap<String, CatalogTable>,
    /// Foreign keys declared in the schema.
    pub foreign_keys: Vec<DeclaredKey>,
    /// Foreign keys of other schemas' tables that refer into it.
    pub incoming_keys: Vec<DeclaredKey>,
    /// Tables of the schema that are neither planned nor read, and why: they belong to other roles, or run their code.
    pub closed: BTreeMap<String, String>,
    /// evodoctor's own ledger in this database.
    pub ledger: LedgerState,
    /// What the catalog says of the ledger: who may read, use and own it.
    pub ledger_facts: LedgerFacts,
    /// Statistics of columns; read only for large tables, for which they matter.
    pub columns: ColumnStatsMap,
    /// True if the role that asks may use the schema: without that, it may read no table in it.
    pub is_reachable: bool,
    /// True if the role that asks may create something in the schema.
    pub may_create: bool,
}

impl Catalog {
    /// About how many pages a table has; none where there is none.
    pub fn page_count(&self, table: &str) -> u64 {
        self.tables.get(table).map_or(0, |table| table.pages)
    }

    /// Why a query is not to be run: it reads a table that is closed.
    pub fn closed_table_in(&self, sql: &str) -> Option<&str> {
        let is_read = |name: &str| sql.contains(SqlFragment::qualified(&self.schema, name).as_str());
        self.closed.iter().find(|(name, _)| is_read(name)).map(|(_, reason)| reason.as_str())
    }

    /// Refuses where one of these tables is closed.
    pub fn expect_open(&self, tables: &[&str]) -> Result<()> {
        match tables.iter().find_map(|name| self.closed.get(*name)) {
            None => Ok(()),
            Some(reason) => {
                Err(user_error(reason.clone(), "evodoctor check says what else belongs to others (EVO215)"))
            }
        }
    }

    /// Reads the catalog.
    pub async fn read(connection: &mut PgConnection, schema: &str) -> Result<Self> {
        let variables = trusted_roles::trust_variables(schema)?;
        let tables = query_file(connection, "sql/catalog/tables.sql", &variables).await?;
        let keys = query_file(connection, "sql/catalog/foreign_keys.sql", &variables).await?;
        // Every table says the same.
        let is_reachable = tables.first().map_or(Ok(true), |row| row.try_get("is_reachable"))?;
        let may_create = tables.first().map_or(Ok(true), |row| row.try_get("may_create"))?;
        let role: String = tables.first().map_or(Ok(String::new()), |row| row.try_get("asking"))?;
        let mut tables: Vec<CatalogTable> = tables.iter().map(CatalogTable::read).collect::<Result<_>>()?;
        let mut foreign_code = trusted_roles::find_untrusted_code(connection, schema).await?;
        for table in &mut tables {
            table.foreign_code = foreign_code.remove(&table.name).unwrap_or_default();
        }
        let closed = |table: &CatalogTable| table.closed(&role).map(|reason| (table.name.clone(), reason));
        let closed: BTreeMap<String, String> = tables.iter().filter_map(closed).collect();
        tables.retain(|table| !closed.contains_key(&table.name));
        let keys: Vec<DeclaredKey> = keys.iter().map(DeclaredKey::read).collect::<Result<_>>()?;
        let ledger_facts = LedgerFacts::read(connection, schema).await?;
        let is_large = tables.iter().any(|table| table.pages >= LARGE);
        let columns = if is_large {
            ColumnStatsMap::read(connection, schema).await?
        } else {
            ColumnStatsMap::default()
        };
        let (foreign_keys, incoming_keys) = keys
            .into_iter()
            .partition(|key| key.child_schema == schema && !closed.contains_key(&key.child_table));
        Ok(Self {
            schema: schema.to_owned(),
            tables: tables.into_iter().map(|table| (table.name.clone(), table)).collect(),
            foreign_keys,
            incoming_keys,
            closed,
            ledger: LedgerState::of(&ledger_facts),
            ledger_facts,
            columns,
            is_reachable,
            may_create,
        })
    }
}

/// The rows of `_prisma_migrations`, or `None` when there is no such table, or none that this role may read.
pub async fn migration_history(
    connection: &mut PgConnection,
    catalog: &Catalog,
) -> Result<Option<Vec<HistoryRow>>> {
    if !catalog.tables.get("_prisma_migrations").is_some_and(|table| table.is_readable) {
        return Ok(None);
    }
    let variables = Variables::for_schema(&catalog.schema);
    let rows = query_file(connection, "sql/catalog/migration_history.sql", &variables).await?;
    let read = |row: &PgRow| -> Result<HistoryRow> {
        Ok(HistoryRow {
            name: row.try_get("name")?,
            checksum: row.try_get("checksum")?,
            finished: row.try_get("is_finished")?,
            rolled_back: row.try_get("is_rolled_back")?,
        })
    };
    rows.iter().map(read).collect::<Result<_>>().map(Some)
}

/// The instances, by all that a client could mean one by. Tokens are in it.
pub async fn instances(connection: &mut PgConnection, schema: &str) -> Result<Vec<Instance>> {
    let rows = query_file(connection, "sql/catalog/instances.sql", &Variables::for_schema(schema)).await?;
    let read = |row: &PgRow| -> Result<Instance> {
        Ok(Instance {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            number: row.try_get("number")?,
            token: row.try_get("token")?,
            owner_jid: row.try_get("owner_jid")?,
        })
    };
    rows.iter().map(read).collect()
}

/// The OpenAI credentials and what uses them, as JSON that includes the key: mask it before output.
pub async fn credentials(connection: &mut PgConnection, schema: &str) -> Result<Vec<Value>> {
    let rows = query_file(connection, "sql/credentials/list.sql", &Variables::for_schema(schema)).await?;
    let read = |row: &PgRow| -> Result<Value> {
        Ok(json!({
            "id": row.try_get::<String, _>("id")?,
            "name": row.try_get::<Option<String>, _>("name")?,
            "apiKey": row.try_get::<Option<String>, _>("api_key")?,
            "instance": row.try_get::<String, _>("instance")?,
            "holders": row.try_get::<Value, _>("holders")?,
        }))
    };
    rows.iter().map(read).collect()
}

/// Canonical DDL of every table in the schema, by table.
pub type Ddl = BTreeMap<String, String>;

/// Reads the canonical DDL of the schema's tables.
pub async fn ddl(connection: &mut PgConnection, schema: &str) -> Result<Ddl> {
    let rows = query_file(connection, "sql/catalog/ddl.sql", &Variables::for_schema(schema)).await?;
    let mut columns: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut others: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in &rows {
        let of = if row.try_get("is_column")? { &mut columns } else { &mut others };
        of.entry(row.try_get("table_name")?).or_default().push(row.try_get("text")?);
    }
    let assemble = |(table, lines): (String, Vec<String>)| {
        let name = super::ident::SqlFragment::qualified(schema, &table);
        let mut text = format!("CREATE TABLE {name} (\n{}\n);\n", lines.join(",\n"));
        for line in others.get(&table).into_iter().flatten() {
            text.push_str(line);
            text.push('\n');
        }
        (table, text)
    };
    Ok(columns.into_iter().map(assemble).collect())
}
