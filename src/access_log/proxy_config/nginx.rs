//! nginx: maps, and one line that uses them.
//!
//! `map` compares without regard to the case of ASCII letters, in one look-up however many names there are. `$uri` is
//! decoded, so one line serves every spelling. `volatile` because the maps are asked again after an internal redirect,
//! such as `error_page`, whose `$uri` is another one.

use std::fmt::Write;

use crate::access_log::proxy_config::rewrites::Rewrites;
use crate::evolution::route_pattern::{MANAGER, before_instance};

/// The line that a server block needs.
const USE: &str = "if ($evodoctor_path) { rewrite ^ $evodoctor_path; }";

/// A key of this many bytes is the longest that fits into nginx's default bucket of 64.
const LONGEST_DEFAULT: usize = 46;

/// So many keys find places of their own in nginx's default table of 2048; of twice as many it warns.
const MOST_DEFAULT: usize = 64;

/// With buckets for so many of the longest keys, nginx finds an even table of about one place for each key.
const KEYS_IN_BUCKET: usize = 8;

/// Returns the directions for use.
pub fn directions() -> String {
    format!(
        "To include it: save it as /etc/nginx/conf.d/evodoctor-names.conf, or wherever the http block includes files from,\n\
         and put this line into the server block in front of Evolution, above its locations:\n\
         \n\
         \x20   {USE}\n\
         \n\
         Then: nginx -t && nginx -s reload. To take it out: remove the line and the file, and reload. Needs nginx 1.11.7, tested\n\
         with 1.22. A rewritten path is encoded again by nginx; a query and every other request stay as they came.\n"
    )
}

/// The maps.
pub fn body(rewrites: &Rewrites) -> String {
    let mut text = hash_sizes(rewrites);
    let before = before_instance("[^/]");
    let _ = write!(
        text,
        "# There is no other way to write a dollar sign in a value.\n\
         geo $evodoctor_dollar {{ default \"$\"; }}\n\
         \n\
         # What a request writes in an instance's place; empty on routes that have none.\n\
         map $uri $evodoctor_written {{\n\
         \x20   volatile;\n\
         \x20   default \"\";\n\
         \x20   \"~*{MANAGER}\" \"\";\n\
         \x20   \"~*^(?<evodoctor_before>{before})(?<evodoctor_segment>[^/]+)(?<evodoctor_after>/?)$\" $evodoctor_segment;\n\
         }}\n\
         \n\
         # The name that is meant.\n\
         map $evodoctor_written $evodoctor_name {{\n\
         \x20   volatile;\n\
         \x20   default \"\";\n"
    );
    for rewrite in &rewrites.safe {
        let _ = writeln!(text, "    {} {};", key(rewrite.written), value(rewrite.name));
    }
    text.push_str(
        "}\n\
         \n\
         # The path to take instead; empty where the name is right already, or not known.\n\
         map \"$evodoctor_written/$evodoctor_name\" $evodoctor_path {\n\
         \x20   volatile;\n\
         \x20   \"~/$\" \"\";\n\
         \x20   \"~^(.*)/\\1$\" \"\";\n\
         \x20   default \"$evodoctor_before$evodoctor_name$evodoctor_after\";\n\
         }\n",
    );
    text
}

/// Settings that many names, or long ones, need.
fn hash_sizes(rewrites: &Rewrites) -> String {
    let longest = rewrites.safe.iter().map(|rewrite| rewrite.written.len()).max().unwrap_or(0);
    let count = rewrites.safe.len();
    if longest <= LONGEST_DEFAULT && count <= MOST_DEFAULT {
        return String::new();
    }
    let bucket = (KEYS_IN_BUCKET * (longest + 24)).next_power_of_two();
    let size = count.next_power_of_two().max(2048);
    format!(
        "# If this configuration sets these two already, keep the larger values there and remove them here.\n\
         map_hash_max_size {size};\n\
         map_hash_bucket_size {bucket};\n\n"
    )
}

/// A literal key: the backslash in front keeps `~`, `default` and the like from meaning something else.
fn key(written: &str) -> String {
    format!("\"\\\\{}\"", quoted(written))
}

fn value(name: &str) -> String {
    format!("\"{}\"", quoted(name).replace('$', "${evodoctor_dollar}"))
}

/// Between double quotes nginx reads `\\` and `\"`, and everything else as it is.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
