//! Logs as proxies in front of a busy server write them: hundreds of instances, thousands of clients, quotes in user
//! agents, IPv6, scanners, broken lines, and two requests in a hundred that name an instance wrongly. The same bytes on
//! every machine.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const INSTANCES: u32 = 400;
const CLIENTS: u32 = 3000;

const AGENTS: [&str; 8] = [
    "n8n",
    "axios/1.7.9",
    "okhttp/4.12.0",
    "curl/8.5.0",
    "GuzzleHttp/7",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "my \"own\" bot 1.0",
    "python-requests/2.32.3",
];

const ROUTES: [(&str, &str); 10] = [
    ("POST", "/message/sendText/"),
    ("POST", "/message/sendText/"),
    ("POST", "/message/sendMedia/"),
    ("POST", "/chat/findMessages/"),
    ("POST", "/chat/findChats/"),
    ("POST", "/chat/whatsappNumbers/"),
    ("GET", "/instance/connectionState/"),
    ("POST", "/chat/markMessageAsRead/"),
    ("GET", "/group/fetchAllGroups/"),
    ("POST", "/chatwoot/webhook/"),
];

/// One request, before it is written in a format.
struct Request {
    second: u64,
    client: String,
    method: &'static str,
    path: String,
    status: u16,
    size: u32,
    agent: &'static str,
}

impl Request {
    /// Day of November 2026, hour, minute, second.
    fn day_and_clock(&self) -> [u64; 4] {
        let clock = self.second % 86_400;
        [self.second / 86_400 % 28 + 1, clock / 3600, clock / 60 % 60, clock % 60]
    }
}

/// The id of an instance, as a server makes it.
pub fn id(instance: u32) -> String {
    format!("6f1b2c3d-0a4b-4c5d-8e6f-{instance:012x}")
}

/// The name of an instance; some hold a space.
pub fn name(instance: u32) -> String {
    if instance.is_multiple_of(10) { format!("store {instance}") } else { format!("instance-{instance}") }
}

/// What `GET /instance/fetchInstances` would return.
pub fn instances() -> String {
    let each = (0..INSTANCES).map(|at| {
        format!(r#"{{"id":"{}","name":"{}","token":"TOKEN-{at:08}-{:08x}"}}"#, id(at), name(at), at * 7919)
    });
    format!("[{}]", each.collect::<Vec<_>>().join(","))
}

/// Every id, one on a line: what a person would give to grep.
pub fn ids() -> String {
    (0..INSTANCES).map(|at| id(at) + "\n").collect()
}

/// The forms that are generated.
#[derive(Clone, Copy)]
pub enum Form {
    Combined,
    Traefik,
    /// Combined behind the prefix of `docker compose logs`.
    Compose,
    NginxProxyManager,
    Gin,
    /// Two lines for each request: one when it comes, one when it is answered.
    Fastify,
}

/// Writes a log of at least so many bytes.
pub fn log(path: &Path, form: Form, bytes: u64) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut random = SmallRng::seed_from_u64(7);
    let (mut written, mut line, mut second) = (0, String::new(), 1_795_233_552_u64);
    let mut number = 0;
    while written < bytes {
        line.clear();
        second += u64::from(random.random_ratio(1, 60));
        if random.random_ratio(1, 2000) {
            line.push_str(
                "2026/11/21 04:06:30 [error] 31#31: *7 connect() failed (111: Connection refused)\n",
            );
        } else {
            let request = request(&mut random, second);
            match form {
                Form::Combined => combined(&mut line, &request),
                Form::Traefik => traefik(&mut line, &request, &mut random),
                Form::Compose => {
                    line.push_str("proxy-1  | ");
                    combined(&mut line, &request);
                }
                Form::NginxProxyManager => nginx_proxy_manager(&mut line, &request),
                Form::Gin => gin(&mut line, &request),
                Form::Fastify => {
                    number += 1;
                    fastify(&mut line, &request, number);
                }
            }
        }
        file.write_all(line.as_bytes())?;
        written += line.len() as u64;
    }
    file.flush()
}

fn request(random: &mut SmallRng, second: u64) -> Request {
    // A few clients send most of the requests.
    let client = random.random_range(0..CLIENTS).min(random.random_range(0..CLIENTS));
    let address = match client % 7 {
        0 => format!("2001:db8:{:x}::{:x}", client / 7, client),
        _ => format!("{}.{}.{}.{}", 11 + client % 200, client % 256, client / 256, client * 7 % 256),
    };
    let instance = random.random_range(0..INSTANCES);
    let (method, route) = ROUTES[random.random_range(0..ROUTES.len())];
    let (path, status) = match random.random_range(0..1000) {
        0..12 => (format!("{route}{}", id(instance)), 404),
        12..15 => (format!("{route}{}", name(instance).to_uppercase().replace(' ', "%20")), 404),
        15..17 => (format!("{route}{}", name(instance).replace(' ', "+").replace('-', "%2D") + "%20"), 404),
        17..20 => (format!("{route}deleted-{}", random.random_range(0..50)), 404),
        20..30 => (format!("/wp-content/plugins/{}/readme.txt", random.random_range(0..100_000)), 404),
        30..50 => (format!("/instance/fetchInstances?instanceId={}", id(instance)), 200),
        50..80 => (format!("/manager/assets/index-{}.js", random.random_range(0..9)), 200),
        80..100 => (
            format!("/openai/settings/{:08x}/{}", random.random::<u32>(), name(instance).replace(' ', "%20")),
            200,
        ),
        _ => (
            format!("{route}{}", name(instance).replace(' ', "%20")),
            if method == "POST" { 201 } else { 200 },
        ),
    };
    let size = random.random_range(40..4000);
    let agent = AGENTS[(client as usize * 13) % AGENTS.len()];
    Request { second, client: address, method, path, status, size, agent }
}

