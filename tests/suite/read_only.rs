//! Promise 1: `check` changes nothing, and needs nothing but to read. What it may not read is undecided, never clean.

use serde_json::Value;

use crate::support::database::{TestDatabase, execute};
use crate::support::database_dump::state;
use crate::support::fixtures::Fixture;
use crate::support::program::on;
use crate::support::roles;

fn check<'a>(report: &'a Value, code: &str) -> &'a Value {
    let checks = report["checks"].as_array().expect("a list");
    checks.iter().find(|check| check["code"] == code).expect("the check was run")
}

#[tokio::test]
async fn a_role_that_may_only_select_is_enough() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let mut connection = database.connect().await;
    let role = roles::reader(&mut connection, "evolution_api").await;
    let before = state(&mut connection, &[]).await;
    // Each run has its own pseudonyms.
    let check = ["check", "--format", "json", "--show-rows"];
    let report = on(&database.url_as(&role), &check).ends(1).json();
    let powerful = on(&database.url(), &check).ends(1).json();
    assert_eq!(report["findings"], powerful["findings"], "a reader sees less than a superuser");
    assert_eq!(report["summary"]["undecided"], 0);
    on(&database.url_as(&role), &["history"]).ends(0);
    assert_eq!(state(&mut connection, &[]).await, before);
}

#[tokio::test]
async fn a_table_that_may_not_be_read_is_undecided() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let mut connection = database.connect().await;
    let role = roles::reader(&mut connection, "evolution_api").await;
    execute(&mut connection, &format!(r#"REVOKE SELECT ON evolution_api."OpenaiCreds" FROM {role}"#)).await;
    let report = on(&database.url_as(&role), &["check", "--format", "json"]).ends(3).json();
    for code in ["EVO101", "EVO202", "EVO203"] {
        let check = check(&report, code);
        assert_eq!(check["outcome"], "undecided", "{check}");
        let reason = check["reason"].as_str().expect("a reason");
        assert!(reason.contains(&role) && reason.contains("OpenaiCreds"), "{reason}");
        assert!(reason.contains("GRANT SELECT"), "{reason}");
    }
    // The others still run: it is advice on an empty database.
    assert_eq!(check(&report, "EVO204")["outcome"], "found");

    // What can be read is compared, and counts.
    execute(
        &mut connection,
        r#"SET session_replication_role = replica;
        INSERT INTO evolution_api."Session" ("id", "sessionId") VALUES ('x', 'gone')"#,
    )
    .await;
    let report = on(&database.url_as(&role), &["check", "--format", "json"]).ends(1).json();
    let orphans = check(&report, "EVO101");
    assert_eq!(orphans["outcome"], "found");
    assert!(orphans["reason"].as_str().expect("not all was compared").contains("OpenaiCreds"), "{orphans}");
}

/// What to type is said, and a grant on every column is as good as one on the table.
#[tokio::test]
async fn missing_grants_are_named_and_column_grants_suffice() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let mut connection = database.connect().await;
    let role = roles::reader(&mut connection, "evolution_api").await;
    execute(&mut connection, &format!(r#"REVOKE SELECT ON evolution_api."_prisma_migrations" FROM {role}"#))
        .await;
    let columns = "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
                   WHERE attrelid = 'evolution_api._prisma_migrations'::regclass AND attnum > 0";
    let columns: String = sqlx::query_scalar(columns).fetch_one(&mut connection).await.expect("a list");
    let grant = format!(r#"GRANT SELECT ({columns}) ON evolution_api."_prisma_migrations" TO {role}"#);
    execute(&mut connection, &grant).await;
    let report = on(&database.url_as(&role), &["check", "--format", "json"]).json();
    assert_eq!(report["summary"]["undecided"], 0, "{report:#}");

    execute(&mut connection, &format!(r#"REVOKE SELECT ON evolution_api."OpenaiCreds" FROM {role}"#)).await;
    let report = on(&database.url_as(&role), &["check", "--format", "json"]).json();
    let reason = check(&report, "EVO101")["reason"].as_str().expect("a reason").to_owned();
    assert!(
        reason.contains(&format!(r#"GRANT SELECT ON "evolution_api"."OpenaiCreds" TO "{role}""#)),
        "{reason}"
    );

    execute(&mut connection, &format!("REVOKE USAGE ON SCHEMA evolution_api FROM {role}")).await;
    let report = on(&database.url_as(&role), &["check", "--format", "json"]).json();
    assert_ne!(report["summary"]["undecided"], 0);
    let reason = check(&report, "EVO101")["reason"].as_str().expect("a reason").to_owned();
    let grant = format!(r#"GRANT USAGE ON SCHEMA "evolution_api" TO "{role}""#);
    assert!(reason.contains(&grant), "{reason}");
    // What is the same for all of them is reported once, and a table that may not be seen is not reported as missing.
    let text = on(&database.url_as(&role), &["check"]).stdout;
    let unbroken = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(unbroken.matches(&grant).count(), 1, "{text}");
    assert!(!unbroken.contains("there is no _prisma_migrations"), "{text}");
}

/// Without Prisma's history the release is unknown, but the other checks still run.
#[tokio::test]
async fn an_unreadable_history_is_an_unknown_release() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let mut connection = database.connect().await;
    let role = roles::reader(&mut connection, "evolution_api").await;
    execute(&mut connection, &format!(r#"REVOKE SELECT ON evolution_api."_prisma_migrations" FROM {role}"#))
        .await;
    let report = on(&database.url_as(&role), &["check", "--format", "json"]).ends(3).json();
    assert_eq!(check(&report, "EVO101")["outcome"], "undecided");
    assert_eq!(check(&report, "EVO202")["outcome"], "found");
}

#[tokio::test]
async fn row_level_security_makes_checks_undecided() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let mut connection = database.connect().await;
    let role = roles::reader(&mut connection, "evolution_api").await;
    // The orphan is the row that the policy hides.
    execute(
        &mut connection,
        r#"SET session_replication_role = replica;
        INSERT INTO evolution_api."Session" ("id", "sessionId") VALUES ('x', 'gone');
        INSERT INTO evolution_api."Session" ("id", "sessionId") VALUES ('y', 'seen');
        ALTER TABLE evolution_api."Session" ENABLE ROW LEVEL SECURITY;
        CREATE POLICY visible ON evolution_api."Session" FOR SELECT USING ("id" = 'y');
        INSERT INTO evolution_api."Instance" ("id", "name") VALUES ('seen', 'alpha')"#,
    )
    .await;
    let report = on(&database.url_as(&role), &["check", "--format", "json"]).ends(3).json();
    let orphans = check(&report, "EVO101");
    assert_eq!(orphans["outcome"], "undecided", "{orphans}");
    let reason = orphans["reason"].as_str().expect("a reason");
    assert!(reason.contains("Session") && reason.contains("row-level security"), "{reason}");
    assert!(!reason.contains("GRANT SELECT"), "a grant does not help: {reason}");
    on(&database.url(), &["check"]).ends(1);
}
