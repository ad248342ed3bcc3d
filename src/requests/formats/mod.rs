//! One line of a log to one request, whatever wrote the line.

mod combined;
mod json;
mod refusal;

use std::borrow::Cow;

use memchr::memmem;

use super::time::Time;

/// What the logs that are understood are called, for messages.
pub const KNOWN: &str = "nginx or Apache common/combined, Traefik or Caddy JSON, or any text that holds Evolution's \
                         404 body (The \"…\" instance does not exist)";

/// What a line says was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked<'l> {
    /// A request's path, percent-encoded, with its query.
    Path(Cow<'l, [u8]>),
    /// The name that the server's 404 body quotes, decoded; such a line says nothing of the path.
    Name(Cow<'l, [u8]>),
}

/// What one line says of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'l> {
    /// The path, or the name that was refused.
    pub asked: Asked<'l>,
    /// The verb.
    pub method: Option<Cow<'l, [u8]>>,
    /// What the API answered; `None` where it is unknown or the proxy answered by itself.
    pub status: Option<u16>,
    /// When.
    pub time: Option<Time>,
    /// The client's address.
    pub client: Option<Cow<'l, [u8]>>,
    /// The client's `User-Agent`.
    pub user_agent: Option<Cow<'l, [u8]>>,
    /// The host that was called.
    pub host: Option<Cow<'l, [u8]>>,
}

impl<'l> Request<'l> {
    /// A request of which nothing is known but what it asked for.
    fn of(asked: Asked<'l>) -> Self {
        Self { asked, method: None, status: None, time: None, client: None, user_agent: None, host: None }
    }

    /// The same, holding its own bytes.
    fn into_owned(self) -> Request<'static> {
        let own = |field: Option<Cow<'l, [u8]>>| field.map(|bytes| Cow::Owned(bytes.into_owned()));
        Request {
            asked: match self.asked {
                Asked::Path(path) => Asked::Path(Cow::Owned(path.into_owned())),
                Asked::Name(name) => Asked::Name(Cow::Owned(name.into_owned())),
            },
            method: own(self.method),
            status: self.status,
            time: self.time,
            client: own(self.client),
            user_agent: own(self.user_agent),
            host: own(self.host),
        }
    }
}

/// Reads the lines of one file, in order.
#[derive(Debug, Default)]
pub struct Parser {
    /// When Evolution's console log last began a record: the lines that follow carry no time of their own.
    record: Option<Time>,
    /// Whether any line came from Evolution's console log.
    pub saw_console: bool,
}

const CONSOLE: &[u8] = b"[Evolution API]";

impl Parser {
    /// The request that a line, without its newline, tells of; `None` for anything else.
    pub fn parse<'l>(&mut self, line: &'l [u8]) -> Option<Request<'l>> {
        let start = line.iter().position(|byte| !byte.is_ascii_whitespace())?;
        if line[start] == b'{' {
            match json::parse(&line[start..]) {
                json::Line::Request(request) => return Some(request),
                // Docker's log files wrap each line of a container in an object.
                json::Line::Wrapped { line, time } => {
                    let request = self.parse_text(&line)?.into_owned();
                    return Some(Request { time: request.time.or(time), ..request });
                }
                json::Line::Other => {}
            }
        }
        self.parse_text(line)
    }

    fn parse_text<'l>(&mut self, line: &'l [u8]) -> Option<Request<'l>> {
        if let Some(request) = combined::parse(line) {
            return Some(request);
        }
        if memmem::find(line, CONSOLE).is_some() {
            self.saw_console = true;
            self.record = Time::from_console(&without_colour(&String::from_utf8_lossy(line)));
        }
        let request = refusal::parse(line)?;
        Some(Request { time: request.time.or(self.record), ..request })
    }
}

/// The text without ANSI escape sequences, each of which leaves a space.
fn without_colour(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut pieces = text.split("\u{1B}[");
    plain.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        plain.push(' ');
        let end = piece.find(|c: char| ('@'..='~').contains(&c)).map_or(piece.len(), |at| at + 1);
        plain.push_str(&piece[end..]);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(line: &str) -> Option<Request<'_>> {
        Parser::default().parse(line.as_bytes())
    }

    #[test]
    fn the_time_of_a_console_record_holds_until_the_next() {
        let mut parser = Parser::default();
        let lines = [
            "evolution_api  | [Evolution API]  11559 - Sat Nov 21 2026 04:07:09   ERROR  [InstanceController] [object] {",
            "evolution_api  |   status: 400,",
            "evolution_api  |   message: [ 'The \"g1\" instance does not exist' ]",
        ];
        assert_eq!(parser.parse(lines[0].as_bytes()), None);
        assert_eq!(parser.parse(lines[1].as_bytes()), None);
        let request = parser.parse(lines[2].as_bytes()).unwrap();
        assert_eq!(request.asked, Asked::Name(Cow::Borrowed(b"g1")));
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
        assert_eq!(request.asked, Asked::Name(Cow::Borrowed(b"g1")));
        assert_eq!(request.time.unwrap().to_string(), "2026-11-21T04:07:09Z");
        let line = r#"{"log":"10.0.0.9 - - [21/Nov/2026:03:59:12 +0000] \"GET /x HTTP/1.1\" 404 5\n","stream":"stdout","time":"2026-11-21T04:07:09.5Z"}"#;
        assert_eq!(parse(line).unwrap().asked, Asked::Path(Cow::Borrowed(b"/x")));
    }

    #[test]
    fn other_lines_are_no_requests() {
        for line in ["", "   ", "{", "{}", "[1]", "hello", "GET /instance/connectionState/x", "\u{feff}"] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(line in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Parser::default().parse(&line);
        }

        /// Real lines with bytes replaced, dropped and doubled reach further into the parsers than noise does.
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
            let _ = Parser::default().parse(&line);
        }
    }

    const SEEDS: [&str; 5] = [
        r#"203.0.113.7 - - [21/Nov/2026:03:59:12 +0000] "GET /instance/connect/a%20b HTTP/1.1" 404 91 "-" "n8n \"x\"""#,
        r#"{"ClientHost":"203.0.113.7","DownstreamStatus":404,"RequestMethod":"GET","RequestPath":"/instance/connect/a","time":"2026-11-21T03:59:12Z"}"#,
        r#"{"ts":1795233552.5,"request":{"remote_ip":"203.0.113.7","method":"GET","uri":"/instance/connect/a","headers":{"User-Agent":["x"]}},"status":404}"#,
        r#"{"status":404,"error":"Not Found","response":{"message":["The \"g1\" instance does not exist"]}}"#,
        "[Evolution API]  11559 - Sat Nov 21 2026 04:07:09   ERROR \u{1b}[0m 'The \"g1\" instance does not exist'",
    ];
}
