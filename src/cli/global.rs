//! The options that several commands share.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stdout};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Arg, ArgAction, Args, ValueEnum};

use super::color::ColorMode;
use super::completion_values::CompletionValues;
use super::explicit_args::ExplicitArgs;
use crate::rules::baseline::Baseline;
use crate::rules::policy::Policy;
use crate::rules::rule::Severity;
use crate::text::shell;

/// Options that several commands share. They stand before or after the command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Common options")]
pub struct GlobalOptions {
    /// Connection string [env: DATABASE_CONNECTION_URI, DATABASE_URL, PG…]
    #[arg(long, value_name = "URL", conflicts_with = "env_file")]
    pub database_url: Option<String>,
    /// Read the connection string from Evolution's .env file
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Read the connection string from a compose file
    ///
    /// The file that Evolution is started with: environment, env_file and ${VARIABLE} are understood.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["database_url", "env_file"])]
    pub compose: Option<PathBuf>,
    /// Evolution's service in it [default: the one with a connection string]
    #[arg(long, value_name = "NAME", requires = "compose")]
    pub service: Option<String>,
    /// Use a dump instead of a server; - reads stdin
    ///
    /// The output of pg_dump or pg_dumpall, also compressed. It is restored into a throwaway server.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["database_url", "env_file", "compose"])]
    pub snapshot: Option<PathBuf>,
    /// Schema with Evolution's tables [default: the URL's, else detected]
    #[arg(long, value_name = "NAME")]
    pub schema: Option<String>,
    /// Configuration file [default: the nearest evodoctor.toml]
    ///
    /// The default is the first evodoctor.toml between the working directory and the directory with .git.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Ignore evodoctor.toml
    #[arg(long, conflicts_with_all = ["config", "env"])]
    pub no_config: bool,
    /// Environment in evodoctor.toml [env: EVODOCTOR_ENV]
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,
    /// Host that may receive passwords from evodoctor.toml [env: EVODOCTOR_ALLOW_HOST]
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    pub allow_host: Vec<String>,
    /// Output format, such as json; --help lists all
    ///
    /// human, json, sarif, junit, github, gitlab, markdown or html. Commands without findings know human, json and html.
    #[arg(long, value_enum, default_value_t = OutputFormat::Human, hide_possible_values = true)]
    pub format: OutputFormat,
    /// Write the result to a file instead of stdout
    ///
    /// With --targets this is a directory, which gets one file per database.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Run only these codes
    #[arg(long, value_name = "CODE", value_delimiter = ',', value_parser = CompletionValues::Code, hide_possible_values = true)]
    pub select: Vec<String>,
    /// Skip these codes
    #[arg(long, value_name = "CODE", value_delimiter = ',', value_parser = CompletionValues::Code, hide_possible_values = true)]
    pub ignore: Vec<String>,
    /// Lowest severity that causes exit code 1
    ///
    /// error, warning, advice or never.
    #[arg(long, value_name = "SEVERITY", value_enum, default_value_t = FailOn::Warning, hide_possible_values = true)]
    pub fail_on: FailOn,
    /// Ignore findings recorded in this baseline
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Write the findings to a baseline file
    ///
    /// With --baseline, entries of checks that did not run are kept.
    #[arg(long, value_name = "FILE")]
    pub write_baseline: Option<PathBuf>,
    /// Write Prometheus metrics to a file
    ///
    /// The file is for the textfile collector of node_exporter.
    #[arg(long, value_name = "FILE.prom")]
    pub metrics: Option<PathBuf>,
    /// What is in the baseline; read before anything else is done.
    #[arg(skip)]
    pub known: Option<Arc<Baseline>>,
    /// When to use colours: auto, always or never
    ///
    /// auto: on a terminal, unless NO_COLOR is set; elsewhere if CLICOLOR_FORCE is set.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = ColorMode::Auto, hide_possible_values = true)]
    pub color: ColorMode,
    /// Which options were typed.
    #[arg(skip)]
    pub typed: ExplicitArgs,
    /// What evodoctor.toml says of findings, and where it is; settled before anything else is done.
    #[arg(skip)]
    pub decided: Option<Arc<LoadedConfig>>,
    /// Show rows with their personal data, also outside of a terminal
    ///
    /// Without it phone numbers, names, texts and addresses are replaced, except in human reports on a terminal.
    #[arg(long)]
    pub show_rows: bool,
    /// Whether the rows are of no real person, as those of the demo.
    #[arg(skip)]
    pub has_made_up_rows: bool,
    /// Print only the summary
    #[arg(long, short)]
    pub quiet: bool,
    /// Print more: every finding with examples (-vv: every SQL statement)
    #[arg(long, short, action = ArgAction::Count)]
    pub verbose: u8,
}

