use std::borrow::Cow;

use super::*;
use crate::access_log::request::RequestTarget;
use proptest::prelude::*;

fn parse(line: &str) -> Option<Request<'_>> {
    LineParser::default().parse(line.as_bytes())
}

#[test]
fn the_time_of_a_console_record_holds_until_the_next() {
    let mut parser = LineParser::default();
    let lines = [
        "evolution_api  | [Evolution API]  11559 - Sat Nov 21 2026 04:07:09   ERROR  [InstanceController] [object] {",
        "evolution_api  |   status: 400,",
        "evolution_api  |   message: [ 'The \"g1\" instance does not exist' ]",
    ];
    assert_eq!(parser.parse(lines[0].as_bytes()), None);
    assert_eq!(parser.parse(lines[1].as_bytes()), None);
    let request = parser.parse(lines[2].as_bytes()).unwrap();
    assert_eq!(request.asked, RequestTarget::Name(Cow::Borrowed(b"g1")));
    assert_eq!(request.time.unwrap().to_string(), "2026-11-21T04:07:09");
    assert!(parser.saw_console);

    let coloured = "\u{1b}[1;32m[Evolution API]\u{1b}[0m \u{1b}[33mSat Nov 21 2026 05:00:00\u{1b}[0m LOG";
    parser.parse(coloured.as_bytes());
    assert_eq!(parser.record.unwrap().to_string(), "2026-11-21T05:00:00");
}

#[test]
fn docker_wraps_the_line_of_a_container() {
    let line = r#"{"log":"  message: [ 'The \"g1\" instance does not exist' ]\n","stream":"stdout","time":"2026-11-21T04:07:09.5Z"}"#;
    let request = parse(line).unwrap();
    assert_eq!(request.asked, RequestTarget::Name(Cow::Borrowed(b"g1")));
    assert_eq!(request.time.unwrap().to_string(), "2026-11-21T04:07:09Z");
    let line = r#"{"log":"10.0.0.9 - - [21/Nov/2026:03:59:12 +0000] \"GET /x HTTP/1.1\" 404 5\n","stream":"stdout","time":"2026-11-21T04:07:09.5Z"}"#;
    assert_eq!(parse(line).unwrap().asked, RequestTarget::Path(Cow::Borrowed(b"/x")));
}

#[test]
fn the_fast_path_agrees_with_the_full_parser() {
    for line in [
        r#"203.0.113.7 - - [21/Nov/2026:03:59:12 +0000] "GET /a?b=c HTTP/1.1" 404 5 "-" "n8n""#,
        r#"proxy-1  | 203.0.113.7 - - [21/Nov/2026:03:59:12 +0000] "GET /a?b=c HTTP/1.1" 404 5 "-" "n8n""#,
        r#"[GIN] 2026/11/21 - 03:59:12 | 404 |     1.2ms |     203.0.113.7 | GET      "/a?b=c""#,
    ] {
        let glance = LineParser::default().parse_partial(line.as_bytes()).unwrap_or_else(|| panic!("{line}"));
        let whole = parse(line).unwrap();
        let (method, path) = glance.verb_and_path().unwrap();
        assert_eq!(whole.asked, RequestTarget::Path(Cow::Borrowed(path)), "{line}");
        assert_eq!((whole.method.as_deref(), whole.status), (Some(method), Some(glance.status)), "{line}");
        assert_eq!((whole.client.as_deref(), whole.time), (Some(glance.client), glance.time), "{line}");
    }
}

#[test]
fn other_lines_are_no_requests() {
    for line in ["", "   ", "{", "{}", "[1]", "hello", "\u{feff}"] {
        assert_eq!(parse(line), None, "{line:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(line in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = LineParser::default().parse(&line);
    }

    /// Real lines with bytes replaced, dropped and doubled reach further into the parsers than random bytes do.
    #[test]
    fn no_mutated_line_panics(which in 0..SEEDS.len(), cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 1..6)) {
        let mut line = SEEDS[which].as_bytes().to_vec();
        for (at, byte, how) in cuts {
            let at = at.index(line.len());
            match how {
                0 => line[at] = byte,
                1 => line.truncate(at.max(1)),
                _ => line.insert(at, byte),
            }
        }
        let _ = LineParser::default().parse(&line);
    }
}

const SEEDS: [&str; 5] = [
    r#"203.0.113.7 - - [21/Nov/2026:03:59:12 +0000] "GET /instance/connect/a%20b HTTP/1.1" 404 91 "-" "n8n \"x\"""#,
    r#"{"ClientHost":"203.0.113.7","DownstreamStatus":404,"RequestMethod":"GET","RequestPath":"/instance/connect/a","time":"2026-11-21T03:59:12Z"}"#,
    r#"{"ts":1795233552.5,"request":{"remote_ip":"203.0.113.7","method":"GET","uri":"/instance/connect/a","headers":{"User-Agent":["x"]}},"status":404}"#,
    r#"{"status":404,"error":"Not Found","response":{"message":["The \"g1\" instance does not exist"]}}"#,
    "[Evolution API]  11559 - Sat Nov 21 2026 04:07:09   ERROR \u{1b}[0m 'The \"g1\" instance does not exist'",
];
