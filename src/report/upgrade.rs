//! The result of an upgrade in one sentence, for every format.

use std::time::Duration;

use crate::rules::rule::Severity;
use crate::text::humanize::format_estimate;
use crate::upgrade::{MigrationOutcome, PendingMigration, Preflight};

use super::Report;
use super::words::preflight::{longest, treated};
use super::words::way_back;
use crate::upgrade::way_back::Verdict;

/// The end of an upgrade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpgradeVerdict {
    /// The severity of that; `None` where all is well.
    pub severity: Option<Severity>,
    /// The sentence, without a full stop.
    pub sentence: String,
}

/// Returns the end of the upgrade of a report.
pub fn verdict(report: &Report, preflight: &Preflight) -> UpgradeVerdict {
    if let Some(answer) = &preflight.way_back {
        return UpgradeVerdict {
            severity: way_back_severity(answer.verdict),
            sentence: way_back::sentence(answer),
        };
    }
    let Preflight { to, pending, .. } = preflight;
    let says =
        |severity, end: &str| UpgradeVerdict { severity, sentence: format!("the upgrade to {to} {end}") };
    if !preflight.starts {
        return says(Some(Severity::Error), "does not start: Prisma stops before the first migration");
    }
    if let Some(rehearsal) = &preflight.rehearsal {
        let has = |outcome| rehearsal.files.iter().any(|file| file.outcome == outcome);
        if has(MigrationOutcome::Fails) {
            return says(Some(Severity::Error), "fails: its files were run here, and one is refused");
        }
        if has(MigrationOutcome::LosesData) {
            return says(Some(Severity::Error), "loses data: its files were run here");
        }
    }
    let has = |outcome| pending.iter().any(|one| one.outcome == outcome);
    let loses = if has(MigrationOutcome::LosesData) { ", and it loses data" } else { "" };
    if let Some(one) = pending.iter().find(|one| one.outcome == MigrationOutcome::Fails) {
        let sqlstate = one.sqlstate.as_deref().unwrap_or("an error");
        let end =
            format!("fails, and the server then does not start{loses}: {} ends with {sqlstate}", one.name);
        return says(Some(Severity::Error), &end);
    }
    if let Some(one) = pending.iter().find(|one| one.outcome == MigrationOutcome::LosesData) {
        // What is kept is not a loss: what else there is to know decides.
        return match preflight.keep.as_ref().and_then(|keep| keep.run) {
            Some(run) => says(counts(report), &format!("succeeds: {}, and run {run} keeps it", loss(one))),
            None => says(Some(Severity::Error), &format!("succeeds and loses data: {}", loss(one))),
        };
    }
    if has(MigrationOutcome::GoesAstray) {
        return says(Some(Severity::Warning), "succeeds, and a migration is recorded without being done");
    }
    if has(MigrationOutcome::Undecided) {
        return says(Some(Severity::Warning), "could not be predicted completely");
    }
    if let Some(lock) = longest(preflight) {
        let time = format_estimate(Duration::from_secs_f64(lock.seconds));
        let end = format!("succeeds, and blocks {} on {} for about {time}", lock.mode.blocks(), lock.table);
        return says(Some(Severity::Warning), &end);
    }
    if let Some(worst) = counts(report) {
        return says(Some(worst), "succeeds, and has notes to read first");
    }
    match pending.as_slice() {
        [] => UpgradeVerdict { severity: None, sentence: format!("nothing is pending for {to}") },
        pending => {
            let seconds: f64 = pending.iter().map(|one| one.seconds).sum();
            let time = format_estimate(Duration::from_secs_f64(seconds));
            says(None, &format!("succeeds, in about {time}").replace("about <", "<"))
        }
    }
}

/// Returns the severity of the answer to whether an older server runs on these tables.
fn way_back_severity(verdict: Verdict) -> Option<Severity> {
    match verdict {
        Verdict::Runs => None,
        Verdict::Uncertain => Some(Severity::Warning),
        Verdict::Fails => Some(Severity::Error),
    }
}

/// The worst of the findings, where it is more than advice.
fn counts(report: &Report) -> Option<Severity> {
    report
        .findings
        .iter()
        .map(|finding| finding.severity)
        .filter(|severity| *severity > Severity::Advice)
        .max()
}

fn loss(one: &PendingMigration) -> String {
    let rows: Vec<String> = one.rows.iter().map(treated).collect();
    if rows.is_empty() { one.name.to_owned() } else { format!("it {}", rows.join(", ")) }
}
