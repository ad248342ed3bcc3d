//! `evodoctor explain`: every code, and the code behind what people paste.

use evodoctor::commands::select::all_codes;

use crate::support::program::evodoctor;

/// The codes that a text leads to, first the most telling.
fn leads_to(text: &str) -> Vec<String> {
    let run = evodoctor(&["explain", "--format", "json", text]);
    assert_eq!(run.code, Some(0), "{text}: {}", run.stderr);
    let rules = run.json()["rules"].clone();
    rules.as_array().expect("a list").iter().map(|rule| rule["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_code_is_explained() {
    let list = evodoctor(&["explain"]);
    assert_eq!(list.code, Some(0));
    for code in all_codes() {
        assert!(list.stdout.contains(code), "{code} is not in the list");
        let run = evodoctor(&["explain", &code.to_lowercase()]);
        assert_eq!(run.code, Some(0), "{code}: {}", run.stderr);
        assert!(run.stdout.starts_with(code) && run.stdout.contains("why it matters"), "{}", run.stdout);
    }
}

#[test]
fn pasted_errors_find_their_rule() {
    for (text, code) in [
        ("P2002 … apiKey", "EVO202"),
        (
            "Invalid `prisma.openaiCreds.create()`: Unique constraint failed on the fields: (`apiKey`)",
            "EVO202",
        ),
        ("duplicate key value violates unique constraint \"OpenaiCreds_name_key\"", "EVO203"),
        ("PrismaClientKnownRequestError code: 'P2002', meta: { target: [ 'openaiCredsId' ] }", "EVO204"),
        ("{\"status\":400,\"message\":[\"This API key is already registered\"]}", "EVO202"),
        (
            "update or delete on table \"OpenaiCreds\" violates foreign key constraint \
             \"OpenaiSetting_openaiCredsId_fkey\" on table \"OpenaiSetting\"",
            "EVO201",
        ),
        ("OpenaiSetting_openaiCredsId_fkey", "EVO201"),
        (
            "insert or update on table \"Message\" violates foreign key constraint \"Message_sessionId_fkey\"",
            "EVO101",
        ),
        (
            "ERROR: could not create unique index \"Contact_remoteJid_instanceId_key\" DETAIL: Key is duplicated.",
            "EVO103",
        ),
        (
            "code: '42P10', message: 'there is no unique or exclusion constraint matching the ON CONFLICT specification'",
            "EVO205",
        ),
        ("Foreign key constraint violated on the constraint: `Setting_instanceId_fkey`", "EVO211"),
        ("The column `new` does not exist in the current database.", "EVO210"),
        ("{\"response\":{\"message\":[\"The \\\"store\\\" instance does not exist\"]}}", "EVO501"),
    ] {
        assert_eq!(leads_to(text).first().map(String::as_str), Some(code), "{text}");
    }
    let all = leads_to("The \"store\" instance does not exist");
    assert_eq!(all, ["EVO501", "EVO502", "EVO503", "EVO504", "EVO505", "EVO506"]);
}

#[test]
fn what_nobody_knows_is_said_with_a_suggestion() {
    let run = evodoctor(&["explain", "EVO2O2"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("did you mean EVO202"), "{}", run.stderr);
    let run = evodoctor(&["explain", "the printer is on fire"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("next:"), "{}", run.stderr);
}
