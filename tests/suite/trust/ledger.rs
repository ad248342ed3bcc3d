//! A ledger that others have made, or could have written: nothing in it is read, and nothing that it holds is run.

use sqlx::PgConnection;

use super::{Plant, try_everything};
use crate::support::database::{TestDatabase, execute};
use crate::support::database_dump::text;
use crate::support::fixtures::Fixture;
use crate::support::program::on;
use crate::support::roles;

/// A database that waits for repairs, and a role that may create schemas in it.
async fn with_mallory() -> (TestDatabase, PgConnection, Plant) {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let mut connection = database.connect().await;
    let mallory = roles::reader(&mut connection, "evolution_api").await;
    let grant = format!(
        "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO {mallory}', current_database()); END $$"
    );
    execute(&mut connection, &grant).await;
    let plant = Plant::new(&mut connection, &mallory).await;
    (database, connection, plant)
}

const SCHEMA: &str = "CREATE SCHEMA evodoctor; GRANT USAGE ON SCHEMA evodoctor TO PUBLIC;
    COMMENT ON SCHEMA evodoctor IS 'evodoctor ledger, format 2';";

/// Tables as evodoctor's own, with a run that is not finished.
const TABLES: &str = r#"
    CREATE TABLE evodoctor.run ("run" bigint PRIMARY KEY, "target_schema" text NOT NULL, "applied_at" timestamptz DEFAULT now(),
        "applied_by" text NOT NULL DEFAULT current_user, "tool_version" text NOT NULL, "release_from" text, "release_to" text,
        "plan_hash" text NOT NULL, "undone_at" timestamptz, "undone_by" text, "closed_at" timestamptz, "closed_by" text,
        "series" bigint);
    CREATE TABLE evodoctor.applied_fix ("run" bigint NOT NULL, "position" integer NOT NULL, "code" text NOT NULL,
        "version" integer NOT NULL, "checksum" text NOT NULL, "tables" text[] NOT NULL, "ddl_before" jsonb NOT NULL,
        "ddl_after" jsonb NOT NULL, "steps" jsonb NOT NULL);
    CREATE TABLE evodoctor.quarantine ("run" bigint, "code" text, "table_schema" text, "table_name" text, "action" text,
        "columns" text[], "key" jsonb, "reason" text, "row" jsonb, "literal" jsonb, "change" jsonb);
    INSERT INTO evodoctor.run ("run", "target_schema", "tool_version", "plan_hash") VALUES (1, 'evolution_api', '0.1.0', 'x');
    INSERT INTO evodoctor.applied_fix VALUES (1, 0, 'EVO205', 1, 'x', '{Chat}', '{}', '{}', FORGED);"#;

/// What executes SQL from it would make the role a superuser.
fn forged(role: &str) -> String {
    let steps = format!(
        r#"'{{"later": [{{"sql": "ALTER ROLE {role} SUPERUSER", "work": {{"what": "build", "name": "i"}}, "table": "Chat", "state": "open"}}],
             "ways_back": [{{"sql": "ALTER ROLE {role} SUPERUSER", "stays": null}}]}}'"#
    );
    TABLES.replace("FORGED", &steps)
}

async fn is_superuser(connection: &mut PgConnection, role: &str) -> bool {
    text(connection, &format!("SELECT rolsuper::text FROM pg_roles WHERE rolname = '{role}'")).await == "true"
}

#[tokio::test]
async fn a_forged_ledger_is_not_read() {
    let (database, mut connection, plant) = with_mallory().await;
    plant.acts(&mut connection, SCHEMA).await;
    plant.acts(&mut connection, &forged(&plant.role)).await;
    let url = database.url();
    for arguments in [&["history"][..], &["fix"], &["undo", "1", "--apply"], &["fix", "--online", "--apply"]]
    {
        let belongs = format!("the schema belongs to {}", plant.role);
        on(&url, arguments).ends(2).complains(&[
            "is not trusted",
            &belongs,
            "DROP SCHEMA \"evodoctor\" CASCADE",
        ]);
    }
    let report = on(&url, &["check", "--format", "json", "--select", "EVO307,EVO308"]).ends(3).json();
    assert!(
        report["checks"][0]["reason"].as_str().expect("a reason").contains("is not trusted"),
        "{report:#}"
    );
    try_everything(&plant, "a forged ledger", &url);
    assert!(!is_superuser(&mut connection, &plant.role).await);
}

