//! What people run in front of the API writes its log in many ways, and each is read.

use std::fs;
use std::io::Write;

use flate2::write::GzEncoder;
use serde_json::json;

use super::{examine, examine_text, file, fixture, human, read, told};
use crate::support::program::evodoctor;

const ID: &str = "6f1b2c3d-0a4b-4c5d-8e6f-000000000001";

#[test]
fn haproxys_own_answers_do_not_count() {
    let examined = examine(&["haproxy.log"]);
    assert_eq!(told(&examined), [format!("EVO501 {ID} → alpha × 1")]);
    assert_eq!(examined.findings[0].extra["routers"], json!([{"router": "http-in evo/srv1", "count": 1}]));
    assert_eq!(examined.findings[0].extra["clients"][0]["address"], "203.0.113.7");
    assert_eq!((examined.read.requests.lines, examined.read.requests.parsed), (4, 3));
}

#[test]
fn both_kinds_of_aws_load_balancers_are_read() {
    let examined = examine(&["alb.log"]);
    assert_eq!(
        told(&examined),
        [format!("EVO501 {ID} → alpha × 1"), "EVO502 Beta Store → beta store × 1".into()]
    );
    assert_eq!(examined.findings[1].extra["routers"][0]["router"], "classic-evo");
}

#[test]
fn cloudflare_shows_a_request_that_crosses_instances() {
    let examined = examine(&["cloudflare.json"]);
    assert_eq!(
        told(&examined),
        ["EVO507 alpha?instanceName=beta store → ? × 1".to_owned(), format!("EVO501 {ID} → alpha × 1")]
    );
    assert_eq!(examined.findings[0].severity.to_string(), "error");
    assert_eq!(examined.findings[0].extra["first"], "2026-11-21T03:59:12Z");
    let text = human(&examined, 100);
    assert!(text.contains("the path alone, without ?instanceName="), "{text}");
    assert!(text.contains("1 request has another fault."), "{text}");

    // The same instance twice is odd, and harmless; one that was refused did no harm either.
    let log = fs::read_to_string(fixture("cloudflare.json")).unwrap();
    let first = log.lines().next().unwrap();
    assert!(examine_text(&first.replace("beta%20store", "alpha"), None).findings.is_empty());
    let refused = examine_text(&first.replace("201", "401"), None);
    assert_eq!(refused.findings[0].severity.to_string(), "warning");
}

#[test]
fn a_deleted_instance_a_500_and_a_misspelled_route_are_distinguished() {
    let examined = examine(&["nginx.json"]);
    assert_eq!(
        told(&examined),
        [
            "EVO506 retired → ? × 1",
            "EVO508 GET /message/send-text/:instanceName → POST /message/sendText/:instanceName × 1",
            "EVO509 6f1b2c3d-0a4b-4c5d-8e6f-000000000002 → beta store × 1",
        ]
    );
    let detail = |at: usize| examined.findings[at].detail.as_str();
    assert!(
        detail(0).ends_with("It was deleted at 2026-11-21 03:59:12 UTC, as this log shows."),
        "{}",
        detail(0)
    );
    assert!(detail(1).contains("misspelled"), "{}", detail(1));
    assert!(detail(2).contains("answered 500 instead of saying so"), "{}", detail(2));
    assert_eq!(examined.read.requests.unauthorized, 1, "a wrong name that got 401 is no 404");
    assert!(human(&examined, 80).contains("got 401 or 403"));
}

#[test]
fn a_name_that_stopped_working_is_gone() {
    let line = |clock: &str, status: u16| {
        format!(
            "203.0.113.7 - - [21/Nov/2026:{clock} +0000] \"GET /instance/connect/shop HTTP/1.1\" {status} 1\n"
        )
    };
    let gone = examine_text(&[line("03:00:00", 200), line("04:00:00", 404)].concat(), None);
    assert_eq!(gone.findings[0].extra["worked_until"], "2026-11-21T03:00:00Z");
    assert!(
        gone.findings[0].detail.contains("It worked until 2026-11-21 03:00:00 UTC"),
        "{}",
        gone.findings[0].detail
    );
    let works = [line("03:00:00", 200), line("04:00:00", 404), line("05:00:00", 200)].concat();
    assert!(examine_text(&works, None).findings.is_empty());
}

/// A reader with the log open beside the report finds the line by its time.
#[test]
fn times_are_shown_in_the_logs_own_zone() {
    let line = |clock: &str, zone: &str| {
        format!("203.0.113.7 - - [{clock} {zone}] \"GET /instance/connect/ALPHA HTTP/1.1\" 404 1\n")
    };
    let text = [line("20/Nov/2026:22:00:00", "-0300"), line("21/Nov/2026:01:30:00", "-0300")].concat();
    let examined = examine_text(&text, None);
    let finding = &examined.findings[0].extra;
    assert_eq!((&finding["first"], &finding["zone_minutes"]), (&json!("2026-11-21T01:00:00Z"), &json!(-180)));
    let told = human(&examined, 100);
    assert!(told.contains("2, from 2026-11-20 22:00:00 to 2026-11-21 01:30:00 -03:00"), "{told}");
    let told = human(&examine_text(&line("20/Nov/2026:22:00:00", "+0000"), None), 100);
    assert!(told.contains("1, at 2026-11-20 22:00:00 UTC"), "{told}");
}

