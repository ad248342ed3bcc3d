//! Documents of JSON that hold many requests — lists, HAR, Newman, Loki, hits of Elasticsearch — taken apart into one
//! line per record, as they are read: only the current record is kept in memory.

use crate::access_log::timestamp::Timestamp;

/// Lists of records are called so, below the beginning of a document.
const LISTS: [&[u8]; 21] = [
    b"entries",
    b"hits",
    b"result",
    b"results",
    b"values",
    b"records",
    b"logEvents",
    b"events",
    b"logRecords",
    b"scopeLogs",
    b"resourceLogs",
    b"executions",
    b"logs",
    b"data",
    b"streams",
    b"requests",
    b"zones",
    b"httpRequestsAdaptive",
    b"tables",
    b"rows",
    b"Records",
];

/// These count only at the top of a document: further down they may belong to the body of a message.
const OUTERMOST_LISTS: [&[u8]; 3] = [b"messages", b"items", b"lines"];

/// Bytes of a text that are kept: a body may have megabytes.
const LONGEST_TEXT: usize = 8 * 1024;

/// Bytes of a record that are kept.
const LONGEST_RECORD: usize = 60 * 1024;

/// Numbers kept of a list of them: Newman writes bodies byte by byte.
const MOST_NUMBERS: u32 = 16;

/// Maximum depth to which a document is read.
const DEEPEST: usize = 64;

/// Takes documents apart. What is not JSON goes through as it is.
#[derive(Debug, Default)]
pub struct JsonDocuments {
    levels: Vec<NestingLevel>,
    state: DocumentState,
    /// The levels above the current record, while there is one.
    above: Option<usize>,
    record: Vec<u8>,
    key: Vec<u8>,
    /// Bytes of the text at hand.
    length: usize,
    /// A list that may be one of records, as soon as its first element shows.
    is_list_open: bool,
    is_broken: bool,
}

#[derive(Debug)]
struct NestingLevel {
    is_object: bool,
    /// True if its elements are records.
    is_list: bool,
    /// In an object, whether a key comes next.
    takes_key: bool,
    count: u32,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum DocumentState {
    #[default]
    Between,
    Text {
        is_key: bool,
        is_escaped: bool,
    },
    /// A number or a word.
    Bare,
}

impl JsonDocuments {
    /// Takes more of the document; every record that ends in it is added as a line.
    pub fn feed(&mut self, bytes: &[u8], lines: &mut Vec<u8>) {
        for (at, &byte) in bytes.iter().enumerate() {
            if self.is_broken {
                lines.extend_from_slice(&bytes[at..]);
                return;
            }
            self.step(byte, lines);
        }
    }

    /// Adds what was begun and did not end.
    pub fn flush_incomplete(&mut self, lines: &mut Vec<u8>) {
        self.finish(lines);
    }

    fn step(&mut self, byte: u8, lines: &mut Vec<u8>) {
        match self.state {
            DocumentState::Text { is_key, is_escaped } => {
                self.in_text(byte, is_key, is_escaped);
                if self.state == DocumentState::Between && self.is_whole() {
                    self.finish(lines);
                }
            }
            DocumentState::Bare if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.') => {
                self.keep(byte)
            }
            DocumentState::Bare => {
                self.state = DocumentState::Between;
                if self.is_whole() {
                    self.finish(lines);
                }
                self.between(byte, lines);
            }
            DocumentState::Between => self.between(byte, lines),
        }
    }

    fn in_text(&mut self, byte: u8, is_key: bool, is_escaped: bool) {
        self.length += 1;
        if is_key && self.key.len() < 32 && (is_escaped || byte != b'"') {
            self.key.push(byte);
        }
        let ends = byte == b'"' && !is_escaped;
        // A text is cut between its characters and escapes only; the longest escape has six bytes.
        let is_cut = self.length > LONGEST_TEXT + 8
            || self.length > LONGEST_TEXT && (byte == b'\\' || is_escaped || byte >= 0x80);
        if is_cut && self.length <= LONGEST_TEXT + 8 {
            self.length = LONGEST_TEXT + 9;
        }
        if ends || !is_cut {
            self.keep(byte);
        }
        self.state = match byte {
            _ if ends => DocumentState::Between,
            b'\\' if !is_escaped => DocumentState::Text { is_key, is_escaped: true },
            _ => DocumentState::Text { is_key, is_escaped: false },
        };
    }

