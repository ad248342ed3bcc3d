//! The options of `evodoctor explain`.

use clap::Args;

use super::completion_values::CompletionValues;

/// `evodoctor explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Code or error message; - reads stdin [default: list all codes]
    #[arg(value_name = "CODE|TEXT", value_parser = CompletionValues::Code, hide_possible_values = true)]
    pub text: Vec<String>,
    /// Print the JSON Schema of --format json
    #[arg(long, conflicts_with = "text")]
    pub json_schema: bool,
}
