//! Locks that a file takes and an earlier one has taken already. On a live database all files run in one transaction,
//! and the server does not report a lock that it holds already; Prisma runs each file in its own transaction, where it
//! would take the lock again.

use std::collections::BTreeMap;
use std::time::Instant;

use super::statement::milliseconds;
use crate::database::statement_splitter::Statement;
use crate::repair::locks::HeldLock;

/// The locks of one file on tables that are locked anyway: the strongest mode, and since when.
#[derive(Debug, Default)]
pub struct LocksHeldBefore(BTreeMap<String, (&'static str, Instant)>);

impl LocksHeldBefore {
    /// Notes what a statement that ran since a moment would have locked, of the tables that are locked.
    pub fn note(&mut self, statement: &Statement, tables: &[String], since: Instant) {
        let Some(mode) = lock_mode(&statement.words) else { return };
        let text = String::from_utf8_lossy(&statement.text);
        for table in tables.iter().filter(|table| names(&text, table)) {
            let (known, _) = self.0.entry(table.clone()).or_insert((mode, since));
            if mode == ACCESS_EXCLUSIVE {
                *known = mode;
            }
        }
    }

    /// They are held up to now.
    pub fn held(&self) -> Vec<HeldLock> {
        let one = |(table, (mode, since)): (&String, &(&str, Instant))| HeldLock {
            table: table.clone(),
            mode: (*mode).to_owned(),
            held_ms: milliseconds(since.elapsed()),
        };
        self.0.iter().map(one).collect()
    }
}

const ACCESS_EXCLUSIVE: &str = "AccessExclusiveLock";

/// The mode in which a statement locks the tables that it names, by its first words; `None` where writers go on.
fn lock_mode(words: &[String]) -> Option<&'static str> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [
            "select" | "insert" | "update" | "delete" | "with" | "comment" | "set" | "analyze" | "grant",
            ..,
        ] => None,
        ["create", "index", ..] | ["create", "unique", "index", ..] => Some("ShareLock"),
        // Those that its keys refer to.
        ["create", "table" | "trigger", ..] => Some("ShareRowExclusiveLock"),
        ["alter", "table", rest @ ..] if rest.contains(&"foreign") && !rest.contains(&"drop") => {
            Some("ShareRowExclusiveLock")
        }
        _ => Some(ACCESS_EXCLUSIVE),
    }
}

/// True if a statement names a table, which is written as `sql/catalog/locks.sql` does.
fn names(text: &str, table: &str) -> bool {
    let quoted = table.ends_with('"').then(|| table.rfind(".\"")).flatten();
    let name = match quoted {
        Some(dot) => &table[dot + 1..],
        None => table.rsplit('.').next().unwrap_or(table),
    };
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    text.match_indices(name).any(|(at, _)| {
        let (before, after) = (text[..at].chars().next_back(), text[at + name.len()..].chars().next());
        name.starts_with('"') || !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(words: &str) -> Option<&'static str> {
        lock_mode(&words.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn the_first_words_give_the_mode() {
        assert_eq!(mode("create unique index on"), Some("ShareLock"));
        assert_eq!(mode("alter table add constraint foreign key references"), Some("ShareRowExclusiveLock"));
        assert_eq!(mode("alter table drop constraint"), Some("AccessExclusiveLock"));
        assert_eq!(mode("drop table"), Some("AccessExclusiveLock"));
        assert_eq!(mode("update set"), None);
    }

    #[test]
    fn a_table_is_named_as_a_whole() {
        assert!(names("ALTER TABLE \"Message\" ADD x int", "evolution_api.\"Message\""));
        assert!(names("alter table public.is_on_whatsapp drop x", "public.is_on_whatsapp"));
        assert!(!names("ALTER TABLE \"MessageUpdate\" ADD x int", "evolution_api.\"Message\""));
        assert!(!names("alter table is_on_whatsapp2 drop x", "public.is_on_whatsapp"));
    }
}
