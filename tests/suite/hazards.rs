//! Each hazard finds what its bad fixture shows and nothing in the good one, and the upgrade then ends as predicted.

use evodoctor::evolution::release::Release;
use evodoctor::rules::finding::Finding;
use evodoctor::upgrade::hazard::{Hazard, all_hazards};

use crate::release_schema::{expected, found};
use crate::support::fixtures::{Expected, Fixture};
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

/// What a hazard finds in a fixture is what the fixture says of itself, and the upgrade ends as predicted.
async fn happens_as_predicted(stem: &str, name: &str, schema: &str) {
    let hazard = all_hazards().iter().find(|hazard| hazard.stem == stem).expect("a hazard");
    let mut fixture = Fixture::read(stem, name);
    let target = fixture.to.as_deref().and_then(Release::find).expect("an upgrade has an end");
    let database = fixture.database(schema).await;
    let prediction = predict(&database, schema, target).await;
    fixture.finds.sort();
    assert_eq!(of_hazard(&prediction.findings, hazard), fixture.finds);
    assert!(prediction.checks.iter().all(|check| check.reason.is_none()), "{:?}", prediction.checks);
    if name == "good" {
        assert!(predicted(&prediction.preflight).is_ok());
    }

    let mut connection = database.connect().await;
    let happening = upgrade(&mut connection, schema, target).await;
    assert_eq!(predicted(&prediction.preflight), happening);
    let found = found(&mut connection, schema).await;
    if goes_astray(&prediction) {
        assert!(!expected(target).is_subset(&found), "nothing is missing");
    }
}

mod each_fixture {
    macro_rules! case {
        ($case:ident, $stem:literal, $name:literal) => {
            #[tokio::test]
            async fn $case() {
                super::happens_as_predicted($stem, $name, "evolution_api").await;
            }
        };
    }
    each_hazard!(case);
}

mod each_fixture_in_a_schema_that_needs_quoting {
    macro_rules! case {
        // Where nothing is found nothing is quoted.
        ($case:ident, $stem:literal, "good") => {};
        ($case:ident, $stem:literal, $name:literal) => {
            #[tokio::test]
            async fn $case() {
                super::happens_as_predicted($stem, $name, "we\"ird").await;
            }
        };
    }
    each_hazard!(case);
}
