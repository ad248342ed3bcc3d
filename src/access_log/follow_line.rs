//! One line for a wrong request, as it comes: what `--follow` prints.

use serde_json::json;

use super::finding_stats::FindingStats;
use super::request::Request;
use crate::access_log::sanitize::sanitize;
use crate::evolution::instances::InstanceDirectory;
use crate::text::escape::escape_control;

/// How much of an address or a user agent is shown, in bytes.
const LONGEST_TEXT: usize = 80;

/// The same as [`line()`], as an object of JSON.
pub(super) fn json(
    tally: &FindingStats<'_>,
    request: &Request<'_>,
    directory: Option<&InstanceDirectory>,
) -> String {
    let text = |bytes: &[u8]| sanitize(bytes, LONGEST_TEXT, directory);
    let rule = tally.what.kind().rule();
    json!({
        "time": request.time.map(|time| time.to_string()),
        "code": rule.code,
        "name": rule.name,
        "severity": rule.severity,
        "subject": tally.written,
        "key": tally.key,
        "client": request.client.as_deref().map(text),
        "user_agent": request.user_agent().as_deref().map(text),
        "host": request.host.as_deref().map(text),
        "status": request.status,
        "write_instead": tally.what.instead(),
    })
    .to_string()
}

/// `2026-11-21T03:59:13Z  EVO501  203.0.113.7  n8n  6f1b… → alpha`
pub(super) fn line(
    tally: &FindingStats<'_>,
    request: &Request<'_>,
    directory: Option<&InstanceDirectory>,
) -> String {
    let text = |bytes: &[u8]| sanitize(bytes, LONGEST_TEXT, directory);
    let time = request.time.map_or_else(|| "-".to_owned(), |time| time.to_string());
    let client = request.client.as_deref().map_or_else(|| "-".to_owned(), text);
    let agent = request.user_agent().as_deref().map_or_else(|| "-".to_owned(), text);
    let instead = tally.what.instead().map_or_else(|| "?".to_owned(), escape_control);
    let code = &tally.what.kind().rule().code;
    format!("{time}  {code}  {client}  {agent}  {} → {instead}", tally.written)
}
