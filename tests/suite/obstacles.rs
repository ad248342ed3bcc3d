//! A blocked fix stops only itself: it is left to a person with the reason, and the others continue.

use serde_json::Value;

use crate::support::database::{TestDatabase, execute};
use crate::support::database_dump::{seen, text};
use crate::support::program::on;

/// Orphans in two tables, one of which refuses to give up its rows, and a key that two instances cannot share.
const BROKEN: &str = r#"SET session_replication_role = replica;
    INSERT INTO evolution_api."Instance" ("id", "name") VALUES ('i1', 'alpha');
    INSERT INTO evolution_api."Chat" ("id", "remoteJid", "instanceId") VALUES ('c1', 'jid 1', 'gone'), ('c2', 'jid 2', 'gone');
    INSERT INTO evolution_api."Webhook" ("id", "url", "instanceId", "updatedAt") VALUES ('w1', 'https://x.test', 'gone', now());
    SET session_replication_role = origin;"#;

const REFUSES: &str = r#"CREATE FUNCTION evolution_api.refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'chats are kept for seven years'; END $$;
    CREATE TRIGGER refuse BEFORE DELETE ON evolution_api."Chat" FOR EACH ROW EXECUTE FUNCTION evolution_api.refuse();
    ALTER TABLE evolution_api."Chat" ENABLE ALWAYS TRIGGER refuse"#;

const DRY: [&str; 4] = ["fix", "--allow", "fires-triggers", "--format=json"];
const APPLY: [&str; 5] = ["fix", "--apply", "--allow", "deletes-rows,changes-rows", "--format=json"];

async fn broken(obstacle: &str) -> TestDatabase {
    let database = TestDatabase::new("2.1.1", "evolution_api").await;
    let mut connection = database.connect().await;
    execute(&mut connection, BROKEN).await;
    execute(&mut connection, obstacle).await;
    database
}

fn codes(plan: &Value, of: &str) -> Vec<String> {
    let list = plan[of].as_array().expect("a list");
    list.iter().map(|one| one["code"].as_str().expect("a code").to_owned()).collect()
}

/// The key of one table meets a trigger; that of the other, and other fixes, are carried out, and their undo is exact.
#[tokio::test]
async fn a_blocked_table_stops_only_its_own_fix() {
    let database = broken(REFUSES).await;
    let before = seen(&database).await;
    let plan = on(&database.url(), &DRY).ends(1).json();
    assert!(seen(&database).await == before, "a dry run is dry");
    let left: Vec<&Value> =
        plan["left"].as_array().expect("a list").iter().filter(|left| left["code"] == "EVO101").collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0]["subject"], "Chat.instanceId → Instance");
    let detail = left[0]["detail"].as_str().expect("a sentence");
    assert!(detail.contains("left to you") && detail.contains("chats are kept for seven years"), "{detail}");
    let done = codes(&plan, "fixes");
    assert!(done.contains(&"EVO101".to_owned()), "{done:?}");

    let applied = on(&database.url(), &APPLY).ends(1).json();
    assert_eq!(applied["plan_hash"], plan["plan_hash"], "what was shown is what is applied");
    let mut connection = database.connect().await;
    let count = |table| format!(r#"SELECT count(*)::text FROM evolution_api."{table}""#);
    assert_eq!(text(&mut connection, &count("Chat")).await, "2");
    assert_eq!(text(&mut connection, &count("Webhook")).await, "0");
    on(&database.url(), &["undo", "1", "--apply"]).ends(0);
    assert!(seen(&database).await == before, "undo brings back what the others did");
}

