//! Access logs of AWS's load balancers: application (ALB) and classic (ELB).
//!
//! Source of the fields: AWS's documentation of both kinds.

use std::borrow::Cow;

use crate::access_log::log_text::{host_of, quoted, request_line, unescape};
use crate::access_log::request::{ExtraFields, Request, RequestTarget};
use crate::access_log::timestamp::TimestampParser;

const TYPES: [&[u8]; 6] = [b"http", b"https", b"h2", b"grpcs", b"ws", b"wss"];

/// Reads `type time balancer client:port target:port t t t status target-status received sent "GET http://host:80/path
/// HTTP/1.1" "user agent" …`; the classic kind has no type.
pub(super) fn parse<'l>(line: &'l [u8], clock: &mut TimestampParser) -> Option<Request<'l>> {
    // A cheap check first: the year is at the beginning of the first or the second word.
    let space = line.iter().take(8).position(|&byte| byte == b' ');
    let line = match space {
        Some(end) if TYPES.contains(&&line[..end]) => &line[end + 1..],
        _ => line,
    };
    if !line.starts_with(b"2") || line.get(10) != Some(&b'T') {
        return None;
    }
    let mut words = line.splitn(12, |&byte| byte == b' ');
    let time = clock.iso(words.next()?)?;
    let balancer = words.next()?;
    let client = words.next()?;
    let target = words.next()?;
    let is_time =
        |word: &[u8]| word == b"-1" || word.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    if !words.by_ref().take(3).all(is_time) {
        return None;
    }
    let balancer_status: u16 = number(words.next()?)?;
    let target_status = number(words.next()?);
    let (asked, rest) = quoted(words.nth(2)?)?;
    let (method, path) = request_line(asked);
    let user_agent = rest.strip_prefix(b" ").and_then(quoted).map(|(agent, _)| unescape(agent));
    let port = client.iter().rposition(|&byte| byte == b':').unwrap_or(client.len());
    Some(Request {
        method: method.map(Cow::Borrowed),
        // Without a target the answer is the balancer's own and says nothing of a name.
        status: target_status.or((target != b"-").then_some(balancer_status)),
        is_own_answer: target_status.is_none() && target == b"-",
        host: host_of(path).map(Cow::Borrowed),
        time: Some(time),
        client: Some(Cow::Borrowed(bare(&client[..port]))),
        more: ExtraFields::Known {
            user_agent: user_agent.filter(|agent| !matches!(&**agent, b"-" | b"")),
            router: Some(Cow::Borrowed(balancer)),
        },
        ..Request::new(RequestTarget::Path(Cow::Borrowed(path)))
    })
}

/// An address of IPv6 without its brackets.
fn bare(address: &[u8]) -> &[u8] {
    address.strip_prefix(b"[").and_then(|inner| inner.strip_suffix(b"]")).unwrap_or(address)
}

fn number(word: &[u8]) -> Option<u16> {
    str::from_utf8(word).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALB: &str = "https 2026-11-21T03:59:12.123456Z app/evo/50dc 203.0.113.7:51234 10.0.0.9:8080 0.000 0.012 0.000 \
                       404 404 120 366 \"GET https://wa.example.com:443/instance/connect/x HTTP/1.1\" \"n8n\" \
                       ECDHE TLSv1.2 arn:x \"Root=1-x\" \"wa.example.com\" \"arn:y\" 0 - \"forward\" \"-\"";

    #[test]
    fn both_kinds_are_read() {
        let classic = ALB.replace("https 2026", "2026");
        for line in [ALB, &classic] {
            let request =
                parse(line.as_bytes(), &mut TimestampParser::default()).unwrap_or_else(|| panic!("{line}"));
            let path = b"https://wa.example.com:443/instance/connect/x";
            assert_eq!(request.asked, RequestTarget::Path(Cow::Borrowed(path)));
            assert_eq!(request.client.as_deref(), Some(&b"203.0.113.7"[..]));
            assert_eq!(request.status, Some(404));
            assert_eq!(request.user_agent().as_deref(), Some(&b"n8n"[..]));
            assert_eq!(request.router().as_deref(), Some(&b"app/evo/50dc"[..]));
        }
    }

    #[test]
    fn an_answer_of_the_balancer_itself_says_nothing() {
        let line = ALB.replace("10.0.0.9:8080", "-").replace("404 404", "404 -");
        assert_eq!(parse(line.as_bytes(), &mut TimestampParser::default()).unwrap().status, None);
    }

    #[test]
    fn other_lines_are_none() {
        for line in
            ["", "https", "https 2026-11-21T03:59:12Z", "2026-11-21T03:59:12Z a b c d e f g h i j k l"]
        {
            assert_eq!(parse(line.as_bytes(), &mut TimestampParser::default()), None, "{line}");
        }
    }
}
