//! Rewrites as a proxy's configuration, ready to include.
//!
//! Each proxy looks a request's last segment up in a table of what clients write, and only on the routes that take
//! an instance's name, so that an id where an id belongs stays. A name that exists is never changed.

mod caddy;
mod haproxy;
mod nginx;
mod path_patterns;
pub mod rewrites;
#[cfg(test)]
mod tests;
mod traefik;

use std::fmt::Write;

use crate::access_log::proxy_config::rewrites::Rewrites;
use crate::cli::ProxyKind;

/// The configuration: a head of comments that says what it is and how to use it, then the table. No line holds a
/// control character or a token. `made` is the time in the head.
pub fn configuration(proxy: ProxyKind, rewrites: &Rewrites, made: &str) -> String {
    let (directions, body) = match proxy {
        ProxyKind::Nginx => (nginx::directions(), nginx::body(rewrites)),
        ProxyKind::Traefik => (traefik::directions(), traefik::body(rewrites)),
        ProxyKind::Caddy => (caddy::directions(), caddy::body(rewrites)),
        ProxyKind::Haproxy => (haproxy::directions(), haproxy::body(rewrites)),
    };
    let mut text = String::new();
    for line in head(rewrites, made).lines().chain(directions.lines()).chain(left(rewrites).lines()) {
        let _ = writeln!(text, "{}", format!("# {line}").trim_end());
    }
    text + "\n" + &body
}

fn head(rewrites: &Rewrites, made: &str) -> String {
    format!(
        "Made by evodoctor {} at {made}: {} rewrites for {} instances of Evolution API.\n\n\
         A request that names an instance by its id, or by its name in other letter case, gets the right \
         name in its\n\
         path, and so no 404. This is a stop-gap: correct the clients (evodoctor logs finds them), generate \
         this file again when\n\
         instances are created, deleted or renamed, and remove it when no client needs it any more.\n\n",
        env!("CARGO_PKG_VERSION"),
        rewrites.safe.len(),
        rewrites.instances,
    )
}

fn left(rewrites: &Rewrites) -> String {
    let mut text = "\nNot rewritten: tokens (a secret does not belong in a path), phone numbers, unknown \
                    names, and letter case outside of\n\
                    a to z."
        .to_owned();
    if !rewrites.left.is_empty() {
        text.push_str(
            " Also not rewritten, because a rewrite would not help or could reach the wrong instance:",
        );
    }
    for left in &rewrites.left {
        // Traefik fills in `{{ }}` and Caddy `{$ }` even in comments.
        let _ = write!(text, "\n  {} {}", left.instance.replace('{', "\\x7b"), left.reason);
    }
    text
}