fn combined(line: &mut String, request: &Request) {
    let Request { client, method, path, status, size, agent, .. } = request;
    let [day, hour, minute, second] = request.day_and_clock();
    let agent = agent.replace('"', "\\\"");
    let _ = writeln!(
        line,
        "{client} - - [{day:02}/Nov/2026:{hour:02}:{minute:02}:{second:02} +0000] \"{method} {path} \
         HTTP/1.1\" {status} {size} \"-\" \"{agent}\""
    );
}

fn nginx_proxy_manager(line: &mut String, request: &Request) {
    let Request { client, method, path, status, size, agent, .. } = request;
    let [day, hour, minute, second] = request.day_and_clock();
    let agent = agent.replace('"', "\\x22");
    let _ = writeln!(
        line,
        "[{day:02}/Nov/2026:{hour:02}:{minute:02}:{second:02} +0000] - {status} {status} - {method} https \
         wa.example.com \"{path}\" [Client {client}] [Length {size}] [Gzip -] [Sent-to 172.18.0.4] \
         \"{agent}\" \"-\""
    );
}

fn gin(line: &mut String, request: &Request) {
    let Request { client, method, path, status, size, .. } = request;
    let [day, hour, minute, second] = request.day_and_clock();
    let _ = writeln!(
        line,
        "[GIN] 2026/11/{day:02} - {hour:02}:{minute:02}:{second:02} | {status} |{size:>10}µs |{client:>16} | {method:<8} \"{path}\""
    );
}

fn fastify(line: &mut String, request: &Request, number: u64) {
    let Request { second, client, method, path, status, size, .. } = request;
    let head = format!(
        "{{\"level\":30,\"time\":{second}000,\"pid\":1,\"hostname\":\"api\",\"reqId\":\"req-{number:x}\","
    );
    let _ = writeln!(
        line,
        "{head}\"req\":{{\"method\":\"{method}\",\"url\":\"{path}\",\"hostname\":\"wa.example.com\",\"remoteAddress\":\"{client}\",\
         \"remotePort\":40122}},\"msg\":\"incoming request\"}}"
    );
    let _ = writeln!(
        line,
        "{head}\"res\":{{\"statusCode\":{status}}},\"responseTime\":{size}.25,\"msg\":\"request completed\"}}"
    );
}

fn traefik(line: &mut String, request: &Request, random: &mut SmallRng) {
    let Request { client, method, path, status, size, agent, .. } = request;
    let [day, hour, minute, second] = request.day_and_clock();
    let time = format!(
        "2026-11-{day:02}T{hour:02}:{minute:02}:{second:02}.{:09}Z",
        random.random_range(0..1_000_000_000)
    );
    let agent = agent.replace('"', "\\\"");
    let port = random.random_range(20_000..60_000);
    let _ = writeln!(
        line,
        "{{\"ClientAddr\":\"{client}:{port}\",\"ClientHost\":\"{client}\",\"ClientPort\":\"{port}\",\"ClientUsername\":\"-\",\
         \"DownstreamContentSize\":{size},\"DownstreamStatus\":{status},\"Duration\":{duration},\"OriginContentSize\":{size},\
         \"OriginDuration\":{duration},\"OriginStatus\":{status},\"Overhead\":{overhead},\"RequestAddr\":\"wa.example.com\",\
         \"RequestContentSize\":0,\"RequestCount\":{count},\"RequestHost\":\"wa.example.com\",\"RequestMethod\":\"{method}\",\
         \"RequestPath\":\"{path}\",\"RequestPort\":\"-\",\"RequestProtocol\":\"HTTP/2.0\",\"RequestScheme\":\"https\",\
         \"RetryAttempts\":0,\"RouterName\":\"evolution@docker\",\"ServiceAddr\":\"10.0.1.7:8080\",\
         \"ServiceName\":\"evolution@docker\",\"ServiceURL\":\"http://10.0.1.7:8080\",\"StartLocal\":\"{time}\",\
         \"StartUTC\":\"{time}\",\"TLSCipher\":\"TLS_AES_128_GCM_SHA256\",\"TLSVersion\":\"1.3\",\
         \"entryPointName\":\"websecure\",\"level\":\"info\",\"msg\":\"\",\"request_User-Agent\":\"{agent}\",\"time\":\"{time}\"}}",
        duration = random.random_range(1_000_000..900_000_000),
        overhead = random.random_range(10_000..90_000),
        count = random.random_range(1..9_000_000),
    );
}
