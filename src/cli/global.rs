//! The options of every command.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::color::ColorMode;
use super::completion_values::CompletionValues;
use super::explicit_args::ExplicitArgs;
use crate::rules::baseline::Baseline;
use crate::rules::policy::Policy;
use crate::rules::rule::Severity;

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Common options")]
pub struct GlobalOptions {
    /// Connection string, as Evolution has it [env: DATABASE_CONNECTION_URI, then DATABASE_URL, then libpq's PGHOST…]
    #[arg(long, global = true, value_name = "URL", conflicts_with = "env_file")]
    pub database_url: Option<String>,
    /// Take the connection string from Evolution's own .env
    #[arg(long, global = true, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Take the connection string from the compose file that Evolution is started with
    #[arg(long, global = true, value_name = "FILE", conflicts_with_all = ["database_url", "env_file"])]
    pub compose: Option<PathBuf>,
    /// Evolution's service in it [default: the one with a connection string]
    #[arg(long, global = true, value_name = "NAME", requires = "compose")]
    pub service: Option<String>,
    /// Examine a dump instead of a server: what pg_dump or pg_dumpall wrote, also packed; - reads stdin
    #[arg(long, global = true, value_name = "FILE", conflicts_with_all = ["database_url", "env_file", "compose"])]
    pub snapshot: Option<PathBuf>,
    /// The schema with Evolution's tables [default: the URL's, else the one that holds them]
    #[arg(long, global = true, value_name = "NAME")]
    pub schema: Option<String>,
    /// Settings and what is ignored [default: the nearest evodoctor.toml, from here upwards]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Look for no evodoctor.toml
    #[arg(long, global = true, conflicts_with_all = ["config", "env"])]
    pub no_config: bool,
    /// The environment in evodoctor.toml [env: EVODOCTOR_ENV]
    #[arg(long, global = true, value_name = "NAME")]
    pub env: Option<String>,
    /// A host that evodoctor.toml may send variables and passwords to [env: EVODOCTOR_ALLOW_HOST]
    #[arg(long, global = true, value_name = "HOST", value_delimiter = ',')]
    pub allow_host: Vec<String>,
    /// How to print the result
    #[arg(long, global = true, value_enum, default_value_t = OutputFormat::Human)]
    pub format: OutputFormat,
    /// Write the result to a file instead of stdout; with --targets to a folder, a file for each database
    #[arg(long, short, global = true, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Only these codes
    #[arg(long, global = true, value_name = "CODE", value_delimiter = ',', value_parser = CompletionValues::Code, hide_possible_values = true)]
    pub select: Vec<String>,
    /// Not these codes
    #[arg(long, global = true, value_name = "CODE", value_delimiter = ',', value_parser = CompletionValues::Code, hide_possible_values = true)]
    pub ignore: Vec<String>,
    /// The mildest severity that makes the exit code 1
    #[arg(long, global = true, value_enum, default_value_t = FailOn::Warning)]
    pub fail_on: FailOn,
    /// What is known already and fails no more, as --write-baseline wrote it
    #[arg(long, global = true, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Write down what is found; with --baseline, keep of that what was not looked at
    #[arg(long, global = true, value_name = "FILE")]
    pub write_baseline: Option<PathBuf>,
    /// Write the figures of the run for Prometheus, into the folder of node_exporter's textfile collector
    #[arg(long, global = true, value_name = "FILE.prom")]
    pub metrics: Option<PathBuf>,
    /// What is in the baseline; read before anything else is done.
    #[arg(skip)]
    pub known: Option<Arc<Baseline>>,
    /// When to use colours
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = ColorMode::Auto)]
    pub color: ColorMode,
    /// Which options were typed.
    #[arg(skip)]
    pub typed: ExplicitArgs,
    /// What evodoctor.toml says of findings, and where it is; settled before anything else is done.
    #[arg(skip)]
    pub decided: Option<Arc<LoadedConfig>>,
    /// Only the summary
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Tell more: every finding with examples, and on stderr what is being done (-vv: every SQL statement)
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// What `evodoctor.toml` has decided about findings.
#[derive(Debug)]
pub struct LoadedConfig {
    /// The file.
    pub file: PathBuf,
    /// The environment that was chosen.
    pub environment: Option<String>,
    /// Severities and ignores.
    pub policy: Policy,
}

impl GlobalOptions {
    /// What has to be typed again for another command to be about the same database, with a space before it. A connection
    /// string may hold a password and is left out.
    pub fn connection_arguments(&self) -> String {
        let path = |path: &PathBuf| path.display().to_string();
        let options = [
            ("env_file", "--env-file", self.env_file.as_ref().map(path)),
            ("compose", "--compose", self.compose.as_ref().map(path)),
            ("service", "--service", self.service.clone()),
            ("snapshot", "--snapshot", self.snapshot.as_ref().map(path)),
            ("schema", "--schema", self.schema.clone()),
            ("config", "--config", self.config.as_ref().map(path)),
            ("env", "--env", self.env.clone()),
        ];
        let typed = options.into_iter().filter(|(name, ..)| self.typed.contains(name));
        typed.filter_map(|(_, option, value)| Some(format!(" {option} {}", quoted(&value?)))).collect()
    }

    /// Severities and ignores; none without `evodoctor.toml`.
    pub fn policy(&self) -> &Policy {
        static NONE: Policy = Policy { severities: BTreeMap::new(), ignores: Vec::new() };
        self.decided.as_ref().map_or(&NONE, |decided| &decided.policy)
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:=@%+,".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// How to print a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people at a terminal
    Human,
    /// One JSON document; explain --json-schema describes it
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// JUnit's XML: a test case for each check
    Junit,
    /// Annotations and a step summary, for GitHub Actions
    Github,
    /// A code quality report, for GitLab CI
    Gitlab,
    /// A comment for a pull request
    Markdown,
    /// One page for a browser, that needs nothing else
    Html,
}

impl OutputFormat {
    /// How the name of a file in it ends.
    pub fn file_extension(self) -> &'static str {
        match self {
            Self::Human | Self::Github => "txt",
            Self::Json | Self::Gitlab => "json",
            Self::Sarif => "sarif",
            Self::Junit => "xml",
            Self::Markdown => "md",
            Self::Html => "html",
        }
    }

    /// As it is written on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Json => "json",
            Self::Sarif => "sarif",
            Self::Junit => "junit",
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Markdown => "markdown",
            Self::Html => "html",
        }
    }
}

/// The mildest severity that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Only errors
    Error,
    /// Errors and warnings
    Warning,
    /// Everything
    Advice,
    /// Nothing
    Never,
}

impl FailOn {
    /// Whether a finding of this severity counts.
    pub fn includes(self, severity: Severity) -> bool {
        match self {
            Self::Error => severity >= Severity::Error,
            Self::Warning => severity >= Severity::Warning,
            Self::Advice => true,
            Self::Never => false,
        }
    }
}
