//! HAProxy: a map, with the lines that use it in its head.
//!
//! A frontend cannot be continued in another file, so the lines have to be copied there once; the map is what changes.
//! `url_dec,url_enc` brings every spelling into one, the map is a tree, and the query is not touched.

use std::fmt::Write;

use super::path_patterns::encoded;
use crate::access_log::proxy_config::rewrites::Rewrites;
use crate::evolution::route_pattern::{MANAGER, before_instance};

/// Where the lines expect the map.
const PLACE: &str = "/etc/haproxy/evodoctor-names.map";

/// Returns the directions for use.
pub fn directions() -> String {
    let mut text = format!(
        "To include it: save it as {PLACE} and copy the lines marked with a bar into the frontend or backend\n\
         of Evolution, above its other http-request lines. This prints them: sed -n 's/^# | //p' {PLACE}\n\
         Then: haproxy -c -f /etc/haproxy/haproxy.cfg && systemctl reload haproxy. To take it out: remove the lines and the\n\
         file, and reload. Tested with HAProxy 2.6.\n\
         \n"
    );
    for line in lines() {
        let _ = writeln!(text, "| {line}");
    }
    text
}

fn lines() -> [String; 5] {
    let before = before_instance("[^/]");
    let asked = "if evodoctor_route !evodoctor_manager";
    [
        format!("    acl evodoctor_route path_reg -i '^{before}[^/]+/?$'"),
        format!("    acl evodoctor_manager path_sub -i {MANAGER}"),
        format!("    http-request set-var(txn.evodoctor_written) path,word(-1,/),url_dec,url_enc {asked}"),
        format!(
            "    http-request set-var(txn.evodoctor_name) var(txn.evodoctor_written),lower,map_str({PLACE}) {asked}"
        ),
        "    http-request replace-path '^(.*/)[^/]+(/?)$' '\\1%[var(txn.evodoctor_name)]\\2' \
         if { var(txn.evodoctor_name) -m found } !{ var(txn.evodoctor_written),strcmp(txn.evodoctor_name) eq 0 }"
            .to_owned(),
    ]
}

/// The map: one key and one value in a line, both encoded, the key in lower case.
pub fn body(rewrites: &Rewrites) -> String {
    let line = |(written, name): (&str, &str)| {
        format!("{} {}\n", encoded(written).to_ascii_lowercase(), encoded(name))
    };
    rewrites.safe.iter().map(|rewrite| line((rewrite.written, rewrite.name))).collect()
}
