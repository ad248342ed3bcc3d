//! Foreign code does not run: code that a role has planted in the database is neither planned, executed nor read by a
//! superuser or any other role that does not own it. Each way in has a control that shows that the plant would have
//! worked.

mod devices;
mod ledger;
mod silent_network;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use evodoctor::database::ident::SqlFragment;
use sqlx::{AssertSqlSafe, PgConnection};
use tempfile::TempDir;

use crate::support::database::{TestDatabase, execute, version};
use crate::support::fixtures::Fixture;
use crate::support::program::{Run, on};
use crate::support::roles;

/// What planted code says where it may not write a file.
const SAID: &str = "planted code ran";

/// Code that leaves a trace: as a superuser a file, and always an error. It is harmless until it is armed.
struct Plant {
    trace: PathBuf,
    role: String,
    _folder: TempDir,
}

impl Plant {
    /// Functions of `role` in the schema `evolution_api`, where it may create: `trap(integer)` claims to be immutable,
    /// `trap_row()` is a trigger's.
    async fn new(connection: &mut PgConnection, role: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).expect("ours");
        let plant = Self { trace: folder.path().join("trace"), role: role.to_owned(), _folder: folder };
        execute(connection, &format!("GRANT USAGE, CREATE ON SCHEMA evolution_api TO {role}")).await;
        plant
            .acts(
                connection,
                "CREATE FUNCTION evolution_api.leak() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
                 CREATE FUNCTION evolution_api.trap(integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql
                     AS 'BEGIN PERFORM evolution_api.leak(); RETURN $1; END';
                 CREATE FUNCTION evolution_api.trap_row() RETURNS trigger LANGUAGE plpgsql
                     AS 'BEGIN PERFORM evolution_api.leak(); RETURN NEW; END'",
            )
            .await;
        plant
    }

    /// Runs statements as the role.
    async fn acts(&self, connection: &mut PgConnection, sql: &str) {
        execute(connection, &format!("SET ROLE {}", self.role)).await;
        execute(connection, sql).await;
        execute(connection, "RESET ROLE").await;
    }

    /// From now on it leaves its trace.
    async fn arm(&self, connection: &mut PgConnection) {
        let trace = SqlFragment::literal(self.trace.to_str().expect("UTF-8"));
        let body = format!(
            "BEGIN
                 -- SET ROLE is not a boundary.
                 BEGIN RESET ROLE; EXCEPTION WHEN OTHERS THEN NULL; END;
                 BEGIN EXECUTE format('COPY (SELECT current_user) TO %L', {trace}); EXCEPTION WHEN insufficient_privilege THEN NULL; END;
                 RAISE EXCEPTION '{SAID} as %', current_user;
             END"
        );
        let sql = format!(
            "CREATE OR REPLACE FUNCTION evolution_api.leak() RETURNS void LANGUAGE plpgsql AS {}",
            SqlFragment::literal(&body)
        );
        self.acts(connection, &sql).await;
    }

    /// No trace of it, and no word.
    #[track_caller]
    fn slept(&self, what: &str, run: &Run) {
        assert!(!self.trace.exists(), "{what}: it ran as a superuser\n{}{}", run.stdout, run.stderr);
        assert!(
            !format!("{}{}", run.stdout, run.stderr).contains(SAID),
            "{what}\n{}{}",
            run.stdout,
            run.stderr
        );
    }

    /// Shows that it works: a superuser who is not careful runs it.
    async fn works(&self, connection: &mut PgConnection, what: &str, control: &str) {
        let done = sqlx::raw_sql(AssertSqlSafe(control.to_owned())).execute(connection).await;
        let error = done.expect_err(what).to_string();
        assert!(error.contains(SAID), "{what}: {error}");
        assert!(self.trace.exists(), "{what}: no trace");
    }
}

/// Everything that looks at a database, or changes one.
const COMMANDS: &[&[&str]] = &[
    &["check", "--fail-on", "advice"],
    &["check", "--paranoid"],
    &["preflight"],
    &["fix"],
    &["fix", "--apply", "--allow", "deletes-rows,changes-rows,limits-undo,rewrites-table"],
    &["fix", "EVO207", "EVO208", "--apply", "--online"],
    &["undo", "1", "--apply"],
    &["history"],
    &["credentials", "list"],
];

fn try_everything(plant: &Plant, way: &str, url: &str) {
    for arguments in COMMANDS {
        let run = on(url, arguments);
        plant.slept(&format!("{way}: {arguments:?}"), &run);
        assert!(run.code.is_some_and(|code| code <= 3), "{way}: {run:?}");
    }
}

