//! What `preflight` says is to be done before the upgrade: what keeps Prisma from starting, fixes that conflict with a
//! migration, and a script of all of it.

use evodoctor::evolution::release::Release;
use serde_json::json;

use super::preflight;
use crate::support::database::{TestDatabase, execute};
use crate::support::fixtures::Fixture;
use crate::support::program::{on, shell};
use crate::support::upgrade::upgrade;

#[tokio::test]
async fn blockers_of_prisma_come_first() {
    let database = TestDatabase::new("2.3.3", "evolution_api").await;
    let mut connection = database.connect().await;
    execute(
        &mut connection,
        r#"INSERT INTO evolution_api."_prisma_migrations" ("id", "checksum", "migration_name")
           VALUES ('x', 'x', '20250918182355_add_kafka_integration')"#,
    )
    .await;
    let report = preflight(&database.url(), "2.3.7", 1);
    assert_eq!(report["preflight"]["starts"], false);
    assert_eq!(report["preflight"]["before"][0], "evodoctor fix EVO301");
    assert!(report["findings"].as_array().expect("a list").iter().any(|finding| finding["code"] == "EVO301"));
    for one in report["preflight"]["pending"].as_array().expect("a list") {
        assert_eq!((&one["reached"], &one["outcome"]), (&json!(false), &json!("passes")));
    }
    let run = on(&database.url(), &["preflight", "--to", "2.3.7", "--resolve"]).ends(1);
    assert!(run.stdout.ends_with("\nrepair '--allow changes-rows' EVO301\n"), "{}", run.stdout);
    let folder = tempfile::tempdir().expect("a folder");
    shell(&run.stdout, &database.url(), folder.path()).ends(0);
    assert_eq!(preflight(&database.url(), "2.3.7", 0)["preflight"]["starts"], true);
    execute(
        &mut connection,
        r#"UPDATE evolution_api."_prisma_migrations" SET "rolled_back_at" = NULL WHERE "id" = 'x'"#,
    )
    .await;

    execute(&mut connection, r#"DROP TABLE evolution_api."_prisma_migrations""#).await;
    let report = preflight(&database.url(), "2.3.7", 1);
    assert_eq!(report["preflight"]["starts"], false);
    assert_eq!(report["findings"][0]["code"], "EVO302");
}

/// EVO205 makes the index under a name of its own: upstream's migration passes. An index under upstream's name does not.
#[tokio::test]
async fn applied_fixes_are_compared_with_migrations() {
    let database = Fixture::read("EVO205_chat_index_missing", "bad").database("evolution_api").await;
    let url = database.url();
    on(&url, &["fix", "EVO205", "--apply", "--allow", "deletes-rows,changes-rows"]).ends(0);
    let report = preflight(&url, "2.3.7", 0);
    let meeting = &report["preflight"]["fixes"][0];
    assert_eq!((&meeting["code"], &meeting["run"]), (&json!("EVO205"), &json!(1)));
    assert!(meeting["migration"].as_str().expect("a name").starts_with("20251122003044"));
    assert_eq!(meeting["compatible"], true);
    let mut connection = database.connect().await;
    let target = Release::find("2.3.7").expect("known");
    assert!(upgrade(&mut connection, "evolution_api", target).await.is_ok());

    let database = Fixture::read("EVO211_column_too_short", "bad").database("evolution_api").await;
    on(&database.url(), &["fix", "EVO211", "--apply"]).ends(0);
    let mut connection = database.connect().await;
    execute(
        &mut connection,
        r#"CREATE VIEW evolution_api.v AS SELECT "token" FROM evolution_api."Instance""#,
    )
    .await;
    let report = preflight(&database.url(), "2.4.0-rc1", 1);
    let meeting = &report["preflight"]["fixes"][0];
    // It fails because of the view, which undoing the fix would not change.
    assert_eq!((&meeting["code"], &meeting["compatible"]), (&json!("EVO211"), &json!(true)));
}

/// An index that a fix made, and that a migration then wants to create: its record was removed.
#[tokio::test]
async fn a_fix_that_conflicts_with_a_migration_is_undone_first() {
    let database = TestDatabase::new("2.2.0", "evolution_api").await;
    let mut connection = database.connect().await;
    execute(&mut connection, r#"DROP INDEX evolution_api."Chat_remoteJid_idx""#).await;
    on(&database.url(), &["fix", "EVO206", "--apply"]).ends(0);
    execute(
        &mut connection,
        r#"DELETE FROM evolution_api."_prisma_migrations" WHERE "migration_name" = '20241017144950_create_index'"#,
    )
    .await;
    let report = preflight(&database.url(), "2.2.0", 1);
    let meeting = &report["preflight"]["fixes"][0];
    assert_eq!((&meeting["code"], &meeting["compatible"]), (&json!("EVO206"), &json!(false)));
    let run = on(&database.url(), &["preflight", "--to", "2.2.0", "--resolve"]).ends(1);
    assert!(
        run.stdout.contains("\nevodoctor undo 1 --apply --database-url \"$DATABASE_CONNECTION_URI\"\n"),
        "{}",
        run.stdout
    );
}

/// The list of steps can be run as it is: repairs with a plan, and SQL.
#[tokio::test]
async fn the_resolve_script_runs_to_its_end() {
    for (stem, to) in [("EVO608_contact_cleanup", "2.3.7"), ("EVO606_sessions_refuse_new_status", "2.0.4")] {
        let fixture = Fixture::read(stem, "bad");
        let database = fixture.database("evolution_api").await;
        // Parameters of Prisma's, which psql refuses.
        let url = format!("{}&schema=evolution_api&connection_limit=5", database.url());
        let script = on(&url, &["preflight", "--to", to, "--resolve"]).ends(1).stdout;
        let folder = tempfile::tempdir().expect("a folder");
        shell(&script, &url, folder.path()).ends(0);
        let code = &stem[..6];
        let left = preflight(&url, to, 0);
        let findings = left["findings"].as_array().expect("a list").iter();
        assert!(findings.clone().all(|finding| finding["code"] != code), "{left:#}");
        let is_there = folder.path().join(format!("before-upgrade-{code}.json")).exists();
        assert_eq!(is_there, code == "EVO608", "a repair leaves its plan");
    }
}
