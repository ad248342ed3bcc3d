//! The routes of Evolution API, and how to find one in a request's path.
//!
//! Source of the facts: the routers of 2.1.1, 2.2.3, 2.3.7 and 2.4.0-rc2; how segments are matched and decoded
//! was seen in runs of 2.1.1 and 2.3.7.

mod path_segment;
mod suggest;

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::LazyLock;

use foldhash::fast::RandomState;
use memchr::{memchr2, memmem};
use serde::Deserialize;

pub use self::path_segment::{decode_segment, encode_segment, instance_in_query, parameter};
pub use self::suggest::{NearRoute, RouteError, suggest_route};

/// One method on one path.
#[derive(Debug, Deserialize)]
pub struct Route {
    /// The method, upper case.
    pub method: String,
    /// The path, parameters written `:like`.
    pub path: String,
    /// The oldest release looked at that has it.
    pub seen_since: String,
}

/// A path, with every method it answers to.
#[derive(Debug, PartialEq, Eq)]
pub struct RouteTemplate {
    /// The path, parameters written `:like`.
    pub path: &'static str,
    methods: Vec<&'static str>,
}

impl RouteTemplate {
    /// The method, if the server answers it here in any release known; it treats `HEAD` as `GET`.
    ///
    /// With another method the server answers `Cannot POST /…` and does not look at the name.
    pub fn verb(&self, method: &[u8]) -> Option<&'static str> {
        if method.eq_ignore_ascii_case(b"HEAD") {
            return self.methods.contains(&"GET").then_some("HEAD");
        }
        self.methods.iter().copied().find(|known| method.eq_ignore_ascii_case(known.as_bytes()))
    }

    /// Every method it answers to.
    pub fn verbs(&self) -> &[&'static str] {
        &self.methods
    }

    /// True if a request here, when it succeeds, is an instance's last.
    pub fn deletes_instance(&self) -> bool {
        self.path == "/instance/delete/:instanceName"
    }

    /// True if it lists the instances, all or by `?instanceName=` or `?instanceId=`.
    pub fn lists_instances(&self) -> bool {
        self.path == "/instance/fetchInstances"
    }

    /// True if it is answered 200 whatever instance it names [run].
    pub fn answers_any_name(&self) -> bool {
        self.path == "/chatwoot/webhook/:instanceName"
    }

    /// True if the last segment names an instance.
    pub fn names_instance(&self) -> bool {
        self.path.ends_with(INSTANCE)
    }
}

/// The route that a request's path asks for.
#[derive(Debug, Clone, Copy)]
pub struct RouteMatch<'p> {
    /// The route's path.
    pub template: &'static RouteTemplate,
    /// The segment that names the instance, still percent-encoded; `None` where the route has none.
    pub instance: Option<&'p [u8]>,
}

const INSTANCE: &str = "/:instanceName";

/// Longer than `resource/action` of any route.
const LONGEST_KEY: usize = 64;

static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("facts/routes.json")).expect("facts/routes.json is well formed")
});

/// Per `resource/action` in lower case: the path with no parameter, with one, and with two.
static TEMPLATES: LazyLock<HashMap<Vec<u8>, [Option<RouteTemplate>; 3], RandomState>> = LazyLock::new(|| {
    let mut templates: HashMap<Vec<u8>, [Option<RouteTemplate>; 3], RandomState> = HashMap::default();
    for route in ROUTES.iter() {
        let mut segments = route.path[1..].split('/');
        let fixed: Vec<&str> = segments.by_ref().take(2).collect();
        let slot = &mut templates.entry(fixed.join("/").to_ascii_lowercase().into_bytes()).or_default();
        let template = slot[segments.count()]
            .get_or_insert_with(|| RouteTemplate { path: &route.path, methods: Vec::new() });
        template.methods.push(&route.method);
    }
    templates
});

/// The first words of all routes.
static RESOURCES: LazyLock<WordFilter> =
    LazyLock::new(|| WordFilter::new(ROUTES.iter().filter_map(|route| route.path[1..].split('/').next())));

