//! `evodoctor preflight`: what the pending upstream migrations will do to this database.

use std::time::Instant;

use anyhow::Result;

use super::multi_target;
use super::rehearse_migrations;
use super::shared::code_filter::CodeFilter;
use super::shared::connect::DatabaseContext;
use super::shared::emit_report::emit_report;
use super::{keep, traffic, way_back};
use crate::checks::context::CheckContext;
use crate::cli::{self, GlobalOptions};
use crate::database::catalog;
use crate::error::user_error;
use crate::evolution::release::{Release, Requirement};
use crate::exit_code::Exit;
use crate::repair::{dry_run, fix};
use crate::report::{Detail, Report};
use crate::rules::finding::{CheckReport, Finding};
use crate::rules::registry;
use crate::rules::rule::Severity;
use crate::text::suggest::closest_match;
use crate::upgrade::preflight::{self, Prediction};
use crate::upgrade::rehearsal::compare_prediction;
use crate::upgrade::window::{locked_tables, upgrade_window};

/// Examines and reports.
pub async fn run(args: &cli::PreflightArgs, common: &GlobalOptions) -> Result<Exit> {
    if let Some(list) = &args.several.targets {
        let each = async |common: &GlobalOptions| examine(args, common).await;
        return multi_target::run(list, &args.several, "preflight", common, each).await;
    }
    let begun = Instant::now();
    let mut report = examine(args, common).await?;
    emit_report(&mut report, common, begun)
}

/// Predicts the upgrade of the database that the options select.
///
/// # Errors
/// When the release is not known or older than the database, there is no database to examine, or files are to be
/// rehearsed and cannot be.
pub async fn examine(args: &cli::PreflightArgs, common: &GlobalOptions) -> Result<Report> {
    keep::expect_applicable(args, common)?;
    let traffic = traffic::read(&args.traffic).await?;
    let selection = CodeFilter::new(common)?;
    let to = args.to.as_deref().map(target).transpose()?;
    let folder = rehearse_migrations::read_migration_dir(args, common)?;
    let mut opened = DatabaseContext::connect_snapshot(common).await?;
    let by_folder = || folder.as_ref().map(|folder| rehearse_migrations::target_release(folder, &opened));
    // Without a release the newest one is meant that can be run; a database beyond that can only go up.
    let usual = || {
        opened.release_range().map_or(Release::newest_stable(), |range| {
            if range.from > Release::newest_stable() { Release::newest() } else { Release::newest_stable() }
        })
    };
    let target = to.or_else(by_folder).unwrap_or_else(usual);
    if let Some(newer) = way_back::newer_migrations(&opened, target) {
        return way_back::examine(opened, target, newer, args, common, &selection).await;
    }
    let context = CheckContext::for_server(&opened.catalog, opened.release_range(), &opened.server);
    let connection = opened.session.connection();
    let Prediction { preflight: mut answer, mut checks, mut findings, is_connected } =
        preflight::predict_upgrade(connection, &context, opened.history.as_ref(), target).await?;
    dry_run::mark_untreatable(&mut findings, &context);
    fix::annotate(&mut findings);
    let (mut rows, mut plan) = (None, None);
    if is_connected {
        if args.keep {
            let history = opened.history.as_ref();
            plan = Some(keep::plan(connection, &opened.catalog, history, target, &answer, args.apply).await?);
        }
        rows = catalog::migration_history(connection, &opened.catalog).await?;
        opened.session.end_snapshot().await?;
    }
    let has_pending = !answer.pending.is_empty();
    if let Some(plan) = plan {
        let kept = keep::apply(&mut opened, plan, args, has_pending).await?;
        keep::say_kept(&kept, &mut findings);
        answer.keep = Some(Box::new(kept));
    }
    if let Some(folder) = &folder {
        opened.expect_primary()?;
        let rehearsal = rehearse_migrations::rehearse_migrations(
            &mut opened,
            folder,
            rows.as_deref(),
            to,
            &answer,
            args.waiting.wait,
        )
        .await?;
        let (more_checks, more) = compare_prediction::findings(&rehearsal);
        checks.extend(more_checks);
        findings.extend(more);
        answer.rehearsal = Some(rehearsal);
    }

    if let Some(traffic) = &traffic {
        let (locks, seconds, measured) = locked_tables(&answer);
        answer.traffic = Some(Box::new(upgrade_window(&locks, seconds, measured, traffic)));
    }
    if target.requirement() == Some(Requirement::Licence) && !answer.pending.is_empty() {
        let (check, finding) = licence(target);
        checks.push(check);
        findings.push(finding);
    }
    checks.retain(|check| selection.matches(&check.code));
    findings.retain(|finding| selection.matches(&finding.code));
    let detail = Detail::Preflight { preflight: Box::new(answer), resolve: args.resolve };
    let mut report = Report::new("preflight", detail).with_examination(checks, findings);
    report.database = Some(opened.database_info());
    report.release = opened.release_info();
    Ok(report.with_policy(common))
}

/// The finding that counts for the exit code although the migrations succeed.
fn licence(target: Release) -> (CheckReport, Finding) {
    let rule = registry::find_rule("EVO731").expect("the rule about the licence is one of this program");
    let detail = "the migrations succeed, but then every route of the API answers 503 LICENSE_REQUIRED until \
                  the server is activated in its manager (/manager)";
    let mut finding = Finding::new(rule, format!("release {target}"), detail);
    finding.severity = Severity::Warning;
    finding.key = "licence".to_owned();
    (CheckReport::completed(rule), finding)
}

/// The release with this version. Where it has only candidates, the newest of them.
///
/// # Errors
/// When it is not known; the nearest one is suggested.
pub fn target(version: &str) -> Result<Release> {
    let typed = version.trim().trim_start_matches(['v', 'V']);
    let candidate =
        || Release::all().rev().find(|release| release.version().split('-').next() == Some(typed));
    Release::find(typed).or_else(candidate).ok_or_else(|| {
        let known: Vec<&str> = Release::all().map(Release::version).collect();
        // Of those that are equally similar the newest is meant.
        let newest_first: Vec<&str> = known.iter().rev().copied().collect();
        let near = closest_match(typed, &newest_first)
            .map(|near| format!("did you mean {near}? "))
            .unwrap_or_default();
        user_error(
            format!("there is no release {version} that this evodoctor knows"),
            format!(
                "{near}known releases are {} to {}; the default is the newest stable one",
                known.first().unwrap_or(&""),
                known.last().unwrap_or(&"")
            ),
        )
    })
}
