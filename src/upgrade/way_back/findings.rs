//! The differences for an older server, as findings.

use super::WayBack;
use super::compare::{Difference, Effect};
use crate::rules::finding::{CheckOutcome, CheckReport, Finding};
use crate::rules::way_back::way_back_rules;

/// Which of the rules a difference is a finding of.
fn rule_of(one: &Difference) -> Option<usize> {
    match one.effect {
        Effect::Fails => Some(0),
        Effect::MayFail => Some(1),
        Effect::WrittenDifferently => Some(2),
        // Without stored values nothing is missing.
        Effect::Unseen => one.rows.is_some_and(|rows| rows > 0).then_some(2),
        Effect::Harmless => None,
    }
}

/// The answer as findings, with what could not be counted.
pub fn findings(answer: &WayBack, uncounted: Option<String>) -> (Vec<CheckReport>, Vec<Finding>) {
    let reported = answer.differences.iter().filter_map(|one| Some((rule_of(one)?, one)));
    let findings: Vec<Finding> = reported
        .map(|(rule, one)| {
            let mut finding = Finding::new(&way_back_rules()[rule], &one.object, one.detail.clone());
            finding.key = format!("{} {}", one.object, answer.server);
            finding.count = one.rows.unwrap_or(1);
            finding
        })
        .collect();
    let mut checks: Vec<CheckReport> = way_back_rules()
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
