//! The routes of Evolution API, and how to find one in a request's path.
//!
//! Source of the facts: the routers of 2.1.1, 2.2.3, 2.3.7 and 2.4.0-rc2; how segments are matched and decoded
//! was seen in runs of 2.1.1 and 2.3.7.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::LazyLock;

use foldhash::fast::RandomState;
use memchr::{memchr2, memmem};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use serde::Deserialize;
use strsim::osa_distance;

/// One verb on one path.
#[derive(Debug, Deserialize)]
pub struct Route {
    /// The verb, upper case.
    pub method: String,
    /// The path, parameters written `:like`.
    pub path: String,
    /// The oldest release looked at that has it.
    pub seen_since: String,
}

/// A path, with every verb it answers to.
#[derive(Debug, PartialEq, Eq)]
pub struct Template {
    /// The path, parameters written `:like`.
    pub path: &'static str,
    methods: Vec<&'static str>,
    takes_get: bool,
    takes_post: bool,
}

impl Template {
    /// The verb, if the server answers it here in any release known; it treats `HEAD` as `GET`.
    ///
    /// With another verb the server says `Cannot POST /…` and looks at no name at all.
    pub fn verb(&self, method: &[u8]) -> Option<&'static str> {
        if method.eq_ignore_ascii_case(b"HEAD") {
            return self.methods.contains(&"GET").then_some("HEAD");
        }
        self.methods.iter().copied().find(|known| method.eq_ignore_ascii_case(known.as_bytes()))
    }

    /// Whether the server answers this verb here: [`Template::verb`], quicker.
    pub fn answers(&self, method: &[u8]) -> bool {
        // By far the most requests have one of these, spelled so.
        match method {
            b"POST" => self.takes_post,
            b"GET" => self.takes_get,
            _ => self.verb(method).is_some(),
        }
    }

    /// Every verb it answers to.
    pub fn verbs(&self) -> &[&'static str] {
        &self.methods
    }

    /// Whether a request here, when it succeeds, is an instance's last.
    pub fn deletes_instance(&self) -> bool {
        self.path == "/instance/delete/:instanceName"
    }

    /// Whether the last segment names an instance.
    pub fn names_instance(&self) -> bool {
        self.path.ends_with(INSTANCE)
    }
}

/// What a request's path asks for.
#[derive(Debug, Clone, Copy)]
pub struct Target<'p> {
    /// The route's path.
    pub template: &'static Template,
    /// The segment that names the instance, still percent-encoded; `None` where the route has none.
    pub instance: Option<&'p [u8]>,
}

/// A path that the server has no route for, though nearly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    /// The route that was meant.
    pub meant: &'static Template,
    /// What is wrong with the path.
    pub fault: Fault,
    /// How many segments stand behind the two words of the route.
    parameters: usize,
}

impl Missed {
    /// The path as it was written, without the prefix, and with names and ids as parameters.
    pub fn written(&self, path: &[u8]) -> String {
        let path = memchr2(b'?', b'#', path).map_or(path, |end| &path[..end]);
        let path = without_origin(path);
        let path = path.strip_suffix(b"/").unwrap_or(path);
        let mut words = path.rsplit(|&byte| byte == b'/').skip(self.parameters).map(String::from_utf8_lossy);
        let (action, resource) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let others = "/…".repeat(self.parameters.saturating_sub(1));
        let name = if self.parameters > 0 { INSTANCE } else { "" };
        format!("/{resource}/{action}{others}{name}")
    }
}

/// What is wrong with a path that is nearly a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There are too few segments or too many: mostly the instance's name is missing.
    Segments,
    /// It is misspelled.
    Spelling,
}

const INSTANCE: &str = "/:instanceName";

/// Slips of the fingers in a path that still tell which route was meant.
const MOST_SLIPS: usize = 2;

/// Longer than `resource/action` of any route.
const LONGEST_KEY: usize = 64;

static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("facts/routes.json")).expect("facts/routes.json is well formed")
});

