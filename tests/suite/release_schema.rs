//! A database that we build is the database that the facts describe: read back from the catalog, nothing is
//! missing and nothing is added.

use std::collections::BTreeSet;

use evodoctor::database::release_schema::create_release_schema;
use evodoctor::evolution::release::{HistoryRow, MigrationHistory, Release};
use evodoctor::evolution::schema::schema as facts;
use sqlx::{Connection, PgConnection};

use crate::support::database::{TestDatabase, execute};

/// Everything in a schema except Prisma's table, one line each, in the words of the facts.
const CATALOG: &str = r#"
    SELECT format('enum %s: %s', t.typname, string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder))
    FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid
    WHERE t.typnamespace = $1::regnamespace GROUP BY t.oid, t.typname
  UNION ALL
    SELECT format('column %s.%s: %s%s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
                  CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END,
                  coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), ''))
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = $1::regnamespace AND c.relkind = 'r' AND c.relname <> '_prisma_migrations'
  UNION ALL
    SELECT format('%s %s on %s: %s', CASE WHEN i.indisprimary THEN 'key' WHEN i.indisunique THEN 'unique index'
                  ELSE 'index' END, x.relname, c.relname,
                  (SELECT string_agg(pg_get_indexdef(x.oid, n, false), ', ' ORDER BY n)
                   FROM generate_series(1, i.indnkeyatts) n))
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid
    WHERE c.relnamespace = $1::regnamespace AND c.relname <> '_prisma_migrations'
  UNION ALL
    SELECT format('%s on %s: %s', conname, conrelid::regclass, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace = $1::regnamespace AND contype NOT IN ('p', 'n')
  UNION ALL
    SELECT format('sequence %s of %s.%s', s.relname, c.relname, a.attname)
    FROM pg_class s
    LEFT JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'a'
    LEFT JOIN pg_class c ON c.oid = d.refobjid
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
    WHERE s.relnamespace = $1::regnamespace AND s.relkind = 'S'
"#;

/// The same lines from the facts.
pub fn expected(release: Release) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for kind in facts().enums(release) {
        lines.insert(format!("enum {}: {}", kind.name, kind.values.join(", ")));
    }
    for table in facts().tables(release) {
        let name = &table.name;
        for column in table.columns(release) {
            let not_null = if column.not_null { " NOT NULL" } else { "" };
            let default = column.default.as_ref().map(|d| format!(" DEFAULT {d}")).unwrap_or_default();
            lines.insert(format!("column {name}.{}: {}{not_null}{default}", column.name, column.data_type));
            if default.contains("nextval") {
                lines.insert(format!("sequence {name}_{0}_seq of {name}.{0}", column.name));
            }
        }
        lines.insert(format!("key {name}_pkey on {name}: {}", names(&table.primary_key)));
        for index in table.indexes(release) {
            let unique = if index.unique { "unique " } else { "" };
            lines.insert(format!("{unique}index {} on {name}: {}", index.name, names(&index.columns)));
        }
        for key in table.foreign_keys(release) {
            lines.insert(format!(
                "{} on {}: FOREIGN KEY ({}) REFERENCES {}({}) ON UPDATE {} ON DELETE {}",
                key.name,
                quoted(name),
                names(&key.columns),
                quoted(&key.references),
                names(&key.referenced_columns),
                key.on_update,
                key.on_delete
            ));
        }
    }
    lines
}

/// A name as Postgres prints it: quoted where it has to be.
fn quoted(name: &str) -> String {
    let is_plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if is_plain { name.to_owned() } else { format!("\"{name}\"") }
}

fn names(columns: &[String]) -> String {
    columns
        .iter()
        .map(|name| if name == "key" { name.clone() } else { quoted(name) })
        .collect::<Vec<_>>()
        .join(", ")
}

/// What a schema holds, a line for each thing.
pub async fn found(connection: &mut PgConnection, schema: &str) -> BTreeSet<String> {
    let schema = format!("\"{}\"", schema.replace('"', "\"\""));
    // format_type leaves the schema away for what the search path finds first.
    execute(connection, &format!("SET search_path = {schema}, pg_catalog")).await;
    let lines: Vec<String> =
        sqlx::query_scalar(CATALOG).bind(&schema).fetch_all(&mut *connection).await.unwrap();
    execute(connection, "RESET search_path").await;
    let count = lines.len();
    let lines: BTreeSet<_> = lines.into_iter().collect();
    assert_eq!(lines.len(), count, "the catalog holds something twice");
    lines
}

/// Says what is added and what is missing.
pub fn assert_equal(found: &BTreeSet<String>, expected: &BTreeSet<String>, what: &str) {
    let added: Vec<_> = found.difference(expected).collect();
    let missing: Vec<_> = expected.difference(found).collect();
    assert!(added.is_empty() && missing.is_empty(), "{what}: added {added:#?}, missing {missing:#?}");
}

#[tokio::test]
async fn every_release_is_built_as_the_facts_have_it() {
    let database = TestDatabase::empty().await;
    let mut connection = database.connect().await;
    for release in Release::all() {
        let schema = format!("release {release}");
        create_release_schema(&mut connection, &schema, release).await.unwrap();
        assert_equal(&found(&mut connection, &schema).await, &expected(release), release.version());

        let rows: Vec<(String, String, bool, bool)> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "SELECT migration_name, checksum, finished_at IS NOT NULL, rolled_back_at IS NOT NULL
             FROM \"{schema}\"._prisma_migrations ORDER BY started_at"
        )))
        .fetch_all(&mut connection)
        .await
        .unwrap();
        let rows: Vec<_> = rows
            .into_iter()
            .map(|(name, checksum, finished, rolled_back)| HistoryRow {
                name,
                checksum,
                finished,
                rolled_back,
            })
            .collect();
        assert!(rows.iter().map(|row| &row.name).eq(release.migrations().map(|m| &m.name)), "{release}");
        let range = MigrationHistory::from_rows(&rows).range.unwrap();
        assert!(range.contains(release), "{release} reads as {range}");
    }
}

#[tokio::test]
async fn any_schema_name_works_and_templates_are_equal() {
    for schema in ["public", "evolution_api", "we\"ird"] {
        let database = TestDatabase::new("2.4.0-rc2", schema).await;
        let mut connection = database.connect().await;
        assert_equal(&found(&mut connection, schema).await, &expected(Release::newest()), schema);
    }
}

#[tokio::test]
async fn existing_objects_are_not_changed() {
    let database = TestDatabase::new("2.1.1", "public").await;
    let mut connection = database.connect().await;
    let newer = Release::newest();
    let error = create_release_schema(&mut connection, "public", newer).await.unwrap_err();
    assert!(format!("{error:#}").contains("already exists"), "{error:#}");
    assert_equal(
        &found(&mut connection, "public").await,
        &expected(Release::find("2.1.1").unwrap()),
        "after a refused build",
    );
}

#[tokio::test]
async fn databases_of_two_tests_are_separate() {
    let (one, other) =
        (TestDatabase::new("2.1.1", "public").await, TestDatabase::new("2.1.1", "public").await);
    execute(&mut one.connect().await, "DROP TABLE public.\"Chat\" CASCADE").await;
    let mut connection = PgConnection::connect(&other.url()).await.unwrap();
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM public.\"Chat\"").fetch_one(&mut connection).await.unwrap();
    assert_eq!(count, 0);

    let name = one.name().to_owned();
    drop(one);
    let is_left: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(name)
        .fetch_one(&mut other.connect().await)
        .await
        .unwrap();
    assert!(!is_left, "a dropped database is still there");
}
