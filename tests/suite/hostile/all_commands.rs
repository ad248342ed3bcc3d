//! All commands, one after the other, and what they say: two databases that mean the same tell the same story.

use evodoctor::database::ident::SqlFragment;
use evodoctor::database::sql_file::{SqlFile, Variables, embedded_file, render};
use serde_json::Value;
use sqlx::PgConnection;

use crate::support::database::{TestDatabase, execute};
use crate::support::program::on;

/// Fields that differ from run to run, or from database to database.
const FLEETING: &[&str] = &[
    "age_seconds",
    "kept_bytes",
    "pruned_at",
    "storage",
    "duration_ms",
    "held_ms",
    "finding_ms",
    "locked_ms",
    "applied_at",
    "undone_at",
    "database",
    "plan_hash",
    "bytes_per_second",
    "seconds",
    "estimate",
];

/// What a command was, how it ended, and what it said.
pub type Chapter = (String, Option<i32>, Value);

/// A database of 2.1.1 with the failures of `evodoctor demo`: half of all checks find something in it.
pub async fn troubled(schema: &str) -> (TestDatabase, PgConnection) {
    let database = TestDatabase::new("2.1.1", schema).await;
    let mut connection = database.connect().await;
    fill(&mut connection, schema).await;
    (database, connection)
}

/// Fills a database of 2.1.1 with those failures.
pub async fn fill(connection: &mut PgConnection, schema: &str) {
    for statement in SqlFile::parse(embedded_file("sql/demo/failures.sql")).statements {
        let sql = render(&statement, &Variables::for_schema(schema)).expect("the schema is all it needs");
        execute(connection, &sql).await;
    }
    // Rows that are made a moment later are the same rows.
    let fix_time = format!(
        r#"DO $made$ DECLARE made record; BEGIN
            FOR made IN SELECT attrelid::regclass AS relation FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
                WHERE a.attname = 'createdAt' AND c.relkind = 'r' AND c.relnamespace = {}::regnamespace
            LOOP EXECUTE format('UPDATE %s SET "createdAt" = %L', made.relation, '2024-10-01'); END LOOP; END $made$;
        RESET session_replication_role"#,
        SqlFragment::literal(SqlFragment::ident(schema).as_str())
    );
    execute(connection, &fix_time).await;
}

/// Checks, repairs, undoes, previews and lists: every command on a database, as a dry run and with `--apply`.
pub fn story(url: &str) -> Vec<Chapter> {
    let consent =
        ["--apply", "--allow", "deletes-rows,changes-rows,blocks-writes,rewrites-table,limits-undo"];
    let with_consent = |first: &[&'static str]| [first, &consent[..]].concat();
    let chapters: Vec<Vec<&str>> = vec![
        vec!["check"],
        vec!["check", "--paranoid"],
        vec!["preflight", "--to", "2.3.7"],
        vec!["credentials", "list"],
        vec!["fix"],
        with_consent(&["fix"]),
        vec!["credentials", "share", "cm2credential0001", "beta store", "--apply"],
        vec!["credentials", "release", "cm2credential0001"],
        vec!["history"],
        vec!["undo", "2", "--apply"],
        vec!["undo", "1", "--apply"],
        with_consent(&["fix", "EVO608", "--to", "2.3.7"]),
        vec!["check"],
    ];
    chapters.iter().map(|arguments| chapter(url, arguments)).collect()
}

fn chapter(url: &str, arguments: &[&str]) -> Chapter {
    let run = on(url, &[arguments, &["--format", "json", "--show-rows"]].concat());
    let mut said = match serde_json::from_str(&run.stdout) {
        Ok(json) => json,
        Err(_) => Value::from(format!("{}{}", run.stdout, run.stderr)),
    };
    settle(&mut said);
    (arguments.join(" "), run.code, said)
}

fn settle(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !FLEETING.contains(&name.as_str()));
            fields.values_mut().for_each(settle);
        }
        Value::Array(items) => items.iter_mut().for_each(settle),
        _ => {}
    }
}

/// Panics with the first difference.
#[track_caller]
pub fn assert_same(what: &str, plain: &[Chapter], other: &[Chapter]) {
    for (left, right) in plain.iter().zip(other) {
        if left != right {
            let show = |chapter: &Chapter| format!("exit {:?}\n{:#}", chapter.1, chapter.2);
            let (left_text, right_text) = (show(left), show(right));
            let diff: Vec<String> = similar::TextDiff::from_lines(&left_text, &right_text)
                .unified_diff()
                .context_radius(3)
                .to_string()
                .lines()
                .take(80)
                .map(str::to_owned)
                .collect();
            panic!("{what}: {} differs\n{}", left.0, diff.join("\n"));
        }
    }
    assert_eq!(plain.len(), other.len());
}