/// Per `resource/action` in lower case: the path with no parameter, with one, and with two.
static TEMPLATES: LazyLock<HashMap<Vec<u8>, [Option<Template>; 3], RandomState>> = LazyLock::new(|| {
    let mut templates: HashMap<Vec<u8>, [Option<Template>; 3], RandomState> = HashMap::default();
    for route in ROUTES.iter() {
        let mut segments = route.path[1..].split('/');
        let fixed: Vec<&str> = segments.by_ref().take(2).collect();
        let slot = &mut templates.entry(fixed.join("/").to_ascii_lowercase().into_bytes()).or_default();
        let template = slot[segments.count()].get_or_insert_with(|| Template {
            path: &route.path,
            methods: Vec::new(),
            takes_get: false,
            takes_post: false,
        });
        template.methods.push(&route.method);
        template.takes_get |= route.method == "GET";
        template.takes_post |= route.method == "POST";
    }
    templates
});

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

/// Every route known.
pub fn routes() -> &'static [Route] {
    &ROUTES
}

/// The route that a path asks for, whatever stands before it.
///
/// Takes the path as a log holds it: percent-encoded, with or without a scheme and host, a reverse proxy's
/// prefix, a query, a trailing slash; letter case in the route does not matter, as it does not to the server.
/// `None` for anything else, the manager's pages among it.
pub fn find(path: &[u8]) -> Option<Target<'_>> {
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
        if prefix.any(|segment| segment.eq_ignore_ascii_case(b"manager")) {
            return None;
        }
        let instance = last.filter(|_| template.names_instance());
        return (instance != Some(b"")).then_some(Target { template, instance });
    }
    None
}

/// The route that a path was meant to ask for, where [`find`] finds none: its name is missing, or it is misspelled by
/// a letter or two in one of its two words. Takes the path without its query.
pub fn nearly(path: &[u8]) -> Option<Missed> {
    let path = without_origin(path);
    let path = path.strip_suffix(b"/").unwrap_or(path).strip_prefix(b"/")?;
    let segments: Vec<&[u8]> = path.rsplit(|&byte| byte == b'/').take(6).collect();
    if segments.iter().any(|segment| segment.eq_ignore_ascii_case(b"manager")) {
        return None;
    }
    let pairs = || segments.windows(2).map(|pair| (pair[1], pair[0])).enumerate();
    let missed = |parameters, fault, templates: &'static [Option<Template>; 3]| {
        templates.iter().flatten().next().map(|meant| Missed { meant, fault, parameters })
    };
    let known =
        |(at, (resource, action))| missed(at, Fault::Segments, TEMPLATES.get(&*key(resource, action)?)?);
    // The name of an instance is no action, so the last segment is not taken for one.
    let like = |(at, (resource, action))| missed(at, Fault::Spelling, nearest(resource, action)?);
    pairs().find_map(known).or_else(|| pairs().skip(1).find_map(like))
}

/// The routes that differ from this by few letters, in one of the two words only.
fn nearest(resource: &[u8], action: &[u8]) -> Option<&'static [Option<Template>; 3]> {
    let words = [resource, action].map(|word| String::from_utf8_lossy(word).to_ascii_lowercase());
    let known = WORDS.get(&words[0]).into_iter().chain(WORDS.get(&words[1])).flatten();
    let distance = |key: &[u8]| {
        let key = String::from_utf8_lossy(key);
        let (resource, action) = key.split_once('/').unwrap_or_default();
        osa_distance(resource, &words[0]) + osa_distance(action, &words[1])
    };
    let nearest = known.map(|key| (distance(key), key)).min()?;
    (nearest.0 <= MOST_SLIPS).then(|| &TEMPLATES[*nearest.1])
}

/// The instance that a query names, percent-encoded: the server serves that one, whatever the path says [run].
pub fn instance_in_query(query: &[u8]) -> Option<Cow<'_, [u8]>> {
    const PARAMETER: &[u8] = b"instanceName=";
    memmem::find(query, PARAMETER)?;
    let value = query.split(|&byte| byte == b'&').find_map(|part| part.strip_prefix(PARAMETER))?;
    if !value.contains(&b'+') {
        return Some(percent_decode(value).into());
    }
    // In a query, and only there, a plus is a space.
    let spaced: Vec<u8> = value.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    Some(Cow::Owned(percent_decode(&spaced).collect()))
}

fn template(resource: &[u8], action: &[u8], parameters: usize) -> Option<&'static Template> {
    TEMPLATES.get(&*key(resource, action)?)?[parameters].as_ref()
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

