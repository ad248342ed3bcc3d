//! What the catalog of a database holds, in the words of the facts.

use std::collections::BTreeMap;

use sqlx::PgConnection;

/// Enums and tables of the schema `public`, by name.
#[derive(Debug, Default)]
pub struct Catalog {
    /// The values of each enum, in their order.
    pub enums: BTreeMap<String, Vec<String>>,
    /// The tables.
    pub tables: BTreeMap<String, CatalogTable>,
}

/// A table; each thing in it is the line that stands for it in `schema.json`, without releases.
#[derive(Debug, Default)]
pub struct CatalogTable {
    /// The columns of its primary key.
    pub primary_key: Vec<String>,
    /// In their order.
    pub columns: Vec<String>,
    /// By name.
    pub indexes: BTreeMap<String, String>,
    /// By name, with the table that each refers to.
    pub foreign_keys: BTreeMap<String, (String, String)>,
}

/// Table, name, type, whether NOT NULL, default.
type ColumnRow = (String, String, String, bool, Option<String>);

/// Table, name, whether unique, whether it is the primary key, columns.
type IndexRow = (String, String, bool, bool, Vec<String>);

/// Table, name, table that it refers to, columns, columns there, ON DELETE, ON UPDATE.
type KeyRow = (String, String, String, Vec<String>, Vec<String>, String, String);

const ENUMS: &str = "SELECT t.typname::text, pg_catalog.array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
    FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid
    WHERE t.typnamespace = 'public'::regnamespace GROUP BY t.typname";

const COLUMNS: &str = r#"SELECT c.relname::text AS "table", a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS data_type,
        a.attnotnull AS not_null, pg_get_expr(d.adbin, d.adrelid) AS "default"
    FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> '_prisma_migrations'
    ORDER BY c.relname, a.attnum"#;

const INDEXES: &str = r#"SELECT c.relname::text AS "table", x.relname::text AS name, i.indisunique AS is_unique, i.indisprimary AS is_primary,
        (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(i.indkey) WITH ORDINALITY AS k (attnum, n)
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum) AS columns
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relname <> '_prisma_migrations'"#;

const KEYS: &str = r#"SELECT c.relname::text AS "table", k.conname::text AS name, p.relname::text AS parent,
        (SELECT array_agg(a.attname::text ORDER BY u.n) FROM unnest(k.conkey) WITH ORDINALITY AS u (attnum, n)
         JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum) AS columns,
        (SELECT array_agg(a.attname::text ORDER BY u.n) FROM unnest(k.confkey) WITH ORDINALITY AS u (attnum, n)
         JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum) AS parent_columns,
        CASE k.confdeltype WHEN 'a' THEN 'NO ACTION' WHEN 'r' THEN 'RESTRICT' WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL'
            ELSE 'SET DEFAULT' END AS on_delete,
        CASE k.confupdtype WHEN 'a' THEN 'NO ACTION' WHEN 'r' THEN 'RESTRICT' WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL'
            ELSE 'SET DEFAULT' END AS on_update
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class p ON p.oid = k.confrelid
    WHERE k.connamespace = 'public'::regnamespace AND k.contype = 'f'"#;

/// A text as JSON.
pub fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text")
}

/// Texts as JSON, with a space behind each comma as the facts have it.
pub fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}

impl Catalog {
    /// Reads the schema `public`.
    pub async fn read(connection: &mut PgConnection) -> Self {
        let mut catalog = Self::default();
        let enums: Vec<(String, Vec<String>)> =
            sqlx::query_as(ENUMS).fetch_all(&mut *connection).await.expect("enums");
        catalog.enums.extend(enums);
        let columns: Vec<ColumnRow> =
            sqlx::query_as(COLUMNS).fetch_all(&mut *connection).await.expect("columns");
        for (table, name, data_type, not_null, default) in columns {
            let mut line = format!("{{\"name\": {}, \"type\": {}", quoted(&name), quoted(&data_type));
            if not_null {
                line += ", \"not_null\": true";
            }
            if let Some(default) = default {
                line += &format!(", \"default\": {}", quoted(&default));
            }
            catalog.tables.entry(table).or_default().columns.push(line + "}");
        }
        let indexes: Vec<IndexRow> =
            sqlx::query_as(INDEXES).fetch_all(&mut *connection).await.expect("indexes");
        for (table, name, is_unique, is_primary, columns) in indexes {
            let table = catalog.tables.entry(table).or_default();
            if is_primary {
                table.primary_key = columns;
                continue;
            }
            let unique = if is_unique { ", \"unique\": true" } else { "" };
            let line = format!("{{\"name\": {}, \"columns\": {}{unique}}}", quoted(&name), list(&columns));
            table.indexes.insert(name, line);
        }
        let keys: Vec<KeyRow> = sqlx::query_as(KEYS).fetch_all(connection).await.expect("keys");
        for (table, name, parent, columns, parent_columns, on_delete, on_update) in keys {
            let line = format!(
                "{{\"name\": {}, \"columns\": {}, \"references\": {}, \"referenced_columns\": {}, \"on_delete\": {}, \"on_update\": {}}}",
                quoted(&name),
                list(&columns),
                quoted(&parent),
                list(&parent_columns),
                quoted(&on_delete),
                quoted(&on_update)
            );
            catalog.tables.entry(table).or_default().foreign_keys.insert(name, (line, parent));
        }
        catalog
    }
}
