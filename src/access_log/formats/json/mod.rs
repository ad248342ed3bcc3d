//! Access logs with one JSON object per line of any program.

mod key_names;
mod scan;

use std::borrow::Cow;

use self::key_names::{ExactNames, UsualNames};
use self::scan::KeyOrder;
pub(super) use self::scan::unescaped;
use super::fields::{Fields, Slot};
use crate::access_log::request::Request;
use crate::access_log::timestamp::{Timestamp, TimestampParser};

/// The result of parsing a line of JSON.
pub(super) enum JsonLine<'l> {
    /// A request.
    Request(Request<'l>),
    /// Another log's line inside an object, as Docker's `json-file` driver writes it.
    Wrapped {
        /// The line inside, without its newline.
        line: Cow<'l, [u8]>,
        /// When Docker took it.
        time: Option<Timestamp>,
    },
    /// A request whose answer is in a later line with the same id.
    Asked { id: Vec<u8>, request: Request<'l> },
    /// The answer to a request in an earlier line.
    Answered { id: Vec<u8>, status: u16 },
    /// JSON without a request.
    Other,
    /// No JSON.
    Broken,
}

/// The keys that the last lines had.
#[derive(Debug, Default)]
pub(super) struct LastKeys {
    exact: KeyOrder<ExactNames>,
    usual: KeyOrder<UsualNames>,
}

/// Reads an object.
pub(super) fn parse<'l>(line: &'l [u8], clock: &mut TimestampParser, last: &mut LastKeys) -> JsonLine<'l> {
    if ExactNames::may_hold_path(line)
        && let Some(mut fields) = scan::fields(line, &mut last.exact).filter(Fields::are_enough)
    {
        let time = fields.time(clock);
        if let Some(request) = fields.request(time) {
            return JsonLine::Request(request);
        }
    }
    let Some(mut fields) = scan::fields(line, &mut last.usual).or_else(|| really_parsed(line)) else {
        return JsonLine::Broken;
    };
    let time = fields.time(clock);
    let inner = fields.text(Slot::Line);
    let id = fields.text(Slot::Id).map(Cow::into_owned);
    let status = fields.status();
    if let Some(request) = fields.request(time) {
        return match id {
            Some(id) if request.status.is_none() && !request.is_own_answer => JsonLine::Asked { id, request },
            _ => JsonLine::Request(request),
        };
    }
    if let (Some(id), Some(status)) = (id, status) {
        return JsonLine::Answered { id, status };
    }
    match inner {
        Some(Cow::Borrowed(inner)) => JsonLine::Wrapped { line: Cow::Borrowed(inner.trim_ascii_end()), time },
        Some(Cow::Owned(inner)) => {
            JsonLine::Wrapped { line: Cow::Owned(inner.trim_ascii_end().to_vec()), time }
        }
        None => JsonLine::Other,
    }
}

fn really_parsed(line: &[u8]) -> Option<Fields<'static>> {
    serde_json::from_str(&String::from_utf8_lossy(line)).ok().map(|json| scan::parsed::<UsualNames>(&json))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::request::RequestTarget;

    fn read(line: &str) -> Option<Request<'_>> {
        match parse(line.as_bytes(), &mut TimestampParser::default(), &mut LastKeys::default()) {
            JsonLine::Request(request) => Some(request),
            _ => None,
        }
    }

    fn is(field: Option<&[u8]>, text: &str) -> bool {
        field == Some(text.as_bytes())
    }

    /// The keys of the lines before only save looking them up.
    #[test]
    fn a_line_is_read_the_same_whatever_came_before() {
        let lines = [
            r#"{"ClientHost":"203.0.113.7","DownstreamStatus":404,"RequestMethod":"GET","RequestPath":"/a"}"#,
            r#"{"RequestPath":"/b","ClientHost":"203.0.113.8","RequestMethod":"PUT","DownstreamStatus":500}"#,
            r#"{"level":30,"reqId":"1","req":{"method":"GET","url":"/c","remoteAddress":"203.0.113.7"}}"#,
            r#"{"level":30,"reqId":"1","res":{"statusCode":404},"responseTime":1}"#,
            r#"{"status":404,"request":{"uri":"/d","method":"GET","client_ip":"203.0.113.9"}}"#,
            r#"{"request":"GET /e HTTP/1.1","status":"404","remote_addr":"203.0.113.7"}"#,
        ];
        let said = |line: &'static str, last: &mut LastKeys| match parse(
            line.as_bytes(),
            &mut TimestampParser::default(),
            last,
        ) {
            JsonLine::Request(request) => format!("{request:?}"),
            JsonLine::Asked { id, request } => format!("asked {id:?} {request:?}"),
            JsonLine::Answered { id, status } => format!("answered {id:?} {status}"),
            _ => panic!("{line}"),
        };
        let mut last = LastKeys::default();
        // Each behind each.
        for (before, line) in lines.iter().flat_map(|before| lines.iter().map(move |line| (before, line))) {
            said(before, &mut last);
            assert_eq!(said(line, &mut last), said(line, &mut LastKeys::default()), "{line}");
        }
    }

    #[test]
    fn each_program_s_fields_are_found() {
        let traefik = r#"{"ClientAddr":"203.0.113.7:5123","ClientHost":"203.0.113.7","DownstreamStatus":404,"OriginStatus":404,"RequestHost":"wa.example.com","RequestMethod":"GET","RequestPath":"/instance/connect/x","RouterName":"evo@docker","StartUTC":"2026-11-21T03:59:12.5Z","request_User-Agent":"axios/1.7"}"#;
        let caddy = r#"{"level":"info","ts":1795233552.5,"logger":"http.log.access","request":{"remote_ip":"203.0.113.7","client_ip":"203.0.113.7","method":"GET","host":"wa.example.com","uri":"/instance/connect/x","headers":{"User-Agent":["axios/1.7"]}},"status":404}"#;
        let nginx = r#"{"time_iso8601":"2026-11-21T03:59:12+00:00","remote_addr":"203.0.113.7","request":"GET /instance/connect/x HTTP/1.1","status":"404","http_user_agent":"axios/1.7","host":"wa.example.com"}"#;
        for line in [traefik, caddy, nginx] {
            let request = read(line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(request.asked, RequestTarget::Path(Cow::Borrowed(b"/instance/connect/x")));
            assert!(
                is(request.method.as_deref(), "GET") && is(request.client.as_deref(), "203.0.113.7"),
                "{request:?}"
            );
            assert!(
                is(request.user_agent().as_deref(), "axios/1.7")
                    && is(request.host.as_deref(), "wa.example.com"),
                "{request:?}"
            );
            assert_eq!(request.status, Some(404));
            assert_eq!(request.time.unwrap().to_string(), "2026-11-21T03:59:12Z");
        }
    }

    #[test]
    fn a_404_of_the_proxy_itself_says_nothing_of_the_api() {
        let line = r#"{"DownstreamStatus":404,"OriginStatus":0,"RequestMethod":"GET","RequestPath":"/instance/connect/x"}"#;
        assert_eq!(read(line).unwrap().status, None);
        let line = r#"{"DownstreamStatus":404,"RequestMethod":"GET","RequestPath":"/instance/connect/x"}"#;
        assert_eq!(read(line).unwrap().status, Some(404));
    }

    #[test]
    fn other_json_is_no_request() {
        for line in
            ["{", "{}", r#"{"uri":"/x"}"#, r#"{"uri":7,"method":"GET"}"#, r#"{"request":{"uri":null}}"#]
        {
            assert!(read(line).is_none(), "{line}");
        }
    }
}