    fn between(&mut self, byte: u8, lines: &mut Vec<u8>) {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b'{' | b'[' => {
                if std::mem::take(&mut self.is_list_open) {
                    // Its first element is an object or a list: the records are these.
                    self.above = None;
                    self.record.clear();
                }
                self.begin();
                let is_object = byte == b'{';
                let may_be_list = !is_object
                    && (self.levels.is_empty()
                        || self.levels.last().is_some_and(|level| level.is_object)
                            && (LISTS.contains(&&*self.key)
                                || self.levels.len() == 1 && OUTERMOST_LISTS.contains(&&*self.key)));
                if may_be_list
                    && self.above.is_some_and(|above| above == self.levels.len())
                    && self.levels.is_empty()
                {
                    // The outermost list.
                    self.above = None;
                    self.record.clear();
                } else {
                    self.keep(byte);
                    self.is_list_open = may_be_list;
                }
                if self.levels.len() >= DEEPEST {
                    return self.give_up(byte, lines);
                }
                let is_list = may_be_list;
                self.levels.push(NestingLevel { is_object, is_list, takes_key: is_object, count: 0 });
            }
            b'}' | b']' => {
                self.is_list_open = false;
                if self.levels.pop().is_none_or(|level| level.is_object != (byte == b'}')) {
                    // A piece of a document begins in its middle.
                    return if self.levels.is_empty() && self.above.is_none() {
                    } else {
                        self.give_up(byte, lines)
                    };
                }
                self.keep(byte);
                if self.is_whole() {
                    self.finish(lines);
                }
            }
            b',' => {
                if let Some(level) = self.levels.last_mut() {
                    level.takes_key = level.is_object;
                    level.count += 1;
                }
                self.keep(byte);
            }
            b':' if self.levels.last().is_some_and(|level| level.is_object) => {
                if let Some(level) = self.levels.last_mut() {
                    level.takes_key = false;
                }
                self.keep(byte);
            }
            b'"' => {
                self.is_list_open = false;
                self.begin();
                let is_key = self.levels.last().is_some_and(|level| level.takes_key);
                if is_key {
                    self.key.clear();
                }
                self.length = 0;
                self.keep(byte);
                self.state = DocumentState::Text { is_key, is_escaped: false };
            }
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                self.is_list_open = false;
                self.begin();
                self.keep(byte);
                self.state = DocumentState::Bare;
            }
            _ => self.give_up(byte, lines),
        }
    }

    /// True if a record begins here, or this is inside of one.
    fn begin(&mut self) {
        let is_record = match self.levels.last() {
            None => true,
            Some(level) => level.is_list,
        };
        if self.above.is_none() && is_record {
            self.above = Some(self.levels.len());
            self.record.clear();
        }
    }

    fn keep(&mut self, byte: u8) {
        let numbers = |level: &NestingLevel| !level.is_object && level.count > MOST_NUMBERS;
        let is_number = self.state == DocumentState::Bare || matches!(byte, b',' | b'0'..=b'9');
        let is_skipped = matches!(self.state, DocumentState::Between | DocumentState::Bare)
            && is_number
            && self.levels.last().is_some_and(numbers);
        if self.above.is_some() && !is_skipped && self.record.len() < LONGEST_RECORD {
            self.record.push(byte);
        }
    }

    fn is_whole(&self) -> bool {
        self.above == Some(self.levels.len())
    }

    fn finish(&mut self, lines: &mut Vec<u8>) {
        if self.above.take().is_some() && !self.record.is_empty() {
            lines.extend_from_slice(&self.record);
            lines.push(b'\n');
        }
        self.record.clear();
    }

    /// It is not JSON: what follows is left as it is.
    fn give_up(&mut self, byte: u8, lines: &mut Vec<u8>) {
        self.finish(lines);
        lines.push(byte);
        self.is_broken = true;
    }
}

/// The texts of a list, and the time that one of them is: nanoseconds and a line as Loki gives them, or the row of a table.
pub(super) fn row(list: &[u8]) -> Option<(Option<Timestamp>, Vec<String>)> {
    let cells = serde_json::from_slice::<Vec<serde_json::Value>>(list).ok()?;
    let texts = cells.into_iter().filter_map(|cell| cell.as_str().map(str::to_owned)).collect::<Vec<_>>();
    let moment = |text: &String| {
        let unix = text.parse().ok().filter(|&number: &f64| number > 1e9);
        unix.and_then(Timestamp::from_unix).or_else(|| Timestamp::from_iso(text))
    };
    Some((texts.iter().find_map(moment), texts))
}

