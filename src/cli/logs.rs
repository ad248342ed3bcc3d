//! The options of `evodoctor logs`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

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
