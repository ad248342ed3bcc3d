//! What a hazard's fix does before the upgrade: the upgrade then passes, ends in the very catalog, and loses nothing; and
//! until then the fix can be undone.

use std::collections::{BTreeMap, BTreeSet};

use evodoctor::evolution::release::Release;
use evodoctor::repair::fix;
use evodoctor::rules::rule::Applicability;
use evodoctor::upgrade::hazard::{Hazard, all_hazards};
use serde_json::Value;
use sqlx::Connection;

use crate::release_schema::{assert_equal, expected, found};
use crate::support::database::{TestDatabase, execute};
use crate::support::database_dump::state;
use crate::support::fixtures::{Fixture, names};
use crate::support::program::{on, shell};
use crate::support::roles;
use crate::support::upgrade::upgrade;

const CONSENT: &str = "deletes-rows,changes-rows,rewrites-table";

fn preflight(url: &str, to: &str) -> Value {
    on(url, &["preflight", "--to", to, "--fail-on", "never", "--format", "json"]).ends(0).json()
}

fn list<'a>(report: &'a Value, field: &str) -> &'a Vec<Value> {
    report[field].as_array().unwrap_or_else(|| panic!("{field} is no list in {report}"))
}

/// What `check` finds, by code and key.
fn ills(url: &str) -> BTreeSet<String> {
    let report = on(url, &["check", "--fail-on", "never", "--format", "json"]).ends(0).json();
    list(&report, "findings")
        .iter()
        .map(|finding| format!("{} {}", finding["code"], finding["key"]))
        .collect()
}

/// The fixtures of hazards that a fix repairs, without those that show something else.
fn repairable() -> Vec<(&'static Hazard, String, Fixture)> {
    let mut all = Vec::new();
    for hazard in all_hazards().iter().filter(|hazard| fix::find_fix(&hazard.rule.code).is_some()) {
        for name in names(&hazard.stem) {
            let fixture = Fixture::read(&hazard.stem, &name);
            if !fixture.finds.is_empty() && fixture.finds.iter().all(|found| !found.is_manual) {
                all.push((hazard, name, fixture));
            }
        }
    }
    all
}

#[tokio::test]
async fn every_hazard_with_a_fix_has_a_fixture_that_it_repairs() {
    let mended: BTreeSet<&str> = repairable().iter().map(|(hazard, ..)| hazard.rule.code.as_str()).collect();
    let announced = all_hazards()
        .iter()
        .filter(|hazard| matches!(hazard.rule.fix, Some(Applicability::Safe | Applicability::Quarantine)));
    assert!(announced.map(|hazard| hazard.rule.code.as_str()).eq(mended));
}

/// Everything in the database. Nobody is connected afterwards, so that it can be copied.
async fn look(database: &TestDatabase, without: &[&str]) -> String {
    let mut connection = database.connect().await;
    let seen = state(&mut connection, without).await;
    connection.close().await.expect("a clean end");
    seen
}

/// Applies a fix and upgrades a copy; then undoes the fix.
async fn takes_away(hazard: &Hazard, name: &str, fixture: &Fixture, schema: &str) {
    let (code, to) = (hazard.rule.code.as_str(), fixture.to.as_deref().expect("an upgrade has an end"));
    let target = Release::find(to).expect("known");
    let what = format!("{name}.sql of {}", hazard.stem);
    let database = fixture.database(schema).await;
    let url = database.url();
    let before = look(&database, &[]).await;
    let ills_before = ills(&url);

    on(&url, &["fix", code, "--to", to]).ends(1);
    assert_eq!(look(&database, &[]).await, before, "{what}: the dry run left something behind");
    on(&url, &["fix", code, "--to", to, "--apply", "--allow", CONSENT]).ends(0);

    let report = preflight(&url, to);
    let stays = list(&report, "findings").iter().find(|finding| finding["code"] == code);
    assert_eq!(stays, None, "{what}");
    let grown: Vec<String> = ills(&url).difference(&ills_before).cloned().collect();
    assert_eq!(grown, Vec::<String>::new(), "{what}: check cries about what the fix made");
    let again = on(&url, &["fix", code, "--to", to]).ends(0);
    assert!(again.stdout.contains("nothing to do"), "{what}: {}", again.stdout);

    let copy = TestDatabase::copy_of(&database).await;
    let mut upgraded = copy.connect().await;
    let fate = upgrade(&mut upgraded, schema, target).await;
    assert_eq!(fate, Ok(BTreeMap::new()), "{what}: the upgrade fails, or still loses something");
    let catalog = found(&mut upgraded, schema).await;
    if code == "EVO601" {
        assert!(expected(target).is_subset(&catalog), "{what}: beside what is the user's own");
    } else {
        assert_equal(&catalog, &expected(target), &what);
    }

    on(&url, &["undo", "1", "--apply"]).ends(0);
    assert_eq!(look(&database, &["evodoctor"]).await, before, "{what}: undo did not restore everything");
}