/// True if a text begins a document that has to be taken apart, rather than lines.
pub fn is_document(head: &[u8]) -> bool {
    let text = head.trim_ascii_start();
    let second =
        |text: &[u8]| text.get(1..).map(<[u8]>::trim_ascii_start).and_then(|rest| rest.first().copied());
    let line = &text[..memchr::memchr(b'\n', text).unwrap_or(text.len())];
    match text.first() {
        Some(b'[') => matches!(second(text), Some(b'{' | b'"' | b'[')),
        // An object that does not end in its line: it is printed with indents, or longer than any line.
        Some(b'{') => {
            let is_open = matches!(line.trim_ascii_end().last(), Some(b'{' | b'[' | b','));
            let is_endless = line.len() == text.len() && text.len() > LONGEST_RECORD;
            is_open && matches!(second(text), Some(b'"')) || is_endless
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn records(document: &str, piece: usize) -> Vec<String> {
        let (mut records, mut lines) = (JsonDocuments::default(), Vec::new());
        document.as_bytes().chunks(piece).for_each(|bytes| records.feed(bytes, &mut lines));
        records.flush_incomplete(&mut lines);
        String::from_utf8_lossy(&lines).lines().map(str::to_owned).collect()
    }

    #[test]
    fn each_document_gives_its_records() {
        for (document, expected) in [
            ("[{\"a\": 1},\n {\"a\": [1, 2]}]", &[r#"{"a":1}"#, r#"{"a":[1,2]}"#][..]),
            ("[\n  \"x y\",\n  \"z\"\n]", &[r#""x y""#, r#""z""#]),
            ("{\n \"a\": {\"b\": \"c d\"}\n}\n{\"e\": null}", &[r#"{"a":{"b":"c d"}}"#, r#"{"e":null}"#]),
            (
                r#"{"log": {"version": "1.2", "entries": [{"request": {"headers": [{"name": "x"}]}}, {"b": 2}]}}"#,
                &[r#"{"request":{"headers":[{"name":"x"}]}}"#, r#"{"b":2}"#],
            ),
            (
                r#"{"data":{"result":[{"stream":{"a":"b"},"values":[["1","x"],["2","y"]]}]}}"#,
                &[r#"["1","x"]"#, r#"["2","y"]"#],
            ),
            (
                r#"{"hits":{"total":1,"hits":[{"_source":{"message":"x"}}]}}"#,
                &[r#"{"_source":{"message":"x"}}"#],
            ),
            (r#"{"messages": [{"a": 1}], "total": 1}"#, &[r#"{"a":1}"#]),
            (r#"[{"body": {"messages": [{"a": 1}]}}]"#, &[r#"{"body":{"messages":[{"a":1}]}}"#]),
            // A list of texts is part of its record.
            (r#"{"messages": ["a"], "results": ["b"]}"#, &[r#"{"messages":["a"],"results":["b"]}"#]),
            // Pieces of a list, without its beginning and its end.
            ("  {\"a\": 1},\n  {\"a\": 2},\n", &[r#"{"a":1}"#, r#"{"a":2}"#]),
            ("{\n  status: 404 }", &["{", "status: 404 }"]),
        ] {
            for piece in [1, 7, 1000] {
                assert_eq!(records(document, piece), expected, "{document}");
            }
        }
    }

    #[test]
    fn long_values_are_cut() {
        let long = format!("{{\"a\":\"{}\",\"b\":1}}", "é\\\"".repeat(50_000));
        let cut = records(&long, 4096);
        assert!(cut.len() == 1 && cut[0].len() < LONGEST_TEXT + 100, "{}", cut[0].len());
        serde_json::from_str::<serde_json::Value>(&cut[0]).unwrap();
        let numbers = format!("{{\"a\":[{}1],\"b\":2}}", "10,".repeat(50_000));
        assert!(records(&numbers, 4096)[0].len() < 500);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[\\[\\]{}\",:\\\\a1 \n]{0,60}") {
            records(&text, 3);
        }
    }
}
