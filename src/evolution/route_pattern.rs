//! The routes that take an instance's name, as one regular expression for the proxies that are before the server.
//!
//! It uses what PCRE, POSIX extended expressions and RE2 have in common, and nothing that a quoted string of a
//! configuration would have to escape: groups, alternatives and character sets.

use std::collections::{BTreeMap, BTreeSet};

use super::routes::routes;

/// Pages of the manager stay as they are: a path in which this stands, in any letter case, is left alone.
pub const MANAGER: &str = "/manager/";

/// The text before the instance's segment: a proxy's prefix, the route, another parameter, a slash.
///
/// `segment` is the set of what may be in a segment: `[^/]` for a path, `[^/?]` where a query may follow. To be matched
/// from the path's beginning and without regard to letter case; a segment and perhaps a slash have to follow, and
/// then the path's end.
pub fn before_instance(segment: &str) -> String {
    let mut actions: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for route in routes().iter().filter(|route| route.path.ends_with(INSTANCE)) {
        let route = route.path[1..].trim_end_matches(INSTANCE);
        if let [resource, action, parameters @ ..] = route.split('/').collect::<Vec<_>>().as_slice() {
            let action = format!("{action}{}", format!("/{segment}+").repeat(parameters.len()));
            actions.entry(resource).or_default().insert(action);
        }
    }
    // Resources with the same actions share them: the bots, and everything that has just `match_path` and `set`.
    let mut resources: BTreeMap<BTreeSet<String>, Vec<&str>> = BTreeMap::new();
    for (resource, actions) in actions {
        resources.entry(actions).or_default().push(resource);
    }
    let either = |words: &[&str]| format!("({})", words.join("|"));
    let groups: Vec<String> = resources
        .iter()
        .map(|(actions, resources)| {
            let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
            format!("{}/{}", either(resources), either(&actions))
        })
        .collect();
    format!("(/{segment}*)*/({})/", groups.join("|"))
}

const INSTANCE: &str = "/:instanceName";

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::evolution::routes::match_path;
    use proptest::prelude::*;
    use regex::Regex;

    /// The segment that the pattern finds; POSIX and RE2 agree on this one.
    fn instance(path: &str) -> Option<&str> {
        static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(&format!("(?i)^{}(?<instance>[^/]+)/?$", before_instance("[^/]")))
                .expect("a regular expression")
        });
        PATTERN.captures(path).map(|found| found.name("instance").expect("always there").as_str())
    }

    #[test]
    fn every_route_with_an_instance_is_matched_and_no_other() {
        for route in routes() {
            let path = route.path.replace(":instanceName", "some%20name");
            let named = route.path.ends_with(INSTANCE).then_some("some%20name");
            for path in [path.clone(), format!("/api/v2{path}"), format!("{path}/")] {
                assert_eq!(instance(&path), named, "{path}");
            }
        }
    }

    #[test]
    fn every_proxy_takes_it_as_it_is() {
        let odd = |c: char| !(c.is_ascii_alphanumeric() || "/()|[]^*+".contains(c));
        let pattern = before_instance("[^/]");
        assert_eq!(pattern.find(odd), None);
        // nginx reads no word longer than 4096 bytes.
        assert!(pattern.len() < 3000, "{} bytes", pattern.len());
    }

    proptest! {
        /// The pattern and the search that `evodoctor logs` uses agree on paths made of what routes are made of.
        #[test]
        fn it_finds_what_the_log_search_finds(
            words in prop::collection::vec(
                prop::sample::select(routes().iter().flat_map(|r| r.path[1..].split('/')).collect::<Vec<_>>()),
                1..6,
            ),
            known in (0..routes().len()).prop_map(|at| &routes()[at]),
            keep in 0_usize..4,
        ) {
            let path = format!("/{}{}/x", words[..words.len().min(keep)].join("/"), known.path).replace("//", "/");
            let found = match_path(path.as_bytes()).and_then(|target| target.instance);
            prop_assert_eq!(instance(&path).map(str::as_bytes), found, "{}", path);
        }
    }
}