#[test]
fn dockers_json_files_can_wrap_any_log() {
    let examined = examine(&["docker.json"]);
    assert_eq!(told(&examined), ["EVO502 ALPHA → alpha × 1", "EVO506 suport → ? × 1"]);
    assert_eq!(
        examined.findings[1].extra["first"], "2026-11-21T04:07:09Z",
        "Docker's own time, which has a zone"
    );
}

#[test]
fn the_client_is_found_behind_any_proxy() {
    let examined = examine(&["nginx-variants.log"]);
    let clients = examined.findings[0].extra["clients"].as_array().unwrap();
    assert_eq!(clients.len(), 1, "{clients:?}");
    assert_eq!(
        clients[0],
        json!({"address": "203.0.113.7", "user_agent": "n8n", "count": 6, "requests_in_all": 6,
               "timeline": null}),
        "all calls are its own, so the finding's timeline tells"
    );
    let timeline = json!({"from": "2026-11-21T03:59:12Z", "seconds": 1, "counts": [1, 1, 1, 1, 1, 1]});
    assert_eq!(examined.findings[0].extra["timeline"], timeline);
    assert_eq!(examined.findings[0].extra["routers"], json!([{"router": "evolution@docker", "count": 1}]));
    assert_eq!(examined.findings[0].extra["hosts"], json!([{"host": "wa.example.com", "count": 1}]));
}

#[test]
fn any_text_with_a_path_and_its_answer_is_read() {
    let examined = examine(&["n8n.txt"]);
    assert_eq!(told(&examined), [format!("EVO501 {ID} → alpha × 1"), "EVO502 Alpha → alpha × 1".into()]);
    assert_eq!(examined.findings[0].extra["first"], "2026-11-21T04:10:00Z");
}

#[test]
fn compressed_files_are_read_with_all_their_members() {
    let log = fs::read(fixture("nginx-combined.log")).unwrap();
    let gzip = |text: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    };
    let plain = told(&examine(&["nginx-combined.log"]));
    let (head, tail) = log.split_at(700);
    for packed in [gzip(&log), [gzip(head), gzip(tail)].concat(), zstd::encode_all(&log[..], 3).unwrap()] {
        let packed_log = file(&packed);
        let examined = read(&[packed_log.path().to_owned()], Some(&super::directory())).unwrap();
        assert_eq!(told(&examined), plain);
        assert!(examined.read.cut_short.is_empty());
        // What a machine that lost power leaves behind.
        let cut = file(&packed[..packed.len() - 20]);
        let examined = read(&[cut.path().to_owned(), fixture("caddy.json")], None).unwrap();
        assert_eq!(examined.read.cut_short, [cut.path().display().to_string()]);
    }
}

#[test]
fn a_forced_format_is_the_only_one_read() {
    let parsed = |log: &str, kind: &str| {
        let log = fixture(log);
        let run = evodoctor(&["logs", log.to_str().unwrap(), "--log-format", kind, "--format", "json"]);
        match run.code {
            Some(2) => 0,
            _ => run.json()["requests"]["parsed"].as_u64().unwrap(),
        }
    };
    for (log, kind, count) in [
        ("nginx-combined.log", "nginx", 24),
        ("traefik.json", "traefik", 3),
        ("haproxy.log", "haproxy", 3),
        ("alb.log", "alb", 3),
        ("n8n.txt", "text", 2),
    ] {
        assert_eq!(parsed(log, kind), count, "{log} as {kind}");
    }
    for (log, kind) in [("nginx-combined.log", "json"), ("haproxy.log", "combined"), ("traefik.json", "alb")]
    {
        assert_eq!(parsed(log, kind), 0, "{log} as {kind}");
    }
}

