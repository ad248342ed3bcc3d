//! Lines whose columns the file names: with `#Fields:` (IIS, CloudFront), or in its first line, as a table in CSV does that
//! some service gives for download.

use std::borrow::Cow;

use memchr::{memchr, memmem};
use percent_encoding::percent_decode;

use super::fields::{FieldValue, Fields, Key, Place, Slot, meaning, meaning_of};
use crate::access_log::request::Request;
use crate::access_log::timestamp::{Timestamp, TimestampParser};

/// The prefix of a line that names the columns.
pub const FIELDS: &[u8] = b"#Fields:";

/// The columns of a file, by their order.
#[derive(Debug, PartialEq, Eq)]
pub struct ColumnHeader {
    columns: Vec<ColumnMeaning>,
    layout: Layout,
}

/// The separator of the columns, and the encoding of their values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// IIS: a space between columns, and a plus for a space in them.
    Spaces,
    /// CloudFront: a tab between columns.
    Tabs,
    /// A table: this mark between cells, that may be quoted.
    Table(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ColumnMeaning {
    Date,
    Clock,
    Known(Slot, u8),
    Other,
}

/// The content of a line with named columns.
pub(super) enum ColumnLine<'l> {
    Request(Request<'l>),
    /// A line of another log in one of the columns, and the time of its row.
    Carried {
        line: Cow<'l, [u8]>,
        time: Option<Timestamp>,
    },
}

impl ColumnHeader {
    /// The columns that a line names.
    pub fn parse_header(line: &[u8]) -> Option<Self> {
        let names = line.strip_prefix(FIELDS)?;
        let column = |name: &[u8]| match name {
            b"date" => ColumnMeaning::Date,
            b"time" => ColumnMeaning::Clock,
            name => known(Key::of(name).and_then(|key| meaning(Place::Top, &key))),
        };
        let columns =
            names.split(u8::is_ascii_whitespace).filter(|name| !name.is_empty()).map(column).collect();
        let has_tabs = memmem::find(names, b"x-edge-").is_some() || names.contains(&b'\t');
        Some(Self { columns, layout: if has_tabs { Layout::Tabs } else { Layout::Spaces } })
    }

    /// The columns of a table that this first line of a file begins: names and nothing else, and among them those of a
    /// path and a status, or of a log's line.
    pub fn parse_table(line: &[u8]) -> Option<Self> {
        const LONGEST: usize = 4096;
        let line = line.trim_ascii_end();
        if line.is_empty() || line.len() > LONGEST || matches!(line[0], b'{' | b'[' | b'#') {
            return None;
        }
        let count = |mark: &u8| line.iter().filter(|&byte| byte == mark).count();
        let mark = *[b',', b';', b'\t'].iter().max_by_key(|mark| count(mark))?;
        let names = cells(line, mark)?;
        let is_name = |name: &Cow<'_, [u8]>| {
            let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.@()[]/# ".contains(byte);
            name.len() < 60 && name.iter().all(is_part) && !name.first().is_some_and(u8::is_ascii_digit)
        };
        // `TimeGenerated [UTC]`
        let column = |name: &Cow<'_, [u8]>| {
            let name = &name[..memmem::find(name, b" [").unwrap_or(name.len())];
            known(meaning_of(Place::Top, name))
        };
        let columns: Vec<ColumnMeaning> = names.iter().map(column).collect();
        let has = |slots: &[Slot]| {
            columns
                .iter()
                .any(|column| matches!(column, ColumnMeaning::Known(slot, _) if slots.contains(slot)))
        };
        let has_request = has(&[Slot::Path, Slot::RequestLine]) && has(&[Slot::Status, Slot::OriginStatus]);
        let is_table = names.len() > 1 && names.iter().all(is_name) && (has_request || has(&[Slot::Line]));
        is_table.then_some(Self { columns, layout: Layout::Table(mark) })
    }

    /// The request, or another log's line, in a line with these columns.
    pub(super) fn parse<'l>(&self, line: &'l [u8], clock: &mut TimestampParser) -> Option<ColumnLine<'l>> {
        match self.layout {
            Layout::Table(mark) => self.row(line, mark, clock),
            Layout::Tabs if line.contains(&b'\t') => self.extended(line, b'\t').map(ColumnLine::Request),
            Layout::Tabs | Layout::Spaces => self.extended(line, b' ').map(ColumnLine::Request),
        }
    }

    /// A row of a table.
    fn row<'l>(&self, line: &'l [u8], mark: u8, clock: &mut TimestampParser) -> Option<ColumnLine<'l>> {
        let cells = cells(line, mark).filter(|cells| cells.len() == self.columns.len())?;
        let mut fields = Fields::default();
        for (column, cell) in self.columns.iter().zip(cells) {
            if let ColumnMeaning::Known(slot, rank) = *column {
                fields.insert((slot, rank), FieldValue::Text(cell));
            }
        }
        let time = fields.time(clock);
        let carried = fields.text(Slot::Line);
        if let Some(request) = fields.request(time)
            && (request.status.is_some() || request.is_own_answer)
        {
            return Some(ColumnLine::Request(request));
        }
        carried.map(|line| ColumnLine::Carried { line, time })
    }

    /// A line of an extended log file.
    fn extended<'l>(&self, line: &'l [u8], separator: u8) -> Option<Request<'l>> {
        let has_tabs = self.layout == Layout::Tabs;
        let values: Vec<&[u8]> = line.split(|&byte| byte == separator).collect();
        if values.len() != self.columns.len() {
            return None;
        }
        let mut fields = Fields::default();
        let (mut date, mut clock): (&[u8], &[u8]) = (b"", b"");
        for (column, value) in self.columns.iter().zip(values) {
            match *column {
                ColumnMeaning::Date => date = value,
                ColumnMeaning::Clock => clock = value,
                // IIS writes a space as a plus, CloudFront as %20, or %2520.
                ColumnMeaning::Known(slot @ Slot::UserAgent, rank) if has_tabs => {
                    let once: Cow<[u8]> = percent_decode(value).into();
                    let twice: Cow<[u8]> = percent_decode(&once).into();
                    fields.insert((slot, rank), FieldValue::Text(Cow::Owned(twice.into_owned())));
                }
                ColumnMeaning::Known(slot @ Slot::UserAgent, rank) => {
                    let spaced = value.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
                    fields.insert((slot, rank), FieldValue::Text(Cow::Owned(spaced)));
                }
                // IIS has decoded the path: what still looks encoded was so twice.
                ColumnMeaning::Known(slot @ Slot::Path, rank) if !has_tabs && value.contains(&b'%') => {
                    let encoded = value.split(|&byte| byte == b'%').collect::<Vec<_>>().join(&b"%25"[..]);
                    fields.insert((slot, rank), FieldValue::Text(Cow::Owned(encoded)));
                }
                ColumnMeaning::Known(slot, rank) => {
                    fields.insert((slot, rank), FieldValue::Text(Cow::Borrowed(value)))
                }
                ColumnMeaning::Other => {}
            }
        }
        // Both write UTC.
        let moment = [date, b"T", clock, b"Z"].concat();
        let time = str::from_utf8(&moment).ok().and_then(Timestamp::from_iso);
        let request = fields.request(time)?;
        Some(Request { has_plus_for_space: !has_tabs, ..request })
    }
}

