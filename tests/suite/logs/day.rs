//! A mixed day of traffic with known truth: requests that are in order, clients with wrong names, scanners, answers of
//! the proxy itself, and traps in referers and agents, in as many formats as a support engineer gets in a week. The
//! findings are compared with the truth, request by request.

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use super::samples::directory;
use super::{file, read};
use evodoctor::access_log::timestamp::Timestamp;

/// Requests per format.
const REQUESTS: usize = 3_000;

/// When the day begins, in seconds.
const MIDNIGHT: u32 = 1_795_219_200;

struct One {
    at: u32,
    client: String,
    method: &'static str,
    path: String,
    status: u16,
    size: u32,
    referer: &'static str,
    agent: &'static str,
}

impl One {
    fn iso(&self) -> String {
        Timestamp::from_unix(f64::from(self.at)).unwrap().to_string()
    }

    /// `21/Nov/2026:03:59:12 +0000`
    fn clf(&self) -> String {
        let iso = self.iso();
        format!("{}/Nov/{}:{} +0000", &iso[8..10], &iso[..4], &iso[11..19])
    }

    fn line(&self) -> String {
        format!("{} {} HTTP/1.1", self.method, self.path)
    }

    fn combined(&self) -> String {
        format!(
            "{} - - [{}] \"{}\" {} {} \"{}\" \"{}\"",
            self.client,
            self.clf(),
            self.line(),
            self.status,
            self.size,
            self.referer,
            self.agent
        )
    }

    fn caddy(&self) -> String {
        json!({"level": "info", "ts": f64::from(self.at) + 0.5, "logger": "http.log.access", "msg": "handled request",
            "request": {"remote_ip": self.client, "proto": "HTTP/2.0", "method": self.method, "host": "wa.example.com",
                "uri": self.path, "headers": {"User-Agent": [self.agent], "Referer": [self.referer]}},
            "bytes_read": 404, "duration": 0.404, "size": self.size, "status": self.status})
        .to_string()
    }
}

type Write = fn(&One) -> String;

/// Name and writer of each format, wrapped ones among them.
const FORMATS: [(&str, Write); 18] = [
    ("combined", One::combined),
    ("nginx main", |one| format!("{} \"-\"", one.combined())),
    ("docker compose", |one| format!("proxy-1  | {}", one.combined())),
    ("syslog", |one| format!("Nov 21 {} edge nginx[404]: {}", &one.iso()[11..19], one.combined())),
    ("docker json-file", |one| {
        json!({"log": one.combined() + "\n", "stream": "stdout", "time": one.iso()}).to_string()
    }),
    ("CRI", |one| format!("{} stdout F {}", one.iso(), one.combined())),
    ("Nginx Proxy Manager", |one| {
        format!(
            "[{}] - {} {} - {} https wa.example.com \"{}\" [Client {}] [Length {}] [Gzip -] [Sent-to evo] \"{}\" \"{}\"",
            one.clf(),
            one.status,
            one.status,
            one.method,
            one.path,
            one.client,
            one.size,
            one.agent,
            one.referer
        )
    }),
    ("Caddy", One::caddy),
    ("Caddy console", |one| {
        format!(
            "{}\tINFO\thttp.log.access\thandled request\t{}",
            one.iso().replace('-', "/").replace('T', " "),
            one.caddy()
        )
    }),
    ("Traefik", |one| {
        json!({"ClientHost": one.client, "DownstreamStatus": one.status, "Duration": 404, "OriginStatus": one.status,
            "RequestHost": "wa.example.com", "RequestMethod": one.method, "RequestPath": one.path,
            "RouterName": "evo@docker", "StartUTC": one.iso(), "request_User-Agent": one.agent})
        .to_string()
    }),
    ("Traefik CLF", |one| format!("{} 404 \"evo@docker\" \"http://10.0.0.9:8080\" 40ms", one.combined())),
    ("Envoy", |one| {
        format!(
            "[{}] \"{}\" {} - 0 {} 12 11 \"{}\" \"{}\" \"id-404\" \"wa.example.com\" \"10.0.0.9:8080\"",
            one.iso(),
            one.line(),
            one.status,
            one.size,
            one.client,
            one.agent
        )
    }),
    ("Gin", |one| {
        let iso = one.iso();
        format!(
            "[GIN] {} - {} | {} |   4.04ms | {} | {:<7} \"{}\"",
            iso[..10].replace('-', "/"),
            &iso[11..19],
            one.status,
            one.client,
            one.method,
            one.path
        )
    }),
    ("Heroku", |one| {
        format!(
            "{} heroku[router]: at=info method={} path=\"{}\" host=wa.example.com fwd=\"{}\" dyno=web.1 service=404ms status={}",
            one.iso(),
            one.method,
            one.path,
            one.client,
            one.status
        )
    }),
    ("HAProxy", |one| {
        format!(
            "Nov 21 {} lb haproxy[404]: {}:4040 [{}.404] http-in evo/srv1 0/0/1/404/405 {} {} - - ---- 1/1/0/0/0 0/0 \"{}\"",
            &one.iso()[11..19],
            one.client,
            one.clf().trim_end_matches(" +0000"),
            one.status,
            one.size,
            one.line()
        )
    }),
    ("Kong", |one| {
        json!({"client_ip": one.client, "request": {"method": one.method, "uri": one.path,
                "headers": {"host": "wa.example.com", "user-agent": one.agent}, "size": 404},
            "response": {"status": one.status, "size": one.size}, "started_at": u64::from(one.at) * 1000,
            "latencies": {"request": 404}})
        .to_string()
    }),
    ("uvicorn", |one| format!("INFO:     {}:40404 - \"{}\" {} Whatever", one.client, one.line(), one.status)),
    ("Fastify", |one| {
        let id = format!("req-{}-{}", one.at, one.client);
        let asked = json!({"level": 30, "time": u64::from(one.at) * 1000, "pid": 404, "reqId": id,
            "req": {"method": one.method, "url": one.path, "remoteAddress": one.client}, "msg": "incoming request"});
        let told = json!({"level": 30, "time": u64::from(one.at) * 1000 + 4, "pid": 404, "reqId": id,
            "res": {"statusCode": one.status}, "responseTime": 4.04, "msg": "request completed"});
        format!("{asked}\n{told}")
    }),
];

