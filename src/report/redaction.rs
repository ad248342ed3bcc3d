//! Removes personal data from a report before any format is written: the one place for all of them.

use serde::Serialize;
use serde_json::Value;

use super::{Detail, Report};
use crate::cli::GlobalOptions;
use crate::evolution::personal_rows::RowRedactor;
use crate::evolution::schema::schema;
use crate::redact::personal::Naming;
use crate::rules::finding::Finding;
use crate::upgrade::Preflight;

/// The treatment of personal data in a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PersonalData {
    /// It is replaced by pseudonyms and lengths.
    Redacted,
    /// It is in there.
    Shown,
}

/// The line at the head of a report that holds personal data.
const NOTICE: &str = "this report shows rows, with personal data in them (--show-rows)";

impl Report {
    /// Removes personal data, unless the options keep it. Only the first call has an effect.
    pub fn redact(&mut self, common: &GlobalOptions) {
        if self.personal_data.is_some() {
            return;
        }
        redact_keys(self);
        self.personal_data = Some(match common.shows_rows() {
            true => PersonalData::Shown,
            false => {
                redact(self);
                PersonalData::Redacted
            }
        });
    }

    /// The notice of a report that holds personal data on request.
    pub fn personal_data_notice(&self, common: &GlobalOptions) -> Option<&'static str> {
        common.show_rows.then_some(NOTICE)
    }
}

/// Removes personal data from what a command has found and done.
fn redact(report: &mut Report) {
    let naming = Naming::Keyed;
    let ignored = report.config.iter_mut().flat_map(|config| &mut config.ignored);
    let findings = report.findings.iter_mut().chain(ignored.map(|ignored| &mut ignored.finding));
    findings.for_each(|finding| redact_finding(finding, naming));
    report
        .checks
        .iter_mut()
        .filter_map(|check| check.reason.as_mut())
        .for_each(|text| redact_text(text, naming));
    if let Some(restore) = report.database.as_mut().and_then(|database| database.restore.as_mut()) {
        restore.complaints.iter_mut().for_each(|complaint| redact_text(&mut complaint.error, naming));
    }
    match &mut report.detail {
        // A snapshot's report holds codes, counts and names of columns.
        Detail::Check {} | Detail::Logs(_) | Detail::Snapshot { .. } => {}
        Detail::Change(change) => {
            change.fixes.iter_mut().for_each(|fix| fix.redact(naming));
            let findings = change.pending.iter_mut().chain(&mut change.left);
            findings.for_each(|finding| redact_finding(finding, naming));
        }
        Detail::Credentials { credentials } => {
            let mut rows = RowRedactor::new(naming);
            credentials.iter_mut().for_each(|credential| rows.redact_row(None, credential));
        }
        Detail::Preflight { preflight, .. } => redact_preflight(preflight, naming),
        Detail::History { runs, .. } => {
            let statements = runs.iter_mut().flat_map(|run| &mut run.unfinished);
            statements.for_each(|statement| redact_text(statement, naming));
        }
    }
}

/// Gives every finding a key without a phone number in it: baselines and fingerprints are files and hashes of keys, and of a
/// phone number anybody can try all. It is the same in every run, whatever the options.
fn redact_keys(report: &mut Report) {
    let ignored = report.config.iter_mut().flat_map(|config| &mut config.ignored);
    let findings = report.findings.iter_mut().chain(ignored.map(|ignored| &mut ignored.finding));
    let change = match &mut report.detail {
        Detail::Change(change) => Some(change.pending.iter_mut().chain(&mut change.left)),
        _ => None,
    };
    for finding in findings.chain(change.into_iter().flatten()) {
        redact_key(finding);
    }
}

fn redact_key(finding: &mut Finding) {
    let key = Naming::Fixed.redact(&finding.key);
    if key == finding.key {
        return;
    }
    let meant = finding.extra.get("write_instead").and_then(Value::as_str);
    finding.key = meant.map(|name| format!("{key} for {}", Naming::Fixed.redact(name))).unwrap_or(key);
}

fn redact_text(text: &mut String, naming: Naming) {
    *text = naming.redact(text);
}

/// Samples by column, then what the samples held in the sentences about them.
fn redact_finding(finding: &mut Finding, naming: Naming) {
    let mut rows = RowRedactor::new(naming);
    let table = table(&finding.subject);
    for sample in &mut finding.sample {
        match sample {
            // Of a log: a request, without the parameters.
            Value::String(request) => redact_text(request, naming),
            row => rows.redact_row(table, row),
        }
    }
    finding.subject = rows.redact_sentence(&finding.subject);
    finding.detail = rows.redact_sentence(&finding.detail);
    finding.predicate = finding.predicate.take().map(|predicate| rows.redact_sentence(&predicate));
    for (field, value) in &mut finding.extra {
        redact_extra(field, value, naming);
    }
}

