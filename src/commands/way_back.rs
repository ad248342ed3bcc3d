//! `evodoctor preflight --to OLDER`: whether the server of an older release runs on these tables.

use anyhow::Result;

use super::shared::code_filter::CodeFilter;
use super::shared::connect::DatabaseContext;
use crate::checks::context::CheckContext;
use crate::cli::{self, GlobalOptions};
use crate::error::user_error;
use crate::evolution::release::Release;
use crate::report::{Detail, Report};
use crate::upgrade::Preflight;
use crate::upgrade::release_notes::release_notes;
use crate::upgrade::way_back::examine::way_back;
use crate::upgrade::way_back::findings::findings;
use crate::upgrade::way_back::{Verdict, WayBack};

/// The applied migrations that are newer than the release, where it is older than the database; `None` where it is not.
pub fn newer_migrations(opened: &DatabaseContext, target: Release) -> Option<Vec<String>> {
    let range = opened.release_range().filter(|range| target < range.from)?;
    let history = opened.history.as_ref()?;
    let newer = range.from.migrations().filter(|migration| migration.since() > target);
    let newer: Vec<String> = newer
        .map(|migration| migration.name.clone())
        .filter(|name| history.applied.contains(name))
        .chain(history.unknown.iter().cloned())
        .collect();
    // EVO613's fix records content of 2.3.5 for 2.3.4: nothing separates them but that.
    (!newer.is_empty()).then_some(newer)
}

/// Refuses what makes sense only on the way up.
///
/// # Errors
/// When the target is older than the database; the migrations between are named.
pub fn refuse_downgrade(opened: &DatabaseContext, target: Release) -> Result<()> {
    let Some(newer) = newer_migrations(opened, target) else { return Ok(()) };
    let range = opened.release_range().map(|range| range.to_string()).unwrap_or_default();
    Err(user_error(
        format!(
            "this database is of {range}, and {target} is older; these migrations cannot be reverted: {}",
            newer.join(", "),
        ),
        format!("evodoctor preflight --to {target} says whether its server runs on these tables"),
    ))
}

/// Finds out whether the server of the target runs on the tables of this database.
///
/// # Errors
/// When the connection is lost, or migration files of the older release are to be rehearsed: there is nothing to run.
pub async fn examine(
    mut opened: DatabaseContext,
    target: Release,
    newer: Vec<String>,
    args: &cli::PreflightArgs,
    common: &GlobalOptions,
    selection: &CodeFilter,
) -> Result<Report> {
    if args.migrations.is_some() {
        refuse_downgrade(&opened, target)?;
    }
    let tables = opened.release_range().map_or(target, |range| range.from);
    let context = CheckContext::for_server(&opened.catalog, opened.release_range(), &opened.server);
    let (mut answer, uncounted) = way_back(opened.session.connection(), &context, target, tables).await?;
    opened.session.end_snapshot().await?;
    answer.ignored = newer;
    let (mut checks, mut found) = findings(&answer, uncounted);
    checks.retain(|check| selection.matches(&check.code));
    found.retain(|finding| selection.matches(&finding.code));
    let history = opened.history.as_ref();
    let is_applied = |name: &str| history.is_some_and(|history| history.applied.contains(name));
    let preflight = Preflight {
        to: target.version(),
        applied: target.migrations().filter(|migration| is_applied(&migration.name)).count(),
        total: target.migrations().count(),
        starts: history.is_none_or(|history| history.failed.is_empty()),
        pending: Vec::new(),
        fixes: Some(Vec::new()),
        speed: None,
        before: before(&answer, target),
        notes: release_notes(target),
        keep: None,
        traffic: None,
        way_back: Some(Box::new(answer)),
        rehearsal: None,
    };
    let detail = Detail::Preflight { preflight: Box::new(preflight), resolve: args.resolve };
    let mut report = Report::new("preflight", detail).with_examination(checks, found);
    report.database = Some(opened.database_info());
    report.release = opened.release_info();
    Ok(report.with_policy(common))
}

/// The steps to take, a line each.
fn before(answer: &WayBack, target: Release) -> Vec<String> {
    let namespace =
        Release::find("2.3.0").filter(|first| target >= *first).map_or("atendai", |_| "evoapicloud");
    let image = format!("{namespace}/evolution-api:v{target}");
    let start = format!(
        "# start {image} on the same database; its prisma migrate deploy ignores the newer migrations"
    );
    let stop = "# stop the server and take a dump".to_owned();
    match answer.verdict {
        Verdict::Runs => vec![stop, start],
        Verdict::Uncertain => vec![format!("# try {image} on a copy of this database first"), stop, start],
        Verdict::Fails => vec![format!(
            "# stay on {}, or restore a backup from before the upgrade: {image} does not run on these tables",
            answer.tables
        )],
    }
}
