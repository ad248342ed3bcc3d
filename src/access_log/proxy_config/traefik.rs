//! Traefik: a chain of `replacePathRegex` middlewares, for the file provider.
//!
//! Traefik has no maps, and a regular expression with all routes for each instance would be far too large. One
//! middleware therefore marks the instance's segment on the routes that have one, a small one for each instance
//! replaces a marked segment, and the last one removes the mark if nothing was replaced. A mark that a client sends is
//! encoded first, so that it cannot be used to get around a router's rule.

use std::fmt::Write;

use super::path_patterns::{encoded, expressions};
use crate::access_log::proxy_config::rewrites::Rewrites;
use crate::evolution::route_pattern::{MANAGER, before_instance};

const MARK: &str = "evodoctor-names:";

/// The same, decoded.
const MARK_OF_A_CLIENT: &str = "evodoctor-names%3A";

/// Returns the directions for use.
pub fn directions() -> String {
    "To include it: save it as evodoctor-names.yml in the directory of Traefik's file provider\n\
     (--providers.file.directory=…), and name its chain first among the middlewares of Evolution's router. As a label:\n\
     \n\
     \x20   traefik.http.routers.<router>.middlewares=evodoctor-names@file\n\
     \n\
     Traefik reads the file again by itself. To take it out: remove the middleware from the router, then the file.\n\
     Traefik has no tables: each instance costs one comparison in each request. It adds the header X-Replaced-Path to\n\
     requests whose route takes an instance's name.\n"
        .to_owned()
}

/// The document.
pub fn body(rewrites: &Rewrites) -> String {
    let before = before_instance("[^/]");
    let mut middlewares = vec![
        ("guard".to_owned(), MARK.to_owned(), MARK_OF_A_CLIENT.to_owned()),
        (
            "mark".to_owned(),
            format!("(?i)^(?P<before>{before})(?P<name>[^/]+/?)$"),
            format!("${{before}}{MARK}${{name}}"),
        ),
        ("manager".to_owned(), format!("^((?i:.*{MANAGER}).*){MARK}([^/]+/?)$"), "${1}${2}".to_owned()),
    ];
    for (at, (name, written)) in expressions(rewrites).into_iter().enumerate() {
        let regex = format!("/{MARK}(?i:{})(/?)$", written.join("|"));
        middlewares.push((format!("{}", at + 1), regex, format!("/{}${{1}}", encoded(name))));
    }
    middlewares.push(("unmark".to_owned(), format!("/{MARK}([^/]+/?)$"), "/${1}".to_owned()));
    document(&middlewares)
}

fn document(middlewares: &[(String, String, String)]) -> String {
    let mut text =
        "http:\n  middlewares:\n    evodoctor-names:\n      chain:\n        middlewares:\n".to_owned();
    for (name, ..) in middlewares {
        let _ = writeln!(text, "          - evodoctor-names-{name}");
    }
    for (name, regex, replacement) in middlewares {
        let _ = write!(
            text,
            "    evodoctor-names-{name}:\n\
             \x20     replacePathRegex:\n\
             \x20       regex: '{regex}'\n\
             \x20       replacement: '{replacement}'\n"
        );
    }
    text
}
