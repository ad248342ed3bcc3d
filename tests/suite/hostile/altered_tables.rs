//! Tables that differ from upstream's: what can be repaired is, and is restored exactly by undo; the rest is left to a
//! person, with the reason, and blocks nothing else.

use serde_json::Value;

use crate::hostile::all_commands::troubled;
use crate::support::database::execute;
use crate::support::database_dump::state;
use crate::support::program::on;

/// A way in which people change a table, and what has to be said about it: a code, and a part of a reason or of a detail.
struct Change {
    sql: &'static str,
    says: &'static [(&'static str, &'static str)],
}

const CHANGES: &[(&str, Change)] = &[
    (
        "a view",
        Change {
            sql: r#"ALTER TABLE "Chat" RENAME TO "ChatReal"; CREATE VIEW "Chat" AS SELECT * FROM "ChatReal""#,
            says: &[("EVO206", "a view of this name is in its place")],
        },
    ),
    (
        "a materialized view",
        Change {
            sql: r#"ALTER TABLE "Chat" RENAME TO "ChatReal"; CREATE MATERIALIZED VIEW "Chat" AS SELECT * FROM "ChatReal""#,
            says: &[("EVO206", "a materialized view of this name is in its place")],
        },
    ),
    (
        "a foreign table",
        Change {
            sql: r#"CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere;
                ALTER TABLE "Chat" RENAME TO "ChatReal";
                CREATE FOREIGN TABLE "Chat" (id text, "instanceId" text, "remoteJid" text, labels jsonb) SERVER nowhere"#,
            says: &[("EVO206", "a foreign table of this name is in its place"), ("EVO103", "has no handler")],
        },
    ),
    (
        "partitions",
        Change {
            sql: r#"ALTER TABLE "Message" RENAME TO "Whole";
                CREATE TABLE "Message" (LIKE "Whole" INCLUDING DEFAULTS, PRIMARY KEY ("id", "messageTimestamp"))
                    PARTITION BY RANGE ("messageTimestamp");
                CREATE TABLE "Message_old" PARTITION OF "Message" FOR VALUES FROM (MINVALUE) TO (1727740820);
                CREATE TABLE "Message_new" PARTITION OF "Message" FOR VALUES FROM (1727740820) TO (MAXVALUE);
                INSERT INTO "Message" SELECT * FROM "Whole"; DROP TABLE "Whole" CASCADE"#,
            says: &[("EVO206", "nothing makes what it refers to unique")],
        },
    ),
    (
        "inheritance",
        Change {
            sql: r#"CREATE TABLE "Archive" (note text) INHERITS ("Message");
                INSERT INTO "Archive" SELECT *, 'kept' FROM ONLY "Message"
                    WHERE "instanceId" NOT IN (SELECT "id" FROM "Instance");
                UPDATE "Archive" SET "id" = 'archive' || "id""#,
            says: &[("EVO101", "other tables inherit from Message"), ("EVO206", "is missing")],
        },
    ),
    (
        "no columns",
        Change {
            sql: r#"DROP TABLE "Webhook"; CREATE TABLE "Webhook" ()"#,
            says: &[("EVO206", "columns are missing or of other types")],
        },
    ),
    (
        "columns of its own",
        Change {
            sql: r#"ALTER TABLE "Message" ADD made text GENERATED ALWAYS AS ("id" || '!') STORED,
                    ADD number bigint GENERATED ALWAYS AS IDENTITY, ADD "odd ""name""" text DEFAULT 'x';
                ALTER TABLE "MessageUpdate" SET UNLOGGED"#,
            says: &[("EVO206", "is not of this release")],
        },
    ),
    (
        "other types",
        Change {
            sql: r#"CREATE DOMAIN nonempty AS text CHECK (value <> ''); ALTER TABLE "Instance" ALTER "name" TYPE nonempty;
                ALTER TABLE "Message" DROP CONSTRAINT "Message_instanceId_fkey";
                ALTER TABLE "Message" ALTER "instanceId" TYPE uuid USING "instanceId"::uuid, ALTER "key" TYPE json;
                INSERT INTO "Chat" ("id", "remoteJid", "instanceId", "labels") SELECT 'odd', '1@s', min("id"), '[]' FROM "Instance";
                ALTER TABLE "Chat" ALTER "labels" TYPE text;
                ALTER TABLE "Instance" ALTER "connectionStatus" DROP DEFAULT, ALTER "connectionStatus" TYPE text"#,
            says: &[
                ("EVO101", "text = uuid"),
                ("EVO104", "jsonb_typeof(text)"),
                ("EVO206", "of other types"),
            ],
        },
    ),
];

#[tokio::test]
async fn altered_tables_are_reported_and_the_rest_is_repaired() {
    for (name, change) in CHANGES {
        let (database, mut connection) = troubled("public").await;
        execute(&mut connection, change.sql).await;
        let before = state(&mut connection, &["evodoctor"]).await;
        let url = database.url();
        let report = on(&url, &["check", "--format", "json"]).ends(1).json();
        for (code, text) in change.says {
            let told = told_about(&report, code);
            assert!(
                told.iter().any(|told| told.contains(text)),
                "{name}: {code} does not say {text:?}: {told:#?}"
            );
        }
        // An identity column fills itself; only a column without a value keeps the server from writing.
        assert!(!told_about(&report, "EVO206").iter().any(|told| told.contains("is refused")), "{name}");
        for command in [&["preflight", "--to", "2.3.7"][..], &["credentials", "list"]] {
            let run = on(&url, command);
            assert!(matches!(run.code, Some(0 | 1 | 3)), "{name}: {command:?}: {}", run.stderr);
        }
        let run = on(&url, &["fix", "--apply", "--allow", "deletes-rows,changes-rows"]);
        assert!(matches!(run.code, Some(0 | 1)), "{name}: {}", run.stderr);
        assert_ne!(state(&mut connection, &["evodoctor"]).await, before, "{name}: nothing was repaired");
        on(&url, &["undo", "1", "--apply"]).ends(0);
        assert_eq!(state(&mut connection, &["evodoctor"]).await, before, "{name}: not all came back");
    }
}

/// The reason of a check, and the details of its findings.
fn told_about(report: &Value, code: &str) -> Vec<String> {
    let of_code = |list: &str, field: &str| -> Vec<String> {
        let items = report[list].as_array().expect("a list").iter().filter(|item| item["code"] == code);
        items.filter_map(|item| item[field].as_str().map(str::to_owned)).collect()
    };
    [of_code("checks", "reason"), of_code("findings", "detail")].concat()
}
