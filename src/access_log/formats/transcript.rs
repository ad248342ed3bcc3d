//! Texts that show one request in several lines: `curl -v`, a client's error with its body, the log of a framework. The
//! path comes in one line, the status in another, the body in a third, in any order; together they are one request.

use std::borrow::Cow;

use memchr::memmem;

use super::request_details::RequestDetails;
use super::{api_404_body, free_text, status_code};
use crate::access_log::log_text::request_line;
use crate::access_log::request::{ExtraFields, Request, RequestTarget};
use crate::access_log::timestamp::Timestamp;
use crate::evolution::routes;

/// Maximum distance of the parts of a request, in lines.
const REACH: u64 = 40;

/// The state from the last lines.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    /// The number of the line.
    at: u64,
    /// A request without its status, and the line that it stood in.
    asked: Option<(u64, Request<'static>)>,
    /// A status without its request.
    status: Option<(u64, u16)>,
    /// The last request that was found.
    last: Option<ReportedRequest>,
    /// The fields of the current request from lines with one field each.
    details: RequestDetails,
    /// The time that a record began with, and its line.
    time: Option<(u64, Timestamp)>,
}

#[derive(Debug)]
struct ReportedRequest {
    at: u64,
    name: Vec<u8>,
    /// How its body was escaped, once it was seen.
    body: Option<usize>,
    has_path: bool,
}

