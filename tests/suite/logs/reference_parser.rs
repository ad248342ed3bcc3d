//! The parser that is fast agrees with one that is slow and obvious, line by line.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::LazyLock;

use evodoctor::access_log::formats::{LineFormat, LineParser};
use evodoctor::access_log::request::{Request, RequestTarget};
use evodoctor::access_log::timestamp::Timestamp;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestCaseError;
use regex::bytes::Regex;
use serde_json::{Value, json};

use crate::support::property_config::generated;

/// All that a line says, as text.
#[derive(Debug, Clone, Default, PartialEq)]
struct Seen {
    path: String,
    method: Option<String>,
    status: Option<u16>,
    time: Option<Timestamp>,
    client: Option<String>,
    user_agent: Option<String>,
    host: Option<String>,
    router: Option<String>,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn seen(request: &Request<'_>) -> Seen {
    let own = |field: Option<&[u8]>| field.map(text);
    let RequestTarget::Path(path) = &request.asked else { panic!("{request:?}") };
    Seen {
        path: text(path),
        method: own(request.method.as_deref()),
        status: request.status,
        time: request.time,
        client: own(request.client.as_deref()),
        user_agent: own(request.user_agent().as_deref()),
        host: own(request.host.as_deref()),
        router: own(request.router().as_deref()),
    }
}

fn fast(line: &[u8], format: LineFormat) -> Option<Seen> {
    LineParser::for_format(format).parse(line).map(|request| seen(&request))
}

const QUOTED: &str = r#""((?:[^"\\]|\\.)*)""#;

/// `before [time] "request" status size tail`; the time by its form, or else by the brackets around it.
static COMBINED: LazyLock<[Regex; 2]> = LazyLock::new(|| {
    [r"^([^\[]*)\[(.{26})", r"^(.*?)\[([^\[]*?)"].map(|head| {
        let pattern = format!(r#"(?s-u){head}\] {QUOTED} ([1-5][0-9][0-9])(?: ([^ ]*)(?: (.*))?)?$"#);
        Regex::new(&pattern).unwrap()
    })
});

static TAIL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(&format!(r#"(?s-u)^(?:[0-9. -]+)?{QUOTED} {QUOTED}(?: ([0-9]+) {QUOTED}( ".*)?)?"#)).unwrap()
});

fn slow_combined(line: &[u8]) -> Option<Seen> {
    // The general form takes the first bracket that closes before a quote, so nothing like it may be before.
    let general = |line| {
        let end = line_find(line, b"] \"")?;
        COMBINED[1].captures(line).filter(|captures| captures.get(2).unwrap().end() == end)
    };
    let captures = COMBINED[0].captures(line).or_else(|| general(line))?;
    let part = |at: usize| captures.get(at).map_or(&b""[..], |part| part.as_bytes());
    let time = Timestamp::from_clf(str::from_utf8(part(2)).ok()?)?;
    let words: Vec<&[u8]> = part(3).splitn(2, |&byte| byte == b' ').collect();
    let (method, path) = match words[..] {
        [method, path] => (Some(text(method)), path),
        _ => (None, words[0]),
    };
    let path = match path.windows(6).rposition(|window| window == b" HTTP/") {
        Some(at) if !path[at + 1..].contains(&b' ') && method.is_some() => &path[..at],
        _ => path,
    };
    let tail = TAIL.captures(part(6));
    let field = |at: usize| tail.as_ref().and_then(|tail| tail.get(at)).map(|part| part.as_bytes());
    let said = |text: &String| !matches!(text.as_str(), "" | "-");
    let (client, host) = client(part(1));
    Some(Seen {
        path: text(&unescape(path)),
        method,
        status: str::from_utf8(part(4)).ok()?.parse().ok(),
        time: Some(time),
        client: forwarded(part(6)).or(client),
        user_agent: field(2).map(|agent| text(&unescape(agent))).filter(said),
        host,
        router: field(5).and(field(4)).map(text).filter(said),
    })
}

fn line_find(line: &[u8], what: &[u8]) -> Option<usize> {
    line.windows(what.len()).position(|window| window == what)
}

fn client(before: &[u8]) -> (Option<String>, Option<String>) {
    let mut words: Vec<&[u8]> = before.split(|&byte| byte == b' ').filter(|word| !word.is_empty()).collect();
    if words.get(1) == Some(&&b"|"[..]) {
        words.drain(..2);
    }
    match words[..] {
        [host, address, ..] if address != b"-" && !is_address(host) && is_address(address) => {
            let is_name = |host: &String| {
                Regex::new(r"^[A-Za-z0-9.-]*\.[A-Za-z]{2,}(:[0-9]+)?$").unwrap().is_match(host.as_bytes())
            };
            // The port that is meant where none is named says nothing.
            let without_port = |host: String| host.trim_end_matches(":443").to_owned();
            (Some(bare(address)), Some(text(host)).filter(is_name).map(without_port))
        }
        [client, ..] => (Some(bare(client)), None),
        [] => (None, None),
    }
}

fn bare(word: &[u8]) -> String {
    let word = word.strip_prefix(b"\"").unwrap_or(word);
    let word = word.strip_suffix(b"\"").unwrap_or(word);
    text(word.strip_suffix(b",").unwrap_or(word))
}

fn is_address(word: &[u8]) -> bool {
    bare(word).parse::<IpAddr>().is_ok()
}

/// The first address of a last quoted field that lists some.
fn forwarded(tail: &[u8]) -> Option<String> {
    let inner = tail.strip_suffix(b"\"")?;
    let last = inner.rsplit(|&byte| byte == b'"').next().filter(|last| last.len() < inner.len())?;
    let first = last.split(|&byte| byte == b' ').next()?;
    let is_list = last.iter().all(|byte| byte.is_ascii_hexdigit() || b".:, ".contains(byte));
    (is_list && is_address(first)).then(|| bare(first))
}

fn unescape(field: &[u8]) -> Cow<'_, [u8]> {
    static ESCAPE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"(?s-u)\\(?:x([0-9a-fA-F]{2})|(["\\]))"#).unwrap());
    ESCAPE.replace_all(field, |captures: &regex::bytes::Captures<'_>| match captures.get(1) {
        Some(hex) => vec![u8::from_str_radix(str::from_utf8(hex.as_bytes()).unwrap(), 16).unwrap()],
        None => captures[2].to_vec(),
    })
}

