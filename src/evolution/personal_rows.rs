//! Rows without what is personal in them. Columns, types, lengths, ids and what differs between two rows stay.

use serde_json::{Map, Value};

use super::personal_data::{self, DataClass};
use crate::redact::personal::Naming;
use crate::redact::{redact_secret, redact_text};

/// Values without a person behind them, in columns of numbers.
const NOBODY: [&str; 7] =
    ["", "lid", "0@s.whatsapp.net", "status@broadcast", "@s.whatsapp.net", "@g.us", "@lid"];

/// Shorter values are not looked for in sentences: they are in every one.
const SHORTEST: usize = 4;

/// The mark of a text that was cut or masked before.
const CUT: char = '…';

/// Removes personal data from rows, and remembers it for the sentences about these rows.
#[derive(Debug)]
pub struct RowRedactor {
    naming: Naming,
    replaced: Vec<(String, String)>,
}

impl RowRedactor {
    /// One that has seen nothing.
    pub fn new(naming: Naming) -> Self {
        Self { naming, replaced: Vec::new() }
    }

    /// A row of a table, or, without one, what a query selected: then every column has the strictest class that it has in any
    /// table.
    pub fn redact_row(&mut self, table: Option<&str>, row: &mut Value) {
        match row {
            Value::Object(fields) => {
                for (name, value) in fields {
                    self.redact_field(table, name, value);
                }
            }
            Value::Array(rows) => rows.iter_mut().for_each(|row| self.redact_row(table, row)),
            other => self.redact_value(DataClass::Text, other),
        }
    }

    fn redact_field(&mut self, table: Option<&str>, name: &str, value: &mut Value) {
        let class = match &value {
            Value::String(text) => personal_data::field_class(table, name, Some(text)),
            _ => personal_data::field_class(table, name, None),
        };
        match value {
            Value::Object(_) | Value::Array(_) if class == DataClass::Json => {
                self.redact_json(table.unwrap_or_default(), name, &mut Vec::new(), value);
            }
            Value::Object(_) | Value::Array(_) if class == DataClass::Public => {
                if personal_data::is_of_checks(table, name) {
                    self.redact_strings(value);
                } else {
                    self.redact_row(None, value);
                }
            }
            // What a query put together: rows of other tables.
            Value::Object(_) => self.redact_row(None, value),
            Value::Array(items) => {
                for item in items {
                    match item {
                        Value::Object(_) => self.redact_row(None, item),
                        _ => self.redact_field(table, name, item),
                    }
                }
            }
            _ => self.redact_value(class, value),
        }
    }

    /// Personal data by its form, anywhere in a value.
    fn redact_strings(&mut self, value: &mut Value) {
        match value {
            Value::Object(fields) => fields.values_mut().for_each(|value| self.redact_strings(value)),
            Value::Array(items) => items.iter_mut().for_each(|item| self.redact_strings(item)),
            leaf => self.redact_value(DataClass::Public, leaf),
        }
    }

