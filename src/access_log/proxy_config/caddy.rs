//! Caddy: maps, a matcher and a rewrite, for `import` in a site block.
//!
//! Caddy folds no letter case except in regular expressions, and looks a map through from the top: one expression for
//! each instance is tried in turn. The names of the placeholders hold a colon because Caddy refuses a map whose values
//! contain the name of one, and no encoded name contains a colon.

use std::fmt::Write;

use super::path_patterns::{encoded, expressions};
use crate::access_log::proxy_config::rewrites::Rewrites;
use crate::evolution::route_pattern::{MANAGER, before_instance};

/// Returns the directions for use.
pub fn directions() -> String {
    "To include it: save it as /etc/caddy/evodoctor-names.caddy and put this line into the site block of Evolution:\n\
     \n\
     \x20   import /etc/caddy/evodoctor-names.caddy\n\
     \n\
     Then: caddy validate --config /etc/caddy/Caddyfile && systemctl reload caddy. To take it out: remove the line and the\n\
     file, and reload. Inside a route block, the line has to stand before reverse_proxy. Tested with Caddy 2.6.\n"
        .to_owned()
}

/// The directives.
pub fn body(rewrites: &Rewrites) -> String {
    let before = before_instance("[^/?]");
    let mut text = format!(
        "# What a request writes in an instance's place; empty on routes that have none.\n\
         map {{http.request.uri}} {{evodoctor:written}} {{\n\
         \t`~(?i)^[^?]*{MANAGER}` \"\"\n\
         \t`~(?i)^{before}(?P<name>[^/?]+)/?([?].*)?$` ${{name}}\n\
         \tdefault \"\"\n\
         }}\n\
         \n\
         # The name that is meant.\n\
         map {{evodoctor:written}} {{evodoctor:name}} {{\n"
    );
    for (name, written) in expressions(rewrites) {
        let _ = writeln!(text, "\t`~(?i)^(?:{})$` {}", written.join("|"), encoded(name));
    }
    text.push_str(
        "\tdefault \"\"\n\
         }\n\
         \n\
         # Neither unknown nor right already.\n\
         @evodoctor not vars {evodoctor:name} \"\" {evodoctor:written}\n\
         uri @evodoctor path_regexp ^(.*)/[^/]+(/?)$ $1/{evodoctor:name}$2\n",
    );
    text
}