/// The field that a column's name stands for.
fn known(meaning: Option<(Slot, u8)>) -> ColumnMeaning {
    meaning.map_or(ColumnMeaning::Other, |(slot, rank)| ColumnMeaning::Known(slot, rank))
}

/// The cells of a row: quoted ones may hold the mark, and quotes that are doubled.
fn cells(line: &[u8], mark: u8) -> Option<Vec<Cow<'_, [u8]>>> {
    let (mut cells, mut rest) = (Vec::new(), line);
    loop {
        let Some(mut inside) = rest.strip_prefix(b"\"") else {
            let Some(end) = memchr(mark, rest) else {
                cells.push(Cow::Borrowed(rest));
                return Some(cells);
            };
            cells.push(Cow::Borrowed(&rest[..end]));
            rest = &rest[end + 1..];
            continue;
        };
        let mut cell = Cow::Borrowed(&inside[..0]);
        loop {
            let end = memchr(b'"', inside)?;
            match cell {
                Cow::Borrowed(b"") => cell = Cow::Borrowed(&inside[..end]),
                _ => cell.to_mut().extend_from_slice(&inside[..end]),
            }
            match inside[end + 1..].strip_prefix(b"\"") {
                Some(more) => {
                    cell.to_mut().push(b'"');
                    inside = more;
                }
                None => {
                    rest = &inside[end + 1..];
                    break;
                }
            }
        }
        cells.push(cell);
        match rest.split_first() {
            None => return Some(cells),
            Some((&byte, more)) if byte == mark => rest = more,
            Some(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::request::RequestTarget;

    #[test]
    fn columns_are_read_by_their_names() {
        let iis = ColumnHeader::parse_header(b"#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port c-ip cs(User-Agent) sc-status sc-substatus").unwrap();
        let read = |columns: &ColumnHeader, line: &'static [u8]| match columns
            .parse(line, &mut TimestampParser::default())
        {
            Some(ColumnLine::Request(request)) => Some(request),
            _ => None,
        };
        let request = read(
            &iis,
            b"2026-11-21 03:59:12 10.0.0.3 GET /instance/connect/x a=b 443 203.0.113.7 n8n+2 404 0",
        )
        .unwrap();
        assert_eq!(request.asked, RequestTarget::Path(Cow::Borrowed(b"/instance/connect/x?a=b")));
        assert_eq!((request.status, request.client.as_deref()), (Some(404), Some(&b"203.0.113.7"[..])));
        assert_eq!(request.user_agent().as_deref(), Some(&b"n8n 2"[..]));
        assert_eq!(request.time.unwrap().to_string(), "2026-11-21T03:59:12Z");
        let cloudfront = ColumnHeader::parse_header(b"#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(User-Agent) cs-uri-query x-host-header").unwrap();
        let line = b"2026-11-21\t03:59:12\tGRU1\t140\t203.0.113.7\tGET\td1.cloudfront.net\t/instance/connect/x\t404\tn8n%202\t-\twa.example.com";
        let request = read(&cloudfront, line).unwrap();
        assert_eq!(request.host.as_deref(), Some(&b"wa.example.com"[..]));
        assert_eq!(request.user_agent().as_deref(), Some(&b"n8n 2"[..]));
        assert_eq!(read(&cloudfront, b"a b"), None);
    }

    #[test]
    fn a_table_is_read_by_the_names_in_its_first_line() {
        let parse = |header: &str, line: &str| {
            let columns = ColumnHeader::parse_table(header.as_bytes())?;
            match columns.parse(line.as_bytes(), &mut TimestampParser::default())? {
                ColumnLine::Request(request) => {
                    let RequestTarget::Path(path) = &request.asked else { panic!("a path") };
                    let text =
                        |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or(b"-")).into_owned();
                    let agent = request.user_agent();
                    Some(format!("{} {:?} {}", text(Some(path)), request.status, text(agent.as_deref())))
                }
                ColumnLine::Carried { line, time } => {
                    Some(format!("{} at {}", String::from_utf8_lossy(&line), time.unwrap()))
                }
            }
        };
        for (header, line, expected) in [
            (
                "time,client,method,uri,status,user_agent",
                "2026-11-21T03:59:12Z,203.0.113.7,GET,\"/a?b=c,d\",404,\"say \"\"hi\"\"\"",
                "/a?b=c,d Some(404) say \"hi\"",
            ),
            (
                "httpRequest.requestUrl;httpRequest.status;httpRequest.userAgent",
                "https://h.example.com/a;404;n8n",
                "https://h.example.com/a Some(404) n8n",
            ),
            ("timestamp\tpath\tstatus", "2026-11-21T03:59:12Z\t/a\t404", "/a Some(404) -"),
            (
                "\"TimeGenerated [UTC]\",Line,id",
                "2026-11-21T03:59:12Z,\"GET \"\"/a/b\"\" 404\",7",
                "GET \"/a/b\" 404 at 2026-11-21T03:59:12Z",
            ),
        ] {
            assert_eq!(parse(header, line).as_deref(), Some(expected), "{header}");
        }
        for line in
            ["", "a,b,c", "203.0.113.7, GET, path, status", "path: x, status: y", "{\"path\",\"status\"}"]
        {
            assert_eq!(ColumnHeader::parse_table(line.as_bytes()), None, "{line}");
        }
    }
}