/// Two tables of the role's own, with a key that is not validated and an index whose predicate is the trap.
const TABLES: &str = r#"
    CREATE TABLE evolution_api."Parent" ("id" text PRIMARY KEY);
    CREATE TABLE evolution_api."Child" ("id" text PRIMARY KEY, "parentId" text);
    INSERT INTO evolution_api."Child" VALUES ('a', 'gone');
    ALTER TABLE evolution_api."Child" ADD CONSTRAINT "Child_parent" FOREIGN KEY ("parentId")
        REFERENCES evolution_api."Parent" ("id") NOT VALID;
    CREATE INDEX "Child_trap" ON evolution_api."Child" ("id") WHERE evolution_api.trap(1) = 1;
    GRANT SELECT ON evolution_api."Child", evolution_api."Parent" TO PUBLIC"#;

const COMPARE: &str = r#"SELECT count(*) FROM evolution_api."Child" AS child WHERE NOT EXISTS
    (SELECT FROM evolution_api."Parent" AS parent WHERE parent."id" = child."parentId")"#;

#[tokio::test]
async fn tables_of_others_in_evolutions_schema_are_not_planned() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let mut connection = database.connect().await;
    let mallory = roles::reader(&mut connection, "evolution_api").await;
    let plant = Plant::new(&mut connection, &mallory).await;
    plant.acts(&mut connection, TABLES).await;
    plant.arm(&mut connection).await;

    try_everything(&plant, "a superuser", &database.url());
    let reader = roles::reader(&mut connection, "evolution_api").await;
    try_everything(&plant, "a reader", &database.url_as(&reader));
    plant.works(&mut connection, "the predicate of an index", COMPARE).await;
}

#[tokio::test]
async fn evolutions_owner_runs_no_foreign_code_and_can_still_repair() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let mut connection = database.connect().await;
    let owner = roles::owner(&mut connection, "evolution_api").await;
    let mallory = roles::reader(&mut connection, "evolution_api").await;
    let plant = Plant::new(&mut connection, &mallory).await;
    plant.acts(&mut connection, TABLES).await;
    plant.arm(&mut connection).await;

    let grant = format!(
        "DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO {owner}', current_database()); END $$"
    );
    execute(&mut connection, &grant).await;
    let url = database.url_as(&owner);
    let apply = ["fix", "EVO101", "--apply", "--allow", "deletes-rows,changes-rows,limits-undo"];
    let run = on(&url, &apply);
    plant.slept("fix", &run);
    run.ends(0);
    let run = on(&url, &["undo", "1", "--apply"]);
    plant.slept("undo", &run);
    run.ends(0);
    try_everything(&plant, "the owner", &url);
    plant.works(&mut connection, "the predicate of an index", COMPARE).await;
}

/// A table of another's that refers to Evolution's is reported, and no row is removed that it could refer to.
#[tokio::test]
async fn objects_of_others_are_reported_and_kept() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let mut connection = database.connect().await;
    let mallory = roles::reader(&mut connection, "evolution_api").await;
    let plant = Plant::new(&mut connection, &mallory).await;
    execute(&mut connection, &format!("GRANT REFERENCES ON ALL TABLES IN SCHEMA evolution_api TO {mallory}"))
        .await;
    let note = r#"CREATE TABLE evolution_api."note" ("id" text PRIMARY KEY,
            "messageId" text CONSTRAINT "note_message" REFERENCES evolution_api."Message" ("id") ON DELETE CASCADE);
        CREATE INDEX "note_trap" ON evolution_api."note" ("id") WHERE evolution_api.trap(1) = 1"#;
    plant.acts(&mut connection, note).await;
    plant.arm(&mut connection).await;

    let report =
        on(&database.url(), &["check", "--select", "EVO215", "--fail-on", "advice", "--format", "json"])
            .ends(1)
            .json();
    let finding = &report["findings"][0];
    assert_eq!((&finding["code"], &finding["key"]), (&"EVO215".into(), &"note.note_message".into()));
    assert!(finding["detail"].as_str().expect("text").contains(&mallory), "{finding:#}");

    let run = on(&database.url(), &["fix", "EVO101", "--apply", "--allow", "deletes-rows,changes-rows"]);
    plant.slept("fix", &run);
    run.ends(1).says(&["left to you", "\"note\" refers to it (note_message)", &mallory]);
}

/// A way in through a table of Evolution's own: what its owner, who is not a superuser, attaches to it, and what runs
/// it.
struct Way {
    name: &'static str,
    since: i32,
    plant: &'static str,
    control: &'static str,
}

const READ: &str = r#"SELECT count(*) FROM evolution_api."Chat" WHERE "remoteJid" = 'x'"#;

