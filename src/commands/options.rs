//! What the options of every command have to satisfy before any work is done.

use std::sync::Arc;

use anyhow::Result;

use super::configure;
use crate::cli::{Cli, Format, Typed};
use crate::examine::baseline::Baseline;
use crate::exit::failure;

/// Takes what `evodoctor.toml` says, refuses what the command has no use for, and reads the baseline.
///
/// # Errors
/// When `evodoctor.toml` is wrong, the command has no such format or no findings to compare, or the baseline cannot be read.
pub fn settle(cli: &mut Cli, typed: &Typed) -> Result<()> {
    configure::configure(cli, typed)?;
    let (command, formats) = cli.command.formats();
    let common = &mut cli.common;
    if !formats.contains(&common.format) {
        let names: Vec<&str> = formats.iter().copied().map(Format::name).collect();
        return Err(failure(
            format!("{command} cannot be told as {}: it has no findings", common.format.name()),
            format!("--format {}", names.join(" or --format ")),
        ));
    }
    let asks = common.baseline.is_some() || common.write_baseline.is_some();
    if asks && !cli.command.takes_baseline() {
        return Err(failure(
            format!(
                "{command} takes no baseline: what is known is for check, preflight and logs not to fail on"
            ),
            "leave --baseline and --write-baseline out",
        ));
    }
    common.known = common.baseline.as_deref().map(Baseline::read).transpose()?.map(Arc::new);
    Ok(())
}