/// How often each thing that is wrong was asked for: by code and subject.
type Truth = BTreeMap<(&'static str, &'static str), i64>;

/// What clients get wrong: code, subject, and the segment as it is written.
const WRONG: [(&str, &str, &str); 12] = [
    ("EVO501", "6f1b2c3d-0a4b-4c5d-8e6f-000000000001", "6f1b2c3d-0a4b-4c5d-8e6f-000000000001"),
    ("EVO501", "6F1B2C3D-0A4B-4C5D-8E6F-000000000002", "6F1B2C3D-0A4B-4C5D-8E6F-000000000002"),
    ("EVO502", "ALPHA", "ALPHA"),
    ("EVO502", "Beta Store", "Beta%20Store"),
    ("EVO503", "beta+store", "beta+store"),
    ("EVO503", "beta%2520store", "beta%2520store"),
    ("EVO503", "alpha%20", "alpha%20"),
    ("EVO504", "B4C1…5E", "B4C1D2E3-F4A5-4B6C-8D7E-0F1A2B3C4D5E"),
    ("EVO505", "5511999990000", "5511999990000"),
    ("EVO506", "retired", "retired"),
    ("EVO506", "suport", "suport"),
    ("EVO502", "JOÃO", "JO%C3%83O"),
];

const ROUTES: [(&str, &str); 6] = [
    ("POST", "/message/sendText"),
    ("GET", "/instance/connectionState"),
    ("POST", "/api/chat/findChats"),
    ("GET", "/webhook/find"),
    ("POST", "/group/updateGroupPicture"),
    ("DELETE", "/openai/delete/cm2bot404"),
];

const SCANNED: [&str; 8] = [
    "/wp-login.php",
    "/.env",
    "/instance",
    "/cgi-bin/luci/;stok=/locale",
    "/manager/html",
    "/api/v1/pods/404",
    "/message.php?x=/message/sendText/x",
    "/?q=/instance/connect/ALPHA",
];

