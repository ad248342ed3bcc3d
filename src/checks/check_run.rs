//! A check under way: its questions, what of them is answered, and in the end what it found.

use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::postgres::PgRow;

use super::check::{Check, CheckScope};
use super::context::CheckContext;
use super::finding_row::finding_from_row;
use super::step::{Next, Question, Step, StepAnswer, Then};
use crate::redact;
use crate::rules::finding::{CheckOutcome, CheckReport, Finding};

/// A check that has been begun.
pub(super) struct CheckRun<'a> {
    check: &'a Check,
    scope: &'a CheckContext<'a>,
    asked: Vec<QuestionState<'a>>,
    took: Duration,
}

/// A question and where it stands.
struct QuestionState<'a> {
    about: String,
    stand: Stand<'a>,
}

enum Stand<'a> {
    /// Steps are out, whose answers are gathered.
    Open { answers: Vec<Option<StepAnswer>>, then: Then<'a> },
    /// It is answered.
    Rows(Vec<PgRow>),
    /// It is not, and will not be.
    Undecided(String),
}

/// Which step of a course an answer belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StepId {
    question: usize,
    step: usize,
}

impl<'a> CheckRun<'a> {
    /// Begins a check; returns its first steps.
    ///
    /// # Errors
    /// When the check's file is broken.
    pub fn start(scope: &'a CheckContext<'a>, check: &'a Check) -> Result<(Self, Vec<(StepId, Step)>)> {
        let mut course = Self { check, scope, asked: Vec::new(), took: Duration::ZERO };
        let mut ready = Vec::new();
        for Question { about, steps, then } in check.questions(scope)? {
            let question = course.asked.len();
            match steps {
                Ok(steps) => {
                    course.asked.push(QuestionState { about, stand: Stand::Rows(Vec::new()) });
                    ready.extend(course.go_on(question, Next::Steps(steps, then))?);
                }
                Err(obstacle) => {
                    course.asked.push(QuestionState { about, stand: Stand::Undecided(obstacle) })
                }
            }
        }
        Ok((course, ready))
    }

    /// The check's code.
    pub fn code(&self) -> &'a str {
        &self.check.rule.code
    }

    /// Whether the answer to a step is still of use: not when its question is undecided already.
    pub fn needs(&self, place: StepId) -> bool {
        matches!(self.asked[place.question].stand, Stand::Open { .. })
    }

    /// Takes the answer to a step, or why there is none; returns the steps that follow from it.
    ///
    /// # Errors
    /// When the rows are not what the check's file promises.
    pub fn complete(
        &mut self,
        place: StepId,
        answer: Result<StepAnswer, String>,
        took: Duration,
    ) -> Result<Vec<(StepId, Step)>> {
        self.took += took;
        let stand = &mut self.asked[place.question].stand;
        let Stand::Open { answers, .. } = stand else { return Ok(Vec::new()) };
        match answer {
            Err(reason) => {
                *stand = Stand::Undecided(reason);
                return Ok(Vec::new());
            }
            Ok(answer) => answers[place.step] = Some(answer),
        }
        if answers.iter().any(Option::is_none) {
            return Ok(Vec::new());
        }
        let Stand::Open { answers, then } = std::mem::replace(stand, Stand::Rows(Vec::new())) else {
            return Ok(Vec::new());
        };
        let next = then(answers.into_iter().flatten().collect()).context(self.check.stem.clone())?;
        self.go_on(place.question, next)
    }

    /// Gives up what is not answered yet.
    pub fn give_up(&mut self, reason: &str) {
        for asked in &mut self.asked {
            if matches!(asked.stand, Stand::Open { .. }) {
                asked.stand = Stand::Undecided(reason.to_owned());
            }
        }
    }

    fn go_on(&mut self, question: usize, mut next: Next<'a>) -> Result<Vec<(StepId, Step)>> {
        loop {
            match next {
                Next::Rows(rows) => {
                    self.asked[question].stand = Stand::Rows(rows);
                    return Ok(Vec::new());
                }
                Next::Undecided(reason) => {
                    self.asked[question].stand = Stand::Undecided(reason);
                    return Ok(Vec::new());
                }
                // Nothing to wait for.
                Next::Steps(steps, then) if steps.is_empty() => next = then(Vec::new())?,
                Next::Steps(steps, then) => {
                    // What belongs to others is not even planned.
                    let catalog = self.scope.catalog;
                    let closed = |step: &Step| step.sql().and_then(|sql| catalog.closed_table_in(sql));
                    if let Some(reason) = steps.iter().find_map(closed) {
                        self.asked[question].stand = Stand::Undecided(reason.to_owned());
                        return Ok(Vec::new());
                    }
                    let answers = steps.iter().map(|_| None).collect();
                    self.asked[question].stand = Stand::Open { answers, then };
                    let place = |step| StepId { question, step };
                    return Ok(steps.into_iter().enumerate().map(|(at, step)| (place(at), step)).collect());
                }
            }
        }
    }

    /// What the check found, once every question is answered or given up.
    ///
    /// # Errors
    /// When the rows are not what the check's file promises.
    pub fn conclude(self) -> Result<(CheckReport, Vec<Finding>)> {
        let Self { check, scope, asked, took } = self;
        let (mut findings, mut reasons) = (Vec::new(), Vec::new());
        for QuestionState { about, stand } in asked {
            match stand {
                Stand::Rows(rows) => {
                    for row in rows {
                        let finding = finding_from_row(&check.rule, &row);
                        // Such as a number that jsonb holds and no other program does (1e400).
                        let mut finding = match finding {
                            Err(error) if is_value(&error) => {
                                let reason =
                                    "a value in its rows cannot be read (a number out of all bounds?)";
                                reasons.push((about.clone(), reason.to_owned()));
                                continue;
                            }
                            finding => finding.with_context(|| check.stem.clone())?,
                        };
                        // The server may not be able to say it: an odd name, an encoding without arrows.
                        if check.scope() == CheckScope::Reference {
                            finding.subject = redact::redact_text(&about);
                            finding.key.clone_from(&finding.subject);
                        }
                        leave_to_owner(&mut finding, scope);
                        findings.push(finding);
                    }
                }
                Stand::Undecided(reason) => reasons.push((about, reason)),
                Stand::Open { .. } => reasons.push((about, "not finished".to_owned())),
            }
        }
        reasons.extend(limit(scope, check).map(|reason| (String::new(), reason)));
        let outcome = match (findings.is_empty(), reasons.is_empty()) {
            (false, _) => CheckOutcome::Found,
            (true, true) => CheckOutcome::Clean,
            (true, false) => CheckOutcome::Undecided,
        };
        let report = CheckReport {
            code: check.rule.code.clone(),
            name: check.rule.name.clone(),
            outcome,
            reason: (!reasons.is_empty()).then(|| summarize(&reasons)),
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        };
        Ok((report, findings))
    }
}

