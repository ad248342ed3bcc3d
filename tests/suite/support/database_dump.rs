//! Everything that a database holds, as one text: two texts are equal only if nothing changed.

use evodoctor::database::ident::SqlFragment;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use super::database::TestDatabase;

/// Everything that a database holds besides evodoctor's own, over a connection that ends again.
pub async fn seen(database: &TestDatabase) -> String {
    let mut connection = database.connect().await;
    let seen = state(&mut connection, &["evodoctor"]).await;
    connection.close().await.expect("a clean end");
    seen
}

/// The one value that a query gives, as text.
pub async fn text(connection: &mut PgConnection, sql: &str) -> String {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(connection).await.expect("it runs")
}

/// The catalog and every row of every schema but the system's and those in `without`.
pub async fn state(connection: &mut PgConnection, without: &[&str]) -> String {
    let mut text = String::new();
    // Objects by what the server itself says of them; names and flags that a fix could touch.
    let queries = [
        "SELECT nspname || ' ' || COALESCE(nspacl::text, '') FROM pg_namespace AS n WHERE true",
        "SELECT c.oid::regclass::text || ' ' || c.relkind::text || ' ' || COALESCE(c.relacl::text, '') || ' ' ||
             c.relrowsecurity::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
             WHERE c.relkind <> 't'",
        "SELECT a.attrelid::regclass::text || ' ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' '
             || a.attnotnull::text || ' ' || COALESCE(pg_get_expr(d.adbin, d.adrelid), '')
             FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
             JOIN pg_namespace AS n ON n.oid = c.relnamespace
             LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
             WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v')",
        "SELECT k.conrelid::regclass::text || ' ' || k.conname || ' ' || pg_get_constraintdef(k.oid) || ' ' ||
             k.convalidated::text FROM pg_constraint AS k JOIN pg_namespace AS n ON n.oid = k.connamespace WHERE true",
        "SELECT pg_get_indexdef(i.indexrelid) || ' ' || i.indisvalid::text FROM pg_index AS i
             JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE true",
        "SELECT t.tgrelid::regclass::text || ' ' || CASE WHEN t.tgisinternal THEN 'internal' ELSE t.tgname END || ' ' ||
             t.tgenabled::text || ' ' || t.tgtype::text FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
             JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE true",
    ];
    for query in queries {
        let sql = format!(
            "{query} AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname !~ '^pg_temp' \
             AND n.nspname !~ '^pg_toast' AND n.nspname <> ALL ($1) ORDER BY 1"
        );
        for row in fetch(connection, sql, without).await {
            text.push_str(&row);
            text.push('\n');
        }
    }
    let tables = "SELECT n.nspname || chr(31) || c.relname FROM pg_class AS c JOIN pg_namespace AS n \
                  ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', \
                  'information_schema') AND n.nspname <> ALL ($1) ORDER BY 1";
    for table in fetch(connection, tables.to_owned(), without).await {
        let (schema, name) = table.split_once('\u{1f}').expect("a schema and a name");
        let name = SqlFragment::qualified(schema, name);
        let sql = format!("SELECT t::text FROM {name} AS t WHERE $1::text[] IS NOT NULL ORDER BY 1");
        for row in fetch(connection, sql, without).await {
            text.push_str(&format!("{name} {row}\n"));
        }
    }
    text
}

async fn fetch(connection: &mut PgConnection, sql: String, without: &[&str]) -> Vec<String> {
    let without: Vec<String> = without.iter().map(|name| (*name).to_owned()).collect();
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(without).fetch_all(connection).await.expect("readable");
    rows.iter().map(|row| row.get(0)).collect()
}
