//! Combines the answers: what is pending, how each migration ends, and what to do before.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::{Value, json};
use sqlx::postgres::PgConnection;

use super::already_applied::AlreadyApplied;
use super::catalog_state::CatalogState;
use super::fix_conflicts::{self, FixConflict};
use super::hazard::{HazardContext, HazardFinding, all_hazards};
use super::locks::migration_locks;
use super::read_speed::{ReadSpeed, TableWork};
use super::release_notes::release_notes;
use super::simulate::{RejectedStep, object, simulate};
use super::{MigrationOutcome, PendingMigration, Preflight, TreatedTable};
use crate::checks::check::{self, Check};
use crate::checks::check_error::{CheckError, CheckResult, if_decided};
use crate::checks::context::CheckContext;
use crate::checks::query_error::recovery_conflict;
use crate::checks::run_checks::run_checks;
use crate::evolution::release::{Migration, MigrationHistory, Release};
use crate::progress::{self, Unit};
use crate::rules::finding::{CheckReport, Finding};
use crate::rules::rule::Severity;

/// The check that says what keeps `prisma migrate deploy` from starting, where something does.
fn in_front(history: Option<&MigrationHistory>) -> Option<&'static str> {
    match history {
        None => Some("EVO302"),
        Some(history) if !history.failed.is_empty() => Some("EVO301"),
        Some(_) => None,
    }
}

/// A migration and what was found out about it.
pub(super) struct AnalyzedMigration {
    migration: &'static Migration,
    obstacles: Vec<RejectedStep>,
    locks: Vec<super::locks::MigrationLock>,
    seconds: f64,
}

/// The prediction, with the checks that were run for it.
pub struct Prediction {
    /// Migration by migration, and as a whole.
    pub preflight: Preflight,
    /// The checks.
    pub checks: Vec<CheckReport>,
    /// The findings.
    pub findings: Vec<Finding>,
    /// True if the connection is still good for something.
    pub is_connected: bool,
}

/// Asks as long as the server answers. If a standby ends the connection because of a recovery conflict, that is the
/// answer to this question and to all after it.
struct HazardQueries<'c> {
    connection: &'c mut PgConnection,
    is_standby: bool,
    ended: Option<String>,
}

impl HazardQueries<'_> {
    async fn ask<T>(&mut self, question: impl AsyncFnOnce(&mut PgConnection) -> Result<T>) -> CheckResult<T> {
        if let Some(reason) = &self.ended {
            return Err(CheckError::Undecided(reason.clone()));
        }
        match question(self.connection).await {
            Ok(answer) => Ok(answer),
            Err(error) => match recovery_conflict(&error, self.is_standby) {
                Some(reason) => {
                    self.ended = Some(reason.clone());
                    Err(CheckError::Undecided(reason))
                }
                None => Err(CheckError::Fatal(error)),
            },
        }
    }
}

