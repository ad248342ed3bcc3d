//! Access logs with one JSON object per line: Traefik, Caddy, and nginx with the usual field names.

use std::borrow::Cow;

use serde_json::Value;

use super::{Asked, Request, combined};
use crate::requests::time::Time;

/// What a line of JSON turned out to be.
pub(super) enum Line<'l> {
    /// A request.
    Request(Request<'l>),
    /// Another log's line inside an object, as Docker's `json-file` driver writes it.
    Wrapped {
        /// The line inside, without its newline.
        line: Vec<u8>,
        /// When Docker took it.
        time: Option<Time>,
    },
    /// No JSON, or none that tells of a request.
    Other,
}

// Where each program puts what is wanted: Traefik, Caddy, then nginx by its variables' names. A slash leads into
// an object. Sources: the programs' own documentation of their access logs.
const METHOD: &[&str] = &["RequestMethod", "request/method", "request_method", "method"];
const PATH: &[&str] = &["RequestPath", "request/uri", "request_uri", "uri"];
const STATUS: &[&str] = &["DownstreamStatus", "status"];
const TIME: &[&str] =
    &["StartUTC", "time", "ts", "time_iso8601", "@timestamp", "timestamp", "time_local", "msec"];
const CLIENT: &[&str] =
    &["ClientHost", "request/client_ip", "request/remote_ip", "remote_addr", "client_ip", "ClientAddr"];
const USER_AGENT: &[&str] =
    &["request_User-Agent", "request/headers/User-Agent", "http_user_agent", "user_agent"];
const HOST: &[&str] = &["RequestHost", "request/host", "http_host", "host"];

/// Reads a line that begins with a brace.
pub(super) fn parse(line: &[u8]) -> Line<'_> {
    let text = String::from_utf8_lossy(line);
    let Ok(value) = serde_json::from_str::<Value>(&text) else { return Line::Other };
    if let Some(request) = request(&value) {
        return Line::Request(request);
    }
    let Some(inner) = value.get("log").and_then(Value::as_str) else { return Line::Other };
    Line::Wrapped { line: inner.trim_end_matches(['\r', '\n']).as_bytes().to_vec(), time: time(&value) }
}

fn request(value: &Value) -> Option<Request<'static>> {
    let (method, path) = match text(value, PATH) {
        Some(path) => (text(value, METHOD), path),
        // nginx's `$request` is the whole request line.
        None => {
            let line = value.get("request")?.as_str()?;
            let (method, path) = combined::request_line(line.as_bytes());
            (method.map(|method| Cow::Owned(method.to_vec())), Cow::Owned(path.to_vec()))
        }
    };
    let status = match status(value.get("OriginStatus")) {
        // Traefik writes 0 where no backend was asked: the 404 is then Traefik's own and says nothing of a name.
        Some(0) => None,
        Some(origin) => Some(origin),
        None => STATUS.iter().find_map(|name| status(value.get(name))),
    };
    // Without a verb and without an answer it is some other event that mentions a path.
    if method.is_none() && status.is_none() {
        return None;
    }
    Some(Request {
        method,
        status,
        time: time(value),
        client: text(value, CLIENT),
        user_agent: text(value, USER_AGENT),
        host: text(value, HOST),
        ..Request::of(Asked::Path(path))
    })
}

fn field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    name.split('/').try_fold(value, |value, name| value.get(name))
}

fn text(value: &Value, names: &[&str]) -> Option<Cow<'static, [u8]>> {
    let found = names.iter().find_map(|name| match field(value, name)? {
        Value::String(text) => Some(text),
        // Caddy lists every value that a header had.
        Value::Array(values) => match values.first()? {
            Value::String(text) => Some(text),
            _ => None,
        },
        _ => None,
    })?;
    (!found.is_empty() && found != "-").then(|| Cow::Owned(found.clone().into_bytes()))
}

fn status(value: Option<&Value>) -> Option<u16> {
    match value? {
        Value::Number(number) => u16::try_from(number.as_u64()?).ok(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn time(value: &Value) -> Option<Time> {
    TIME.iter().find_map(|name| match value.get(name)? {
        Value::String(text) => Time::from_iso(text)
            .or_else(|| Time::from_clf(text))
            .or_else(|| Time::from_unix(text.parse().ok()?)),
        Value::Number(number) => Time::from_unix(number.as_f64()?),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Request<'_>> {
        match parse(line.as_bytes()) {
            Line::Request(request) => Some(request),
            Line::Wrapped { .. } | Line::Other => None,
        }
    }

    fn is(field: &Option<Cow<[u8]>>, text: &str) -> bool {
        field.as_deref() == Some(text.as_bytes())
    }

    #[test]
    fn each_program_s_fields_are_found() {
        let traefik = r#"{"ClientAddr":"203.0.113.7:5123","ClientHost":"203.0.113.7","DownstreamStatus":404,"OriginStatus":404,"RequestHost":"wa.example.com","RequestMethod":"GET","RequestPath":"/instance/connect/x","RouterName":"evo@docker","StartUTC":"2026-11-21T03:59:12.5Z","request_User-Agent":"axios/1.7"}"#;
        let caddy = r#"{"level":"info","ts":1795233552.5,"logger":"http.log.access","request":{"remote_ip":"203.0.113.7","client_ip":"203.0.113.7","method":"GET","host":"wa.example.com","uri":"/instance/connect/x","headers":{"User-Agent":["axios/1.7"]}},"status":404}"#;
        let nginx = r#"{"time_iso8601":"2026-11-21T03:59:12+00:00","remote_addr":"203.0.113.7","request":"GET /instance/connect/x HTTP/1.1","status":"404","http_user_agent":"axios/1.7","host":"wa.example.com"}"#;
        for line in [traefik, caddy, nginx] {
            let request = read(line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(request.asked, Asked::Path(Cow::Borrowed(b"/instance/connect/x")));
            assert!(is(&request.method, "GET") && is(&request.client, "203.0.113.7"), "{request:?}");
            assert!(
                is(&request.user_agent, "axios/1.7") && is(&request.host, "wa.example.com"),
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