const WAYS: &[Way] = &[
    Way {
        name: "index",
        since: 0,
        plant: r#"CREATE INDEX "t" ON evolution_api."Chat" ("id") WHERE evolution_api.trap(1) = 1"#,
        control: READ,
    },
    Way {
        name: "statistics",
        since: 140_000,
        plant: r#"CREATE STATISTICS evolution_api."t" ON ("id" || evolution_api.trap(1)), "remoteJid" FROM evolution_api."Chat""#,
        // The planner looks at its expressions.
        control: READ,
    },
    Way {
        name: "trigger",
        since: 0,
        plant: r#"CREATE TRIGGER "t" BEFORE UPDATE OR DELETE ON evolution_api."Chat"
            FOR EACH ROW EXECUTE FUNCTION evolution_api.trap_row()"#,
        control: r#"UPDATE evolution_api."Chat" SET "remoteJid" = "remoteJid""#,
    },
    Way {
        name: "check",
        since: 0,
        plant: r#"ALTER TABLE evolution_api."Chat" ADD CHECK (evolution_api.trap(1) = 1) NOT VALID"#,
        control: r#"UPDATE evolution_api."Chat" SET "remoteJid" = "remoteJid""#,
    },
    Way {
        name: "default",
        since: 0,
        plant: r#"ALTER TABLE evolution_api."Chat" ALTER "name" SET DEFAULT evolution_api.trap(1)::text"#,
        control: r#"INSERT INTO evolution_api."Chat" ("id", "remoteJid", "instanceId") VALUES ('x', 'y', 'z')"#,
    },
    Way {
        name: "view",
        since: 0,
        plant: r#"ALTER TABLE evolution_api."Chat" RENAME TO "Chats";
            CREATE VIEW evolution_api."Chat" AS SELECT *, evolution_api.trap(1) FROM evolution_api."Chats""#,
        control: r#"SELECT * FROM evolution_api."Chat""#,
    },
    Way {
        name: "policy",
        since: 0,
        plant: r#"CREATE POLICY "t" ON evolution_api."Chat" USING (evolution_api.trap(1) = 1);
            ALTER TABLE evolution_api."Chat" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"#,
        control: "SELECT evolution_api.trap(1)",
    },
    Way {
        name: "cast",
        since: 0,
        plant: r#"CREATE FUNCTION evolution_api.as_text(evolution_api."InstanceConnectionStatus") RETURNS text LANGUAGE plpgsql
                AS 'BEGIN PERFORM evolution_api.leak(); RETURN 1; END';
            CREATE CAST (evolution_api."InstanceConnectionStatus" AS text) WITH FUNCTION evolution_api.as_text"#,
        control: r#"SELECT "connectionStatus"::text FROM evolution_api."Instance""#,
    },
];

#[tokio::test]
async fn a_superuser_runs_no_foreign_code_on_evolutions_tables() {
    for way in WAYS {
        let database = Fixture::read("EVO205_chat_index_missing", "bad").database("evolution_api").await;
        let mut connection = database.connect().await;
        if version(&mut connection).await < way.since {
            continue;
        }
        let owner = roles::owner(&mut connection, "evolution_api").await;
        let plant = Plant::new(&mut connection, &owner).await;
        plant.acts(&mut connection, way.plant).await;
        plant.arm(&mut connection).await;

        try_everything(&plant, way.name, &database.url());
        // The owner, whose server runs it anyway, is named.
        let run = on(
            &database.url(),
            &["fix", "EVO205", "--apply", "--allow", "deletes-rows,changes-rows,limits-undo"],
        );
        if way.name != "cast" {
            assert_ne!(run.code, Some(0), "{}: {run:?}", way.name);
            assert!(format!("{}{}", run.stdout, run.stderr).contains(&owner), "{}: {run:?}", way.name);
        }
        let run = on(&database.url(), &["check", "--select", "EVO215", "--fail-on", "advice"]);
        run.ends(1);
        plant.works(&mut connection, way.name, way.control).await;
    }
}

/// Checks that are undecided because of other roles are never clean.
#[tokio::test]
async fn a_table_that_is_not_examined_is_undecided() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let mut connection = database.connect().await;
    let mallory = roles::reader(&mut connection, "evolution_api").await;
    execute(&mut connection, &format!(r#"ALTER TABLE evolution_api."Chat" OWNER TO {mallory}"#)).await;
    let report = on(&database.url(), &["check", "--format", "json"]).ends(3).json();
    let undecided =
        report["checks"].as_array().expect("a list").iter().filter(|check| check["outcome"] == "undecided");
    let reasons: Vec<&str> = undecided.filter_map(|check| check["reason"].as_str()).collect();
    assert!(reasons.len() >= 2, "{report:#}");
    for reason in reasons {
        assert!(reason.contains(&format!("\"Chat\" belongs to role {mallory:?}: not examined")), "{reason}");
    }
}
