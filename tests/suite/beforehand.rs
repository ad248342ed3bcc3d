//! What a hazard's fix does before the upgrade: the upgrade then passes, ends in the very catalog, and loses nothing; and
//! until then the fix can be undone.

use std::collections::{BTreeMap, BTreeSet};

use evodoctor::evolution::release::Release;
use evodoctor::examine::rule::Applicability;
use evodoctor::repair::fix;
use evodoctor::upgrade::hazard::{Hazard, hazards};
use serde_json::Value;
use sqlx::Connection;

use crate::build::{assert_equal, expected, found};
use crate::support::database::TestDatabase;
use crate::support::fixtures::{Fixture, names};
use crate::support::program::on;
use crate::support::state::state;
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

/// The fixtures of hazards that a fix takes away, with those that show something else left out.
fn repairable() -> Vec<(&'static Hazard, String, Fixture)> {
    let mut all = Vec::new();
    for hazard in hazards().iter().filter(|hazard| fix::find(&hazard.rule.code).is_some()) {
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
async fn every_hazard_with_a_fix_has_a_fixture_that_it_mends() {
    let mended: BTreeSet<&str> = repairable().iter().map(|(hazard, ..)| hazard.rule.code.as_str()).collect();
    let announced = hazards()
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

    look(&database, &[]).await;
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

    on(&url, &["undo", "1"]).ends(1);
    on(&url, &["undo", "1", "--apply"]).ends(0);
    assert_eq!(look(&database, &["evodoctor"]).await, before, "{what}: undo did not restore everything");
}

/// Tests run side by side, so the fixtures are dealt out to two.
async fn every_second(skipped: usize, schema: &str) {
    for (hazard, name, fixture) in repairable().iter().skip(skipped).step_by(2) {
        takes_away(hazard, name, fixture, schema).await;
    }
}

#[tokio::test]
async fn a_hazard_is_taken_away_and_the_upgrade_passes_and_until_then_undo_restores() {
    every_second(0, "evolution_api").await;
}

#[tokio::test]
async fn other_hazards_are_taken_away_in_a_schema_that_needs_quoting() {
    every_second(1, "we\"ird").await;
}
