//! Paths that the server has no route for, though nearly one.

use std::collections::HashMap;
use std::sync::LazyLock;

use memchr::memchr2;
use strsim::osa_distance;

use super::{INSTANCE, RouteTemplate, TEMPLATES, WordFilter, templates, without_fault, without_origin};

/// A path that the server has no route for, though nearly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NearRoute {
    /// The route that was meant.
    pub meant: &'static RouteTemplate,
    /// The mistake in the path.
    pub fault: RouteError,
    /// The number of segments behind the two words of the route.
    parameters: usize,
}

impl NearRoute {
    /// The path as it was written, without the prefix, and with names and ids as parameters.
    pub fn redacted_path(&self, path: &[u8]) -> String {
        let path = memchr2(b'?', b'#', path).map_or(path, |end| &path[..end]);
        let path = without_origin(path);
        let path = path.strip_suffix(b"/").unwrap_or(path);
        let mut words = path.rsplit(|&byte| byte == b'/').skip(self.parameters).map(String::from_utf8_lossy);
        let (action, resource) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let others = "/…".repeat(self.parameters.saturating_sub(1));
        let name = if self.parameters > 0 { INSTANCE } else { "" };
        if self.fault == RouteError::Order {
            let resource = self.meant.path.split('/').nth(1).unwrap_or_default();
            return format!("/{resource}{INSTANCE}/{action}");
        }
        let resource = match self.fault {
            RouteError::Slashes => format!("/{resource}"),
            RouteError::Manager => format!("manager/{resource}"),
            _ => resource.into_owned(),
        };
        format!("/{resource}/{action}{others}{name}")
    }
}

/// The difference between a path and the route that was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteError {
    /// There are too few segments or too many: mostly the instance's name is missing.
    Segments,
    /// It is misspelled.
    Spelling,
    /// The name is before the last word of the route.
    Order,
    /// A slash is doubled, mostly because the address of the server ends with one.
    Slashes,
    /// The address of the manager's pages is before it.
    Manager,
    /// A parameter of the query holds what belongs into another.
    Parameter,
}

/// Maximum edit distance at which a path still matches a route.
const MOST_SLIPS: usize = 2;

/// The same in a word that is long, where the other word is right.
const MOST_SLIPS_IN_LONG: usize = 4;
const LONG: usize = 12;

/// Per word of a route, resource or action, in lower case: the keys of all routes that have it.
static WORDS: LazyLock<HashMap<String, Vec<&'static [u8]>>> = LazyLock::new(|| {
    let mut words: HashMap<String, Vec<&'static [u8]>> = HashMap::new();
    for key in TEMPLATES.keys() {
        for word in String::from_utf8_lossy(key).split('/') {
            words.entry(word.to_owned()).or_default().push(key);
        }
    }
    words
});

/// Which words there are.
static WORD_FILTER: LazyLock<WordFilter> =
    LazyLock::new(|| WordFilter::new(WORDS.keys().map(String::as_str)));

/// The route that a path was meant to ask for, where [`find`] finds none: its name is missing, or it is misspelled by
/// a letter or two in one of its two words. Takes the path without its query.
pub fn suggest_route(path: &[u8]) -> Option<NearRoute> {
    let whole = path;
    let path = without_origin(path);
    let path = path.strip_suffix(b"/").unwrap_or(path).strip_prefix(b"/")?;
    let segments: Vec<&[u8]> = path.rsplit(|&byte| byte == b'/').take(6).collect();
    let target = without_fault(whole).filter(|(target, _)| target.template.names_instance());
    if let Some((target, fault)) = target {
        let parameters = target.template.path.matches("/:").count();
        return Some(NearRoute { meant: target.template, fault, parameters });
    }
    if segments.iter().any(|segment| segment.eq_ignore_ascii_case(b"manager")) {
        return None;
    }
    let pairs = || segments.windows(2).map(|pair| (pair[1], pair[0])).enumerate();
    if let Some(meant) = swapped(&segments) {
        return Some(NearRoute { meant, fault: RouteError::Order, parameters: 0 });
    }
    let missed = |parameters, fault, templates: &'static [Option<RouteTemplate>; 3]| {
        templates.iter().flatten().next().map(|meant| NearRoute { meant, fault, parameters })
    };
    let known = |(at, (resource, action))| missed(at, RouteError::Segments, templates(resource, action)?);
    // An instance's name is not an action, so the last segment is not taken for one.
    let like = |(at, (resource, action))| missed(at, RouteError::Spelling, nearest(resource, action)?);
    pairs().find_map(known).or_else(|| pairs().skip(1).find_map(like))
}

