//! Every fix of a check, from the rehearsal to the undo: promises 2, 5 and 6 of the design, on the fixture of each. Those of
//! hazards are in `beforehand.rs`.

use evodoctor::checks::check::all_checks;

use crate::support::database_dump::state;
use crate::support::fixtures::Fixture;
use crate::support::program::evodoctor;

const CONSENT: &str = "deletes-rows,changes-rows";

/// The dry run, the fix, the fix once more, the dry run of undo, and undo, on the bad fixture of the fix's check.
async fn applies_and_undoes(stem: &str) {
    let (code, _) = stem.split_once('_').expect("a code and a name");
    let database = Fixture::read(stem, "bad").database("evolution_api").await;
    let url = database.url();
    let mut connection = database.connect().await;
    let before = state(&mut connection, &[]).await;
    let of_others = state(&mut connection, &["evodoctor"]).await;

    // Promise 2: a dry run is dry, and says so with its exit code.
    let run = evodoctor(&["fix", code, "--database-url", &url]);
    assert_eq!(run.code, Some(1), "{code}: {}{}", run.stdout, run.stderr);
    assert_eq!(state(&mut connection, &[]).await, before, "{code}: the dry run left something behind");

    // It applies, and the check is clean.
    let run =
        evodoctor(&["fix", code, "--apply", "--allow", CONSENT, "--format", "json", "--database-url", &url]);
    assert_eq!(run.code, Some(0), "{code}: {}{}", run.stdout, run.stderr);
    assert_eq!(run.json()["run"]["applied"], true);
    let number = run.json()["run"]["id"].to_string();
    let run = evodoctor(&["check", "--select", code, "--fail-on", "advice", "--database-url", &url]);
    assert_eq!(run.code, Some(0), "{code} is still found: {}", run.stdout);
    let repaired = state(&mut connection, &[]).await;
    assert_ne!(repaired, before);

    // Promise 6: a second time there is nothing to do.
    let run = evodoctor(&["fix", code, "--apply", "--allow", CONSENT, "--database-url", &url]);
    assert_eq!(run.code, Some(0), "{code}: {}", run.stderr);
    assert!(run.stdout.contains("nothing to do"), "{}", run.stdout);
    assert_eq!(state(&mut connection, &[]).await, repaired, "{code}: the second run changed something");

    // Undo is rehearsed as dryly as the fix, then restores schema and rows identically.
    let run = evodoctor(&["undo", &number, "--database-url", &url]);
    assert_eq!(run.code, Some(1), "{code}: {}{}", run.stdout, run.stderr);
    assert_eq!(state(&mut connection, &[]).await, repaired, "{code}: the undo's dry run left something");
    let run = evodoctor(&["undo", &number, "--apply", "--database-url", &url]);
    assert_eq!(run.code, Some(0), "{code}: {}{}", run.stdout, run.stderr);
    assert_eq!(
        state(&mut connection, &["evodoctor"]).await,
        of_others,
        "{code}: undo did not restore everything"
    );
}

mod each_fix {
    macro_rules! case {
        // Fixes of hazards are in `hazard_fixes.rs`, and what is good needs none.
        ($case:ident, $stem:literal, "bad") => {
            #[tokio::test]
            async fn $case() {
                if super::all_checks().iter().any(|check| check.stem == $stem) {
                    super::applies_and_undoes($stem).await;
                }
            }
        };
        ($case:ident, $stem:literal, $name:literal) => {};
    }
    each_fix!(case);
}

