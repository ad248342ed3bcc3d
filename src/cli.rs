//! The command line.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::examine::baseline::Baseline;
use crate::examine::rule::Severity;

/// Finds, explains and repairs the known failures of an Evolution API Postgres database.
#[derive(Debug, Parser)]
#[command(name = "evodoctor", version, max_term_width = 110, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub common: Common,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Examine a database; changes nothing
    Check(Check),
    /// Rehearse fixes, show the diff, roll back (--apply commits)
    Fix(Fix),
    /// Reverse an applied run (a dry run until --apply)
    Undo(Undo),
    /// List the applied runs
    History,
    /// Who holds which OpenAI credential; share a key, free a credential
    #[command(subcommand)]
    Credentials(Credentials),
    /// What the pending upstream migrations will do to this database; changes nothing
    Preflight(Preflight),
    /// Find requests that name instances wrongly, in a proxy's or the server's log
    Logs(Logs),
    /// Explain a code, or find the code for an error message
    Explain(Explain),
    /// See the whole story on a throwaway server
    Demo,
}

impl Command {
    /// Its name, and the formats that its result can have.
    pub fn formats(&self) -> (&'static str, &'static [Format]) {
        use Format::{Human, Json};
        match self {
            Self::Check(_) => ("check", Format::value_variants()),
            Self::Fix(_) => ("fix", Format::value_variants()),
            Self::Preflight(_) => ("preflight", Format::value_variants()),
            Self::Logs(_) => ("logs", Format::value_variants()),
            Self::Undo(_) => ("undo", &[Human, Json]),
            Self::History => ("history", &[Human, Json]),
            Self::Credentials(_) => ("credentials", &[Human, Json]),
            Self::Explain(_) => ("explain", &[Human, Json]),
            Self::Demo => ("demo", &[Human]),
        }
    }

    /// Whether its findings can be compared with a baseline. What is known is still to be repaired, so `fix` has none.
    pub fn takes_baseline(&self) -> bool {
        matches!(self, Self::Check(_) | Self::Preflight(_) | Self::Logs(_))
    }
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// Connection string, as Evolution has it [env: DATABASE_CONNECTION_URI, then DATABASE_URL]
    #[arg(long, global = true, value_name = "URL", conflicts_with = "env_file")]
    pub database_url: Option<String>,
    /// Take the connection string from Evolution's own .env
    #[arg(long, global = true, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// Examine a dump instead of a server: what pg_dump or pg_dumpall wrote, also packed; - reads stdin
    #[arg(long, global = true, value_name = "FILE", conflicts_with_all = ["database_url", "env_file"])]
    pub snapshot: Option<PathBuf>,
    /// The schema with Evolution's tables [default: the URL's, else the one that holds them]
    #[arg(long, global = true, value_name = "NAME")]
    pub schema: Option<String>,
    /// How to print the result
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    pub format: Format,
    /// Write the result to a file instead of stdout
    #[arg(long, short, global = true, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Only these codes
    #[arg(long, global = true, value_name = "CODE", value_delimiter = ',')]
    pub select: Vec<String>,
    /// Not these codes
    #[arg(long, global = true, value_name = "CODE", value_delimiter = ',')]
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
    /// What is in the baseline; read before anything else is done.
    #[arg(skip)]
    pub known: Option<Arc<Baseline>>,
    /// Only the summary
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Say what is being done, on stderr (-vv: every SQL statement)
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// How to print a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
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
}

impl Format {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Json => "json",
            Self::Sarif => "sarif",
            Self::Junit => "junit",
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Markdown => "markdown",
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
    pub fn counts(self, severity: Severity) -> bool {
        match self {
            Self::Error => severity >= Severity::Error,
            Self::Warning => severity >= Severity::Warning,
            Self::Advice => true,
            Self::Never => false,
        }
    }
}

/// `evodoctor check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Trust no index and read the tables themselves: slower, and finds what a corrupt index hides
    #[arg(long)]
    pub paranoid: bool,
}

/// `evodoctor preflight`.
#[derive(Debug, Args)]
pub struct Preflight {
    /// The release to upgrade to, such as 2.3.7 [default: the newest one known]
    #[arg(long, value_name = "RELEASE")]
    pub to: Option<String>,
    /// Print only what to do before the upgrade, a line for each step
    #[arg(long)]
    pub resolve: bool,
    /// Run the pending files of this folder for real: a checkout's or an image's prisma/postgresql-migrations
    #[arg(long, value_name = "DIR")]
    pub migrations: Option<PathBuf>,
    /// Consent to run them on a live database, in one transaction that is rolled back; it blocks Evolution meanwhile
    #[arg(long, requires = "migrations")]
    pub rehearse_on_live: bool,
}

