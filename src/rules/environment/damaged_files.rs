//! Tables and indexes that a check could not read because their files are damaged.

use crate::error::sqlstate::{DAMAGED, lookup};
use crate::rules::finding::{CheckReport, Finding};

/// The rule.
const CODE: &str = "EVO727";

/// A finding, where any check met damage. The checks themselves stay undecided: what they could not read they did not judge.
pub fn damage_finding(checks: &[CheckReport]) -> Option<(CheckReport, Finding)> {
    let met = |check: &&CheckReport| check.reason.as_ref().is_some_and(|reason| reason.contains(DAMAGED));
    let codes: Vec<&str> = checks.iter().filter(met).map(|check| check.code.as_str()).collect();
    let reason = checks.iter().find(met)?.reason.as_deref()?;
    let said = reason[reason.find(DAMAGED)?..].trim_start_matches(DAMAGED).trim();
    let rule = super::environment_rules().iter().find(|rule| rule.code == CODE)?;
    let next = lookup("XX001")?.next;
    let detail = format!("{DAMAGED} {said}, met by {}; {next}", codes.join(", "));
    let mut finding = Finding::new(rule, "the database's files", detail);
    finding.key = "damaged".to_owned();
    Some((CheckReport::completed(rule), finding))
}