/// Whether it is a value of the rows that could not be read, and not a column that is missing.
fn is_value(error: &anyhow::Error) -> bool {
    let mut of_driver = error.chain().filter_map(|cause| cause.downcast_ref::<sqlx::Error>());
    of_driver.any(|error| matches!(error, sqlx::Error::ColumnDecode { .. }))
}

/// What a finding would do to somebody else's table is not done.
fn leave_to_owner(finding: &mut Finding, scope: &CheckContext<'_>) {
    let (catalog, repair) = (scope.catalog, &finding.repair);
    let is_about = |name: &str| {
        let quoted = format!("\"{name}\"");
        finding.subject == *name
            || finding.subject.starts_with(&format!("{name}."))
            || repair.tables.iter().any(|table| table == name)
            || repair.statements.iter().any(|sql| sql.contains(&quoted))
    };
    let of_table = catalog.closed.iter().find(|(name, _)| is_about(name)).map(|(_, reason)| reason.clone());
    // A key is validated by reading the table that it refers to.
    let of_key = || {
        let keys = catalog.foreign_keys.iter().chain(&catalog.incoming_keys);
        let mut own = keys.filter(|key| finding.subject == format!("{}.{}", key.child_table, key.name));
        own.find_map(|key| match &key.stranger {
            Some(role) => Some(format!("it involves a table of role {role:?}: not examined")),
            None => catalog.closed.get(&key.parent_table).cloned(),
        })
    };
    if let Some(reason) = of_table.or_else(of_key) {
        finding.is_fixable = false;
        finding.detail = format!("{}; left to its owner: {reason}", finding.detail);
    }
}

/// What a check does not compare where the release is unknown.
fn limit(scope: &CheckContext<'_>, check: &Check) -> Option<String> {
    if scope.range.is_some() {
        return None;
    }
    let hidden = scope.catalog.tables.get("_prisma_migrations").is_some_and(|table| !table.is_readable);
    let why = match scope.catalog.closed.get("_prisma_migrations") {
        Some(reason) => format!(" ({reason})"),
        None if hidden => " (this role may not read \"_prisma_migrations\")".to_owned(),
        None => String::new(),
    };
    let what = match check.scope() {
        CheckScope::Once | CheckScope::Finding => return None,
        CheckScope::Reference => "only declared keys",
        CheckScope::UniqueIndex => "only the newest one's indexes",
    };
    Some(format!("the release is unknown{why}, so {what} were compared"))
}

/// Joins reasons, each with what it is about; of many only the first are told. Those that are the same become one.
fn summarize(reasons: &[(String, String)]) -> String {
    const SHOWN: usize = 3;
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for (about, reason) in reasons {
        match groups.iter_mut().find(|(known, _)| known == reason) {
            Some((_, abouts)) => abouts.push(about),
            None => groups.push((reason, vec![about])),
        }
    }
    let listed = |texts: Vec<String>, separator: &str| {
        let more = texts.len().saturating_sub(SHOWN);
        let mut text = texts.into_iter().take(SHOWN).collect::<Vec<_>>().join(separator);
        if more > 0 {
            text.push_str(&format!("{separator}and {more} more"));
        }
        text
    };
    let told = |(reason, abouts): (&str, Vec<&str>)| match abouts.as_slice() {
        [""] => reason.to_owned(),
        [about] => format!("{about}: {reason}"),
        abouts => {
            let abouts = abouts.iter().map(|about| (*about).to_owned()).collect();
            format!("{reason}: {}", listed(abouts, ", "))
        }
    };
    listed(groups.into_iter().map(told).collect(), "; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_reasons_are_a_sentence() {
        let told = |reasons: &[(&str, &str)]| {
            let owned = |(about, reason): &(&str, &str)| ((*about).to_owned(), (*reason).to_owned());
            summarize(&reasons.iter().map(owned).collect::<Vec<_>>())
        };
        assert_eq!(told(&[("", "no")]), "no");
        assert_eq!(told(&[("a", "no"), ("b", "why")]), "a: no; b: why");
        assert_eq!(told(&[("a", "no"), ("b", "why"), ("c", "no")]), "no: a, c; b: why");
        let many = [("a", "no"), ("b", "no"), ("c", "no"), ("d", "no"), ("e", "no")];
        assert_eq!(told(&many), "no: a, b, c, and 2 more");
    }
}
