//! The log of a failed migration: the server's words stay, because they give the reason; the values in them are
//! replaced.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::pseudonym::Pseudonymizer;
use crate::redact;

/// `Key (column)=(value)`, an address of WhatsApp's, and a long number that does not begin a migration's name.
static VALUES: LazyLock<Regex> = LazyLock::new(|| {
    let values = r"\)=\((?P<key>[^\n]*?)\)(?P<end> already| is| does|[.\n]|$)|(?P<address>[0-9][0-9:.\-]{5,}@[a-z.]+)|(?P<number>\+?\b[0-9]{8,}\b)";
    Regex::new(values).expect("a regular expression of this program")
});

/// The text with pseudonyms in place of values, and without secrets.
pub fn map_log(text: &str, names: &Pseudonymizer) -> String {
    let mapped = VALUES.replace_all(text, |found: &Captures<'_>| {
        if let Some(key) = found.name("key") {
            let parts: Vec<String> = key.as_str().split(", ").map(|part| names.map_value(part)).collect();
            return format!(")=({}){}", parts.join(", "), &found["end"]);
        }
        names.map_value(&found[0])
    });
    redact::redact_text(&mapped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pseudonym::{PseudonymKey, TimeShift};

    #[test]
    fn words_stay_and_values_are_replaced() {
        let names = Pseudonymizer::new(PseudonymKey::random(), TimeShift::random());
        let log = "A migration failed to apply.\n\nMigration name: 20240814214314_integrations_unification\n\nDatabase error code: 23505\n\n\
                   ERROR: could not create unique index \"Chat_instanceId_remoteJid_key\"\n\
                   DETAIL: Key (\"remoteJid\", \"instanceId\")=(5511999998888@s.whatsapp.net, Loja Azul) is duplicated.";
        let mapped = map_log(log, &names);
        for kept in [
            "20240814214314_integrations_unification",
            "23505",
            "Chat_instanceId_remoteJid_key",
            ") is duplicated.",
        ] {
            assert!(mapped.contains(kept), "{mapped}");
        }
        assert!(!mapped.contains("5511999998888") && !mapped.contains("Loja"), "{mapped}");
        assert!(mapped.contains("@s.whatsapp.net, "), "{mapped}");
    }
}