/// Predicts the upgrade to `target`.
///
/// The catalog and the ledger are read first, which is quick: nothing can be said without them. Slow queries come
/// after.
///
/// # Errors
/// When the connection is lost. Where a standby ends it only then, what was not asked by then is undecided instead.
pub async fn predict_upgrade(
    connection: &mut PgConnection,
    context: &CheckContext<'_>,
    history: Option<&MigrationHistory>,
    target: Release,
) -> Result<Prediction> {
    let schema = &context.catalog.schema;
    let pending = pending_migrations(history, target);
    let original = match pending.is_empty() {
        true => None,
        false => Some(CatalogState::read(connection, schema).await?),
    };
    let runs = fix_conflicts::applied_runs(connection, schema).await?;
    let mut asking = HazardQueries { connection, is_standby: context.is_standby, ended: None };
    let in_front = in_front(history);
    let (mut checks, mut findings) = (Vec::new(), Vec::new());
    let is_in_front = |check: &Check| in_front == Some(check.rule.code.as_str());
    if let Some(check) = check::all_checks().iter().find(|check| is_in_front(check)) {
        match asking.ask(async |connection| run_checks(connection, context, is_in_front).await).await {
            Ok(examined) => (checks, findings) = examined,
            Err(CheckError::Fatal(error)) => return Err(error),
            Err(CheckError::Undecided(reason)) => checks.push(CheckReport::undecided(&check.rule, reason)),
        }
    }
    let (examined, speed) = match original {
        Some(original) => walk_all(&mut asking, context, original, &pending, target).await?,
        None => (Vec::new(), None),
    };
    let known = hazard_context(schema, &examined, target);

    let mut found = Vec::new();
    let progress = progress::ProgressTask::start("examining");
    progress.start_phase("", Some(all_hazards().len() as u64), Unit::Steps);
    for hazard in all_hazards() {
        progress.advance(1);
        progress.set_message(hazard.rule.code_and_name());
        if pending.iter().any(|migration| hazard.concerns(migration)) {
            match asking.ask(async |connection| hazard.run(connection, context, &known).await).await {
                Ok((report, mut of_hazard)) => {
                    checks.push(report);
                    of_hazard
                        .retain(|one| pending.iter().any(|migration| migration.number() == one.migration));
                    found.extend(of_hazard);
                }
                Err(CheckError::Fatal(error)) => return Err(error),
                Err(CheckError::Undecided(reason)) => {
                    checks.push(CheckReport::undecided(&hazard.rule, reason))
                }
            }
        }
    }
    let undecided: BTreeSet<&str> =
        checks.iter().filter(|check| check.reason.is_some()).map(|check| check.code.as_str()).collect();

    let mut reaches = in_front.is_none();
    let mut answer = Vec::new();
    for one in &examined {
        let mut ends = ends(one, &found, &undecided, target);
        ends.reached = reaches;
        reaches &= ends.outcome != MigrationOutcome::Fails;
        answer.push(ends);
    }
    let obstacles: Vec<RejectedStep> = examined.iter().flat_map(|one| one.obstacles.clone()).collect();
    let meetings = runs.map(|runs| fix_conflicts::find_conflicts(&runs, &pending, &obstacles));
    let before = before(&findings, &found, meetings.as_deref().unwrap_or_default());
    findings.extend(found.into_iter().map(|one| one.finding));
    let applied = |migration: &&Migration| history.is_some_and(|h| h.applied.contains(&migration.name));
    let preflight = Preflight {
        to: target.version(),
        applied: target.migrations().filter(applied).count(),
        total: target.migrations().count(),
        starts: in_front.is_none(),
        pending: answer,
        fixes: meetings,
        speed,
        before,
        notes: release_notes(target),
        keep: None,
        traffic: None,
        way_back: None,
        rehearsal: None,
    };
    Ok(Prediction { preflight, checks, findings, is_connected: asking.ended.is_none() })
}

/// The target's migrations that are not applied. Without a history none can be named: what is there is not known.
pub fn pending_migrations(history: Option<&MigrationHistory>, target: Release) -> Vec<&'static Migration> {
    let Some(history) = history else { return Vec::new() };
    target.migrations().filter(|migration| !history.applied.contains(&migration.name)).collect()
}

