//! The order in which every format lists findings: by their effect on users, then by severity.

use std::cmp::Ordering;

use crate::rules::consequence::Consequence;
use crate::rules::finding::Finding;
use crate::rules::rule::Severity;

/// Sorts findings: the server does not start, data is lost, requests fail, results are wrong, something is slow, advice.
/// Of two that do the same the more severe comes first, then the lower code, then the one with more rows. Requests keep
/// the order in which they come, which is by how often they were made.
pub fn sort_by_consequence(findings: &mut [Finding]) {
    findings.sort_by(compare);
}

/// Which of two findings comes first.
pub fn compare(a: &Finding, b: &Finding) -> Ordering {
    rank(b).cmp(&rank(a)).then_with(|| group(a).cmp(group(b))).then_with(|| rows(b).cmp(&rows(a)))
}

/// The consequence of a finding. Advice needs no action, whatever its rule is about.
fn rank(finding: &Finding) -> (Consequence, Severity) {
    let consequence = match finding.severity {
        Severity::Advice => Consequence::None,
        Severity::Warning | Severity::Error => finding.consequence,
    };
    (consequence, finding.severity)
}

const REQUESTS: &str = "EVO5";

fn group(finding: &Finding) -> &str {
    if finding.code.starts_with(REQUESTS) { REQUESTS } else { &finding.code }
}

fn rows(finding: &Finding) -> i64 {
    if finding.code.starts_with(REQUESTS) { 0 } else { finding.count }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::registry::{all_rules, find_rule};

    fn finding(code: &str, subject: &str) -> Finding {
        let mut finding = Finding::new(all_rules()[0], subject, "");
        finding.code = code.to_owned();
        if let Some(rule) = find_rule(code) {
            finding.severity = rule.severity;
            finding.consequence = rule.consequence;
        }
        finding
    }

    fn in_order(mut findings: Vec<Finding>) -> Vec<String> {
        sort_by_consequence(&mut findings);
        findings.iter().map(|finding| format!("{} {}", finding.code, finding.subject)).collect()
    }

    #[test]
    fn what_stops_the_server_comes_before_what_is_slow_and_advice_comes_last() {
        let mut mild = finding("EVO301", "advice");
        mild.severity = Severity::Advice;
        let many = Finding { count: 9, ..finding("EVO101", "nine rows") };
        let given =
            ["EVO110", "EVO208", "EVO108", "EVO202", "EVO101", "EVO301"].map(|code| finding(code, "one"));
        let given = given.into_iter().chain([mild, many]).collect();
        assert_eq!(
            in_order(given),
            [
                "EVO301 one",
                "EVO101 nine rows",
                "EVO101 one",
                "EVO202 one",
                "EVO108 one",
                "EVO208 one",
                "EVO110 one",
                "EVO301 advice"
            ]
        );
    }

    #[test]
    fn requests_keep_their_order() {
        let given = ["EVO502", "EVO501", "EVO506"].map(|code| finding(code, "x"));
        assert_eq!(in_order(given.into()), ["EVO502 x", "EVO501 x", "EVO506 x"]);
    }
}