/// Line, and what is to be read of it: status, client, host and agent.
#[test]
fn fields_are_found_by_their_usual_names() {
    let path = "/instance/connect/ALPHA";
    for (line, client, host, agent) in [
        // OpenTelemetry, both conventions.
        (
            r#"{"attributes":{"http.request.method":"GET","url.path":"/instance/connect/ALPHA","http.response.status_code":404,"client.address":"203.0.113.7","server.address":"wa.example.com","user_agent.original":"n8n"}}"#,
            "203.0.113.7",
            "wa.example.com",
            "n8n",
        ),
        (
            r#"{"attributes":{"http.method":"GET","http.target":"/instance/connect/ALPHA","http.status_code":404,"http.client_ip":"203.0.113.7","http.host":"wa.example.com","http.user_agent":"n8n"}}"#,
            "203.0.113.7",
            "wa.example.com",
            "n8n",
        ),
        (
            r#"{"context":{"method":"GET","fullUrl":"https://wa.example.com/instance/connect/ALPHA","status":404,"ip":"203.0.113.7"}}"#,
            "203.0.113.7",
            "wa.example.com",
            "",
        ),
        // Where others write the whole line of the request.
        (
            r#"{"remoteIP":"203.0.113.7","host":"wa.example.com","request":"/instance/connect/ALPHA","query":"","method":"GET","status":"404","userAgent":"n8n"}"#,
            "203.0.113.7",
            "wa.example.com",
            "n8n",
        ),
        (
            "203.0.113.7 wa.example.com - [21/Nov/2026:03:59:12 +0000] \"GET /instance/connect/ALPHA HTTP/1.1\" 404 5 \"-\" \"n8n\"",
            "203.0.113.7",
            "wa.example.com",
            "n8n",
        ),
        (
            "::ffff:203.0.113.7 - - [21/Nov/2026:03:59:12 +0000] \"GET /instance/connect/ALPHA HTTP/1.1\" 404 5 \"-\" \"n8n\"",
            "203.0.113.7",
            "",
            "n8n",
        ),
        (
            "wa.example.com:443 ::ffff:203.0.113.7 - - [21/Nov/2026:03:59:12 +0000] \"GET /instance/connect/ALPHA HTTP/1.1\" 404 5 \"-\" \"n8n\"",
            "203.0.113.7",
            "wa.example.com",
            "n8n",
        ),
        (
            "t=1 client=203.0.113.7 request=\"GET /instance/connect/ALPHA HTTP/1.1\" request_length=404 status=404 host=wa.example.com",
            "203.0.113.7",
            "wa.example.com",
            "",
        ),
        (
            "[2026-11-21 03:59:12 +0000] [404] [INFO] 203.0.113.7:4040 - - [21/Nov/2026:03:59:12 +0000] \"GET /instance/connect/ALPHA 1.1\" 404 5 \"-\" \"n8n\"",
            "203.0.113.7",
            "",
            "n8n",
        ),
        (
            "Started GET \"/instance/connect/ALPHA\" for 203.0.113.7 at 2026-11-21 03:59:12 +0000\nCompleted 404 Not Found in 40ms",
            "203.0.113.7",
            "",
            "",
        ),
        (
            "{\"reqId\":\"r-1\",\"req\":{\"method\":\"GET\",\"url\":\"/instance/connect/ALPHA\",\"remoteAddress\":\"203.0.113.7\"}}\n\
             {\"reqId\":\"r-2\",\"req\":{\"method\":\"GET\",\"url\":\"/instance/connect/alpha\",\"remoteAddress\":\"203.0.113.8\"}}\n\
             {\"reqId\":\"r-2\",\"res\":{\"statusCode\":200}}\n{\"reqId\":\"r-1\",\"res\":{\"statusCode\":404}}",
            "203.0.113.7",
            "",
            "",
        ),
    ] {
        let examined = examine_text(line, Some(&super::directory()));
        assert_eq!(told(&examined), ["EVO502 ALPHA → alpha × 1"], "{line}");
        let extra = &examined.findings[0].extra;
        let is = |value: &serde_json::Value, text: &str| value.as_str().unwrap_or_default() == text;
        assert!(is(&extra["clients"][0]["address"], client), "{line}: {}", extra["clients"]);
        assert!(is(&extra["clients"][0]["user_agent"], agent), "{line}: {}", extra["clients"]);
        assert!(is(&extra["hosts"][0]["host"], host), "{line}: {}", extra["hosts"]);
        assert!(examined.read.requests.without_status == 0, "{line}");
    }
    let bytes = format!("203.0.113.7 - - [21/Nov/2026:03:59:12 +0000] \"GET {path} HTTP/1.1\" 404 5");
    let journal = json!({"MESSAGE": bytes.as_bytes(), "_HOSTNAME": "h"}).to_string();
    assert_eq!(told(&examine_text(&journal, Some(&super::directory()))), ["EVO502 ALPHA → alpha × 1"]);
    // The list's answer names what was asked for; who asks for a name that is not there may only want to know.
    let body = |name: &str| {
        format!("{{\"status\":404,\"response\":{{\"message\":[\"Instance \\\"{name}\\\" not found\"]}}}}")
    };
    let listed = |name: &str| told(&examine_text(&body(name), Some(&super::directory())));
    assert_eq!(listed("ALPHA"), ["EVO502 ALPHA → alpha × 1"]);
    assert!(listed("nosuch").is_empty());
}