const AGENTS: [&str; 4] = [
    "n8n",
    "Mozilla/5.0 (X11; Linux x86_64) HTTP/404",
    "axios/1.7.9 (404 Not Found)",
    "GET /instance/connect/ALPHA",
];

const REFERERS: [&str; 3] =
    ["-", "https://n8n.example.com/workflow/404", "https://x.example.com/instance/connect/ALPHA"];

/// One day, and what is wrong in it.
fn day(seed: u64) -> (Vec<One>, Truth) {
    let mut random = SmallRng::seed_from_u64(seed);
    let (mut day, mut truth) = (Vec::new(), Truth::new());
    for number in 0..REQUESTS {
        let (method, route) = ROUTES[random.random_range(0..ROUTES.len())];
        let names = ["alpha", "beta%20store", "Suporte-BR", "jo%C3%A3o", "vendas01"];
        let right = names[random.random_range(0..names.len())];
        let query = if random.random_bool(0.2) { "?delay=404&next=/instance/connect/ALPHA" } else { "" };
        let mut at = |code, subject| *truth.entry((code, subject)).or_default() += 1;
        let wrong = WRONG[random.random_range(0..WRONG.len())];
        let (method, path, status) = match random.random_range(0..100) {
            0..=9 => {
                at(wrong.0, wrong.1);
                (method, format!("{route}/{}{query}", wrong.2), 404)
            }
            // Nothing says what the API thought of the name.
            10..=13 => (method, format!("{route}/{}{query}", wrong.2), [499, 502, 504, 429][number % 4]),
            14..=15 => {
                at("EVO508", "GET /message/sendText/:instanceName");
                ("GET", format!("/message/sendText/{right}"), 404)
            }
            16 => {
                at("EVO507", "alpha?instanceName=beta store");
                ("POST", "/chat/findMessages/alpha?instanceName=beta%20store".to_owned(), 200)
            }
            17..=29 => ("GET", SCANNED[random.random_range(0..SCANNED.len())].to_owned(), 404),
            30..=34 => (method, format!("{route}/{right}{query}"), 401),
            _ => (method, format!("{route}/{right}{query}"), 200),
        };
        day.push(One {
            at: MIDNIGHT + u32::try_from(number).unwrap() * 28,
            client: format!("203.0.113.{}", random.random_range(1..250)),
            method,
            path,
            status,
            size: random.random_range(0..600),
            referer: REFERERS[random.random_range(0..REFERERS.len())],
            agent: AGENTS[random.random_range(0..AGENTS.len())],
        });
    }
    (day, truth)
}

#[test]
fn a_mixed_day_has_98_percent_recall_and_precision() {
    let directory = directory();
    let (mut right, mut told, mut wanted) = (0, 0, 0);
    let mut wrong = Vec::new();
    for (number, (name, write)) in FORMATS.iter().enumerate() {
        let (day, truth) = day(number as u64);
        let log: String = day.iter().map(|one| write(one) + "\n").collect();
        let examined = read(&[file(log.as_bytes()).path().to_owned()], Some(&directory)).unwrap();
        let mut left = truth.clone();
        for finding in &examined.findings {
            told += finding.count;
            let known = left
                .iter_mut()
                .find(|((code, subject), _)| finding.code == *code && finding.subject == *subject);
            let count = known.map_or(0, |(_, left)| std::mem::take(left));
            right += count.min(finding.count);
            if count != finding.count {
                wrong.push(format!(
                    "{name}: {} {} × {}, not {count}",
                    finding.code, finding.subject, finding.count
                ));
            }
        }
        wanted += truth.values().sum::<i64>();
        let missing = left.into_iter().filter(|(_, count)| *count > 0);
        wrong.extend(
            missing.map(|((code, subject), count)| format!("{name}: {code} {subject} × {count} is missing")),
        );
    }
    let percent = |part: i64, all: i64| 100.0 * part as f64 / all as f64;
    let (precision, recall) = (percent(right, told), percent(right, wanted));
    println!("{} requests: precision {precision:.2} %, recall {recall:.2} %", FORMATS.len() * REQUESTS);
    assert!(
        precision >= 98.0 && recall >= 98.0,
        "precision {precision:.2}, recall {recall:.2}\n{}",
        wrong.join("\n")
    );
}