/// Each field by the order in which its keys are preferred.
fn slow_json(line: &[u8]) -> Option<Seen> {
    let value: Value = serde_json::from_str(&text(line)).ok()?;
    let find = |keys: &[&str]| {
        keys.iter().find_map(|key| {
            let found = value.pointer(&format!("/{key}"))?;
            let found = found
                .as_array()
                .map_or(Some(found), |list| list.first().filter(|first| first.is_string()))?;
            match found {
                Value::String(text) if !matches!(text.as_str(), "" | "-") => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            }
        })
    };
    let number = |keys: &[&str]| find(keys).and_then(|text| text.parse::<u16>().ok());
    let path = find(&["RequestPath", "request/uri", "request_uri", "ClientRequestURI", "uri"])?;
    let method =
        find(&["RequestMethod", "request/method", "request_method", "ClientRequestMethod", "method"]);
    let status = match number(&["OriginStatus", "OriginResponseStatus"]) {
        Some(0) => None,
        Some(origin) => Some(origin),
        None => number(&["DownstreamStatus", "status", "EdgeResponseStatus"]),
    };
    let time = find(&["StartUTC", "time", "ts", "time_iso8601", "EdgeStartTimestamp", "msec"]);
    let time = time.and_then(|text| {
        Timestamp::from_iso(&text)
            .or_else(|| Timestamp::from_clf(&text))
            .or_else(|| Timestamp::from_unix(text.parse().ok()?))
    });
    (method.is_some() || status.is_some()).then(|| Seen {
        path,
        method,
        status,
        time,
        client: find(&["ClientHost", "request/client_ip", "request/remote_ip", "ClientIP", "remote_addr"]),
        user_agent: find(&[
            "request_User-Agent",
            "request/headers/User-Agent",
            "http_user_agent",
            "ClientRequestUserAgent",
        ]),
        host: find(&["RequestHost", "request/host", "http_host", "ClientRequestHost", "host"]),
        router: find(&["RouterName"]),
    })
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9./_%-]{0,12}",
        select(vec!["-".to_owned(), String::new()]),
        "[ -~]{0,10}",
        "\\PC{0,6}"
    ]
}

