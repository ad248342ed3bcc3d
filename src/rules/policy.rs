//! The decisions of a team about findings: their severity, and which are ignored, why, and until when.

use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::Date;
use serde::Serialize;

use crate::rules::finding::{CheckReport, Finding};
use crate::rules::order::sort_by_consequence;
use crate::rules::rule::Severity;

/// Days before its end on which an ignore is said to end soon.
const SOON: i64 = 14;

/// Severities and ignores.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// The severity that all findings of a code have.
    pub severities: BTreeMap<String, Severity>,
    /// The ignores.
    pub ignores: Vec<IgnoreRule>,
}

/// Findings that are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoreRule {
    /// Their code.
    pub code: String,
    /// Only the finding with this key.
    pub key: Option<String>,
    /// Only findings with this subject.
    pub subject: Option<String>,
    /// Why.
    pub reason: String,
    /// The last day on which they are; `None` for good.
    pub until: Option<Date>,
    /// Where it is written: `evodoctor.toml:12`.
    pub place: String,
}

/// A finding that is ignored.
#[derive(Debug, Clone, Serialize)]
pub struct IgnoredFinding {
    /// The finding.
    #[serde(flatten)]
    pub finding: Finding,
    /// Why it is, and until when.
    pub ignored: IgnoreReason,
}

/// Why a finding is ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IgnoreReason {
    /// The reason that was given.
    pub reason: String,
    /// The last day on which it is.
    pub until: Option<Date>,
}

impl Policy {
    /// This one over another: its severities win, and both ignore.
    #[must_use]
    pub fn merged_over(mut self, other: &Self) -> Self {
        for (code, severity) in &other.severities {
            self.severities.entry(code.clone()).or_insert(*severity);
        }
        self.ignores.extend(other.ignores.iter().cloned());
        self
    }

    /// The same with nothing ignored, for what was asked for by its name.
    #[must_use]
    pub fn ignoring_nothing(&self) -> Self {
        Self { severities: self.severities.clone(), ignores: Vec::new() }
    }

    /// Returns the severity of a finding.
    pub fn severity(&self, finding: &Finding) -> Severity {
        self.severities.get(&finding.code).copied().unwrap_or(finding.severity)
    }

    /// Why a finding is ignored on this day; `None` where it counts.
    pub fn ignore_reason(&self, finding: &Finding, today: Date) -> Option<IgnoreReason> {
        let ignore =
            self.ignores.iter().find(|ignore| ignore.is_in_force(today) && ignore.speaks_of(finding))?;
        Some(IgnoreReason { reason: ignore.reason.clone(), until: ignore.until })
    }

    /// The findings that count, worst first, and those that are ignored.
    pub fn apply(&self, findings: Vec<Finding>, today: Date) -> (Vec<Finding>, Vec<IgnoredFinding>) {
        let (mut counting, mut set_aside) = (Vec::new(), Vec::new());
        for mut finding in findings {
            finding.severity = self.severity(&finding);
            match self.ignore_reason(&finding, today) {
                Some(ignored) => set_aside.push(IgnoredFinding { finding, ignored }),
                None => counting.push(finding),
            }
        }
        sort_by_consequence(&mut counting);
        (counting, set_aside)
    }

    /// Notes on the ignores themselves: one that has ended, one that ends soon, and one without a match. `findings` are
    /// all that were found, ignored or not.
    pub fn notes<'f>(
        &self,
        findings: impl Iterator<Item = &'f Finding> + Clone,
        checks: &[CheckReport],
        today: Date,
    ) -> Vec<String> {
        let mut notes = Vec::new();
        for ignore in &self.ignores {
            let IgnoreRule { code, reason, place, .. } = ignore;
            let found = findings.clone().filter(|finding| ignore.speaks_of(finding)).count();
            let was_examined = checks.iter().any(|check| check.code == *code && check.reason.is_none());
            match ignore.until {
                Some(until) if until < today && found > 0 => notes.push(format!(
                    "{place}: the ignore of {code} ended on {until}, so its findings count again ({reason}); \
                     repair them, or set a new date"
                )),
                Some(until) if until < today => {
                    notes.push(format!("{place}: the ignore of {code} ended on {until}; remove it"));
                }
                _ if found == 0 && was_examined => notes.push(format!(
                    "{place}: the ignore of {code} matches no finding any more; remove it"
                )),
                Some(until) if until <= today.saturating_add(SOON.days()) && found > 0 => notes.push(format!(
                    "{place}: the ignore of {code} ends on {until} ({reason}); its findings count from the next day on"
                )),
                _ => {}
            }
        }
        notes
    }
}

impl IgnoreRule {
    fn is_in_force(&self, today: Date) -> bool {
        self.until.is_none_or(|until| today <= until)
    }

    fn speaks_of(&self, finding: &Finding) -> bool {
        finding.code == self.code
            && self.key.as_ref().is_none_or(|key| *key == finding.key)
            && self.subject.as_ref().is_none_or(|subject| *subject == finding.subject)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::rules::finding::CheckOutcome;
    use crate::rules::registry::all_rules;

    fn finding(subject: &str) -> Finding {
        Finding::new(all_rules()[0], subject, "")
    }

    fn ignore(subject: Option<&str>, until: Option<Date>) -> IgnoreRule {
        IgnoreRule {
            code: all_rules()[0].code.clone(),
            key: None,
            subject: subject.map(str::to_owned),
            reason: "known".to_owned(),
            until,
            place: "evodoctor.toml:3".to_owned(),
        }
    }

    #[test]
    fn an_ignore_ends_after_its_last_day_and_says_so() {
        let last = date(2027, 1, 31);
        let policy = Policy { ignores: vec![ignore(None, Some(last))], ..Policy::default() };
        let found = [finding("a")];
        let notes = |today| policy.notes(found.iter(), &[], today).join("");
        let long_before = date(2027, 1, 1);
        assert!(policy.ignore_reason(&found[0], long_before).is_some() && notes(long_before).is_empty());
        assert!(
            policy.ignore_reason(&found[0], last).is_some()
                && notes(last).contains("ends on 2027-01-31 (known)")
        );
        let after = date(2027, 2, 1);
        assert!(
            policy.ignore_reason(&found[0], after).is_none() && notes(after).contains("ended on 2027-01-31")
        );
    }

    #[test]
    fn an_ignore_can_match_one_finding_and_is_reported_if_unused() {
        let policy = Policy { ignores: vec![ignore(Some("a"), None)], ..Policy::default() };
        let today = crate::text::date::today();
        let (counting, ignored) = policy.apply(vec![finding("a"), finding("b")], today);
        assert_eq!((counting[0].subject.as_str(), ignored[0].finding.subject.as_str()), ("b", "a"));
        let mut check = CheckReport {
            code: counting[0].code.clone(),
            name: String::new(),
            outcome: CheckOutcome::Found,
            reason: None,
            duration_ms: 0,
        };
        let notes = |checks: &[CheckReport]| policy.notes(counting.iter(), checks, today);
        assert_eq!(notes(&[]), [""; 0], "nobody looked");
        assert!(notes(std::slice::from_ref(&check))[0].contains("matches no finding"));
        check.reason = Some("not everywhere".to_owned());
        assert_eq!(notes(&[check]), [""; 0], "nobody looked everywhere");
    }
}