    fn redact_json(&mut self, table: &str, column: &str, path: &mut Vec<String>, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                let mut shown = Map::new();
                for (key, mut field) in std::mem::take(fields) {
                    path.push(key.clone());
                    self.redact_json(table, column, path, &mut field);
                    path.pop();
                    let is_public = personal_data::is_public_key(&key);
                    shown.insert(if is_public { key } else { self.naming.name("key", &key) }, field);
                }
                *fields = shown;
            }
            Value::Array(items) => {
                items.iter_mut().for_each(|item| self.redact_json(table, column, path, item));
            }
            _ => {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                let class = personal_data::json_class(table, column, &path, value);
                self.redact_value(class, value);
            }
        }
    }

    fn redact_value(&mut self, class: DataClass, value: &mut Value) {
        let original = match &*value {
            Value::Null | Value::Bool(_) => return,
            Value::Number(_) if matches!(class, DataClass::Public | DataClass::Identifier) => return,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let shown = self.shown(class, &original);
        if shown != original {
            if original.chars().count() >= SHORTEST && !original.contains(CUT) {
                self.replaced.push((original, shown.clone()));
            }
            *value = Value::String(shown);
        }
    }

    fn shown(&self, class: DataClass, text: &str) -> String {
        let length = text.chars().count();
        match class {
            DataClass::Public | DataClass::Identifier => self.naming.redact(text),
            _ if text.is_empty() => String::new(),
            DataClass::Phone => {
                let one = |jid: &str| match NOBODY.contains(&jid) {
                    true => jid.to_owned(),
                    false => self.naming.phone(jid),
                };
                text.split(',').map(|jid| one(jid.trim())).collect::<Vec<_>>().join(",")
            }
            DataClass::Name => self.naming.name("name", text),
            DataClass::Url => self.url(text),
            DataClass::Secret if text.contains(CUT) => text.to_owned(),
            DataClass::Secret => redact_secret(text),
            DataClass::Text | DataClass::Json => match text.ends_with(CUT) {
                true => format!("[more than {} characters]", length - 1),
                false if length == 1 => "[1 character]".to_owned(),
                false => format!("[{length} characters]"),
            },
        }
    }

    /// The scheme and a name for the host.
    fn url(&self, text: &str) -> String {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (format!("{scheme}://"), rest),
            None => (String::new(), text),
        };
        let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(host_end);
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let path = if path.len() > 1 { "/…" } else { path };
        format!("{scheme}{}{path}", self.naming.name("host", host))
    }

    /// A sentence about the rows that were seen: their personal data is replaced here, too.
    pub fn redact_sentence(&self, sentence: &str) -> String {
        let mut text = sentence.to_owned();
        if self.naming == Naming::Keyed {
            for (value, shown) in &self.replaced {
                if text.contains(value.as_str()) {
                    text = text.replace(value.as_str(), shown);
                }
            }
        }
        self.naming.redact(&redact_text(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_keep_their_form() {
        let mut rows = RowRedactor::new(Naming::Fixed);
        let mut row = json!({
            "id": "cm2message0151", "key": {"id": "3EB0C767", "fromMe": false, "remoteJid": "5511999990000@s.whatsapp.net"},
            "pushName": "Maria", "messageType": "conversation", "message": {"conversation": "my CPF is 123"},
            "messageTimestamp": 1764381600, "source": "ios", "webhookUrl": "https://u:p@bot.example:8443/hook/x?token=1",
            "status": null, "participant": "", "somethingNew": "who knows"
        });
        rows.redact_row(Some("Message"), &mut row);
        assert_eq!(
            row,
            json!({
                "id": "cm2message0151", "key": {"id": "3EB0C767", "fromMe": false, "remoteJid": "phone-…@s.whatsapp.net"},
                "pushName": "name-…", "messageType": "conversation", "message": {"conversation": "[13 characters]"},
                "messageTimestamp": 1764381600, "source": "ios", "webhookUrl": "https://host-…/…",
                "status": null, "participant": "", "somethingNew": "[9 characters]"
            })
        );
        let mut cached =
            json!({"jidOptions": "5511999990000@s.whatsapp.net,551199990000@s.whatsapp.net", "lid": "lid"});
        rows.redact_row(Some("IsOnWhatsapp"), &mut cached);
        assert_eq!(
            cached,
            json!({"jidOptions": "phone-…@s.whatsapp.net,phone-…@s.whatsapp.net", "lid": "lid"})
        );
    }

    #[test]
    fn sentences_about_rows_lose_what_the_rows_lost() {
        let mut rows = RowRedactor::new(Naming::Keyed);
        let mut row = json!({"id": "1", "name": "Maria's key", "apiKey": "sk-a…f3"});
        rows.redact_row(Some("OpenaiCreds"), &mut row);
        let shown = row["name"].as_str().unwrap().to_owned();
        assert!(shown.starts_with("name-"), "{shown}");
        assert_eq!(row["apiKey"], "sk-a…f3");
        assert_eq!(rows.redact_sentence("\"name\" = 'Maria's key'"), format!("\"name\" = '{shown}'"));
    }

    #[test]
    fn without_a_table_a_field_has_its_strictest_class() {
        let mut row =
            json!({"id": "1", "name": "Maria", "rows": 2, "held_by": ["Loja"], "whatever": {"name": "João"}});
        RowRedactor::new(Naming::Fixed).redact_row(None, &mut row);
        assert_eq!(
            row,
            json!({"id": "1", "name": "name-…", "rows": 2, "held_by": ["Loja"], "whatever": {"name": "name-…"}})
        );
    }
}
