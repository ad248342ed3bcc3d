//! The kinds of log.

use std::sync::Arc;

use super::log_template::LogTemplate;

/// The names of the supported logs, for messages.
pub const KNOWN: &str = "nginx, Apache, Nginx Proxy Manager, Traefik, Caddy, HAProxy, Envoy, IIS, AWS and \
                         other access logs, JSON or text; any text that holds a path with its status or \
                         Evolution's 404 body (The \"…\" instance does not exist). For a log_format of your \
                         own give --log-format with its string";

/// The kinds of log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LineFormat {
    /// Whatever a line looks like.
    #[default]
    Any,
    /// The common and combined formats of nginx, Apache and Traefik, and their like.
    Combined,
    /// One JSON object per line.
    Json,
    /// HAProxy's HTTP log.
    Haproxy,
    /// AWS's load balancers.
    Balancer,
    /// Any text that holds a path with its status, or the server's 404 body: its console log among them.
    Text,
    /// As a `log_format` of nginx describes.
    Template(Arc<LogTemplate>),
}

impl LineFormat {
    pub(super) fn may_be(&self, other: &Self) -> bool {
        matches!(self, Self::Any) || self == other
    }
}
