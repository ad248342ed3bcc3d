//! The rules about an older server. They rest on a comparison of catalogs and not on a query, so they are no files under `sql/`.

use std::sync::LazyLock;

use super::WayBack;
use super::compare::{Difference, Effect};
use crate::rules::finding::{CheckOutcome, CheckReport, Finding};
use crate::rules::rule::{Rule, Severity};

/// The rules, by code.
pub fn way_back_rules() -> &'static [Rule] {
    &*RULES
}

static RULES: LazyLock<[Rule; 3]> = LazyLock::new(|| {
    [
        Rule::built_in(
            "EVO618",
            "older-server-fails",
            Severity::Error,
            "An older server lacks something that it reads or writes in these tables",
            "Routes of the older server answer 500. Prisma names every column of a table in each statement, so a column that \
             is not there fails all of them (P2022), and one that may not be null and has no default fails every new row. Nothing \
             brings such tables back but a backup from before the upgrade.",
            &["an older image on a newer database", "downgrade"],
        ),
        Rule::built_in(
            "EVO619",
            "older-server-may-fail",
            Severity::Warning,
            "An older server may be refused something in these tables",
            "All that the older server needs is there, but a unique index, a key, a type or NOT NULL is another than on its own \
             tables. Whether a request ever meets that is not known: this pair of releases was not tried. Try it on a copy of \
             the database first.",
            &["an older image on a newer database", "downgrade"],
        ),
        Rule::built_in(
            "EVO620",
            "older-server-differs",
            Severity::Advice,
            "An older server does not see or write everything that is in these tables",
            "Rows and values of newer features stay as they are and have no effect while the older server runs. In rows \
             that it writes, columns that it does not know hold their defaults. After the next upgrade the newer server reads both.",
            &["an older image on a newer database", "downgrade"],
        ),
    ]
});

/// Which of the rules a difference is a finding of.
fn rule_of(one: &Difference) -> Option<usize> {
    match one.effect {
        Effect::Fails => Some(0),
        Effect::MayFail => Some(1),
        Effect::WrittenDifferently => Some(2),
        // What nobody has stored is nothing to miss.
        Effect::Unseen => one.rows.is_some_and(|rows| rows > 0).then_some(2),
        Effect::Harmless => None,
    }
}

/// The answer as findings, with what could not be counted.
pub fn findings(answer: &WayBack, uncounted: Option<String>) -> (Vec<CheckReport>, Vec<Finding>) {
    let told = answer.differences.iter().filter_map(|one| Some((rule_of(one)?, one)));
    let findings: Vec<Finding> = told
        .map(|(rule, one)| {
            let mut finding = Finding::new(&RULES[rule], &one.object, one.detail.clone());
            finding.key = format!("{} {}", one.object, answer.server);
            finding.count = one.rows.unwrap_or(1);
            finding
        })
        .collect();
    let mut checks: Vec<CheckReport> = RULES
        .iter()
        .map(|rule| {
            let is_found = findings.iter().any(|finding| finding.code == rule.code);
            let outcome = if is_found { CheckOutcome::Found } else { CheckOutcome::Clean };
            CheckReport { outcome, ..CheckReport::completed(rule) }
        })
        .collect();
    if let (Some(reason), Some(last)) = (uncounted, checks.last_mut()) {
        if last.outcome == CheckOutcome::Clean {
            last.outcome = CheckOutcome::Undecided;
        }
        last.reason = Some(reason);
    }
    (checks, findings)
}
