//! An older server on newer tables: the answer of `preflight --to OLDER`, also after the tables were changed.

use serde_json::{Value, json};

use crate::support::database::{TestDatabase, execute};
use crate::support::program::on;

const SCHEMA: &str = "evolution_api";

fn answer(url: &str, to: &str, exit: i32) -> Value {
    on(url, &["preflight", "--to", to, "--format", "json"]).ends(exit).json()
}

/// The objects with one effect.
fn objects(report: &Value, effect: &str) -> Vec<String> {
    let all = report["preflight"]["way_back"]["differences"].as_array().expect("a list").iter();
    let of_effect = all.filter(|one| one["effect"] == effect);
    of_effect.map(|one| one["object"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn the_answer_follows_the_facts_unless_tables_were_changed() {
    let database = TestDatabase::new("2.4.0-rc2", SCHEMA).await;
    let url = database.url();
    let mut connection = database.connect().await;
    execute(&mut connection, "SET search_path = evolution_api").await;

    // Seen, and nothing is there that 2.3.7 would miss. Its message keys are as those of 2.4.
    let report = answer(&url, "2.3.7", 0);
    let way_back = &report["preflight"]["way_back"];
    assert_eq!((&way_back["verdict"], &way_back["proof"]), (&json!("runs"), &json!("seen")));
    assert_eq!(way_back["ignored"].as_array().map(Vec::len), Some(2));
    assert_eq!(report["findings"], json!([]));
    on(&url, &["preflight", "--to", "2.3.7"]).ends(0).says(&[
        "2.3.7 runs on these tables as they are: tested",
        "ignores 2 newer migrations in the history",
        "20260506184850_add_runtime_config",
        "2.3.7 asks for no licence",
        "# start evoapicloud/evolution-api:v2.3.7 on the same database",
    ]);
    on(&url, &["preflight", "--to", "2.2.3", "--resolve"]).ends(0).says(&["atendai/evolution-api:v2.2.3"]);

    // Rows in tables and columns that the older server does not know are counted.
    execute(
        &mut connection,
        r#"INSERT INTO "Instance" ("id", "name", "connectionStatus") VALUES ('i', 'one', 'open');
           INSERT INTO "Chat" ("id", "remoteJid", "instanceId", "unreadMessages") VALUES ('c', 'x', 'i', 3), ('d', 'y', 'i', 0);
           INSERT INTO "Nats" ("id", "events", "updatedAt", "instanceId") VALUES ('n', '[]', now(), 'i')"#,
    )
    .await;
    let report = answer(&url, "2.1.1", 0);
    let told = |object: &str| {
        let findings = report["findings"].as_array().expect("a list");
        findings
            .iter()
            .find(|one| one["subject"] == object)
            .map(|one| (one["code"].clone(), one["count"].clone()))
    };
    assert_eq!(told("Nats"), Some((json!("EVO620"), json!(1))));
    assert_eq!(told("Chat.unreadMessages"), Some((json!("EVO620"), json!(1))));
    assert_eq!(told("Message.key").map(|(code, _)| code), Some(json!("EVO620")));
    assert_eq!(told("Kafka"), None, "nobody misses an empty table");
    // As everywhere, what counts is a matter of --fail-on.
    on(&url, &["preflight", "--to", "2.1.1", "--fail-on", "advice"]).ends(1);
    on(&url, &["preflight", "--to", "2.1.1", "--fail-on", "advice", "--ignore", "EVO620"]).ends(0);

    // A dropped unique index: that was never tested.
    execute(&mut connection, r#"DROP INDEX "Chat_instanceId_remoteJid_key""#).await;
    let report = answer(&url, "2.3.7", 1);
    let way_back = &report["preflight"]["way_back"];
    assert_eq!((&way_back["verdict"], &way_back["proof"]), (&json!("uncertain"), &json!("derived")));
    assert_eq!(objects(&report, "may-fail"), ["Chat (instanceId, remoteJid)"]);
    // 2.2.3 never had it.
    assert_eq!(answer(&url, "2.2.3", 0)["preflight"]["way_back"]["verdict"], "runs");

    // A column that may not be null and has no default, one that is gone, one that is narrower.
    execute(
        &mut connection,
        r#"ALTER TABLE "Contact" ADD COLUMN "colour" text NOT NULL; ALTER TABLE "Setting" DROP COLUMN "wavoipToken";
           ALTER TABLE "Instance" ALTER COLUMN "token" TYPE character varying(100)"#,
    )
    .await;
    let report = answer(&url, "2.3.7", 1);
    assert_eq!(report["preflight"]["way_back"]["verdict"], "fails");
    assert_eq!(objects(&report, "fails"), ["Contact.colour", "Setting.wavoipToken"]);
    assert!(objects(&report, "may-fail").contains(&"Instance.token".to_owned()));
    assert!(report["findings"].as_array().expect("a list").iter().any(|one| one["code"] == "EVO618"));
    on(&url, &["preflight", "--to", "2.3.7"]).ends(1).says(&[
        "2.3.7 does NOT run on these tables",
        "only in this database",
        "# stay on 2.4.0-rc",
    ]);
    for format in ["sarif", "junit", "github", "gitlab", "markdown"] {
        let text = on(&url, &["preflight", "--to", "2.3.7", "--format", format]).ends(1).stdout;
        assert!(text.contains("EVO618") && text.contains("wavoipToken"), "{format}: {text}");
    }
    on(&url, &["preflight", "--to", "2.3.7", "--format", "html"])
        .ends(1)
        .says(&["The server of 2.3.7 does not run on these tables", "what 2.3.7 lacks"]);
    // A fix for an upgrade has nothing to do on the way down.
    on(&url, &["fix", "EVO614", "--to", "2.3.6"])
        .ends(2)
        .complains(&["2.3.6 is older", "evodoctor preflight --to 2.3.6"]);
}

/// A value that an older client does not know hinders it only where a row has it.
#[tokio::test]
async fn a_value_of_an_enum_counts_where_a_row_has_it() {
    let database = TestDatabase::new("2.1.0", SCHEMA).await;
    let mut connection = database.connect().await;
    let of_type = |report: &Value| {
        let all = report["preflight"]["way_back"]["differences"].as_array().expect("a list").clone();
        let one = all.into_iter().find(|one| one["object"] == "TriggerType").expect("the type has changed");
        (one["effect"].clone(), one["rows"].clone())
    };
    assert_eq!(of_type(&answer(&database.url(), "2.0.10", 1)), (json!("unseen"), json!(0)));
    execute(
        &mut connection,
        r#"SET search_path = evolution_api; SET session_replication_role = replica;
           INSERT INTO "Typebot" ("id", "enabled", "url", "typebot", "triggerType", "updatedAt", "instanceId")
           VALUES ('t', true, 'http://x', 'x', 'advanced', now(), 'i')"#,
    )
    .await;
    assert_eq!(of_type(&answer(&database.url(), "2.0.10", 1)), (json!("may-fail"), json!(1)));
}