async fn walk_all(
    asking: &mut HazardQueries<'_>,
    context: &CheckContext<'_>,
    original: CatalogState,
    pending: &[&'static Migration],
    target: Release,
) -> Result<(Vec<AnalyzedMigration>, Option<ReadSpeed>)> {
    let schema = &context.catalog.schema;
    let mut state = original.clone();
    let mut worked: BTreeSet<String> = BTreeSet::new();
    for migration in pending {
        let (locks, _) = migration_locks(&state, migration, target, None);
        worked.extend(locks.into_iter().filter(|lock| lock.work > TableWork::Catalog).map(|lock| lock.table));
        simulate(&mut state, migration, target);
    }
    let is_readable =
        |table: &&str| context.catalog.tables.get(*table).is_some_and(|found| found.is_readable);
    let worked: Vec<&str> = worked.iter().map(String::as_str).filter(is_readable).collect();
    let speed = match worked.is_empty() {
        true => None,
        false => {
            let measured = asking
                .ask(async |connection| ReadSpeed::measure(connection, schema, &original, &worked).await)
                .await;
            Some(if_decided(measured)?.unwrap_or_else(ReadSpeed::default_estimate))
        }
    };

    Ok((walk_each(original, schema, pending, target, speed.as_ref()), speed))
}

/// Walks through one migration after the other.
pub(super) fn walk_each(
    mut state: CatalogState,
    schema: &str,
    pending: &[&'static Migration],
    target: Release,
    speed: Option<&ReadSpeed>,
) -> Vec<AnalyzedMigration> {
    let examine = |migration: &&'static Migration| {
        // In another schema than "public" such content changes nothing here; EVO613 says what becomes of it.
        if migration.is_bound_to_public(target) && schema != "public" {
            return AnalyzedMigration { migration, obstacles: Vec::new(), locks: Vec::new(), seconds: 0.0 };
        }
        let (locks, seconds) = migration_locks(&state, migration, target, speed);
        let obstacles = simulate(&mut state, migration, target);
        AnalyzedMigration { migration, obstacles, locks, seconds }
    };
    pending.iter().map(examine).collect()
}

/// The variables of the queries of hazards.
pub(super) fn hazard_context(schema: &str, examined: &[AnalyzedMigration], target: Release) -> HazardContext {
    let first = |one: &AnalyzedMigration| one.obstacles.first().cloned();
    let obstacles: Vec<Value> = examined
        .iter()
        .filter_map(first)
        .map(|obstacle| {
            let number = obstacle.migration.split('_').next();
            json!({"number": number, "migration": obstacle.migration, "sqlstate": obstacle.sqlstate,
                   "object": obstacle.object, "what": obstacle.what})
        })
        .collect();
    let locks: Vec<Value> = examined
        .iter()
        .flat_map(|one| one.locks.iter().map(move |lock| (one, lock)))
        .map(|(one, lock)| {
            json!({"number": one.migration.number(), "table": lock.table, "blocks": lock.mode.blocks(),
                   "bytes": lock.bytes, "work": lock.work, "seconds": lock.seconds})
        })
        .collect();
    let refused = examined.iter().filter(|one| !one.obstacles.is_empty());
    let done: Vec<AlreadyApplied> =
        refused.map(|one| AlreadyApplied::check(schema, one.migration, &one.obstacles, target)).collect();
    HazardContext { obstacles: json!(obstacles), locks: json!(locks), done: json!(done), target }
}

/// Predicts the outcome of a migration, from its obstacles and from the hazards in its rows.
fn ends(
    one: &AnalyzedMigration,
    found: &[HazardFinding],
    undecided: &BTreeSet<&str>,
    target: Release,
) -> PendingMigration {
    let migration = one.migration;
    let mine: Vec<&HazardFinding> =
        found.iter().filter(|found| found.migration == migration.number()).collect();
    let position = |found: &HazardFinding| {
        let step = found.step.as_deref()?;
        migration.steps(target).position(|existing| object(existing) == step)
    };
    let by_rows = mine
        .iter()
        .filter(|found| found.effect.as_deref() == Some("fails"))
        .filter_map(|found| Some((position(found).unwrap_or(0), found.sqlstate.clone()?)));
    let by_names = one.obstacles.iter().map(|obstacle| (obstacle.position, obstacle.sqlstate.to_owned()));
    // Of two at the same step the catalog's refusal comes before any row is looked at.
    let failure = by_names.chain(by_rows).min_by_key(|(position, _)| *position);
    let is_undecided = all_hazards()
        .iter()
        .any(|hazard| undecided.contains(hazard.rule.code.as_str()) && hazard.concerns(migration));
    let by_effect = |found: &&HazardFinding| match found.effect.as_deref() {
        // A loss that nobody notices is advice.
        Some("removes-rows" | "changes-rows" | "drops-values")
            if found.finding.severity == Severity::Advice =>
        {
            MigrationOutcome::Passes
        }
        Some("removes-rows" | "changes-rows" | "drops-values") => MigrationOutcome::LosesData,
        Some("goes-astray") => MigrationOutcome::GoesAstray,
        Some("blocks") => MigrationOutcome::Blocks,
        _ => MigrationOutcome::Passes,
    };
    let outcome = match failure {
        Some(_) => MigrationOutcome::Fails,
        None if is_undecided => MigrationOutcome::Undecided,
        None => mine.iter().map(by_effect).max().unwrap_or(MigrationOutcome::Passes),
    };
    let rows = mine.iter().filter_map(|found| {
        let action =
            found.effect.clone().filter(|effect| effect.ends_with("-rows") || effect == "drops-values")?;
        Some(TreatedTable { table: found.table.clone()?, action, count: found.finding.count })
    });
    let codes: BTreeSet<&str> = mine.iter().map(|found| found.finding.code.as_str()).collect();
    PendingMigration {
        name: &migration.name,
        release: migration.since().version(),
        outcome,
        sqlstate: failure.map(|(_, sqlstate)| sqlstate),
        reached: false,
        locks: one.locks.clone(),
        rows: rows.collect(),
        seconds: one.seconds,
        hazards: codes.into_iter().map(str::to_owned).collect(),
    }
}

/// The lines to run before the upgrade: what keeps Prisma from starting first, then fixes to undo, then the hazards in
/// the order of the migrations.
fn before(in_front: &[Finding], found: &[HazardFinding], meetings: &[FixConflict]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for finding in in_front {
        lines.push(if finding.is_fixable {
            format!("evodoctor fix {}", finding.code)
        } else {
            format!("evodoctor explain {}", finding.code)
        });
    }
    for meeting in meetings.iter().filter(|meeting| !meeting.compatible) {
        lines.push(format!("evodoctor undo {} --apply", meeting.run));
    }
    let mut ordered: Vec<&HazardFinding> = found.iter().collect();
    ordered.sort_by(|a, b| a.migration.cmp(&b.migration));
    lines.extend(ordered.iter().flat_map(|one| one.before.clone()));
    let mut seen = BTreeSet::new();
    lines.retain(|line| seen.insert(line.clone()));
    lines
}