/// Every route known.
pub fn routes() -> &'static [Route] {
    &ROUTES
}

/// The route that a path asks for, whatever is before it.
///
/// Takes the path as a log holds it: percent-encoded, with or without a scheme and host, a reverse proxy's
/// prefix, a query, a trailing slash; letter case in the route does not matter, as it does not to the server.
/// `None` for anything else, the manager's pages among it.
pub fn match_path(path: &[u8]) -> Option<RouteMatch<'_>> {
    let path = without_origin(path);
    let path = memchr2(b'?', b'#', path).map_or(path, |end| &path[..end]);
    let path = path.strip_suffix(b"/").unwrap_or(path).strip_prefix(b"/")?;

    let mut segments = path.rsplit(|&byte| byte == b'/');
    let [last, third, second, first] = std::array::from_fn(|_| segments.next());
    // The longest route first: what could be its head is otherwise taken for a proxy's prefix.
    let readings = [(first, second, 2), (second, third, 1), (third, last, 0)];
    for (resource, action, parameters) in readings {
        let (Some(resource), Some(action)) = (resource, action) else { continue };
        let Some(template) = template(resource, action, parameters) else { continue };
        let mut prefix = path.rsplit(|&byte| byte == b'/').skip(2 + parameters);
        // The server matches neither the manager's pages nor a path with an empty segment.
        if prefix.any(|segment| segment.is_empty() || segment.eq_ignore_ascii_case(b"manager")) {
            return None;
        }
        let instance = last.filter(|_| template.names_instance());
        return (instance != Some(b"")).then_some(RouteMatch { template, instance });
    }
    None
}

fn template(resource: &[u8], action: &[u8], parameters: usize) -> Option<&'static RouteTemplate> {
    templates(resource, action)?[parameters].as_ref()
}

/// The path with these two words without a parameter, with one, and with two.
fn templates(resource: &[u8], action: &[u8]) -> Option<&'static [Option<RouteTemplate>; 3]> {
    if RESOURCES.may_hold(resource) { TEMPLATES.get(&*key(resource, action)?) } else { None }
}

/// For each length of a word, the first letters of the words that have it: this rules out most words in the paths of
/// other programs.
struct WordFilter([u32; LONGEST_KEY]);

impl WordFilter {
    fn new<'w>(words: impl Iterator<Item = &'w str>) -> Self {
        let mut filter = Self([0; LONGEST_KEY]);
        for word in words {
            filter.0[word.len()] |= Self::letter(word.as_bytes());
        }
        filter
    }

    fn may_hold(&self, word: &[u8]) -> bool {
        self.0.get(word.len()).is_some_and(|letters| letters & Self::letter(word) != 0)
    }

    /// A bit for the first letter, in either case.
    fn letter(word: &[u8]) -> u32 {
        match word.first() {
            Some(letter) if letter.is_ascii_alphabetic() => 1 << (letter & 31),
            _ => 0,
        }
    }
}

/// `resource/action` in lower case, unless it is longer than any.
fn key(resource: &[u8], action: &[u8]) -> Option<impl Deref<Target = [u8]> + use<>> {
    let mut key = ArrayKey { bytes: [0; LONGEST_KEY], length: resource.len() + 1 + action.len() };
    let bytes = key.bytes.get_mut(..key.length)?;
    bytes[..resource.len()].copy_from_slice(resource);
    bytes[resource.len()] = b'/';
    bytes[resource.len() + 1..].copy_from_slice(action);
    bytes.make_ascii_lowercase();
    Some(key)
}

struct ArrayKey {
    bytes: [u8; LONGEST_KEY],
    length: usize,
}

