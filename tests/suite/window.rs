//! The hour for an upgrade: a real log beside the locks that are predicted for a database.

use std::fmt::Write as _;
use std::fs;

use serde_json::json;

use crate::support::checkout::Checkout;
use crate::support::database::{TestDatabase, execute};
use crate::support::program::{Evodoctor, on};

const SCHEMA: &str = "evolution_api";

/// A week from Monday, 2 November 2026, as nginx writes it: so many requests in each hour, and only few on Wednesday at 3.
fn log(from: u32, days: u32) -> String {
    let mut text = String::new();
    for day in from..from + days {
        for hour in 0..24 {
            for request in 0..if (day, hour) == (4, 3) { 1 } else { 10 } {
                let (client, status) = if request == 9 { ("10.0.0.9", 499) } else { ("10.0.0.7", 201) };
                writeln!(
                    text,
                    "{client} - - [{day:02}/Nov/2026:{hour:02}:{:02}:00 +0000] \"POST /message/sendText/alpha HTTP/1.1\" {status} 2 \"-\" \"n8n\"",
                    request * 6
                )
                .expect("written");
            }
        }
    }
    text
}

#[tokio::test]
async fn the_best_hour_has_the_fewest_waiting_requests() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("access.log.1"), log(2, 3)).expect("written");
    fs::write(folder.path().join("access.log"), log(5, 3)).expect("written");
    fs::write(folder.path().join("error.log"), "nothing of the kind").expect("written");
    let database = TestDatabase::new("2.1.1", SCHEMA).await;
    execute(
        &mut database.connect().await,
        r#"SET search_path = evolution_api; INSERT INTO "Instance" ("id", "name") VALUES ('i', 'alpha');
           INSERT INTO "Message" ("id", "key", "messageType", "message", "source", "messageTimestamp", "instanceId")
           SELECT 'm' || n, '{}', 'x', pg_catalog.to_jsonb(pg_catalog.repeat(n::text, 200)), 'web', 1, 'i'
           FROM generate_series(1, 40000) AS n; ANALYZE"#,
    )
    .await;
    let url = database.url();
    let preflight = |format: &str, more: &[&str]| {
        let arguments = [
            "preflight",
            "--to",
            "2.3.7",
            "--traffic",
            "access.log*",
            "--fail-on",
            "never",
            "--format",
            format,
        ];
        Evodoctor::new(arguments.iter().chain(more).copied().chain(["--database-url", &url]))
            .within(folder.path())
            .run()
            .ends(0)
    };
    let report = preflight("json", &["--show-rows"]).json();
    let redacted = preflight("json", &[]).json();
    let client = redacted["preflight"]["traffic"]["clients"][0]["client"].clone();
    assert!(client.as_str().is_some_and(|name| name.starts_with("client-")), "{client}");
    let traffic = &report["preflight"]["traffic"];
    assert_eq!((&traffic["requests"], &traffic["covered"]), (&json!(6 * 24 * 10 - 9), &json!(144)));
    assert_eq!((&traffic["utc"], &traffic["measured"]), (&json!(true), &json!(false)));
    let (best, worst) = (&traffic["best"], &traffic["worst"]);
    assert_eq!((&best["day"], &best["hour"]), (&json!(2), &json!(3)), "{traffic}");
    let number = |value: &serde_json::Value| value.as_f64().expect("a number");
    assert!(number(&traffic["longest"]) > 0.0, "Message is rewritten: {}", report["preflight"]["pending"]);
    assert!((number(&worst["waiting"]) / number(&best["waiting"]) - 10.0).abs() < 1e-6, "{best} {worst}");
    let hours = traffic["hours"].as_array().expect("a list");
    let unknown: Vec<_> =
        hours.iter().filter(|hour| hour["per_minute"].is_null()).map(|hour| hour["day"].clone()).collect();
    assert_eq!(unknown, vec![json!(6); 24], "Sunday is not in the log");
    let clients = traffic["clients"].as_array().expect("a list");
    let told = |at: usize| (clients[at]["client"].clone(), clients[at]["gives_up"].clone());
    assert_eq!((told(0), told(1)), ((json!("10.0.0.7"), json!(false)), (json!("10.0.0.9"), json!(true))));

    // The same with the real files: what is measured counts, and each file locks what it locks where it is run alone, whatever an
    // earlier one of the rehearsal has locked.
    let checkout = Checkout::of("2.3.7");
    let rehearse = ["--migrations", checkout.root().to_str().expect("UTF-8"), "--rehearse-on-live"];
    let report = preflight("json", &rehearse).json();
    let measured = &report["preflight"]["traffic"];
    assert_eq!((&measured["measured"], &measured["requests"]), (&json!(true), &traffic["requests"]));
    assert_eq!((&measured["best"]["day"], &measured["best"]["hour"]), (&json!(2), &json!(3)), "{measured}");
    let files = report["preflight"]["rehearsal"]["files"].as_array().expect("a list");
    let lock = |number: &str| {
        let file =
            files.iter().find(|file| file["name"].as_str().is_some_and(|name| name.starts_with(number)));
        let locks = file.expect("it was pending")["locks"].as_array().expect("a list").clone();
        let message = locks.iter().find(|lock| lock["table"] == "evolution_api.\"Message\"").cloned();
        message.unwrap_or_else(|| panic!("{number} locks no Message: {locks:?}"))
    };
    let (status, rewrite, indexes) = (lock("20241001180457"), lock("20241006130306"), lock("20241017144950"));
    assert_eq!(status["mode"], "AccessExclusiveLock");
    assert_eq!(rewrite["mode"], "AccessExclusiveLock");
    assert_eq!(indexes["mode"], "ShareLock");
    let rewritten = number(&rewrite["held_ms"]);
    assert!(rewritten > number(&status["held_ms"]), "it takes longer: {status} {rewrite}");
    assert!(number(&measured["longest"]) * 1000.0 >= rewritten, "{measured}");
    preflight("human", &[]).says(&[
        "the hours of the week, UTC",
        "Sun ························",
        "the best hour is Wed 03:00",
        "(499)",
    ]);
    preflight("html", &[]).says(&["When to upgrade", "Sun 23:00: not in the log"]);
    on(&url, &["preflight", "--traffic", "/nowhere/none*"]).ends(2).complains(&["/nowhere"]);
    let error = folder.path().join("error.log");
    on(&url, &["preflight", "--traffic", error.to_str().expect("UTF-8")])
        .ends(2)
        .complains(&["no line of the log"]);
}