impl Transcript {
    /// The requests that a line completes.
    pub fn push_line<'l>(&mut self, line: &'l [u8]) -> Vec<Request<'l>> {
        self.at += 1;
        let mut done = Vec::new();
        // `curl -v` marks what it sent so, and a mail what it quotes.
        let mut line = line;
        if let Some(sent) = line.strip_prefix(b"> ") {
            if self.asked.is_some() || memmem::find(sent, b" HTTP/").is_some() {
                self.sent(sent, &mut done);
                return done;
            }
            line = sent;
        }
        // A program that prints objects with indents puts the time in the record's first line.
        if line.first().is_some_and(|byte| *byte == b'[' || byte.is_ascii_digit())
            && let Some(time) = api_404_body::time(line)
        {
            self.time = Some((self.at, time));
        }
        // PHP's Monolog writes the whole error again as its context.
        if memmem::find(line, b"\"exception\":\"[object]").is_some()
            && let Some(last) = self.last.as_mut().filter(|last| self.at - last.at <= REACH)
        {
            last.body = None;
            return done;
        }
        if let Some(status) = status_code::status_line(line) {
            match self.take_asked() {
                Some(request) => self.tell(Request { status: Some(status), ..request }, &mut done),
                None => self.status = Some((self.at, status)),
            }
            return done;
        }
        if let Some(request) = free_text::cannot(line) {
            if !self.belongs_to_last(&name_of(&request), None) {
                self.take_asked();
                self.tell(request, &mut done);
            }
            return done;
        }
        let paths = free_text::paths(line);
        if let Some(name) = api_404_body::not_listed(line).filter(|_| paths.is_empty()) {
            self.not_listed(line, &name, &mut done);
            return done;
        }
        if let Some((name, level)) = api_404_body::name(line) {
            self.refused(line, &name, level, paths, &mut done);
        } else if paths.is_empty() {
            if !self.details.note(self.at, line) {
                self.answered(line, &mut done);
            }
        } else {
            let is_inner = line.first().is_some_and(u8::is_ascii_whitespace);
            paths.into_iter().for_each(|request| self.asked(request, is_inner, &mut done));
        }
        done
    }

    /// Remembers a request that one line gave whole: a body of the same name that follows belongs to it.
    pub fn note(&mut self, request: &Request<'_>) {
        self.at += 1;
        if request.status == Some(404) {
            let name = name_of(request);
            self.last = Some(ReportedRequest { at: self.at, name, body: None, has_path: true });
        }
    }

    /// Forgets a request whose status has not come: another line gives it.
    pub fn forget(&mut self) {
        self.asked = None;
    }

    /// The request whose status has not come.
    pub fn finish(&mut self) -> Option<Request<'static>> {
        // Without a method it is a mention of a path.
        self.asked.take().map(|(_, request)| request).filter(|request| request.method.is_some())
    }

    /// `GET /path HTTP/1.1`, `Host: …`, `User-Agent: …`.
    fn sent(&mut self, sent: &[u8], done: &mut Vec<Request<'_>>) {
        if let Some(version) = memmem::rfind(sent, b" HTTP/") {
            let (method, path) = request_line(&sent[..version]);
            let asked = RequestTarget::Path(Cow::Owned(path.to_vec()));
            let method = method.map(|method| Cow::Owned(method.to_vec()));
            // `curl -v` shows the address of a request in HTTP/2 before the request itself.
            done.extend(
                self.finish().filter(|former| name_of(former) != name_of(&Request::new(asked.clone()))),
            );
            self.asked = Some((self.at, Request { method, ..Request::new(asked) }));
        } else if let Some((_, request)) = &mut self.asked {
            if let Some(agent) = header(sent, b"user-agent") {
                request.more =
                    ExtraFields::Known { user_agent: Some(Cow::Owned(agent.to_vec())), router: None };
            } else if let Some(host) = header(sent, b"host") {
                request.host = Some(Cow::Owned(host.to_vec()));
            }
        }
    }

    /// A body that names an instance that does not exist.
    fn refused<'l>(
        &mut self,
        line: &'l [u8],
        name: &[u8],
        level: usize,
        paths: Vec<Request<'l>>,
        done: &mut Vec<Request<'l>>,
    ) {
        let own = paths.into_iter().find(|path| name_of(path) == name);
        if self.belongs_to_last(name, Some(level)) {
            return;
        }
        let asked = self.asked.take_if(|(at, request)| self.at - *at <= REACH && name_of(request) == name);
        let request = match (own, asked) {
            (Some(own), _) => own,
            (None, Some((_, asked))) => asked,
            (None, None) => Request::new(RequestTarget::Name(Cow::Owned(name.to_vec()))),
        };
        let time = request.time.or_else(|| api_404_body::time(line));
        self.status = None;
        self.tell(Request { status: Some(404), time, ..request }, done);
        if let Some(last) = &mut self.last {
            last.body = Some(level);
        }
    }

    /// The list of instances was asked for a name that it does not have.
    fn not_listed(&mut self, line: &[u8], name: &[u8], done: &mut Vec<Request<'_>>) {
        const LIST: &str = "/instance/fetchInstances";
        let name = routes::encode_segment(&String::from_utf8_lossy(name));
        let path = format!("{LIST}?instanceName={name}").into_bytes();
        let request =
            Request { time: api_404_body::time(line), ..Request::new(RequestTarget::Path(Cow::Owned(path))) };
        let is_list = |asked: &Request<'_>| memmem::find(&name_of(asked), LIST.as_bytes()).is_some();
        let asked = self.asked.take_if(|(_, asked)| is_list(asked)).map(|(_, asked)| asked);
        let is_of_last = |last: &ReportedRequest| {
            last.body.is_none() && memmem::find(&last.name, LIST.as_bytes()).is_some()
        };
        if !self.last.as_ref().is_some_and(|last| self.at - last.at <= REACH && is_of_last(last)) {
            self.tell(Request { status: Some(404), ..asked.unwrap_or(request) }, done);
        }
        if let Some(last) = &mut self.last {
            last.body = Some(0);
        }
    }

    /// A line without a path: it may hold the status of the request before it, or of the one that follows.
    fn answered(&mut self, line: &[u8], done: &mut Vec<Request<'_>>) {
        let Some(status) = status_code::named(line).or_else(|| status_code::at_end(line)) else { return };
        match self.take_asked() {
            Some(request) => self.tell(Request { status: Some(status), ..request }, done),
            None if self.last.as_ref().is_none_or(|last| self.at - last.at > REACH) => {
                self.status = Some((self.at, status));
            }
            None => {}
        }
    }

    /// A line with a path; indented, it may be part of a record that shows the same request more than once.
    fn asked<'l>(&mut self, request: Request<'l>, is_inner: bool, done: &mut Vec<Request<'l>>) {
        self.details.forget_before(self.at);
        let method = request.method.or_else(|| self.details.method().map(Cow::Borrowed));
        let request = Request { method, ..request };
        let name = name_of(&request);
        // The path of a body that was counted already, or the path once more of a record that is printed over many lines.
        if let Some(last) = self
            .last
            .as_mut()
            .filter(|last| last.name == name && self.at - last.at <= REACH)
            .filter(|last| !last.has_path || is_inner && request.status.is_none())
        {
            last.has_path = true;
            return;
        }
        if request.status.is_some() {
            if self.asked.as_ref().is_some_and(|(_, former)| name_of(former) == name) {
                self.asked = None;
            }
            return self.tell(request, done);
        }
        if let Some((at, status)) = self.status.take()
            && self.at - at <= REACH
        {
            return self.tell(Request { status: Some(status), ..request }, done);
        }
        if let Some((_, former)) = &self.asked
            && name_of(former) == name
            && (request.method.is_none() || is_inner && request.method == former.method)
        {
            return;
        }
        done.extend(self.finish());
        self.asked = Some((self.at, request.into_owned()));
    }

    fn tell<'l>(&mut self, request: Request<'l>, done: &mut Vec<Request<'l>>) {
        let has_path = matches!(request.asked, RequestTarget::Path(_));
        let request = self.details.complete(request);
        let begun = self.time.filter(|(at, _)| self.at - at <= REACH).map(|(_, time)| time);
        let request = Request { time: request.time.or(begun), ..request };
        self.last = Some(ReportedRequest { at: self.at, name: name_of(&request), body: None, has_path });
        done.push(request);
    }

    /// True if this body belongs to the last request: it had none yet, or the same in other escapes.
    fn belongs_to_last(&mut self, name: &[u8], level: Option<usize>) -> bool {
        let Some(last) = self.last.as_mut().filter(|last| last.name == name && self.at - last.at <= REACH)
        else {
            return false;
        };
        match last.body {
            None => {
                last.body = level.or(Some(0));
                true
            }
            Some(body) => level.is_some_and(|level| level != body),
        }
    }

    fn take_asked(&mut self) -> Option<Request<'static>> {
        self.asked.take().filter(|(at, _)| self.at - at <= REACH).map(|(_, request)| request)
    }
}