fn path() -> impl Strategy<Value = String> {
    ("(/api)?/(instance|message|INSTANCE)/(connect|sendText)/", word(), "(/|\\?instanceName=x|\\?a=b&c=d)?")
        .prop_map(|(route, name, query)| format!("{route}{name}{query}"))
}

fn combined_line() -> impl Strategy<Value = String> {
    let before = prop_oneof![
        Just("203.0.113.7 - -".to_owned()),
        Just("wa.example.com:443 2001:db8::7 - jo[hn".to_owned()),
        Just("proxy-1  | 10.0.0.9 - -".to_owned()),
        Just("\"203.0.113.7, 10.0.0.2\" 172.18.0.2 - -".to_owned()),
        Just("- 10.0.0.9 - -".to_owned()),
        word(),
    ];
    let tail = prop_oneof![
        Just(String::new()),
        Just(" \"-\" \"n8n\"".to_owned()),
        Just(" \"-\" \"say \\\"hi\\\"\" \"203.0.113.9, 10.0.0.1\"".to_owned()),
        Just(" \"-\" \"curl/8\" 7 \"evo@docker\" \"http://10.0.0.2\" 3ms".to_owned()),
        word().prop_map(|word| format!(" \"{word}\" \"{word}\"")),
    ];
    let time = prop_oneof![
        Just("21/Nov/2026:03:59:12 +0000".to_owned()),
        Just("21/Nov/2026:03:59:12".to_owned()),
        word()
    ];
    (before, time, path(), 90..620_u32, tail).prop_map(|(before, time, path, status, tail)| {
        format!("{before} [{time}] \"GET {path} HTTP/1.1\" {status} 91{tail}")
    })
}

fn json_line() -> impl Strategy<Value = String> {
    let time = prop_oneof![
        Just(json!("2026-11-21T03:59:12.123456789Z")),
        Just(json!(1_795_233_552.5)),
        Just(json!(1_795_233_552_000_000_000_u64)),
    ];
    let address = select(vec!["203.0.113.7", "2001:db8::7", "::1"]);
    let method = select(vec!["GET", "POST", "DELETE"]);
    (path(), address, word(), method, time, 100..599_u32, 0..4).prop_map(|(path, address, agent, method, time, status, kind)| {
        let host = "wa.example.com";
        let value = match kind {
            0 => json!({"ClientHost": address, "DownstreamStatus": status, "OriginStatus": status, "RequestHost": host,
                "RequestMethod": method, "RequestPath": path, "RouterName": agent, "StartUTC": time, "nested": {"a": [1, {}, [agent]]},
                "request_User-Agent": agent, "TLS": true, "none": null}),
            1 => json!({"ts": time, "request": {"remote_ip": "10.0.0.1", "client_ip": address, "method": method, "host": host, "uri": path,
                "headers": {"User-Agent": [agent, "x"], "Accept": []}, "tls": {"resumed": false}}, "status": status, "size": -1.5e3}),
            2 => json!({"time_iso8601": time, "remote_addr": address, "request_method": method, "request_uri": path,
                "status": status.to_string(), "http_user_agent": agent, "host": host}),
            _ => json!({"ClientIP": address, "ClientRequestMethod": method, "ClientRequestURI": path, "EdgeResponseStatus": status,
                "OriginResponseStatus": 0, "EdgeStartTimestamp": time, "ClientRequestHost": host}),
        };
        value.to_string()
    })
}