/// Drops `https://host` from a request line in absolute form.
fn without_origin(path: &[u8]) -> &[u8] {
    if path.starts_with(b"/") {
        return path;
    }
    let Some(scheme) = memmem::find(path, b"://").filter(|&at| at <= 5) else { return path };
    let host = &path[scheme + 3..];
    host.iter().position(|&byte| byte == b'/').map_or(&[], |slash| &host[slash..])
}

/// What `encodeURIComponent` leaves alone, and `+`, which stands for itself in a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'+');

/// A name as a path has to spell it.
pub fn encode_segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}

/// The name that the server reads from a segment: `%20` is a space, `+` is a plus.
pub fn decode_segment(segment: &[u8]) -> Cow<'_, [u8]> {
    percent_decode(segment).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(path: &str) -> Option<&str> {
        find(path.as_bytes()).and_then(|target| target.instance).map(|name| str::from_utf8(name).unwrap())
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
                let target = find(path.as_bytes()).unwrap_or_else(|| panic!("{path} finds no route"));
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
        let target = find(b"/instance/connectionState/alpha").unwrap();
        assert_eq!(target.template.verb(b"get"), Some("GET"));
        assert_eq!(target.template.verb(b"HEAD"), Some("HEAD"));
        assert_eq!(target.template.verb(b"POST"), None);
    }

    #[test]
    fn what_is_nearly_a_route_is_known() {
        let nearly = |path: &str| nearly(path.as_bytes()).map(|missed| (missed.meant.path, missed.fault));
        for (path, expected) in [
            ("/instance/connectionState", ("/instance/connectionState/:instanceName", Fault::Segments)),
            ("/api/Instance/ConnectionState/", ("/instance/connectionState/:instanceName", Fault::Segments)),
            ("/message/sendText/alpha/5511", ("/message/sendText/:instanceName", Fault::Segments)),
            ("/openai/delete/alpha", ("/openai/delete/:openaiBotId/:instanceName", Fault::Segments)),
            ("/message/send-text/alpha", ("/message/sendText/:instanceName", Fault::Spelling)),
            ("/messages/sendText/alpha", ("/message/sendText/:instanceName", Fault::Spelling)),
            ("/instance/conectionState/alpha", ("/instance/connectionState/:instanceName", Fault::Spelling)),
        ] {
            assert_eq!(nearly(path), Some(expected), "{path}");
        }
        let written = |path: &str, query: &str| {
            let missed = super::nearly(path.as_bytes()).unwrap();
            missed.written([path, query].concat().as_bytes())
        };
        assert_eq!(written("/api/message/send-text/alpha/", "?x=/1"), "/message/send-text/:instanceName");
        assert_eq!(written("https://h/message/sendText/alpha/5511", ""), "/message/sendText/…/:instanceName");
        assert_eq!(written("/instance/connectionState", ""), "/instance/connectionState");
        for path in [
            "/",
            "/wp-login.php",
            "/message",
            "/manager/instance/connectionState",
            "/group/policy/x",
            "/a/b/c",
        ] {
            assert_eq!(nearly(path), None, "{path}");
        }
    }

    #[test]
    fn an_instance_in_the_query_is_read_as_the_server_reads_it() {
        let read = |query: &str| {
            instance_in_query(query.as_bytes()).map(|name| String::from_utf8_lossy(&name).into_owned())
        };
        assert_eq!(read("a=1&instanceName=beta+store%21"), Some("beta store!".into()));
        assert_eq!(read("instanceName="), Some(String::new()));
        assert_eq!(read("xinstanceName=a"), None);
    }

    #[test]
    fn segments_are_spelled_as_a_url_wants_them() {
        assert_eq!(encode_segment("beta store"), "beta%20store");
        assert_eq!(encode_segment("a/b?c%d"), "a%2Fb%3Fc%25d");
        assert_eq!(encode_segment("joão-1_x.y"), "jo%C3%A3o-1_x.y");
        assert_eq!(&*decode_segment(b"beta%20store"), b"beta store");
        assert_eq!(&*decode_segment(b"beta+store"), b"beta+store");
        assert_eq!(&*decode_segment(b"beta%2520store"), b"beta%20store");
    }
}
