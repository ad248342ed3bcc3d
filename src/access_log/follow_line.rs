//! One line for each wrong request as it comes: the output of `--follow`.

use serde_json::json;

use super::finding_stats::FindingStats;
use super::request::Request;
use super::timestamp::Timestamp;
use crate::access_log::sanitize::sanitize;
use crate::evolution::instances::InstanceDirectory;
use crate::redact::personal::Naming;
use crate::text::escape::escape_control;

/// Bytes of an address or a user agent that are shown.
const LONGEST_TEXT: usize = 80;

fn shown(text: String, is_redacted: bool, redact: impl Fn(&str) -> String) -> String {
    if is_redacted { redact(&text) } else { text }
}

/// The same as [`line()`], as an object of JSON.
pub(super) fn json(
    tally: &FindingStats<'_>,
    request: &Request<'_>,
    directory: Option<&InstanceDirectory>,
    is_redacted: bool,
) -> String {
    let text = |bytes: &[u8]| sanitize(bytes, LONGEST_TEXT, directory);
    let of_client = |bytes: &[u8]| shown(text(bytes), is_redacted, |text| Naming::Keyed.client(text));
    let of_program = |bytes: &[u8]| shown(text(bytes), is_redacted, |text| Naming::Keyed.program(text));
    let written = shown(tally.written.clone(), is_redacted, |text| Naming::Keyed.redact(text));
    let instead =
        tally.what.instead().map(|name| shown(name.to_owned(), is_redacted, |n| Naming::Keyed.redact(n)));
    let rule = tally.what.kind().rule();
    json!({
        "time": request.time.map(|time| time.to_string()),
        "code": rule.code,
        "name": rule.name,
        "severity": rule.severity,
        "subject": written,
        "key": shown(tally.key.clone(), is_redacted, |key| Naming::Fixed.redact(key)),
        "client": request.client.as_deref().map(of_client),
        "user_agent": request.user_agent().as_deref().map(of_program),
        "host": request.host.as_deref().map(text),
        "status": request.status,
        "write_instead": instead,
    })
    .to_string()
}

/// `2026-11-21T03:59:13Z  EVO501  203.0.113.7  n8n  6f1b… → alpha`
pub(super) fn line(
    tally: &FindingStats<'_>,
    request: &Request<'_>,
    directory: Option<&InstanceDirectory>,
    is_redacted: bool,
) -> String {
    let text = |bytes: &[u8]| sanitize(bytes, LONGEST_TEXT, directory);
    let of_client = |bytes: &[u8]| shown(text(bytes), is_redacted, |text| Naming::Keyed.client(text));
    let of_program = |bytes: &[u8]| shown(text(bytes), is_redacted, |text| Naming::Keyed.program(text));
    let written = shown(tally.written.clone(), is_redacted, |text| Naming::Keyed.redact(text));
    let instead =
        tally.what.instead().map(|name| shown(name.to_owned(), is_redacted, |n| Naming::Keyed.redact(n)));
    let time = request.time.map_or_else(|| "-".to_owned(), Timestamp::in_own_zone);
    let client = request.client.as_deref().map_or_else(|| "-".to_owned(), of_client);
    let agent = request.user_agent().as_deref().map_or_else(|| "-".to_owned(), of_program);
    let instead = instead.map_or_else(|| "?".to_owned(), |name| escape_control(&name));
    let code = &tally.what.kind().rule().code;
    format!("{time}  {code}  {client}  {agent}  {written} → {instead}")
}