#[tokio::test]
async fn all_fixes_together_compose_and_undo_in_reverse() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("we\"ird").await;
    let url = database.url();
    let mut connection = database.connect().await;
    let before = state(&mut connection, &[]).await;
    let run = evodoctor(&["fix", "--apply", "--allow", CONSENT, "--format", "json", "--database-url", &url]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let report = run.json();
    let codes: Vec<&str> =
        report["fixes"].as_array().unwrap().iter().map(|fix| fix["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["EVO101", "EVO201", "EVO202", "EVO203", "EVO204"]);
    // Advice that blocks nothing here is fixed only when it is named.
    let check = ["check", "--fail-on", "advice", "--ignore", "EVO211", "--database-url", &url];
    assert_eq!(evodoctor(&check).code, Some(0));
    let run = evodoctor(&["undo", "1", "--apply", "--database-url", &url]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert_eq!(state(&mut connection, &["evodoctor"]).await, before);
}

/// Every failure at once ends clean in one run, in an order that the tool works out, and comes back in one undo.
#[tokio::test]
async fn all_failures_at_once_are_fixed_and_undone() {
    for schema in ["evolution_api", "we\"ird"] {
        let database = Fixture::read("EVO101_orphaned_reference", "everything").database(schema).await;
        let url = database.url();
        let mut connection = database.connect().await;
        let before = state(&mut connection, &[]).await;
        let run =
            evodoctor(&["fix", "--apply", "--allow", CONSENT, "--format", "json", "--database-url", &url]);
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        let report = run.json();
        let codes: Vec<&str> =
            report["fixes"].as_array().unwrap().iter().map(|fix| fix["code"].as_str().unwrap()).collect();
        let all = [
            "EVO101", "EVO102", "EVO103", "EVO104", "EVO107", "EVO108", "EVO109", "EVO201", "EVO202",
            "EVO203", "EVO204", "EVO205", "EVO206", "EVO207", "EVO208", "EVO211", "EVO301", "EVO305",
        ];
        assert_eq!(codes, all);
        let run = evodoctor(&["check", "--database-url", &url]);
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        let run = evodoctor(&["undo", "1", "--apply", "--database-url", &url]);
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        assert_eq!(state(&mut connection, &["evodoctor"]).await, before);
    }
}

/// A finding in a form that the fix could not put back is left alone, and said.
#[tokio::test]
async fn unforeseen_forms_are_left_to_a_person() {
    for stem in [
        "EVO201_openai_credential_delete_blocked",
        "EVO202_openai_api_key_unique_across_instances",
        "EVO203_openai_credential_name_unique_across_instances",
        "EVO204_openai_credential_single_setting",
        "EVO103_duplicate_key",
        "EVO205_chat_index_missing",
        "EVO207_key_not_validated",
        "EVO208_invalid_index",
        "EVO211_column_too_short",
    ] {
        let database = Fixture::read(stem, "unforeseen").database("evolution_api").await;
        let mut connection = database.connect().await;
        let before = state(&mut connection, &[]).await;
        let run = evodoctor(&["fix", &stem[..6], "--apply", "--database-url", &database.url()]);
        assert_eq!(run.code, Some(1), "{stem}: {}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains("left to you"), "{}", run.stdout);
        assert_eq!(state(&mut connection, &[]).await, before, "{stem}");
    }
}

/// Merging a person's two chats is chosen by a person: no severity takes it along.
#[tokio::test]
async fn a_merge_of_chats_is_taken_only_when_it_is_named() {
    let database = Fixture::read("EVO112_contact_in_two_chats", "bad").database("evolution_api").await;
    let url = database.url();
    let fixes = |arguments: &[&str]| {
        let run = evodoctor(&[&["fix", "--format", "json", "--database-url", &url], arguments].concat());
        let fixes = run.json()["fixes"].clone();
        fixes.as_array().unwrap().iter().any(|fix| fix["code"] == "EVO112")
    };
    assert!(!fixes(&["--fail-on", "advice"]));
    assert!(fixes(&["EVO112"]));
}

/// The index of the hot look-up is used by it, is built without blocking writers, and undo takes it away.
#[tokio::test]
async fn the_index_of_a_hot_lookup_is_used_and_built_online() {
    use sqlx::{AssertSqlSafe, Executor, Row};
    let database = crate::support::database::TestDatabase::new("2.3.7", "evolution_api").await;
    let url = database.url();
    let mut connection = database.connect().await;
    let sql = r#"SET search_path = evolution_api;
        INSERT INTO "Instance" ("id", "name", "connectionStatus", "token") VALUES ('i1', 'alpha', 'open', 't1');
        INSERT INTO "Message" ("id", "key", "messageType", "message", "source", "messageTimestamp", "instanceId")
            SELECT 'm' || n, pg_catalog.jsonb_build_object('id', 'K' || n, 'remoteJid', '1@s.whatsapp.net'), 'conversation', '{}', 'ios', n, 'i1'
            FROM pg_catalog.generate_series(1, 60000) AS n;
        ANALYZE "Message";"#;
    connection.execute(sqlx::raw_sql(sql)).await.expect("the rows go in");
    let plan = r#"EXPLAIN SELECT * FROM evolution_api."Message" WHERE "instanceId" = 'i1' AND "key" ->> 'id' = 'K500' LIMIT 1"#;
    let before = state(&mut connection, &["evodoctor"]).await;
    let run = evodoctor(&["check", "--select", "EVO212", "--database-url", &url]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    let run =
        evodoctor(&["fix", "EVO212", "--online", "--apply", "--format", "json", "--database-url", &url]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let number = run.json()["run"]["id"].to_string();
    let rows = connection.fetch_all(sqlx::query(AssertSqlSafe(plan))).await.expect("a plan");
    let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert!(lines.join("\n").contains("Message_instanceId_key_id_evodoctor_idx"), "{lines:?}");
    let run =
        evodoctor(&["check", "--fail-on", "advice", "--select", "EVO206,EVO212", "--database-url", &url]);
    assert_eq!(run.code, Some(0), "neither found again nor a drift: {}", run.stdout);
    let run = evodoctor(&["undo", &number, "--apply", "--database-url", &url]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert_eq!(state(&mut connection, &["evodoctor"]).await, before);
}
