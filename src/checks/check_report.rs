//! What came of a check: its findings, and what is undecided.

use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::postgres::PgRow;

use super::check::{Answer, Check, CheckScope};
use super::check_error::CheckError;
use super::context::CheckContext;
use super::finding_row::finding_from_row;
use crate::redact;
use crate::rules::finding::{CheckOutcome, CheckReport, Finding};

/// Sums up what a check found. It took `busy` of all connections together.
///
/// # Errors
/// When the rows are not what the check's file promises.
pub(super) fn check_report(
    check: &Check,
    context: &CheckContext<'_>,
    answers: Vec<Answer>,
    busy: Duration,
) -> Result<(CheckReport, Vec<Finding>)> {
    let (mut findings, mut reasons) = (Vec::new(), Vec::new());
    for (about, answer) in answers {
        match answer {
            Ok(rows) => {
                for row in rows {
                    match finding(check, context, &about, &row).with_context(|| check.stem.clone())? {
                        Some(finding) => findings.push(finding),
                        None => {
                            let reason = "a value in its rows cannot be read (a number out of all bounds?)";
                            reasons.push((about.clone(), reason.to_owned()));
                        }
                    }
                }
            }
            Err(CheckError::Undecided(reason)) => reasons.push((about, reason)),
            Err(CheckError::Fatal(error)) => return Err(error.context(check.stem.clone())),
        }
    }
    reasons.extend(limit(context, check).map(|reason| (String::new(), reason)));
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
        duration_ms: u64::try_from(busy.as_millis()).unwrap_or(u64::MAX),
    };
    Ok((report, findings))
}

/// The finding of a row; `None` where a value of it cannot be read, such as a number that jsonb holds and no other program does
/// (1e400).
fn finding(check: &Check, context: &CheckContext<'_>, about: &str, row: &PgRow) -> Result<Option<Finding>> {
    let mut finding = match finding_from_row(&check.rule, row) {
        Err(error) if is_value(&error) => return Ok(None),
        finding => finding?,
    };
    // The server may not be able to say it: an odd name, an encoding without arrows.
    if check.scope() == CheckScope::Reference {
        finding.subject = redact::redact_text(about);
        finding.key.clone_from(&finding.subject);
    }
    leave_to_owner(&mut finding, context);
    Ok(Some(finding))
}

/// True if a value of the rows could not be read; false for a missing column.
fn is_value(error: &anyhow::Error) -> bool {
    let mut of_driver = error.chain().filter_map(|cause| cause.downcast_ref::<sqlx::Error>());
    of_driver.any(|error| matches!(error, sqlx::Error::ColumnDecode { .. }))
}

/// Makes a finding unfixable if its repair would change a table of another role.
fn leave_to_owner(finding: &mut Finding, context: &CheckContext<'_>) {
    let (catalog, repair) = (context.catalog, &finding.repair);
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

/// What a check does not compare if the release is unknown.
fn limit(context: &CheckContext<'_>, check: &Check) -> Option<String> {
    if context.range.is_some() {
        return None;
    }
    let hidden = context.catalog.tables.get("_prisma_migrations").is_some_and(|table| !table.is_readable);
    let why = match context.catalog.closed.get("_prisma_migrations") {
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

/// Joins reasons, each with what it is about. Equal reasons become one; of many only the first are listed.
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
    let sentence = |(reason, abouts): (&str, Vec<&str>)| match abouts.as_slice() {
        [""] => reason.to_owned(),
        [about] => format!("{about}: {reason}"),
        abouts => {
            let abouts = abouts.iter().map(|about| (*about).to_owned()).collect();
            format!("{reason}: {}", listed(abouts, ", "))
        }
    };
    listed(groups.into_iter().map(sentence).collect(), "; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_reasons_are_a_sentence() {
        let summary = |reasons: &[(&str, &str)]| {
            let owned = |(about, reason): &(&str, &str)| ((*about).to_owned(), (*reason).to_owned());
            summarize(&reasons.iter().map(owned).collect::<Vec<_>>())
        };
        assert_eq!(summary(&[("", "no")]), "no");
        assert_eq!(summary(&[("a", "no"), ("b", "why")]), "a: no; b: why");
        assert_eq!(summary(&[("a", "no"), ("b", "why"), ("c", "no")]), "no: a, c; b: why");
        let many = [("a", "no"), ("b", "no"), ("c", "no"), ("d", "no"), ("e", "no")];
        assert_eq!(summary(&many), "no: a, b, c, and 2 more");
    }
}
