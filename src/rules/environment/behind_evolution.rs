//! Rules about the systems behind Evolution: WhatsApp with its library Baileys, and Chatwoot.

use super::RuleEntry;
use crate::rules::rule::Severity::{Advice, Warning};

pub(super) const RULES: &[RuleEntry] = &[
    RuleEntry {
        code: "EVO740",
        name: "chatwoot-database",
        severity: Warning,
        summary: "the import into Chatwoot fails in Chatwoot's own database",
        why: "CHATWOOT_IMPORT_DATABASE_CONNECTION_URI leads to Chatwoot's database, whose tables are \
              contacts, conversations, messages and so on. An error about one of those is about that \
              database and its version, not about Evolution's.",
        next: "Check that the variable leads to Chatwoot's database (not Evolution's), with a role that may \
               write there, or switch the import off (CHATWOOT_IMPORT_DATABASE_CONNECTION_URI empty, \
               importMessages and importContacts false).",
        sqlstate: "",
        matches: &[
            "relation \"contacts\" does not exist",
            "relation \"conversations\" does not exist",
            "chatwootImport",
        ],
        answers: &[
            "code=42P01 relation=contacts",
            "code=42P01 relation=conversations",
            "code=42P01 relation=contact_inboxes",
            "code=42P01 relation=messages",
            "code=42P01 relation=inboxes",
            "code=42P01 relation=accounts",
            "code=42P01 relation=users",
            "code=42P01 relation=taggings",
            "code=42P01 relation=tags",
            "code=42P01 relation=labels",
            "code=42P01 relation=access_tokens",
            r#"code=23505 text="index_contacts_on""#,
            r#"code=23505 text="index_messages_on""#,
            "code=23502 relation=contacts",
            "code=23502 relation=conversations",
            "code=23502 relation=messages",
            "code=42703 relation=contacts",
            "code=42703 relation=conversations",
            "code=42703 relation=messages",
            r#"code=23505 text="index_contact_inboxes_on""#,
            r#"code=23505 text="uniq_email_per_account_contact""#,
            r#"code=23505 text="uniq_identifier_per_account_contact""#,
            r#"code=42P10 text="contact_inboxes""#,
            r#"code=42P10 text="INSERT INTO contacts""#,
            r#"text="chatwootImport""#,
            r#"text="CHATWOOT_IMPORT_DATABASE""#,
            r#"text="import-helper … chatwoot""#,
            r#"text="Error on import history messages""#,
            r#"text="Error on import contacts""#,
        ],
    },
    RuleEntry {
        code: "EVO741",
        name: "whatsapp-connection",
        severity: Advice,
        summary: "WhatsApp or Baileys ended the connection; the database is not the cause",
        why: "\"Stream Errored\" (conflict 440: the same number is connected twice; restart required 515: \
              normal after pairing), 408 and \"Timed Out\" (no network or an old QR code), 401 \"logged \
              out\" (the phone removed the device), 428 \"Connection Closed\" (a request came while the \
              connection was down).",
        next: "See GET /instance/connectionState; connect again, with a new QR code after 401. \
               Where the same number is connected twice, stop one of the two servers.",
        sqlstate: "",
        matches: &["Stream Errored", "Connection Closed", "Connection Terminated", "rate-overlimit"],
        answers: &[
            r#"text="Stream Errored""#,
            r#"text="Connection Terminated by Server""#,
            r#"text="Connection Closed" http=428"#,
            r#"text="Error: Connection Closed""#,
            r#"exact="Connection Closed""#,
            r#"text="Connection Closed" text="isBoom""#,
            r#"text="Connection was lost""#,
            r#"text="Connection Failure" text="Boom""#,
            r#"text="Connection Failure" http=401"#,
            r#"text="Connection Failure" http=405"#,
            r#"text="statusReason\":401""#,
            r#"text="statusReason\": 401""#,
            r#"text="QR refs attempts ended""#,
            r#"text="rate-overlimit""#,
            r#"text="Intentional Logout""#,
            r#"text="restart required" http=515"#,
            r#"text="Timed Out" text="isBoom""#,
            r#"text="Timed Out" text="Boom""#,
            r#"text="Connection Failure" text="isBoom""#,
            r#"text="init queries""#,
            r#"text="conflict" http=440"#,
        ],
    },
    RuleEntry {
        code: "EVO742",
        name: "whatsapp-session-keys",
        severity: Warning,
        summary: "messages cannot be decrypted: the session keys do not match",
        why: "\"Bad MAC\", \"No matching sessions found for message\", \"failed to decrypt message\": \
              the keys in \"Session\" or in the cache are older than the phone's, after a restore, a clone \
              that ran beside the original, or two servers for one instance. A few are normal.",
        next: "If it does not stop within minutes, log the instance out (DELETE /instance/logout/NAME) and \
               scan a new QR code. Never let a restored copy connect while the original is connected.",
        sqlstate: "",
        matches: &[
            "Bad MAC",
            "No matching sessions found for message",
            "failed to decrypt message",
            "No session record",
        ],
        answers: &[
            r#"text="Bad MAC""#,
            r#"text="No matching sessions found for message""#,
            r#"text="failed to decrypt message""#,
            r#"text="No session record""#,
            r#"text="No session found to decrypt message""#,
            r#"text="Key used already or never filled""#,
            r#"text="Invalid PreKey ID""#,
            r#"text="MessageCounterError""#,
            r#"text="failed to sync state from version""#,
            r#"text="to decode mutation""#,
            r#"text="Closing open session in favor of incoming prekey bundle""#,
        ],
    },
    RuleEntry {
        code: "EVO758",
        name: "number-not-on-whatsapp",
        severity: Advice,
        summary: "the recipient's number is not on WhatsApp",
        why: "Before it sends, the server asks WhatsApp for the number. 400 with \"exists\": \
              false is WhatsApp's answer: nobody has this number, or it is written differently (with or \
              without the ninth digit in Brazil, with a zero or a plus in front, an id of a group without \
              @g.us). The instance and the database are fine.",
        next: "Ask first with POST /chat/whatsappNumbers/NAME, and send to the jid that it returns.",
        sqlstate: "",
        matches: &["\"exists\": false"],
        answers: &[r#"http=400 text="exists\" … false""#, r#"text="jid … exists … false … number""#],
    },
    RuleEntry {
        code: "EVO757",
        name: "chatwoot-refuses",
        severity: Warning,
        summary: "Chatwoot's API refuses Evolution's requests",
        why: "401: the token is not one of Chatwoot's (it is the access token of an administrator's \
              profile). 404 \"Inbox not found\": the inbox was deleted or renamed there, or the account's \
              number is wrong. 422 \"has already been taken\": the contact is there already, under another \
              number or identifier. Evolution's own data is not the cause.",
        next: "Compare GET /chatwoot/find/NAME with Chatwoot: address, account, token, nameInbox. \
               Set it again with POST /chatwoot/set/NAME; merge duplicate contacts in Chatwoot.",
        sqlstate: "",
        matches: &["Inbox not found", "Identifier has already been taken"],
        answers: &[
            r#"text="chatwoot" text="inbox not found""#,
            r#"text="ChatwootService" text="inbox not found""#,
            r#"text="chatwoot" http=401"#,
            r#"text="ChatwootService" http=401"#,
            r#"text="ChatwootService" http=422"#,
            r#"text="chatwoot" http=422"#,
            r#"http=422 text="has already been taken""#,
            r#"text="identifier has already been taken""#,
        ],
    },
];