/// `/instance/alpha/connectionState`: the name is before the action.
fn swapped(segments: &[&[u8]]) -> Option<&'static RouteTemplate> {
    let &[action, name, resource, ..] = segments else { return None };
    let template = templates(resource, action)?[1].as_ref()?;
    (template.names_instance() && !name.is_empty()).then_some(template)
}

/// The routes that differ from this by few letters, in one of the two words only.
fn nearest(resource: &[u8], action: &[u8]) -> Option<&'static [Option<RouteTemplate>; 3]> {
    if !(WORD_FILTER.may_hold(resource) || WORD_FILTER.may_hold(action)) {
        return None;
    }
    let words = [resource, action].map(|word| String::from_utf8_lossy(word).to_ascii_lowercase());
    let known = WORDS.get(&words[0]).into_iter().chain(WORDS.get(&words[1])).flatten();
    let distance = |key: &[u8]| {
        let key = String::from_utf8_lossy(key);
        let (resource, action) = key.split_once('/').unwrap_or_default();
        osa_distance(resource, &words[0]) + osa_distance(action, &words[1])
    };
    let nearest = known.map(|key| (distance(key), key)).min()?;
    let right = String::from_utf8_lossy(nearest.1);
    let (resource, action) = right.split_once('/').unwrap_or_default();
    let is_long = resource == words[0] && action.len() >= LONG;
    let most = if is_long { MOST_SLIPS_IN_LONG } else { MOST_SLIPS };
    (nearest.0 <= most).then(|| &TEMPLATES[*nearest.1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelled_routes_are_recognised() {
        let nearly =
            |path: &str| suggest_route(path.as_bytes()).map(|missed| (missed.meant.path, missed.fault));
        for (path, expected) in [
            ("/instance/connectionState", ("/instance/connectionState/:instanceName", RouteError::Segments)),
            (
                "/api/Instance/ConnectionState/",
                ("/instance/connectionState/:instanceName", RouteError::Segments),
            ),
            ("/message/sendText/alpha/5511", ("/message/sendText/:instanceName", RouteError::Segments)),
            ("/openai/delete/alpha", ("/openai/delete/:openaiBotId/:instanceName", RouteError::Segments)),
            ("/message/send-text/alpha", ("/message/sendText/:instanceName", RouteError::Spelling)),
            ("/messages/sendText/alpha", ("/message/sendText/:instanceName", RouteError::Spelling)),
            ("//message/sendText/alpha", ("/message/sendText/:instanceName", RouteError::Slashes)),
            ("/manager/message/sendText/alpha", ("/message/sendText/:instanceName", RouteError::Manager)),
            (
                "/instance/connectState/alpha",
                ("/instance/connectionState/:instanceName", RouteError::Spelling),
            ),
            (
                "/instance/alpha/connectionState",
                ("/instance/connectionState/:instanceName", RouteError::Order),
            ),
            (
                "/instance/conectionState/alpha",
                ("/instance/connectionState/:instanceName", RouteError::Spelling),
            ),
        ] {
            assert_eq!(nearly(path), Some(expected), "{path}");
        }
        let written = |path: &str, query: &str| {
            let missed = super::suggest_route(path.as_bytes()).unwrap();
            missed.redacted_path([path, query].concat().as_bytes())
        };
        assert_eq!(written("/api/message/send-text/alpha/", "?x=/1"), "/message/send-text/:instanceName");
        assert_eq!(written("//message/sendText/alpha", ""), "//message/sendText/:instanceName");
        assert_eq!(written("/manager/message/sendText/alpha", ""), "/manager/message/sendText/:instanceName");
        assert_eq!(written("/instance/alpha/connectionState", ""), "/instance/:instanceName/connectionState");
        assert_eq!(written("https://h/message/sendText/alpha/5511", ""), "/message/sendText/…/:instanceName");
        assert_eq!(written("/instance/connectionState", ""), "/instance/connectionState");
        for path in ["/", "/wp-login.php", "/message", "/group/policy/x", "/a/b/c"] {
            assert_eq!(nearly(path), None, "{path}");
        }
    }
}
