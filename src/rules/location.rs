//! Where a finding is, for formats that only know places in files.

use crate::evolution::schema::schema;
use crate::rules::finding::Finding;

/// Where Prisma keeps its history.
const HISTORY: &str = "_prisma_migrations";

/// The thing that a finding's subject lies in. Holds no text from outside but names of migrations in their plain form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location<'f> {
    /// A table, or a column, index or constraint of it.
    Table(&'static str),
    /// One row of a table, such as an instance.
    Row(&'static str),
    /// A migration.
    Migration(&'f str),
    /// A request of a client.
    Requests,
    /// The database, as far as is known.
    Database,
}

impl<'f> Location<'f> {
    /// Of a finding: `Chat.labels` and `OpenaiCreds_name_key` lie in a table, `Instance "alpha"` is a row of one.
    pub fn from_finding(finding: &'f Finding) -> Self {
        if finding.code.starts_with("EVO5") {
            return Self::Requests;
        }
        let subject = finding.subject.strip_prefix('"').unwrap_or(&finding.subject);
        let end = subject.find(|c| !is_plain(c)).unwrap_or(subject.len());
        let (word, rest) = subject.split_at(end);
        if let Some(table) = table(word) {
            return if rest.starts_with(" \"") { Self::Row(table) } else { Self::Table(table) };
        }
        if is_migration(word) && rest.is_empty() {
            return Self::Migration(word);
        }
        // Prisma begins the names of keys and indexes with the table's.
        let prefix = word.split_once('_').and_then(|(prefix, _)| table(prefix));
        prefix.map_or(Self::Database, Self::Table)
    }

    /// As a path, for formats that have nothing else. There is no such file.
    pub fn path(self) -> String {
        match self {
            Self::Table(table) | Self::Row(table) => format!("database/{table}"),
            Self::Migration(name) => format!("database/{HISTORY}/{name}"),
            Self::Requests => "requests".to_owned(),
            Self::Database => "database".to_owned(),
        }
    }

    /// Its name and kind; `None` if it has no name.
    pub fn name(self) -> Option<(&'f str, &'static str)> {
        match self {
            Self::Table(table) | Self::Row(table) => Some((table, "table")),
            Self::Migration(name) => Some((name, "migration")),
            Self::Requests | Self::Database => None,
        }
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn table(word: &str) -> Option<&'static str> {
    let known = schema().tables.iter().map(|table| table.name.as_str());
    known.chain([HISTORY]).find(|known| *known == word)
}

/// Fourteen digits, an underscore, and a name.
fn is_migration(word: &str) -> bool {
    word.split_once('_').is_some_and(|(time, name)| {
        time.len() == 14 && time.bytes().all(|b| b.is_ascii_digit()) && !name.is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::registry::all_rules;

    #[test]
    fn a_subject_tells_its_place() {
        for (subject, path) in [
            ("Message.sessionId → IntegrationSession", "database/Message"),
            ("Chat.instanceId+remoteJid", "database/Chat"),
            ("\"OpenaiCreds_apiKey_key\"", "database/OpenaiCreds"),
            ("Instance \"../../etc/passwd\"", "database/Instance"),
            ("20251122003044_add_chat_index", "database/_prisma_migrations/20251122003044_add_chat_index"),
            ("20251122003044_x/../../y", "database"),
            ("_prisma_migrations", "database/_prisma_migrations"),
            ("somebody's own", "database"),
            ("", "database"),
        ] {
            let finding = Finding::new(all_rules()[0], subject, "");
            assert_eq!(Location::from_finding(&finding).path(), path, "{subject}");
        }
        let named = Finding::new(all_rules()[0], "Instance \"a\"", "");
        assert_eq!(Location::from_finding(&named), Location::Row("Instance"));
    }
}