/// The name in a request, decoded once; of a path without one the path.
fn name_of(request: &Request<'_>) -> Vec<u8> {
    match &request.asked {
        RequestTarget::Name(name) => name.to_vec(),
        RequestTarget::Path(path) => match routes::match_path(path).and_then(|target| target.instance) {
            Some(name) => routes::decode_segment(name).into_owned(),
            None => path.to_vec(),
        },
    }
}

fn header<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let (head, value) = line.split_at_checked(name.len())?;
    head.eq_ignore_ascii_case(name).then(|| value.strip_prefix(b":").map(<[u8]>::trim_ascii))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let mut conversation = Transcript::default();
        let shown = |request: &Request<'_>| {
            let (RequestTarget::Path(asked) | RequestTarget::Name(asked)) = &request.asked;
            let status = request.status.map_or("?".into(), |status| status.to_string());
            format!("{} {status}", String::from_utf8_lossy(asked))
        };
        let mut all: Vec<String> = Vec::new();
        for line in text.lines() {
            all.extend(conversation.push_line(line.as_bytes()).iter().map(shown));
        }
        all.extend(conversation.finish().iter().map(shown));
        all
    }

    #[test]
    fn a_path_its_status_and_its_body_are_one_request() {
        let body = "{\"message\":[\"The \\\"x\\\" instance does not exist\"]}";
        let curl = format!("> GET /instance/connect/x HTTP/1.1\n> Host: h\n< HTTP/1.1 404 Not Found\n{body}");
        assert_eq!(shown(&curl), ["/instance/connect/x 404"]);
        assert_eq!(shown(&format!("{curl}\n{curl}")).len(), 2);
        let axios = format!(
            "AxiosError: Request failed with status code 404\n  url: 'https://h/instance/connect/x',\n  data: {body}"
        );
        assert_eq!(shown(&axios), ["https://h/instance/connect/x 404"]);
        assert_eq!(shown(&format!("{body}\n  url: 'https://h/instance/connect/x',")), ["x 404"]);
        assert_eq!(
            shown("Started GET \"/instance/connect/x\" for ::1\nCompleted 404 Not Found in 5ms"),
            ["/instance/connect/x 404"]
        );
        assert_eq!(shown("GET /instance/connect/x"), ["/instance/connect/x ?"]);
        assert_eq!(shown("see /instance/connect/x"), Vec::<String>::new());
        // The same refusal in each of two lines is two requests.
        assert_eq!(shown("The \"x\" instance does not exist\nThe \"x\" instance does not exist").len(), 2);
    }
}