impl Deref for ArrayKey {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// The route that a path would ask for without doubled slashes, or without the manager's prefix.
fn without_fault(path: &[u8]) -> Option<(RouteMatch<'_>, suggest::RouteError)> {
    let origin = without_origin(path);
    let path = memchr2(b'?', b'#', origin).map_or(origin, |end| &origin[..end]);
    let trimmed = path.strip_suffix(b"/").unwrap_or(path);
    let starts = trimmed.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    let target = starts.rev().find_map(|at| match_path(&trimmed[at..]))?;
    let is_doubled = memmem::find(trimmed, b"//").is_some();
    Some((target, if is_doubled { suggest::RouteError::Slashes } else { suggest::RouteError::Manager }))
}

/// True if the server cannot decode a path, and answers 400 `Failed to decode param`: its escapes are not of UTF-8
/// [run].
pub fn is_undecodable(path: &[u8]) -> bool {
    path.contains(&b'%') && str::from_utf8(&decode_segment(path)).is_err()
}

/// Drops `https://host` from a request line in absolute form.
fn without_origin(path: &[u8]) -> &[u8] {
    if path.starts_with(b"/") {
        return path;
    }
    let Some(scheme) = memmem::find(path, b"://").filter(|&at| at <= 5) else { return path };
    let host = &path[scheme + 3..];
    host.iter().position(|&byte| byte == b'/').map_or(&[], |slash| &host[slash..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(path: &str) -> Option<&str> {
        match_path(path.as_bytes())
            .and_then(|target| target.instance)
            .map(|name| str::from_utf8(name).unwrap())
    }

    #[test]
    fn every_route_finds_itself_behind_any_prefix_and_in_any_case() {
        for route in routes() {
            let path = route.path.replace(":instanceName", "beta%20store");
            for path in [
                path.clone(),
                format!("/api{path}"),
                format!("/evolution/v2{path}/?x=/a/b"),
                format!(
                    "https://wa.example.com{}",
                    path.to_uppercase().replace("BETA%20STORE", "beta%20store")
                ),
            ] {
                let target = match_path(path.as_bytes()).unwrap_or_else(|| panic!("{path} finds no route"));
                assert_eq!(target.template.path, route.path, "{path}");
                assert!(target.template.verb(route.method.as_bytes()).is_some());
                let named = route.path.ends_with(INSTANCE).then_some(&b"beta%20store"[..]);
                assert_eq!(target.instance, named, "{path}");
            }
        }
    }

    #[test]
    fn the_instance_is_the_last_segment() {
        assert_eq!(instance("/openai/delete/clx1/alpha"), Some("alpha"));
        assert_eq!(instance("/api/openai/delete/clx1/alpha"), Some("alpha"));
        assert_eq!(instance("/chatwoot/webhook/alpha"), Some("alpha"));
        assert_eq!(instance("/evolution/chatwoot/webhook/evolution"), Some("evolution"));
        assert_eq!(instance("/INSTANCE/ConnectionState/Alpha/"), Some("Alpha"));
        assert_eq!(instance("/message/sendText/a%2Fb?x=1#y"), Some("a%2Fb"));
        assert_eq!(instance("/instance/connect/manager"), Some("manager"));
    }

    #[test]
    fn requests_without_an_instance_have_none() {
        for path in [
            "/instance/fetchInstances?instanceId=6f1b",
            "/api/instance/fetchInstances/",
            "/instance/create",
            "/webhook/evolution",
            "/evolution/webhook/meta",
            "/manager",
            "/manager/instance/6f1b/dashboard",
            "/manager/instance/connect/alpha",
            "/instance/connectionState",
            "/instance/connectionState/",
            "/instance/connectionState//",
            "/instance/connectionState/a/b",
            "/instance/nosuch/alpha",
            "/",
            "",
            "*",
            "ftp://",
        ] {
            assert_eq!(instance(path), None, "{path}");
        }
    }

    #[test]
    fn a_verb_that_the_route_lacks_is_refused() {
        let target = match_path(b"/instance/connectionState/alpha").unwrap();
        assert_eq!(target.template.verb(b"get"), Some("GET"));
        assert_eq!(target.template.verb(b"HEAD"), Some("HEAD"));
        assert_eq!(target.template.verb(b"POST"), None);
    }
}