#[tokio::test]
async fn triggers_on_the_ledger_do_not_run() {
    let ways = [
        ("views", "CREATE VIEW evodoctor.run AS SELECT evolution_api.trap(1)::bigint AS run, 'evolution_api'::text AS target_schema;
            CREATE VIEW evodoctor.applied_fix AS SELECT 1::bigint AS run; CREATE VIEW evodoctor.quarantine AS SELECT 1::bigint AS run"),
        ("a trigger", "TABLES CREATE TRIGGER t BEFORE INSERT ON evodoctor.run FOR EACH ROW EXECUTE FUNCTION evolution_api.trap_row()"),
        ("a rule", "TABLES CREATE RULE r AS ON INSERT TO evodoctor.run DO ALSO SELECT evolution_api.trap(1)"),
        ("an index", "TABLES CREATE INDEX t ON evodoctor.run (run) WHERE evolution_api.trap(1) = 1"),
        ("a default", "TABLES ALTER TABLE evodoctor.run ALTER applied_by SET DEFAULT evolution_api.trap(1)::text"),
    ];
    for (way, sql) in ways {
        for given_away in [false, true] {
            let (database, mut connection, plant) = with_mallory().await;
            plant.acts(&mut connection, SCHEMA).await;
            plant.acts(&mut connection, &sql.replace("TABLES", &forged(&plant.role))).await;
            plant.arm(&mut connection).await;
            if given_away {
                // Objects that a trusted role has taken over unchanged.
                let take = "ALTER SCHEMA evodoctor OWNER TO postgres; DO $$ DECLARE object record; BEGIN
                    FOR object IN SELECT oid::regclass AS name, relkind FROM pg_class
                        WHERE relnamespace = 'evodoctor'::regnamespace AND relkind IN ('r', 'v')
                    LOOP EXECUTE format('ALTER TABLE %s OWNER TO postgres', object.name); END LOOP; END $$";
                execute(&mut connection, take).await;
            }
            let url = database.url();
            try_everything(&plant, way, &url);
            on(&url, &["history"]).ends(2).complains(&["is not trusted"]);
            assert!(!is_superuser(&mut connection, &plant.role).await, "{way}");
        }
    }
}

/// A ledger of ours into which another role may write is none to trust either.
#[tokio::test]
async fn a_ledger_that_others_may_write_to_is_not_read() {
    let (database, mut connection, plant) = with_mallory().await;
    let url = database.url();
    on(&url, &["fix", "EVO101", "--apply", "--allow", "deletes-rows,changes-rows"]).ends(0);
    execute(&mut connection, &format!("GRANT SELECT ON ALL TABLES IN SCHEMA evodoctor TO {}", plant.role))
        .await;
    on(&url, &["history"]).ends(0);
    execute(&mut connection, &format!("GRANT UPDATE (steps) ON evodoctor.applied_fix TO {}", plant.role))
        .await;
    let may_write = format!("{} may write to applied_fix", plant.role);
    on(&url, &["history"]).ends(2).complains(&["is not trusted", &may_write]);
    on(&url, &["undo", "1", "--apply"]).ends(2).complains(&[&may_write]);
    execute(&mut connection, &format!("REVOKE UPDATE (steps) ON evodoctor.applied_fix FROM {}", plant.role))
        .await;
    on(&url, &["undo", "1", "--apply"]).ends(0);
}

/// Ledger rows of older versions hold the statement. It is accepted if it has exactly our form, and never run as it is
/// stored.
#[tokio::test]
async fn deferred_work_of_an_older_version_is_parsed_or_refused() {
    let database = Fixture::read("EVO205_chat_index_missing", "bad").database("evolution_api").await;
    let mut connection = database.connect().await;
    on(
        &database.url(),
        &["fix", "EVO205", "--online", "--apply", "--allow", "deletes-rows,changes-rows,limits-undo"],
    )
    .ends(0);
    let kept = text(&mut connection, "SELECT steps -> 'later' ->> 0 FROM evodoctor.applied_fix").await;
    assert!(!kept.contains("CREATE"), "a statement is kept: {kept}");
    let index =
        text(&mut connection, "SELECT steps #>> '{later,0,work,name}' FROM evodoctor.applied_fix").await;

    let as_it_was = |statement: &str| {
        format!(
            r#"DROP INDEX IF EXISTS evolution_api."{index}";
               COMMENT ON SCHEMA evodoctor IS 'evodoctor ledger, format 2';
               UPDATE evodoctor.applied_fix SET steps = jsonb_set(steps, '{{later,0}}',
                   ((steps #> '{{later,0}}') - 'index') || jsonb_build_object('state', 'open', 'sql', $${statement}$$::text))"#
        )
    };
    let old = format!(
        r#"CREATE UNIQUE INDEX CONCURRENTLY "{index}" ON evolution_api."Chat" ("instanceId", "remoteJid")"#
    );
    execute(&mut connection, &as_it_was(&old)).await;
    on(&database.url(), &["check", "--select", "EVO308"]).ends(1);
    on(&database.url(), &["fix", "EVO205", "--online", "--apply"]).ends(0);
    let sql = format!(
        "SELECT indisvalid::text FROM pg_index WHERE indexrelid = to_regclass('evolution_api.\"{index}\"')"
    );
    assert_eq!(text(&mut connection, &sql).await, "true");

    execute(&mut connection, "CREATE ROLE evo_test_forged").await;
    execute(&mut connection, &as_it_was("ALTER ROLE evo_test_forged SUPERUSER")).await;
    on(&database.url(), &["fix", "EVO205", "--online", "--apply"])
        .ends(2)
        .complains(&["cannot be continued", "in a form that evodoctor never wrote"]);
    assert!(!is_superuser(&mut connection, "evo_test_forged").await);
    execute(&mut connection, "DROP ROLE evo_test_forged").await;
}
