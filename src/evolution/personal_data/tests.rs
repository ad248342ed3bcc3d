use serde_json::json;

use super::*;
use crate::evolution::release::Release;

#[test]
fn every_column_of_every_release_is_classified() {
    for release in Release::all() {
        for table in schema().tables(release) {
            for column in table.columns(release) {
                let (name, data_type) = (&column.name, &column.data_type);
                let class = decided(&table.name, name);
                assert!(class.is_some(), "{}.{name} of {release} is in no line of the facts", table.name);
                let is_json = class == Some(DataClass::Json);
                assert_eq!(is_json, data_type.starts_with("json"), "{}.{name} of {release}", table.name);
            }
        }
    }
}

#[test]
fn the_facts_name_nothing_that_no_release_has() {
    let tables = &schema().tables;
    for (table, columns) in FACTS.tables.iter().filter(|(table, _)| *table != "_prisma_migrations") {
        let known = tables.iter().find(|known| known.name == *table).unwrap_or_else(|| panic!("{table}"));
        for (column, class) in columns {
            assert!(known.has_column(column), "{table}.{column}");
            assert_ne!(FACTS.every_table.get(column), Some(class), "{table}.{column} is named twice");
        }
    }
    for column in FACTS.every_table.keys() {
        let count = tables.iter().filter(|table| table.has_column(column)).count();
        assert!(count > 1, "{column} belongs to its table");
    }
    let count: usize = FACTS.json_keys.values().map(Vec::len).sum();
    assert_eq!(JSON_KEYS.len(), count, "a key has one class");
    for (class, keys) in &FACTS.json_keys {
        assert!(keys.is_sorted_by_key(|key| key.to_lowercase()), "{class:?}: {keys:?}");
    }
}

#[test]
fn columns_have_their_class() {
    use DataClass::*;
    for (table, column, class) in [
        ("Message", "id", Identifier),
        ("Message", "messageTimestamp", Public),
        ("Message", "source", Public),
        ("Message", "pushName", Name),
        ("Message", "message", Json),
        ("Message", "webhookUrl", Url),
        ("Session", "creds", Secret),
        ("Contact", "remoteJid", Phone),
        ("Instance", "name", Identifier),
        ("OpenaiCreds", "name", Name),
        ("Setting", "rejectCall", Public),
        ("Message", "new_column", Text),
        ("message", "id", Text),
        ("customers", "id", Text),
        ("Chat", "pushName", Text),
    ] {
        assert_eq!(column_class(table, column), class, "{table}.{column}");
    }
}

#[test]
fn a_value_that_is_not_of_its_class_is_personal() {
    use DataClass::*;
    for (table, column, value, class) in [
        ("Instance", "name", "Loja Centro", Identifier),
        ("Instance", "name", "5511999990000", Phone),
        ("Instance", "name", "5511999990000@s.whatsapp.net", Phone),
        ("Message", "status", "READ", Public),
        ("Message", "status", "Maria Silva", Text),
        ("Chat", "createdAt", "2026-11-29 01:02:03.456", Public),
        ("Media", "mimetype", "audio/ogg; codecs=opus", Public),
        ("MessageUpdate", "keyId", "3EB0C767D097B7C7C030", Identifier),
    ] {
        assert_eq!(value_class(table, column, value), class, "{table}.{column} {value}");
    }
}

#[test]
fn json_is_decided_by_path() {
    use DataClass::*;
    for (column, path, leaf, class) in [
        ("Message.key", &["id"][..], json!("3EB0C767D097B7C7C030"), Identifier),
        ("Message.key", &["fromMe"], json!(true), Public),
        ("Message.key", &["remoteJid"], json!("5511999990000@s.whatsapp.net"), Phone),
        ("Message.key", &["id"], json!("call Maria on Monday"), Text),
        ("Message.message", &["conversation"], json!("hello"), Text),
        ("Message.message", &["whoKnows", "what"], json!("hello"), Text),
        ("Message.message", &["whoKnows", "what"], json!(7), Public),
        ("Message.message", &["whoKnows", "what"], json!(5511999990000u64), Phone),
        ("Message.message", &["imageMessage", "jpegThumbnail", "17"], json!(255), Text),
        ("Message.message", &["imageMessage", "mediaKey", "0"], json!(255), Secret),
        ("Message.message", &["imageMessage", "mimetype"], json!("image/jpeg"), Public),
        ("Message.message", &["imageMessage", "mediaKeyTimestamp"], json!("1764381600"), Public),
        ("Message.message", &["messageContextInfo", "mediaKeyTimestamp"], json!(1764381600), Public),
        ("Message.message", &["locationMessage", "degreesLatitude"], json!(-23.5), Text),
        ("Message.message", &["reactionMessage", "key", "id"], json!("3EB0"), Identifier),
        ("Message.contextInfo", &["stanzaId"], json!("3EB0"), Identifier),
        ("MessageUpdate.pollUpdates", &["0", "pollUpdateMessageKey", "id"], json!("3EB0"), Identifier),
        ("Chat.labels", &["0"], json!("12"), Identifier),
        ("Webhook.headers", &["type"], json!("x"), Secret),
        ("Webhook.events", &["0"], json!("MESSAGES_UPSERT"), Public),
        ("Webhook.events", &["0"], json!("tell Maria"), Text),
        ("Typebot.ignoreJids", &["0"], json!("@g.us"), Phone),
        ("IntegrationSession.context", &["messages", "0", "role"], json!("user"), Public),
        ("IntegrationSession.context", &["messages", "0", "content"], json!("user"), Text),
        ("Message.unknown", &["type"], json!("x"), Text),
    ] {
        let (table, column) = column.split_once('.').unwrap();
        assert_eq!(json_class(table, column, path, &leaf), class, "{table}.{column} {path:?} {leaf}");
    }
    assert!(is_public_key("imageMessage") && is_public_key("0"));
    for key in ["5511999990000", "5511999990000@s.whatsapp.net", "Maria", "Maria Silva", "João"] {
        assert!(!is_public_key(key), "{key}");
    }
}