/// `evodoctor fix`.
#[derive(Debug, Clone, Args)]
pub struct Fix {
    /// The codes to fix, at any severity [default: everything that --fail-on counts]
    #[arg(value_name = "CODE")]
    pub codes: Vec<String>,
    /// Commit instead of rolling back
    #[arg(long)]
    pub apply: bool,
    /// Consent to a hazard that the plan names, such as deletes-rows
    #[arg(long, value_name = "HAZARD", value_delimiter = ',')]
    pub allow: Vec<String>,
    /// Write the rehearsed plan to a file, for review
    #[arg(long, value_name = "FILE", conflicts_with = "apply")]
    pub plan_out: Option<PathBuf>,
    /// Apply exactly this plan, or refuse
    #[arg(long, value_name = "FILE", requires = "apply", conflicts_with_all = ["codes", "to"])]
    pub plan: Option<PathBuf>,
    /// For hazards of an upgrade (EVO6xx): the release to go to [default: the newest known]
    #[arg(long, value_name = "RELEASE")]
    pub to: Option<String>,
}

/// `evodoctor undo`.
#[derive(Debug, Args)]
pub struct Undo {
    /// The run's number, from `evodoctor history`
    #[arg(value_name = "RUN")]
    pub run: i64,
    /// Commit instead of rolling back
    #[arg(long)]
    pub apply: bool,
}

/// `evodoctor credentials`.
#[derive(Debug, Subcommand)]
pub enum Credentials {
    /// Each credential, its instance, and the settings and bots that hold it
    List,
    /// Give another instance a credential of its own with the same key (a dry run until --apply)
    Share {
        /// The credential's id, from `evodoctor credentials list`
        #[arg(value_name = "CREDENTIAL")]
        credential: String,
        /// The name of the instance that gets one
        #[arg(value_name = "INSTANCE")]
        instance: String,
        /// The new credential's name [default: the same]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Commit instead of rolling back
        #[arg(long)]
        apply: bool,
    },
    /// Free a credential from the settings and bots that hold it (a dry run until --apply)
    Release {
        /// The credential's id, from `evodoctor credentials list`
        #[arg(value_name = "CREDENTIAL")]
        credential: String,
        /// The credential that takes its place [default: settings and bots are removed]
        #[arg(long, value_name = "CREDENTIAL")]
        to: Option<String>,
        /// Commit instead of rolling back
        #[arg(long)]
        apply: bool,
        /// Consent to a hazard that the plan names, such as deletes-rows
        #[arg(long, value_name = "HAZARD", value_delimiter = ',')]
        allow: Vec<String>,
    },
}

/// `evodoctor logs`.
#[derive(Debug, Clone, Args)]
pub struct Logs {
    /// Log files, packed by gzip or zstd or not; - reads stdin
    #[arg(value_name = "FILE", required_unless_present = "emit")]
    pub files: Vec<PathBuf>,
    /// Read every line as of this kind [default: whatever each line looks like]
    #[arg(long, value_enum, value_name = "KIND")]
    pub log_format: Option<LogFormat>,
    /// Read on as the files grow, and say what is wrong as it comes; Ctrl-C ends with the report
    #[arg(long)]
    pub follow: bool,
    /// The JSON that GET /instance/fetchInstances returns, instead of a database
    #[arg(long, value_name = "FILE")]
    pub instances: Option<PathBuf>,
    /// Print a configuration that lets a proxy put ids and letter case right, for every instance or those in the logs
    #[arg(long, value_enum, value_name = "PROXY", conflicts_with_all = ["format", "follow"])]
    pub emit: Option<Proxy>,
}

/// A proxy that can put names right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Proxy {
    /// A file for nginx's `http` block
    Nginx,
    /// A dynamic configuration for Traefik's file provider
    Traefik,
    /// A file for `import` in Caddy's site block
    Caddy,
    /// A map for HAProxy
    Haproxy,
}

/// Kinds of log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Common or combined: nginx, Apache, Traefik
    #[value(aliases = ["common", "nginx", "apache"])]
    Combined,
    /// One JSON object per line: Traefik, Caddy, nginx, Cloudflare, Docker
    #[value(aliases = ["traefik", "caddy", "cloudflare", "docker"])]
    Json,
    /// HAProxy's HTTP log
    Haproxy,
    /// AWS application and classic load balancers
    #[value(aliases = ["elb", "aws"])]
    Alb,
    /// Any text with a path and its status, or with the API's 404 body: n8n, curl, Evolution's own log
    #[value(aliases = ["evolution", "console", "n8n", "curl"])]
    Text,
}

/// `evodoctor explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// A code, an error message, a constraint's name or a Prisma P-code [default: list every code]
    #[arg(value_name = "CODE|TEXT")]
    pub text: Vec<String>,
    /// Print the JSON Schema of what --format json prints, for every command
    #[arg(long, conflicts_with = "text")]
    pub json_schema: bool,
}
