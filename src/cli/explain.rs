//! The options of `evodoctor explain`.

use clap::Args;

use super::completion_values::CompletionValues;

/// `evodoctor explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A code, or an error as it was logged or answered; - reads it from standard input [default: list every code]
    #[arg(value_name = "CODE|TEXT", value_parser = CompletionValues::Code, hide_possible_values = true)]
    pub text: Vec<String>,
    /// Print the JSON Schema of what --format json prints, for every command
    #[arg(long, conflicts_with = "text")]
    pub json_schema: bool,
}
