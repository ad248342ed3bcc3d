//! One line of a log to the requests that it tells of, whatever wrote the line and whatever carried it.
//!
//! A line is tried as each kind in turn, strictest first: lines of the common and combined formats, named fields, lines
//! that quote the request, and at last any text.

mod api_404_body;
mod aws_load_balancer;
mod client_address;
pub mod columns;
pub(super) mod combined;
mod cut_lines;
mod delimited;
mod fields;
mod free_text;
mod haproxy;
mod json;
pub mod json_documents;
mod line_format;
pub mod log_template;
mod log_wrappers;
mod logfmt;
mod plain_words;
mod quoted_request;
mod request_details;
mod status_code;
mod transcript;
mod upstream_fields;
mod vendor_lines;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use memchr::memmem;

pub use self::api_404_body::record_time;
use self::columns::{ColumnHeader, ColumnLine, FIELDS};
use self::cut_lines::{CutLine, LinePiece};
use self::json_documents::JsonDocuments;
pub use self::line_format::{KNOWN, LineFormat};
use self::transcript::Transcript;
use super::request::{PartialRequest, Request};
use super::timestamp::{CLF_LENGTH, Timestamp, TimestampParser};

/// Requests that wait for the lines with their answers.
const MOST_ASKED: usize = 256;

/// Maximum number of wrappings of a line, one in another.
const MOST_WRAPPINGS: u32 = 6;