/// Every second code in a schema that needs quoting. Fixtures that show something else than the fix can take away are left out.
async fn takes_away_if_repairable(stem: &str, name: &str) {
    let repairable = repairable();
    let Some((hazard, _, fixture)) =
        repairable.iter().find(|(hazard, other, _)| hazard.stem == stem && other == name)
    else {
        return;
    };
    let is_odd = hazard.rule.code.ends_with(['1', '3', '5', '7', '9']);
    takes_away(hazard, name, fixture, if is_odd { "we\"ird" } else { "evolution_api" }).await;
}

mod each_fixture {
    macro_rules! case {
        ($case:ident, $stem:literal, $name:literal) => {
            #[tokio::test]
            async fn $case() {
                super::takes_away_if_repairable($stem, $name).await;
            }
        };
    }
    each_hazard!(case);
}

/// A database that prisma db push, or a newer server's dump, has brought to a later release: the history is behind.
#[tokio::test]
async fn a_complete_migration_is_recorded_as_applied() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let mut connection = database.connect().await;
    let behind =
        r#"DELETE FROM evolution_api."_prisma_migrations" WHERE "migration_name" > '20241006130306_z'"#;
    execute(&mut connection, behind).await;
    let tables = found(&mut connection, "evolution_api").await;
    let url = database.url();
    let report = preflight(&url, "2.3.7");
    assert!(report["preflight"]["pending"].as_array().expect("a list").len() > 10);
    let resolve = on(&url, &["preflight", "--to", "2.3.7", "--resolve"]).ends(1).stdout;
    assert!(resolve.ends_with("}\nrepair '' EVO601 --to 2.3.7\nrepair '' EVO602 --to 2.3.7\n"), "{resolve}");
    let folder = tempfile::tempdir().expect("a folder");
    shell(&resolve, &url, folder.path()).ends(0);
    // One looks by itself whether its column is there.
    let report = preflight(&url, "2.3.7");
    let pending = report["preflight"]["pending"].as_array().expect("a list");
    let names: Vec<&str> = pending.iter().map(|one| one["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["20250116001415_add_wavoip_token_to_settings_table"]);
    let recorded = report["preflight"]["fixes"].as_array().expect("a list");
    let of =
        |code: &str| recorded.iter().filter(|one| one["code"] == code && one["recorded"] == true).count();
    assert_eq!((of("EVO601"), of("EVO602")), (11, 1), "{recorded:?}");
    let said = on(&url, &["preflight", "--to", "2.3.7"]).ends(0).stdout;
    assert!(said.contains("EVO602 of run 2 has already done"), "{said}");

    let target = Release::find("2.3.7").expect("known");
    assert_eq!(upgrade(&mut connection, "evolution_api", target).await, Ok(BTreeMap::new()));
    assert_equal(&found(&mut connection, "evolution_api").await, &tables, "nothing was made anew");
    on(&url, &["check"]).ends(0);
    // The upgrade has used up what prepared it.
    on(&url, &["undo", "2"]).ends(2).complains(&["superseded", "20250116001415", "evodoctor fix EVO307"]);
}

/// Values of before the upgrade, as the words that stand for them, and not PENDING.
#[tokio::test]
async fn statuses_survive_the_upgrade() {
    let database = Fixture::read("EVO611_status_overwritten", "bad").database("evolution_api").await;
    let mut connection = database.connect().await;
    let odd = r#"UPDATE evolution_api."Message" SET "status" = 9 WHERE "id" = 'm2'"#;
    execute(&mut connection, odd).await;
    let fix = ["fix", "EVO611", "--to", "2.3.7", "--apply", "--allow", "rewrites-table"];
    on(&database.url(), &fix).ends(2).complains(&["1 messages have the status 9", "nothing was changed"]);
    execute(&mut connection, &odd.replace('9', "NULL")).await;
    on(&database.url(), &fix[..5]).ends(2).complains(&["rewrites-table", "nothing has been changed"]);
    on(&database.url(), &fix).ends(0);
    assert!(upgrade(&mut connection, "evolution_api", Release::newest()).await.is_ok());
    let sql =
        r#"SELECT string_agg(concat("id", ' ', "status"), ', ' ORDER BY "id") FROM evolution_api."Message""#;
    let kept: String = sqlx::query_scalar(sql).fetch_one(&mut connection).await.expect("readable");
    assert_eq!(kept, "m1 READ, m2 ");
}

#[tokio::test]
async fn the_plan_remembers_the_release_to_go_to() {
    let database = Fixture::read("EVO608_contact_cleanup", "bad").database("evolution_api").await;
    let url = database.url();
    let folder = tempfile::tempdir().expect("a folder");
    let plan = folder.path().join("plan.json");
    let plan = plan.to_str().expect("UTF-8");
    on(&url, &["fix", "EVO608", "--to", "2.0.9", "--plan-out", plan]).ends(1);
    let allow = ["--allow", "deletes-rows,changes-rows"];
    on(&url, &["fix", "--apply", "--plan", plan, allow[0], allow[1]]).ends(0);
    on(&url, &["fix", "EVO202", "--to", "2.3.7"])
        .ends(2)
        .complains(&["--to needs an upgrade hazard", "preflight --to 2.3.7"]);
    on(&url, &["fix", "EVO608", "--to", "2.9.9"]).ends(2).complains(&["there is no release 2.9.9"]);
    on(&url, &["fix", "EVO604"]).ends(2).complains(&["EVO604 has no automatic fix"]);
}

/// After the upgrade: check notices, history marks it, undo refuses, and EVO307 closes it.
#[tokio::test]
async fn superseded_runs_are_closed() {
    let database = Fixture::read("EVO205_chat_index_missing", "bad").database("evolution_api").await;
    let (url, mut connection) = (database.url(), database.connect().await);
    on(&url, &["fix", "EVO205", "--apply", "--allow", "deletes-rows,changes-rows"]).ends(0);
    let codes = |url: &str| -> Vec<String> {
        let report = on(url, &["check", "--fail-on", "never", "--format", "json"]).ends(0).json();
        list(&report, "findings")
            .iter()
            .map(|finding| finding["code"].as_str().expect("text").to_owned())
            .collect()
    };
    assert!(!codes(&url).contains(&"EVO307".to_owned()));
    let target = Release::find("2.3.7").expect("known");
    assert!(upgrade(&mut connection, "evolution_api", target).await.is_ok());
    assert!(codes(&url).contains(&"EVO307".to_owned()));
    let migration = "20251122003044_add_chat_instance_remotejid_unique";
    let run = |url: &str| on(url, &["history", "--format", "json"]).ends(0).json()["runs"].clone();
    assert_eq!(run(&url)[0]["superseded_by"], serde_json::json!([migration]));
    assert!(on(&url, &["history"]).ends(0).stdout.contains("superseded"));
    on(&url, &["undo", "1", "--apply"]).ends(2).complains(&["run 1 has been superseded", migration]);

    let report = on(&url, &["fix", "EVO307", "--apply", "--format", "json"]).ends(0).json();
    assert!(
        report["fixes"][0]["notes"].to_string().contains("run 1 keeps 2 rows in the quarantine"),
        "{report}"
    );
    assert!(!codes(&url).contains(&"EVO307".to_owned()));
    let closed = run(&url);
    assert!(
        closed[1]["closed_at"].is_string() && closed[1]["superseded_by"] == serde_json::json!([]),
        "{closed}"
    );
    assert_eq!(closed[1]["quarantined"], 2);
    on(&url, &["undo", "1"]).ends(2).complains(&["run 1 was closed", "quarantine"]);
    on(&url, &["undo", "2", "--apply"]).ends(0);
    assert!(codes(&url).contains(&"EVO307".to_owned()));

    // A ledger from before there was such a thing.
    let old = r#"ALTER TABLE "evodoctor"."run" DROP COLUMN "closed_at", DROP COLUMN "closed_by""#;
    execute(&mut connection, old).await;
    assert!(codes(&url).contains(&"EVO307".to_owned()));
    on(&url, &["fix", "EVO307", "--apply"]).ends(0);
    assert!(!codes(&url).contains(&"EVO307".to_owned()));

    let reader = roles::reader(&mut connection, "evolution_api").await;
    let report =
        on(&database.url_as(&reader), &["check", "--select", "EVO307", "--format", "json"]).ends(3).json();
    assert!(report["checks"][0]["reason"].to_string().contains("GRANT USAGE"), "{report}");
}
