//! The options of the commands that serve the shell.

use clap::Args;
use clap_complete::Shell;

use super::completion_values::CompletionValues;

/// `evodoctor completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// `evodoctor man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Command [default: the page of evodoctor itself]
    #[arg(value_name = "COMMAND", value_parser = CompletionValues::Command, hide_possible_values = true)]
    pub command: Option<String>,
}
