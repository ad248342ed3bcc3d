//! Each hazard finds what its bad fixture shows and nothing in the good one, and the upgrade then ends as predicted.

use evodoctor::evolution::release::Release;
use evodoctor::rules::finding::Finding;
use evodoctor::upgrade::hazard::{Hazard, all_hazards};

use crate::release_schema::{expected, found};
use crate::support::fixtures::{Expected, Fixture, names};
use crate::support::upgrade::{goes_astray, predict, predicted, upgrade};

fn of_hazard(findings: &[Finding], hazard: &Hazard) -> Vec<Expected> {
    let mine = findings.iter().filter(|finding| finding.code == hazard.rule.code);
    let mut found: Vec<Expected> = mine
        .map(|finding| {
            assert!(finding.sample.len() <= 5 && !finding.detail.is_empty(), "{finding:?}");
            Expected {
                key: finding.key.clone(),
                count: finding.count,
                severity: finding.severity.to_string(),
                is_manual: hazard.rule.fix.is_some() && !finding.is_fixable,
            }
        })
        .collect();
    found.sort();
    found
}

async fn every_fixture(schema: &str) {
    for hazard in all_hazards().iter().filter(|hazard| hazard.rule.code != "EVO604") {
        for name in names(&hazard.stem) {
            let mut fixture = Fixture::read(&hazard.stem, &name);
            let target = fixture.to.as_deref().and_then(Release::find).expect("an upgrade has an end");
            let database = fixture.database(schema).await;
            let prediction = predict(&database, schema, target).await;
            fixture.finds.sort();
            let what = format!("{name}.sql of {}", hazard.stem);
            assert_eq!(of_hazard(&prediction.findings, hazard), fixture.finds, "{what}");
            assert!(prediction.checks.iter().all(|check| check.reason.is_none()), "{what}");
            if name == "good" {
                assert!(predicted(&prediction.preflight).is_ok(), "{what}");
            }

            let mut connection = database.connect().await;
            let happening = upgrade(&mut connection, schema, target).await;
            assert_eq!(predicted(&prediction.preflight), happening, "{what}");
            let found = found(&mut connection, schema).await;
            if goes_astray(&prediction) {
                assert!(!expected(target).is_subset(&found), "{what}: nothing is missing");
            }
        }
    }
}

#[tokio::test]
async fn hazards_find_what_their_fixtures_show_and_it_happens() {
    every_fixture("evolution_api").await;
}

#[tokio::test]
async fn hazards_find_the_same_in_a_schema_that_needs_quoting() {
    every_fixture("we\"ird").await;
}
