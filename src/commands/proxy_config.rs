//! `evodoctor logs --emit`: a proxy configuration that corrects wrong names.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::Result;
use jiff::Timestamp;

use super::shared::code_filter::CodeFilter;
use super::shared::load_instances::load_instances;
use super::shared::read_logs;
use crate::access_log::proxy_config;
use crate::access_log::proxy_config::rewrites::Rewrites;
use crate::cli::{self, GlobalOptions, ProxyKind};
use crate::error::user_error;
use crate::evolution::instances::{Instance, InstanceDirectory};
use crate::exit_code::Exit;
use crate::redact::personal::Naming;
use crate::report;
use crate::rules::misuse::MisuseKind;
use crate::text::humanize;

/// Writes the configuration: for every instance, or with logs for what clients got wrong in them.
///
/// # Errors
/// When there is nothing that lists the instances, or it or a log cannot be read.
pub async fn run(
    proxy: ProxyKind,
    args: &cli::LogsArgs,
    common: &GlobalOptions,
    selection: &CodeFilter,
) -> Result<Exit> {
    let (directory, _) = load_instances(args, common).await?;
    let directory = directory.map(Arc::new).ok_or_else(|| {
        user_error(
            "--emit needs the list of instances, and none is given",
            "give --database-url or --env-file, or --instances with the JSON of GET /instance/fetchInstances",
        )
    })?;
    let seen = if args.files.is_empty() { None } else { Some(seen(args, common, &directory).await?) };
    let wanted = |confusion: MisuseKind, instance: &Instance| {
        let code = &confusion.rule().code;
        let is_seen = |seen: &HashSet<_>| seen.contains(&(code.clone(), instance.name.clone()));
        selection.matches(code) && seen.as_ref().is_none_or(is_seen)
    };
    let is_personal = |instance: &Instance| Naming::Fixed.redact(&instance.name) != instance.name;
    let is_left_out = |instance: &Instance| !common.show_rows && is_personal(instance);
    let rewrites =
        Rewrites::collect(&directory, |kind, instance| wanted(kind, instance) && !is_left_out(instance));
    let left_out = directory.instances().iter().filter(|instance| is_left_out(instance)).count();
    if left_out > 0 {
        eprintln!(
            "note: {} left out, because their names are phone numbers or addresses; \
             --show-rows includes them",
            humanize::pluralize(left_out, "instance")
        );
    }
    report::print(
        &proxy_config::configuration(proxy, &rewrites, &format!("{:.0}", Timestamp::now())),
        common.output.as_deref(),
    )?;
    if !common.quiet {
        eprintln!(
            "note: {} rewrites for {} instances; {} not rewritten, listed at the top of the file",
            rewrites.safe.len(),
            rewrites.instances,
            rewrites.left.len()
        );
    }
    Ok(Exit::Clean)
}

/// Which instances were called by what kind of wrong name: the rule's code and the right name.
async fn seen(
    args: &cli::LogsArgs,
    common: &GlobalOptions,
    directory: &Arc<InstanceDirectory>,
) -> Result<HashSet<(String, String)>> {
    let findings = read_logs::read_logs_with_progress(args, common, Some(directory)).await?.findings;
    let name = |extra: &serde_json::Value| extra.as_str().map(str::to_owned);
    Ok(findings.into_iter().filter_map(|f| Some((f.code, name(f.extra.get("write_instead")?)?))).collect())
}
