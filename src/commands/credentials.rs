//! `evodoctor credentials`: lists the OpenAI credentials and what uses them, shares a key, and releases a credential.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::shared::apply::{self, CommitOutcome, dry_run_with_retry};
use super::shared::code_filter;
use super::shared::connect::DatabaseContext;
use crate::cli::{self, GlobalOptions};
use crate::database::catalog;
use crate::exit_code::Exit;
use crate::redact;
use crate::repair::locks::LockRetry;
use crate::repair::{dry_run, fix};
use crate::report::{Change, Detail, Report, RunInfo};
use crate::text::hex::encode_hex;
use crate::text::shell;

/// Lists, or rehearses an operation and applies it where asked.
///
/// # Errors
/// When something stands in the way; it is named, and nothing is changed.
pub async fn run(action: &cli::CredentialsCommand, common: &GlobalOptions) -> Result<Exit> {
    match action {
        cli::CredentialsCommand::List => list(common).await,
        cli::CredentialsCommand::Share { credential, instance, name, apply, waiting } => {
            let arguments = [
                ("credential", credential.clone()),
                ("instance", instance.clone()),
                ("name", name.clone().unwrap_or_default()),
                ("new_id", derived_id(credential, instance)),
            ];
            let again = format!("share {} {}", shell::quote(credential), shell::quote(instance));
            let name =
                name.as_ref().map(|name| format!(" --name {}", shell::quote(name))).unwrap_or_default();
            operate("share", &arguments, &(again + &name), *apply, &[], waiting.wait, common).await
        }
        cli::CredentialsCommand::Release { credential, to, across_instances, apply, allow, waiting } => {
            let across = if *across_instances { "yes" } else { "" };
            let arguments = [
                ("credential", credential.clone()),
                ("to", to.clone().unwrap_or_default()),
                ("across", across.to_owned()),
            ];
            let mut again = format!("release {}", shell::quote(credential));
            again.extend(to.iter().map(|to| format!(" --to {}", shell::quote(to))));
            if *across_instances {
                again.push_str(" --across-instances");
            }
            operate("release", &arguments, &again, *apply, allow, waiting.wait, common).await
        }
    }
}

/// The tables that the list is made of.
const CREDENTIALS: [&str; 4] = ["OpenaiCreds", "OpenaiSetting", "OpenaiBot", "Instance"];

async fn list(common: &GlobalOptions) -> Result<Exit> {
    let mut opened = DatabaseContext::connect_snapshot(common).await?;
    opened.catalog.expect_open(&CREDENTIALS)?;
    let mut credentials = catalog::credentials(opened.session.connection(), &opened.schema).await?;
    credentials.iter_mut().for_each(redact::redact_json);
    opened.session.end_snapshot().await?;
    let mut report = Report::new("credentials", Detail::Credentials { credentials });
    report.database = Some(opened.database_info());
    report.release = opened.release_info();
    report.print(common)?;
    Ok(Exit::Clean)
}

async fn operate(
    name: &str,
    arguments: &[(&str, String)],
    again: &str,
    apply: bool,
    allow: &[String],
    wait: Duration,
    common: &GlobalOptions,
) -> Result<Exit> {
    let allowed = code_filter::parse_hazards(allow)?;
    let operation = fix::find_operation(name).with_context(|| format!("there is no operation {name}"))?;
    let arguments: BTreeMap<String, String> =
        arguments.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let mut opened = DatabaseContext::connect_for_write(common, apply).await?;
    opened.server.may_fire = opened.may_fire(apply, &allowed);
    let subject = opened.change_target();
    let rehearsal = dry_run_with_retry(
        &mut opened,
        &subject,
        LockRetry::new(wait).dry_run(!apply),
        async |connection, attempt| {
            dry_run::run_operation(connection, &subject, attempt, operation, &arguments).await
        },
    )
    .await?;
    let committed = apply::commit_or_rollback(&mut opened, &rehearsal, apply, &allowed).await?;
    let applied = committed == CommitOutcome::Yes;
    let id = applied.then_some(rehearsal.run);
    let next = match id {
        Some(run) => format!("evodoctor undo {run}    shows what undoing it would do"),
        None => format!("evodoctor credentials {again}{}", apply::apply_arguments(&rehearsal.fixes)),
    };
    let change = Change {
        run: RunInfo { id, applied, batches: Vec::new() },
        fixes: rehearsal.fixes,
        plan_hash: rehearsal.plan_hash,
        next: vec![next],
        pending: Vec::new(),
        left: Vec::new(),
    };
    let mut report = Report::new("credentials", Detail::Change(change));
    report.database = Some(opened.database_info());
    report.release = opened.release_info();
    apply::keep_report_error(report.print(common), id)?;
    Ok(if applied { Exit::Clean } else { Exit::Findings })
}

/// An id in the form of Prisma's cuids, made from what is shared with whom: the rehearsal and the real run agree.
fn derived_id(credential: &str, instance: &str) -> String {
    let digest = Sha256::new().chain_update(credential).chain_update([0]).chain_update(instance).finalize();
    let hex = encode_hex(&digest);
    format!("c{}", &hex[..24])
}