/// Bytes replaced, dropped, doubled.
fn mutated(line: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![select(b" \"\\[]{},:-|/%".to_vec()), any::<u8>()];
    let change = (any::<Index>(), byte, 0..4);
    (line, prop::collection::vec(change, 0..4)).prop_map(|(line, changes)| {
        let mut line = line.into_bytes();
        for (at, byte, how) in changes {
            let at = at.index(line.len().max(1)).min(line.len().saturating_sub(1));
            match how {
                _ if line.is_empty() => line.push(byte),
                0 => line[at] = byte,
                1 => line.truncate(at),
                2 => drop(line.remove(at)),
                _ => line.insert(at, byte),
            }
        }
        line.retain(|&byte| byte != b'\n');
        line
    })
}

/// The fast parser, and what it sees at a glance, against the slow one.
fn agree(line: &[u8]) -> Result<(), TestCaseError> {
    let slow = slow_combined(line);
    // Where neither of the first words is an address, the fast one looks for one further on.
    let is_sure = |seen: &Seen| seen.client.as_deref().is_some_and(|client| client.parse::<IpAddr>().is_ok());
    let alike = |seen: Option<Seen>, is_sure: bool| {
        seen.map(|seen| if is_sure { seen } else { Seen { client: None, host: None, ..seen } })
    };
    let first = line.split(|&byte| byte == b' ').next().unwrap_or_default();
    let sure = slow.as_ref().is_some_and(|slow| is_sure(slow) && (is_address(first) || slow.host.is_some()));
    prop_assert_eq!(
        alike(fast(line, LineFormat::Combined), sure),
        alike(slow.clone(), sure),
        "{}",
        text(line)
    );
    // A glance sees less, and nothing else; of a line that is not odd it sees something.
    let mut parser = LineParser::for_format(LineFormat::Combined);
    let glance = parser.parse_partial(line);
    match (glance.and_then(|glance| Some((glance, glance.verb_and_path()?))), slow) {
        (Some((glance, (method, path))), Some(slow)) => {
            prop_assert_eq!((text(path), Some(text(method))), (slow.path, slow.method));
            prop_assert_eq!(
                (Some(glance.status), glance.time, Some(text(glance.client))),
                (slow.status, slow.time, slow.client)
            );
        }
        (Some(glance), None) => prop_assert!(false, "{:?} is seen in {}", glance, text(line)),
        (None, _) => {}
    }
    Ok(())
}

/// Lines on which the parsers once disagreed.
#[test]
fn former_parser_bugs_stay_fixed() {
    let time = "21/Nov/2026:03:59:12 +0000";
    agree(format!("203.0.113.7 - - [{time}] \"\"GET /instance/connect/ HTTP/1.1\" 100 91").as_bytes())
        .unwrap();
    for version in ["HTTP/ .1", "HTTP/1. ", "HTTP/\\.1", "HTTP/1.\\", "HTTP/1\".", "HTTP/1.1"] {
        let line = format!("203.0.113.7 - - [{time}] \"GET /instance/connect/ {version}\" 100 91");
        agree(line.as_bytes()).unwrap();
    }
}

proptest! {
    #![proptest_config(generated(1500))]

    #[test]
    fn combined_lines_match_the_reference_parser(line in mutated(combined_line())) {
        // A line that begins with a brace is an object, or nothing of this kind.
        prop_assume!(line.trim_ascii_start().first() != Some(&b'{'));
        agree(&line)?;
    }

    #[test]
    fn plain_lines_take_the_fast_path(name in "[a-z0-9%-]{1,20}", status in 100..600_u16) {
        let line = format!(
            "203.0.113.7 - - [21/Nov/2026:03:59:12 +0000] \"GET /instance/connect/{name} HTTP/1.1\" {status} 91 \"-\" \"axios/1.7\""
        );
        let glance = LineParser::default().parse_partial(line.as_bytes()).and_then(|glance| glance.verb_and_path());
        prop_assert!(glance.is_some(), "{}", line);
    }

    /// What programs write is read as a real parser reads it; what is broken is read without harm.
    #[test]
    fn json_matches_the_reference_parser(line in json_line(), broken in mutated(json_line())) {
        prop_assert_eq!(fast(line.as_bytes(), LineFormat::Json), slow_json(line.as_bytes()), "{}", line);
        fast(&broken, LineFormat::Json);
    }
}