/// Options that name a database.
pub(super) const DATABASE: &[&str] = &[
    "database_url",
    "env_file",
    "compose",
    "service",
    "snapshot",
    "schema",
    "config",
    "no_config",
    "env",
    "allow_host",
];
/// Options that choose findings.
pub(super) const FINDINGS: &[&str] = &["select", "ignore", "fail_on"];
/// Options that record findings.
pub(super) const RECORDS: &[&str] = &["baseline", "write_baseline", "metrics"];
/// Options of a printed result.
pub(super) const REPORT: &[&str] = &["format", "output", "color", "show_rows", "quiet", "verbose"];

impl GlobalOptions {
    /// The options with these names, for a command that takes no others. `global` makes clap copy their values up to the
    /// program, where an option that stands before the command is too.
    pub(super) fn only(names: &[&[&str]]) -> Vec<Arg> {
        let names = names.concat();
        let options = Self::augment_args(clap::Command::new("common"));
        let options = options.get_arguments().filter(|option| names.contains(&option.get_id().as_str()));
        options.map(|option| option.clone().global(true)).collect()
    }

    /// All common options, of which help lists those with these names. The others are accepted, so that the command can say
    /// why it has no use for them.
    pub(super) fn listing(names: &[&[&str]]) -> Vec<Arg> {
        let names = names.concat();
        let all = Self::only(&[DATABASE, FINDINGS, RECORDS, REPORT]).into_iter();
        all.map(|option| {
            let is_listed = names.contains(&option.get_id().as_str());
            option.hide(!is_listed)
        })
        .collect()
    }
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
    /// The options that select the same database in another command, with a space before them. A connection string may
    /// hold a password and is replaced by [`CONNECTION_VARIABLE`].
    pub fn connection_arguments(&self) -> String {
        self.connection_options().iter().map(|(option, value)| format!(" {option}{value}")).collect()
    }

    /// The same option by option, each with its value and a space before that.
    pub(super) fn connection_options(&self) -> Vec<(&'static str, String)> {
        let path = |path: &PathBuf| path.display().to_string();
        let hosts = (!self.allow_host.is_empty()).then(|| self.allow_host.join(","));
        let options = [
            ("env_file", "--env-file", self.env_file.as_ref().map(path)),
            ("compose", "--compose", self.compose.as_ref().map(path)),
            ("service", "--service", self.service.clone()),
            ("snapshot", "--snapshot", self.snapshot.as_ref().map(path)),
            ("schema", "--schema", self.schema.clone()),
            ("config", "--config", self.config.as_ref().map(path)),
            ("env", "--env", self.env.clone()),
            ("allow_host", "--allow-host", hosts),
        ];
        let mut again = Vec::new();
        if self.has_typed_url() {
            again.push(("--database-url", format!(" \"${CONNECTION_VARIABLE}\"")));
        }
        let typed = options.into_iter().filter(|(name, ..)| self.typed.contains(name));
        again.extend(
            typed.filter_map(|(_, option, value)| Some((option, format!(" {}", shell::quote(&value?))))),
        );
        if self.no_config {
            again.push(("--no-config", String::new()));
        }
        again
    }

    /// The options that select the same findings for a repair, with a space before them.
    pub fn finding_arguments(&self) -> String {
        let codes = |codes: &[String]| (!codes.is_empty()).then(|| shell::quote(&codes.join(",")));
        let fail_on = self.fail_on.to_possible_value().filter(|_| self.fail_on != FailOn::Never);
        let options = [
            ("select", "--select", codes(&self.select)),
            ("ignore", "--ignore", codes(&self.ignore)),
            ("fail_on", "--fail-on", fail_on.map(|value| value.get_name().to_owned())),
        ];
        let typed = options.into_iter().filter(|(name, ..)| self.typed.contains(name));
        typed.filter_map(|(_, option, value)| Some(format!(" {option} {}", value?))).collect()
    }

    /// [`GlobalOptions::connection_arguments`] for the database itself, where a dump of it is looked at.
    pub fn live_connection_arguments(&self) -> String {
        match self.snapshot {
            Some(_) => format!(" --database-url \"${CONNECTION_VARIABLE}\""),
            None => self.connection_arguments(),
        }
    }

    fn has_typed_url(&self) -> bool {
        self.database_url.is_some() && self.typed.contains("database_url")
    }

    /// Whether the report is for the person who runs the command, and not to be passed on.
    pub fn shows_rows(&self) -> bool {
        let is_seen = self.format == OutputFormat::Human && self.output.is_none() && stdout().is_terminal();
        self.show_rows || self.has_made_up_rows || is_seen
    }

    /// Severities and ignores; none without `evodoctor.toml`.
    pub fn policy(&self) -> &Policy {
        static NONE: Policy = Policy { severities: BTreeMap::new(), ignores: Vec::new() };
        self.decided.as_ref().map_or(&NONE, |decided| &decided.policy)
    }
}

/// Evolution's own variable for its connection string, which this program reads too.
pub const CONNECTION_VARIABLE: &str = "DATABASE_CONNECTION_URI";

/// The format in which a result is printed.
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
    /// Returns the extension of a file in this format.
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