/// The table that a finding is about: `Chat.labels`, `Instance "alpha"`, `"OpenaiCreds_apiKey_key"`.
fn table(subject: &str) -> Option<&str> {
    let name = subject.strip_prefix('"').unwrap_or(subject);
    let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len());
    let word = &name[..end];
    let is_table = schema().tables.iter().any(|table| table.name == word) || word == "_prisma_migrations";
    match is_table {
        true => Some(word),
        false => schema().constraint(word).map(|(table, _)| table),
    }
}

/// Removes personal data from the parts of single commands: for a log, who has sent what.
fn redact_extra(field: &str, value: &mut Value, naming: Naming) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| redact_extra(field, item, naming)),
        Value::Object(fields) => {
            for (field, value) in fields {
                redact_extra(field, value, naming);
            }
        }
        Value::String(text) if field == "address" => *text = naming.client(text),
        Value::String(text) if field == "user_agent" => *text = naming.program(text),
        Value::String(text) => redact_text(text, naming),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn redact_preflight(preflight: &mut Preflight, naming: Naming) {
    preflight.notes.iter_mut().chain(&mut preflight.before).for_each(|text| redact_text(text, naming));
    for file in preflight.rehearsal.iter_mut().flat_map(|rehearsal| &mut rehearsal.files) {
        for error in &mut file.errors {
            redact_text(&mut error.message, naming);
            error.detail.iter_mut().for_each(|detail| redact_text(detail, naming));
            redact_text(&mut error.statement, naming);
        }
        for skipped in &mut file.not_rehearsed {
            redact_text(&mut skipped.statement, naming);
            redact_text(&mut skipped.reason, naming);
        }
    }
    for client in preflight.traffic.iter_mut().flat_map(|window| &mut window.clients) {
        client.client = naming.client(&client.client);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::check::all_checks;

    fn finding(subject: &str, sample: Value) -> Finding {
        let mut finding = Finding::new(&all_checks()[0].rule, subject, "it concerns Maria Silva");
        finding.predicate = Some("\"pushName\" = 'Maria Silva'".to_owned());
        finding.sample = vec![sample];
        finding
    }

    #[test]
    fn sentences_lose_what_the_samples_lost() {
        let mut found = finding("Contact.pushName", json!({"id": "c1", "pushName": "Maria Silva"}));
        redact_finding(&mut found, Naming::Keyed);
        let name = found.sample[0]["pushName"].as_str().unwrap().to_owned();
        assert_eq!(found.detail, format!("it concerns {name}"));
        assert_eq!(found.predicate.unwrap(), format!("\"pushName\" = '{name}'"));
        assert_eq!(found.sample[0]["id"], "c1");
    }

    #[test]
    fn instances_keep_their_names_and_numbers_do_not() {
        let mut found =
            finding("Instance \"Loja\"", json!({"id": "i1", "name": "Loja", "number": "5511999990000"}));
        redact_finding(&mut found, Naming::Fixed);
        assert_eq!(found.subject, "Instance \"Loja\"");
        assert_eq!(found.sample[0], json!({"id": "i1", "name": "Loja", "number": "phone-…"}));
        let mut found = finding("Instance \"5511999990000\"", json!({"id": "i1", "name": "5511999990000"}));
        redact_finding(&mut found, Naming::Fixed);
        assert_eq!(found.subject, "Instance \"phone-…\"");
    }

    #[test]
    fn keys_hold_no_number_and_are_the_same_in_every_run() {
        let mut found = finding("5511999990000", json!("GET /instance/connectionState/5511999990000"));
        found.extra.insert("write_instead", json!("support"));
        redact_key(&mut found);
        assert_eq!(found.key, "phone-… for support");
        redact_finding(&mut found, Naming::Fixed);
        assert_eq!(found.sample[0], "GET /instance/connectionState/phone-…");
    }

    #[test]
    fn clients_are_distinguished_and_not_shown() {
        let mut clients = json!([{"address": "203.0.113.7", "user_agent": "axios/1.7.2", "count": 3},
                                 {"address": null, "user_agent": "Marias Laptop", "count": 1}]);
        redact_extra("clients", &mut clients, Naming::Fixed);
        assert_eq!(
            clients,
            json!([{"address": "client-…", "user_agent": "axios/1.7.2", "count": 3},
                   {"address": null, "user_agent": "agent-…", "count": 1}])
        );
    }
}
