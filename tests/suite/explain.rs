//! `evodoctor explain`: every code, and the code behind what people paste.

use evodoctor::rules::error_lookup::error_pattern::ErrorPattern;
use evodoctor::rules::error_lookup::lookup::lookup_error;
use evodoctor::rules::registry::all_rules;
use evodoctor::rules::rule::Rule;

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
    for code in all_rules().iter().map(|rule| rule.code.as_str()) {
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

/// A table of pasted texts: what follows `==`, and the text.
fn pasted(table: &str) -> Vec<(String, String)> {
    let blocks = table.split("\n==").skip(1);
    let parts = blocks.map(|block| block.split_once('\n').expect("a text under the line"));
    parts.map(|(rules, text)| (rules.trim().to_owned(), text.trim_end().to_owned())).collect()
}

#[test]
fn every_pasted_error_of_the_table_gets_its_answer() {
    let table = pasted(include_str!("../../fixtures/pasted/known.txt"));
    assert!(table.len() >= 120, "{} errors", table.len());
    let mut wrong = Vec::new();
    for (rules, text) in &table {
        let causes: Vec<String> = lookup_error(text).causes.iter().map(|cause| codes(&cause.rules)).collect();
        if causes.join(" ") != *rules {
            wrong.push(format!(
                "{rules}: answered {causes:?} (perhaps {:?}):\n{text}\n",
                codes(&lookup_error(text).perhaps)
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), table.len(), wrong.join("\n"));
}

fn codes(rules: &[&Rule]) -> String {
    rules.iter().map(|rule| rule.code.as_str()).collect::<Vec<_>>().join("|")
}

#[test]
fn unknown_errors_get_no_answer() {
    let table = pasted(include_str!("../../fixtures/pasted/unknown.txt"));
    assert!(table.len() >= 40, "{} texts", table.len());
    for (_, text) in &table {
        assert_eq!(codes(&lookup_error(text).rules()), "", "{text}");
    }
}

#[test]
fn every_answer_of_every_rule_is_a_pattern() {
    let mut count = 0;
    for rule in all_rules() {
        for line in &rule.answers {
            ErrorPattern::parse(line).unwrap_or_else(|reason| panic!("{}: {line}: {reason}", rule.code));
            count += 1;
        }
    }
    assert!(count > 200, "{count} patterns");
}

#[test]
fn unknown_texts_get_a_suggestion() {
    let run = evodoctor(&["explain", "EVO2O2"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("did you mean EVO202"), "{}", run.stderr);
    let run = evodoctor(&["explain", "the printer is on fire"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""));
    assert!(
        run.stdout.starts_with("no rule is known") && run.stdout.contains("evodoctor explain -"),
        "{}",
        run.stdout
    );
    let run = evodoctor(&["explain", "my bot ignores this contact and does not answer"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("possible, but") && run.stdout.contains("EVO107"), "{}", run.stdout);
    let run = evodoctor(&["explain", "--format", "json", "my bot ignores this contact and does not answer"]);
    assert_eq!((run.code, &run.json()["rules"]), (Some(1), &serde_json::json!([])));
    assert!(run.json()["perhaps"].as_array().unwrap().contains(&serde_json::json!("EVO107")));
}
