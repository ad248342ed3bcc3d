//! The result of an examination: findings, and the outcome of each check.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::rules::consequence::Consequence;
use crate::rules::rule::{Applicability, Rule, Severity};

/// One thing that is wrong.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The rule's code, such as `EVO202`.
    pub code: String,
    /// The rule's name.
    pub name: String,
    /// The severity here, which may be milder than the rule's own severity.
    pub severity: Severity,
    /// The effect on users.
    pub consequence: Consequence,
    /// The thing: a table, a constraint, an instance.
    pub subject: String,
    /// One sentence.
    pub detail: String,
    /// A `WHERE` clause that shows the rows, where there are rows.
    pub predicate: Option<String>,
    /// The number of rows (for requests: how many requests).
    pub count: i64,
    /// At most five examples, secrets masked.
    pub sample: Vec<Value>,
    /// The identity for baselines: the same on every run.
    pub key: String,
    /// The fix, where there is one.
    pub fix: Option<FixSummary>,
    /// True if the fix fits this finding; a thing in an unforeseen form is left to a person.
    #[serde(skip)]
    pub is_fixable: bool,
    /// The statements that repair just this, where the check gives them.
    #[serde(skip)]
    pub repair: FindingRepair,
    /// Fields that only some commands add (`logs`: clients, endpoints, statuses, first and last time).
    #[serde(flatten)]
    pub extra: BTreeMap<&'static str, Value>,
}

impl Finding {
    /// A finding of `rule` with nothing in it yet but the subject and the sentence.
    pub fn new(rule: &Rule, subject: impl Into<String>, detail: impl Into<String>) -> Self {
        let subject = subject.into();
        Self {
            code: rule.code.clone(),
            name: rule.name.clone(),
            severity: rule.severity,
            consequence: rule.consequence,
            key: subject.clone(),
            subject,
            detail: detail.into(),
            predicate: None,
            count: 1,
            sample: Vec::new(),
            fix: None,
            is_fixable: false,
            repair: FindingRepair::default(),
            extra: BTreeMap::new(),
        }
    }
}

/// The repair of one finding, for a fix that is run for each (`each: finding`).
#[derive(Debug, Clone, Default)]
pub struct FindingRepair {
    /// The tables to lock, as far as they are there.
    pub tables: Vec<String>,
    /// The statements, in order.
    pub statements: Vec<String>,
    /// The statements that reverse them, in order.
    pub undo: Vec<String>,
}

/// The facts about a fix without running it.
#[derive(Debug, Clone, Serialize)]
pub struct FixSummary {
    /// Raised when the fix's statements change.
    pub version: u32,
    /// The applicability of the fix.
    pub applicability: Applicability,
    /// The hazards: `deletes-rows`, `changes-rows`, `blocks-writes`, …
    pub hazards: Vec<String>,
}

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckOutcome {
    /// It ran to the end and found nothing.
    Clean,
    /// It found something.
    Found,
    /// It could not look everywhere and found nothing where it could.
    Undecided,
}

/// One check's line in the report.
#[derive(Debug, Clone, Serialize)]
pub struct CheckReport {
    /// The rule's code.
    pub code: String,
    /// The rule's name.
    pub name: String,
    /// The outcome.
    pub outcome: CheckOutcome,
    /// Why it is undecided, wholly or in part.
    pub reason: Option<String>,
    /// The duration, in milliseconds.
    pub duration_ms: u64,
}

impl CheckReport {
    /// Of a rule that needs no query of its own.
    pub fn completed(rule: &Rule) -> Self {
        let (code, name) = (rule.code.clone(), rule.name.clone());
        Self { code, name, outcome: CheckOutcome::Found, reason: None, duration_ms: 0 }
    }

    /// Of a check that was not asked.
    pub fn undecided(rule: &Rule, reason: String) -> Self {
        let (code, name) = (rule.code.clone(), rule.name.clone());
        Self { code, name, outcome: CheckOutcome::Undecided, reason: Some(reason), duration_ms: 0 }
    }
}

/// Counts over a whole report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Findings of severity error.
    pub errors: usize,
    /// Findings of severity warning.
    pub warnings: usize,
    /// Findings of severity advice.
    pub advice: usize,
    /// Checks that could not look everywhere.
    pub undecided: usize,
}

impl Summary {
    /// Counts findings, and the checks that have a reason to be undecided.
    pub fn count(findings: &[Finding], checks: &[CheckReport]) -> Self {
        let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
        Self {
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            advice: count(Severity::Advice),
            undecided: checks.iter().filter(|check| check.reason.is_some()).count(),
        }
    }
}