/// Reads the lines of one file, in order.
#[derive(Debug, Default)]
pub struct LineParser {
    format: LineFormat,
    /// When Evolution's console log last began a record: the lines that follow carry no time of their own.
    pub record: Option<Timestamp>,
    /// The columns that the file names, if it does.
    pub columns: Option<Arc<ColumnHeader>>,
    /// True if any line came from Evolution's console log.
    pub saw_console: bool,
    clock: TimestampParser,
    keys: json::LastKeys,
    conversation: Transcript,
    /// The beginning of a line that was cut.
    cut: CutLine,
    /// Requests whose answers come in later lines, by what these have in common.
    asked: VecDeque<(Vec<u8>, Request<'static>)>,
    /// Further requests of the last line.
    more: VecDeque<Request<'static>>,
}

/// The prefix of every record of Evolution's console log.
pub const CONSOLE: &[u8] = b"[Evolution API]";

impl LineParser {
    /// The part of a line that decides whether its request is in order, if the line has the most common format and
    /// nothing unusual; otherwise it has to be read completely.
    #[inline]
    pub fn parse_partial<'l>(&mut self, line: &'l [u8]) -> Option<PartialRequest<'l>> {
        if self.format == LineFormat::Any && line.first() == Some(&b'[') {
            delimited::gin_partial(line, &mut self.clock)
        } else if self.format.may_be(&LineFormat::Combined) {
            let line = &line[log_wrappers::service_prefix(line)..];
            combined::parse_partial(line, &mut self.clock)
        } else {
            None
        }
    }

    /// Reads lines of this kind only.
    pub fn for_format(format: LineFormat) -> Self {
        Self { format, ..Self::default() }
    }

    /// The request in a line, without its newline; `None` for anything else. If there are several,
    /// [`LineParser::next_request`] gives the others.
    pub fn parse<'l>(&mut self, line: &'l [u8]) -> Option<Request<'l>> {
        match self.cut.push(line) {
            LinePiece::Whole => self.read(line, MOST_WRAPPINGS),
            LinePiece::Completed(whole) => {
                self.conversation.forget();
                self.read(&whole, MOST_WRAPPINGS).map(Request::into_owned)
            }
            LinePiece::Incomplete => {
                let request = self.read(line, MOST_WRAPPINGS);
                // Others write Docker's form without newlines: a line that can be read is whole.
                if request.as_ref().is_some_and(|request| request.status.is_some()) {
                    self.cut.forget();
                }
                request
            }
        }
    }

    /// Another request of the last line.
    pub fn next_request(&mut self) -> Option<Request<'static>> {
        self.more.pop_front()
    }

    /// The request of the last lines whose status never came.
    pub fn finish(&mut self) -> Option<Request<'static>> {
        self.cut.forget();
        self.conversation.finish().or_else(|| self.asked.pop_front().map(|(_, request)| request))
    }

    fn read<'l>(&mut self, line: &'l [u8], deeper: u32) -> Option<Request<'l>> {
        let deeper = deeper.checked_sub(1)?;
        if let LineFormat::Template(template) = &self.format {
            return template.parse(line, &mut self.clock);
        }
        let text = line.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(line).trim_ascii_start();
        match text.first()? {
            b'{' => self.object(text, deeper),
            b'[' if matches!(text.get(1), Some(b'{' | b'"' | b'[')) => {
                self.documents(text, deeper).or_else(|| self.line(line, deeper))
            }
            b'#' => {
                if text.starts_with(FIELDS) {
                    self.columns = ColumnHeader::parse_header(text).map(Arc::new);
                }
                None
            }
            _ => self.line(line, deeper),
        }
    }

    /// A line that begins as an object.
    fn object<'l>(&mut self, text: &'l [u8], deeper: u32) -> Option<Request<'l>> {
        if !self.format.may_be(&LineFormat::Json) {
            // Docker's log files wrap each line of a container, of whatever kind it is.
            return match json::parse(text, &mut self.clock, &mut self.keys) {
                json::JsonLine::Wrapped { line, time } => self.inner(&line, time, deeper),
                _ => self.line(text, deeper),
            };
        }
        match json::parse(text.trim_ascii_end(), &mut self.clock, &mut self.keys) {
            json::JsonLine::Request(request) if request.status.is_some() || request.is_own_answer => {
                Some(request)
            }
            json::JsonLine::Asked { id, request } => {
                self.asked.push_back((id, request.into_owned()));
                if self.asked.len() <= MOST_ASKED {
                    return None;
                }
                self.asked.pop_front().map(|(_, request)| request)
            }
            json::JsonLine::Answered { id, status } => {
                let at = self.asked.iter().rposition(|(asked, _)| *asked == id)?;
                let (_, request) = self.asked.remove(at)?;
                Some(Request { status: Some(status), ..request })
            }
            json::JsonLine::Request(request) => {
                // The status may be in a text: `Request failed with status code 404`.
                let request_in_text =
                    self.text_request(text).filter(|request_in_text| request_in_text.status.is_some());
                self.conversation.forget();
                request_in_text
                    .map(|request_in_text| Request {
                        time: request_in_text.time.or(request.time),
                        ..request_in_text
                    })
                    .or(Some(request))
            }
            json::JsonLine::Wrapped { line, time } => {
                self.inner(&line, time, deeper).or_else(|| self.lists(text, deeper))
            }
            json::JsonLine::Other => self.lists(text, deeper).or_else(|| self.text_request(text)),
            json::JsonLine::Broken => {
                let object = log_wrappers::to_last_brace(text);
                let is_cut = object.len() < text.trim_ascii_end().len();
                let rest = if is_cut { self.embedded(object, None, deeper) } else { None };
                rest.or_else(|| self.line(text, deeper))
            }
        }
    }

    /// A line that something carries; the time is when that took it.
    fn inner(&mut self, line: &[u8], time: Option<Timestamp>, deeper: u32) -> Option<Request<'static>> {
        let request = self.read(line, deeper)?.into_owned();
        // The carrier's time has a zone, which that of a console record has not.
        let own = request.time.filter(|own| own.has_zone() || time.is_none_or(|time| !time.has_zone()));
        Some(Request { time: own.or(time), ..request })
    }

    /// An object that holds lists of requests.
    fn lists(&mut self, text: &[u8], deeper: u32) -> Option<Request<'static>> {
        let has_lists =
            [&b"[{"[..], b"[ {", b"[[", b"[ ["].iter().any(|mark| memmem::find(text, mark).is_some());
        if has_lists { self.documents(text, deeper) } else { None }
    }

    /// A line that is a document of its own.
    fn documents(&mut self, text: &[u8], deeper: u32) -> Option<Request<'static>> {
        let (mut records, mut lines) = (JsonDocuments::default(), Vec::new());
        records.feed(text, &mut lines);
        records.flush_incomplete(&mut lines);
        let mut all = VecDeque::new();
        for line in lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty() && *line != text) {
            let request = match line.first() {
                Some(b'[') => self.row(line, deeper),
                _ => self.read(line, deeper).map(Request::into_owned),
            };
            all.extend(request);
            all.append(&mut self.more);
        }
        let first = all.pop_front();
        self.more = all;
        first
    }

    /// A list of a time and a line, in any order.
    fn row(&mut self, row: &[u8], deeper: u32) -> Option<Request<'static>> {
        let (time, texts) = json_documents::row(row).unwrap_or_default();
        let found = texts.iter().find_map(|text| self.inner(text.as_bytes(), time, deeper));
        found.or_else(|| self.read(row, deeper).map(Request::into_owned))
    }

    fn line<'l>(&mut self, line: &'l [u8], deeper: u32) -> Option<Request<'l>> {
        // Nothing else begins like this, and trying the other formats first takes longer than reading it.
        let mut begins = || match line.first() {
            Some(b'[') if line.get(1 + CLF_LENGTH) == Some(&b']') => {
                vendor_lines::proxy_manager(line, &mut self.clock)
            }
            Some(b'[') => delimited::gin(line, &mut self.clock),
            _ => None,
        };
        if self.format == LineFormat::Any
            && let Some(request) = begins()
        {
            return Some(request);
        }
        if let Some(columns) = self.columns.clone() {
            match columns.parse(line, &mut self.clock) {
                Some(ColumnLine::Request(request)) => return Some(request),
                Some(ColumnLine::Carried { line, time }) => {
                    if let Some(request) = self.inner(&line, time, deeper) {
                        return Some(request);
                    }
                }
                None => {}
            }
        }
        if let Some(plain) = log_wrappers::colours(line) {
            return self.read(&plain, deeper).map(Request::into_owned);
        }
        if let Some(request) = self.structured(line) {
            return Some(request);
        }
        if self.format.may_be(&LineFormat::Json) || self.format.may_be(&LineFormat::Combined) {
            for at in log_wrappers::objects(line) {
                let time = api_404_body::time(&line[..at]);
                if let Some(request) = self.embedded(log_wrappers::to_last_brace(&line[at..]), time, deeper) {
                    return Some(request);
                }
            }
        }
        if let Some(inner) = log_wrappers::unwrap(line) {
            let time = api_404_body::time(line);
            let request = self.read(&inner, deeper)?.into_owned();
            return Some(Request { time: request.time.or(time), ..request });
        }
        if let Some(request) = self.loosely_structured(line) {
            return Some(Request { time: request.time.or_else(|| api_404_body::time(line)), ..request });
        }
        if let Some(inner) = log_wrappers::mail(line)
            && let Some(request) = self.structured(inner).or_else(|| self.loosely_structured(inner))
        {
            return Some(request);
        }
        if self.format == LineFormat::Any
            && let Some(request) = plain_words::parse(line, &mut self.clock)
                .or_else(|| logfmt::with_colons(line, &mut self.clock))
        {
            // What such programs print next may be the body of the same answer.
            self.conversation.note(&request);
            return Some(Request { time: request.time.or_else(|| api_404_body::time(line)), ..request });
        }
        if self.format.may_be(&LineFormat::Text) { self.text_request(line) } else { None }
    }

    /// An object in the middle of a line.
    fn embedded(&mut self, object: &[u8], time: Option<Timestamp>, deeper: u32) -> Option<Request<'static>> {
        let json = log_wrappers::from_ruby(object).map_or(Cow::Borrowed(object), Cow::Owned);
        match json::parse(&json, &mut self.clock, &mut self.keys) {
            json::JsonLine::Request(request) if request.status.is_some() || request.is_own_answer => {
                let request = request.into_owned();
                Some(Request { time: request.time.or(time), ..request })
            }
            json::JsonLine::Wrapped { line, time: own } => self.inner(&line, own.or(time), deeper),
            _ => None,
        }
    }

    /// Lines whose fields have one order.
    fn structured<'l>(&mut self, line: &'l [u8]) -> Option<Request<'l>> {
        let (format, clock) = (&self.format, &mut self.clock);
        let mut read =
            |kind: LineFormat, parse: fn(&'l [u8], &mut TimestampParser) -> Option<Request<'l>>| {
                if format.may_be(&kind) { parse(line, clock) } else { None }
            };
        read(LineFormat::Combined, combined::parse)
            .or_else(|| read(LineFormat::Haproxy, haproxy::parse))
            .or_else(|| read(LineFormat::Balancer, aws_load_balancer::parse))
    }

    /// Lines that quote a request or name its fields.
    fn loosely_structured<'l>(&mut self, line: &'l [u8]) -> Option<Request<'l>> {
        if self.format != LineFormat::Any {
            return None;
        }
        let clock = &mut self.clock;
        vendor_lines::parse(line, clock).or_else(|| {
            let quoted = quoted_request::parse(line, clock);
            if quoted.as_ref().is_some_and(|request| request.status.is_some() || request.is_own_answer) {
                return quoted;
            }
            // A status has its name here, or the line has none.
            logfmt::parse(line, clock).or(quoted)
        })
    }

    /// The requests that a text shows, together with the lines before it.
    fn text_request<'l>(&mut self, line: &'l [u8]) -> Option<Request<'l>> {
        if memmem::find(line, CONSOLE).is_some() {
            self.saw_console = true;
            self.record = record_time(line);
        }
        let mut requests = self.conversation.push_line(line).into_iter();
        let first = requests.next()?;
        self.more.extend(requests.map(Request::into_owned));
        Some(Request { time: first.time.or(self.record), ..first })
    }
}

#[cfg(test)]
mod tests;
