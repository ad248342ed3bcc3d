//! The options of `evodoctor logs`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `evodoctor logs`.
#[derive(Debug, Clone, Args)]
pub struct LogsArgs {
    /// Log files, plain or compressed (gzip, zstd); - reads stdin
    #[arg(value_name = "FILE", required_unless_present = "emit")]
    pub files: Vec<PathBuf>,
    /// Force this log format [default: detect per line]
    ///
    /// combined, json, haproxy, alb, text, or the string of nginx's log_format in single quotes.
    #[arg(long, value_name = "KIND|FORMAT", value_parser = log_format)]
    pub log_format: Option<LogFormat>,
    /// Keep reading as the files grow; Ctrl-C or SIGTERM ends with the report
    #[arg(long)]
    pub follow: bool,
    /// JSON of GET /instance/fetchInstances, instead of a database; - reads stdin
    #[arg(long, value_name = "FILE")]
    pub instances: Option<PathBuf>,
    /// Print a proxy configuration that corrects wrong names
    ///
    /// nginx, haproxy, caddy or traefik. It covers every instance, or those in the given logs.
    #[arg(long, value_enum, value_name = "PROXY", hide_possible_values = true, conflicts_with_all = ["format", "follow"])]
    pub emit: Option<ProxyKind>,
}

/// A proxy that can put names right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProxyKind {
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogFormat {
    /// Common or combined, and other lines that quote the request: nginx, Apache, Traefik.
    Combined,
    /// One JSON object per line: Traefik, Caddy, nginx, Cloudflare, Docker.
    Json,
    /// HAProxy's HTTP log.
    Haproxy,
    /// AWS application and classic load balancers.
    Alb,
    /// Any text with a path and its status, or with the API's 404 body: n8n, curl, Evolution's own log.
    Text,
    /// The string of a `log_format` of nginx.
    Nginx(String),
}

/// A kind by its name or one of its users, or a format with nginx's variables.
fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "combined" | "common" | "nginx" | "apache" => Ok(LogFormat::Combined),
        "json" | "traefik" | "caddy" | "cloudflare" | "docker" => Ok(LogFormat::Json),
        "haproxy" => Ok(LogFormat::Haproxy),
        "alb" | "elb" | "aws" => Ok(LogFormat::Alb),
        "text" | "evolution" | "console" | "n8n" | "curl" => Ok(LogFormat::Text),
        format if format.contains('$') => Ok(LogFormat::Nginx(format.to_owned())),
        _ => Err(
            "use combined, json, haproxy, alb, text, or the string of nginx's log_format in single quotes"
                .to_owned(),
        ),
    }
}