/// A plan file knows what it leaves: where the obstacle is gone by then, the plan is refused.
#[tokio::test]
async fn a_plan_includes_what_is_left_to_a_person() {
    let database = broken(REFUSES).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plan.json");
    let path = path.to_str().expect("UTF-8");
    on(&database.url(), &[&DRY[..], &["--plan-out", path]].concat()).ends(1);
    let written: Value =
        serde_json::from_str(&std::fs::read_to_string(path).expect("written")).expect("JSON");
    assert_eq!(codes(&written, "left"), ["EVO101"]);
    let mut connection = database.connect().await;
    execute(&mut connection, r#"ALTER TABLE evolution_api."Chat" DISABLE TRIGGER refuse"#).await;
    on(&database.url(), &[&APPLY[..], &["--plan", path]].concat())
        .ends(2)
        .complains(&["EVO101 would now do something different", "other findings are left to you"]);
    execute(&mut connection, r#"ALTER TABLE evolution_api."Chat" ENABLE ALWAYS TRIGGER refuse"#).await;
    on(&database.url(), &[&APPLY[..], &["--plan", path]].concat()).ends(1);
}

/// Where the only thing to do cannot be done, the command fails with the reason.
#[tokio::test]
async fn the_only_fix_that_cannot_be_done_is_an_error() {
    let database = broken(REFUSES).await;
    let mut connection = database.connect().await;
    execute(&mut connection, r#"DELETE FROM evolution_api."Webhook""#).await;
    let before = seen(&database).await;
    on(&database.url(), &["fix", "EVO101", "--allow", "fires-triggers"])
        .ends(2)
        .complains(&["EVO101 could not be done", "chats are kept for seven years"]);
    assert!(seen(&database).await == before);
}

/// A key that has yet to be validated is looked at in the dry run, as the validation after the commit will do.
#[tokio::test]
async fn online_checks_the_rows_that_it_will_validate() {
    let not_valid = r#"ALTER TABLE evolution_api."Chat" DROP CONSTRAINT "Chat_instanceId_fkey",
        ADD CONSTRAINT "Chat_instanceId_fkey" FOREIGN KEY ("instanceId") REFERENCES evolution_api."Instance" ("id")
        ON DELETE CASCADE ON UPDATE CASCADE NOT VALID"#;
    let database = broken(not_valid).await;
    let before = seen(&database).await;
    for apply in [&[][..], &["--apply"]] {
        on(&database.url(), &[&["fix", "EVO207", "--online"][..], apply].concat()).ends(2).complains(&[
            "2 rows refer to rows that do not exist",
            "Chat_instanceId_fkey",
            "evodoctor fix EVO101",
        ]);
        assert!(seen(&database).await == before);
    }
    let together = ["fix", "EVO101", "EVO207", "--online", "--apply", "--allow", "deletes-rows,changes-rows"];
    on(&database.url(), &together).ends(0);
    on(&database.url(), &["check", "--select", "EVO101,EVO207"]).ends(0);
}

/// What one fix brings about, an earlier one treats in the same run: the missing key comes back as upstream made it (EVO206), and
/// then keeps credentials from being deleted (EVO201).
#[tokio::test]
async fn a_run_repeats_until_nothing_is_left() {
    let database = TestDatabase::new("2.1.1", "evolution_api").await;
    let mut connection = database.connect().await;
    let missing = r#"INSERT INTO evolution_api."Instance" ("id", "name") VALUES ('i1', 'alpha');
        INSERT INTO evolution_api."OpenaiCreds" ("id", "name", "apiKey", "updatedAt", "instanceId")
            VALUES ('c1', 'main', 'sk-none', now(), 'i1');
        INSERT INTO evolution_api."OpenaiSetting" ("id", "openaiCredsId", "instanceId", "updatedAt")
            VALUES ('s1', 'c1', 'i1', now());
        ALTER TABLE evolution_api."OpenaiSetting" DROP CONSTRAINT "OpenaiSetting_openaiCredsId_fkey""#;
    execute(&mut connection, missing).await;
    let before = seen(&database).await;
    let applied = on(&database.url(), &["fix", "EVO201", "EVO206", "--apply", "--format", "json"]).json();
    let done = codes(&applied, "fixes");
    let place = |code: &str| done.iter().rposition(|one| one == code);
    assert!(place("EVO206").is_some() && place("EVO206") < place("EVO201"), "{done:?}");
    let again = on(&database.url(), &["fix", "EVO201", "EVO206", "--format", "json"]).ends(0).json();
    assert!(codes(&again, "fixes").is_empty(), "{again:#}");
    on(&database.url(), &["undo", "1", "--apply"]).ends(0);
    assert!(seen(&database).await == before, "undo takes both back");
}
