//! One line of a log to one request, whatever wrote the line.

mod balancer;
pub(super) mod combined;
mod haproxy;
mod json;
mod refusal;
mod text;

use memchr::memmem;

use self::text::Transcript;
use super::request::{Glance, Request};
use super::time::{Clock, Time};

/// What the logs that are understood are called, for messages.
pub const KNOWN: &str = "nginx or Apache common/combined, Traefik, Caddy, nginx or Cloudflare JSON, HAProxy HTTP, AWS ALB, \
                         or any text that holds a path with its status or Evolution's 404 body (The \"…\" instance \
                         does not exist)";

/// The kinds of log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Whatever a line looks like.
    #[default]
    Any,
    /// The common and combined formats of nginx, Apache and Traefik.
    Combined,
    /// One JSON object per line.
    Json,
    /// HAProxy's HTTP log.
    Haproxy,
    /// AWS's load balancers.
    Balancer,
    /// Any text that holds a path with its status, or the server's 404 body: its console log among them.
    Text,
}

impl Format {
    fn may_be(self, other: Self) -> bool {
        self == Self::Any || self == other
    }
}

/// Reads the lines of one file, in order.
#[derive(Debug, Default)]
pub struct Parser {
    format: Format,
    /// When Evolution's console log last began a record: the lines that follow carry no time of their own.
    pub record: Option<Time>,
    /// Whether any line came from Evolution's console log.
    pub saw_console: bool,
    clock: Clock,
    transcript: Transcript,
}

/// What begins every record of Evolution's console log.
pub const CONSOLE: &[u8] = b"[Evolution API]";

impl Parser {
    /// What tells whether a line's request is in order, where the line is of the most common kind and nothing in it is
    /// odd; else it has to be read in full.
    #[inline]
    pub fn glance<'l>(&mut self, line: &'l [u8]) -> Option<Glance<'l>> {
        if self.format.may_be(Format::Combined) { combined::glance(line, &mut self.clock) } else { None }
    }

    /// Reads lines of this kind only.
    pub fn of(format: Format) -> Self {
        Self { format, ..Self::default() }
    }

    /// The request that a line, without its newline, tells of; `None` for anything else.
    pub fn parse<'l>(&mut self, line: &'l [u8]) -> Option<Request<'l>> {
        if line.first() == Some(&b'{') || line.trim_ascii_start().first() == Some(&b'{') {
            return self.parse_object(line);
        }
        self.parse_line(line)
    }

    fn parse_object<'l>(&mut self, line: &'l [u8]) -> Option<Request<'l>> {
        match json::parse(line.trim_ascii_start(), &mut self.clock) {
            json::Line::Request(request) if self.format.may_be(Format::Json) => Some(request),
            // Docker's log files wrap each line of a container in an object.
            json::Line::Wrapped { line, time } => {
                let request = self.parse(&line)?.into_owned();
                // Docker's time has a zone, which a console record's has not.
                let own = request.time.filter(|own| own.has_zone() || time.is_none());
                Some(Request { time: own.or(time), ..request })
            }
            _ => self.parse_line(line),
        }
    }

    fn parse_line<'l>(&mut self, line: &'l [u8]) -> Option<Request<'l>> {
        let (format, clock) = (self.format, &mut self.clock);
        let mut read = |kind: Format, parse: fn(&'l [u8], &mut Clock) -> Option<Request<'l>>| {
            if format.may_be(kind) { parse(line, clock) } else { None }
        };
        read(Format::Combined, combined::parse)
            .or_else(|| read(Format::Haproxy, haproxy::parse))
            .or_else(|| read(Format::Balancer, balancer::parse))
            .or_else(|| if format.may_be(Format::Text) { self.parse_text(line) } else { None })
    }

    fn parse_text<'l>(&mut self, line: &'l [u8]) -> Option<Request<'l>> {
        if memmem::find(line, CONSOLE).is_some() {
            self.saw_console = true;
            self.record = record_time(line);
        }
        if let Some(of_transcript) = self.transcript.line(line) {
            return of_transcript;
        }
        let request = match refusal::parse(line) {
            Some(_) if self.transcript.takes_body() => return None,
            Some(refusal) => refusal,
            None => text::parse(line)?,
        };
        Some(Request { time: request.time.or(self.record), ..request })
    }
}

/// When the record of the console log that a line begins was written.
pub fn record_time(line: &[u8]) -> Option<Time> {
    Time::from_console(&without_colour(&String::from_utf8_lossy(line)))
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
    use std::borrow::Cow;

    use super::*;
    use crate::requests::request::Asked;
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
