//! Promise 7: a fix that destroys needs consent.

use serde_json::json;

use crate::support::database::{TestDatabase, execute};
use crate::support::database_dump::state;
use crate::support::fixtures::Fixture;
use crate::support::program::on;

#[tokio::test]
async fn nothing_happens_without_consent() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let (url, mut connection) = (database.url(), database.connect().await);
    let before = state(&mut connection, &[]).await;

    // The plan names the hazards, for people and for programs, and what to type.
    let shown = on(&url, &["fix", "EVO101"]).ends(1).stdout;
    assert!(shown.contains("deletes-rows, changes-rows"), "{shown}");
    assert!(shown.contains("--apply --allow deletes-rows,changes-rows"), "{shown}");
    let report = on(&url, &["fix", "EVO101", "--format", "json"]).ends(1).json();
    assert_eq!(
        report["fixes"][0]["hazards"],
        json!(["deletes-rows", "changes-rows", "blocks-writes"]),
        "a superuser's undo is exact, so limits-undo is not real here"
    );

    on(&url, &["fix", "EVO101", "--apply"])
        .ends(2)
        .complains(&["deletes-rows, changes-rows", "nothing has been changed"])
        .complains(&["add --allow deletes-rows,changes-rows"]);
    // Only what is missing is asked for.
    let run = on(&url, &["fix", "EVO101", "--apply", "--allow", "changes-rows"]).ends(2);
    assert!(run.stderr.contains("hazards without consent: deletes-rows;"), "{}", run.stderr);
    let run = on(&url, &["fix", "EVO101", "--apply", "--allow", "deletes-rows"]).ends(2);
    assert!(run.stderr.contains("hazards without consent: changes-rows;"), "{}", run.stderr);
    // A hazard that needs no consent does not stand for one that does.
    on(&url, &["fix", "EVO101", "--apply", "--allow", "blocks-writes"]).ends(2);
    // Together with fixes that need none: all or nothing.
    on(&url, &["fix", "--apply"]).ends(2);
    assert_eq!(state(&mut connection, &[]).await, before);

    on(&url, &["fix", "EVO101", "--apply", "--allow", "changes-rows", "--allow", "deletes-rows"]).ends(0);
}

#[tokio::test]
async fn an_unknown_hazard_is_refused_before_anything_is_done() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let (url, mut connection) = (database.url(), database.connect().await);
    let before = state(&mut connection, &[]).await;
    on(&url, &["fix", "--apply", "--allow", "delete-rows"])
        .ends(2)
        .complains(&["did you mean --allow deletes-rows?"]);
    on(&url, &["fix", "--apply", "--allow", "everything"]).ends(2).complains(&["hazards are deletes-rows"]);
    assert_eq!(state(&mut connection, &[]).await, before);
}

/// Hazards are those of this database, not those that the fix could have.
#[tokio::test]
async fn only_real_hazards_need_consent() {
    let database = TestDatabase::new("2.1.1", "evolution_api").await;
    let (url, mut connection) = (database.url(), database.connect().await);
    execute(
        &mut connection,
        r#"INSERT INTO evolution_api."Instance" ("id", "name", "connectionStatus") VALUES ('i1', 'alpha', 'open');
        SET session_replication_role = replica;
        INSERT INTO evolution_api."TypebotSetting" ("id", "typebotIdFallback", "updatedAt", "instanceId")
            VALUES ('t1', 'gone', '2024-10-01', 'i1')"#,
    )
    .await;
    let report = on(&url, &["fix", "--format", "json"]).ends(1).json();
    assert_eq!(report["fixes"][0]["hazards"], json!(["changes-rows", "blocks-writes"]));
    let run = on(&url, &["fix", "--apply"]).ends(2);
    assert!(run.stderr.contains("hazards without consent: changes-rows;"), "{}", run.stderr);
    on(&url, &["fix", "--apply", "--allow", "changes-rows"]).ends(0);
    on(&url, &["check"]).ends(0);
}

/// A fix that loses nothing asks for nothing.
#[tokio::test]
async fn a_safe_fix_needs_no_consent() {
    let stem = "EVO202_openai_api_key_unique_across_instances";
    let database = Fixture::read(stem, "bad").database("evolution_api").await;
    on(&database.url(), &["fix", "EVO202", "--apply"]).ends(0);
}

/// A dry run fires the users' triggers, and what they do beyond the transaction stays: on a live server only with consent.
#[tokio::test]
async fn a_dry_run_fires_no_trigger_without_consent() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let mut connection = database.connect().await;
    let trigger = r#"CREATE SEQUENCE public.fired;
        CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM nextval(''public.fired''); RETURN OLD; END';
        CREATE TRIGGER note BEFORE DELETE ON evolution_api."Message" FOR EACH ROW EXECUTE FUNCTION public.note()"#;
    execute(&mut connection, trigger).await;
    let fired = async |connection: &mut sqlx::PgConnection| -> bool {
        sqlx::query_scalar("SELECT is_called FROM public.fired")
            .fetch_one(connection)
            .await
            .expect("a sequence")
    };
    on(&database.url(), &["fix", "EVO101"]).ends(2).complains(&[
        "does not fire the triggers of \"Message\"",
        "note",
        "--allow fires-triggers",
        "--snapshot FILE",
    ]);
    assert!(!fired(&mut connection).await);
    // What touches no row fires nothing.
    on(&database.url(), &["fix", "EVO202"]);
    assert!(!fired(&mut connection).await);
    on(&database.url(), &["fix", "EVO101", "--allow", "fires-triggers"]).ends(1);
    assert!(fired(&mut connection).await, "with consent it is as it will be");
    on(&database.url(), &["fix", "EVO101", "--apply", "--allow", "deletes-rows,changes-rows"]).ends(0);
}
