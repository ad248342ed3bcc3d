//! Promise: what `evodoctor logs --emit` prints makes a real proxy put wrong names right, and nothing else.

use std::fs;

use evodoctor::evolution::routes::decode_segment;
use regex::Regex;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::support::database::{TestDatabase, execute};
use crate::support::http_proxy::{Kind, Proxy};
use crate::support::program::{evodoctor, on};

const ID: &str = "6f1b2c3d-0a4b-4c5d-8e6f-0000000000";

const TOKEN: &str = "B4C1D2E3-F4A5-4B6C-8D7E-0F1A2B3C4D5E";

/// Names that a URL reaches and that a configuration may trip over. The number in its id is the name's place.
const NAMES: [&str; 23] = [
    "alpha",
    "beta store",
    "quo\"te'",
    "d$ollar$1${x}",
    "semi;colon",
    "cur{ly}",
    "back\\slash\\",
    "plus+Minus",
    "joão Ünïcode 日本",
    "re.g[e]x(*)|^a$",
    "a:b@c!,=&",
    "default",
    "~Tilde",
    "include",
    "evodoctor_name",
    "`tick`",
    "<b>\u{a0}x",
    "two  spaces",
    "-dash",
    "{{ template }}",
    "{env.HOME}",
    "fetchInstances",
    "a-name-that-is-longer-than-what-nginx-takes-by-default-in-its-tables",
];

fn id(number: usize) -> String {
    format!("{ID}{number:02}")
}

/// Those above, and what must not be rewritten.
fn instances() -> Value {
    let ordinary =
        NAMES.iter().enumerate().map(|(at, name)| json!({"id": id(at), "name": name, "token": null}));
    let special = [
        json!({"id": id(50), "name": "Twin", "token": TOKEN}),
        json!({"id": id(51), "name": "TWIN", "number": "5511999990000"}),
        json!({"id": id(52), "name": "a/b"}),
        json!({"id": id(53), "name": "hash#\n}\nserver {"}),
        json!({"id": id(54), "name": "per%20cent"}),
        json!({"id": id(55), "name": "what?"}),
        json!({"id": id(56), "name": id(0).to_uppercase()}),
    ];
    ordinary.chain(special).collect()
}

fn file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    file
}

fn emit(proxy: &str, instances: &Value, more: &[&str]) -> String {
    let file = file(&instances.to_string());
    let path = file.path().to_str().unwrap();
    evodoctor(&[&["logs", "--emit", proxy, "--instances", path], more].concat()).ends(0).stdout
}

/// Every way to spell a name: what nobody encodes differently, what JavaScript does, and in small hexadecimal digits.
fn spellings(name: &str) -> Vec<String> {
    let strict: String = name
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect();
    let plain = ["%21", "%27", "%28", "%29", "%2A", "%2B", "%24", "%3B", "%3A", "%40", "%2C", "%3D", "%26"];
    let raw = plain.iter().fold(strict.clone(), |text, code| {
        text.replace(code, &String::from_utf8_lossy(&decode_segment(code.as_bytes())))
    });
    vec![strict.to_lowercase(), strict, raw]
}

/// Expects the request to arrive with this name, and the rest of it byte for byte as it was sent.
#[track_caller]
fn arrives(forwards: impl Fn(&str) -> String, before: &str, written: &str, after: &str, name: &str) {
    let target = format!("{before}{written}{after}");
    let got = forwards(&target);
    let found = got.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    let found = found.unwrap_or_else(|| panic!("{target} arrives as {got}"));
    assert!(!found.contains(['/', '?']), "{target} arrives as {got}");
    assert_eq!(String::from_utf8_lossy(&decode_segment(found.as_bytes())), name, "{target} arrives as {got}");
}

/// What every proxy has to do; `forwards` is the path that the server gets for the one that a client sends.
fn expect_right_names(forwards: &dyn Fn(&str) -> String) {
    for (at, name) in NAMES.iter().enumerate().skip(1) {
        for written in [id(at), id(at).to_uppercase()] {
            arrives(forwards, "/message/sendText/", &written, "", name);
        }
        for letters in [name.to_ascii_uppercase(), name.to_ascii_lowercase(), (*name).to_owned()] {
            for spelled in spellings(&letters) {
                arrives(forwards, "/message/sendText/", &spelled, "?x=%2f&y=a+b/c;d", name);
            }
        }
    }
    arrives(forwards, "/instance/connect/", "ALPHA", "", "alpha");
    arrives(forwards, "/instance/connect/", &id(50), "", "Twin");
    arrives(forwards, "/instance/connect/", &id(51), "", "TWIN");
    let (mixed, beta) = (id(1).replace('f', "F"), "beta store");
    for (before, after) in [
        ("/openai/delete/clx1/", ""),
        ("/chatwoot/webhook/", "/"),
        ("/api/INSTANCE/ConnectionState/", "/?a=%20b&c&d=$x{}|\"'"),
        ("/evolution/v2/chat/findChats/", "?instanceName=Alpha&path=/instance/connect/x"),
    ] {
        arrives(forwards, before, &mixed, after, beta);
    }
    for untouched in [
        // Right names, however they are spelled.
        "/instance/connect/alpha",
        "/instance/connect/beta%20store",
        "/instance/connect/Twin?x",
        "/instance/connect/TWIN",
        &format!("/instance/connect/{}", id(0).to_uppercase()),
        // A name that may mean two instances, or none.
        "/instance/connect/twin",
        &format!("/instance/connect/{}", id(0)),
        "/instance/connect/nosuch",
        &format!("/instance/connect/{}", id(99)),
        "/instance/connect/alpha%20",
        &format!("/instance/connect/{}%0a", id(1)),
        &format!("/instance/connect/x{}", id(1)),
        // Secrets and numbers.
        &format!("/instance/connect/{TOKEN}"),
        "/instance/connect/5511999990000",
        // Instances whose names a proxy may not write as they are.
        &format!("/instance/connect/{}", id(52)),
        &format!("/instance/connect/{}", id(53)),
        &format!("/instance/connect/{}", id(54)),
        &format!("/instance/connect/{}", id(55)),
        // Routes without an instance.
        &format!("/instance/fetchInstances?instanceId={}", id(1)),
        &format!("/api/instance/fetchInstances/?instanceId={}", id(1)),
        &format!("/instance/fetchInstances/{}", id(1)),
        &format!("/manager/instance/{}", id(1)),
        &format!("/manager/instance/{}/dashboard", id(1)),
        &format!("/manager/instance/connect/{}", id(1)),
        &format!("/api/MANAGER/instance/connect/{}", id(1)),
        &format!("/webhook/meta/{}", id(1)),
        &format!("/openai/delete/{}", id(1)),
        &format!("/openai/delete/{}/nosuch", id(1)),
        &format!("/instance/connect/x/{}", id(1)),
        &format!("/{}", id(1)),
        &format!("/x?next=/instance/connect/{}", id(1)),
        &format!("/instance/connect/x?next=/instance/connect/{}", id(1)),
        &format!("/socket.io/?EIO=4&path=/{}", id(1)),
        "/",
        "/evodoctor-names:x/y",
        "/manager/EVODOCTOR-NAMES:x",
    ] {
        assert_eq!(forwards(untouched), untouched);
    }
}

/// What all but nginx do: even what means the same stays as it was sent.
fn expect_the_rest_as_it_was(forwards: &dyn Fn(&str) -> String) {
    arrives(forwards, "/openai/delete/a%2Dclx1%2F/", &id(1), "/", "beta store");
    arrives(forwards, "//instance/connect/", &id(1), "", "beta store");
}

fn expect_of(kind: Kind) -> Proxy {
    let proxy = Proxy::start(kind, &emit(kind.name(), &instances(), &[]));
    assert!(!proxy.checked.contains("warn") || kind == Kind::Caddy, "{}", proxy.checked);
    expect_right_names(&|target| proxy.forwards(target));
    let (path, body) = proxy.sends("POST", &format!("/message/sendText/{}", id(1)), "{\"text\":\"x\"}");
    assert_eq!((path.as_str(), body.as_str()), ("/message/sendText/beta%20store", "{\"text\":\"x\"}"));
    proxy
}

#[test]
fn nginx_corrects_names_and_nothing_else() {
    let proxy = expect_of(Kind::Nginx);
    assert_eq!(
        proxy.forwards(&format!("/stripped/instance/connect/{}?x", id(1))),
        "/instance/connect/beta%20store?x"
    );
    // A rewritten path is decoded and encoded again, and a trailing question mark is dropped.
    assert_eq!(
        proxy.forwards(&format!("//openai/delete/a%2Dclx1%25/{}?", id(1))),
        "/openai/delete/a-clx1%25/beta%20store"
    );
    // An error page is an internal redirect, for which the rewrite is asked once more.
    assert_eq!(proxy.forwards(&format!("/down/instance/connect/{}", id(1))), "the error page");
}

#[test]
fn haproxy_corrects_names_and_nothing_else() {
    let proxy = expect_of(Kind::Haproxy);
    expect_the_rest_as_it_was(&|target| proxy.forwards(target));
}

#[test]
fn caddy_corrects_names_and_nothing_else() {
    let proxy = expect_of(Kind::Caddy);
    expect_the_rest_as_it_was(&|target| proxy.forwards(target));
    assert_eq!(
        proxy.forwards(&format!("/stripped/instance/connect/{}?x", id(1))),
        "/instance/connect/beta%20store?x"
    );
}

/// What Traefik's `replacePathRegex` middlewares do with a target, one after the other, as its source says: the path
/// is replaced as it was sent, and the query is not looked at.
fn through_traefik(emitted: &str) -> impl Fn(&str) -> String + use<> {
    let document: Value = serde_yaml_ng::from_str(emitted).expect("YAML");
    let middlewares = document["http"]["middlewares"].as_object().expect("middlewares").clone();
    let chain = middlewares["evodoctor-names"]["chain"]["middlewares"].as_array().expect("a chain").clone();
    assert_eq!(chain.len() + 1, middlewares.len());
    let steps: Vec<(Regex, String)> = chain
        .iter()
        .map(|name| {
            let step = middlewares[name.as_str().expect("a name")]["replacePathRegex"].clone();
            let text = |key: &str| step[key].as_str().expect("text").to_owned();
            (Regex::new(&text("regex")).expect("a regular expression"), text("replacement"))
        })
        .collect();
    move |target| {
        let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
        let replace = |path: String, (regex, by): &(Regex, String)| regex.replace_all(&path, by).into_owned();
        steps.iter().fold(path.to_owned(), replace) + query
    }
}

#[test]
fn traefik_corrects_names_and_nothing_else() {
    let forwards = through_traefik(&emit("traefik", &instances(), &[]));
    expect_the_rest_as_it_was(&forwards);
    // A mark that a client sends must not get past a router's rules.
    for target in [
        "/instance/evodoctor-names:create",
        "/instance/connect/evodoctor-names:alpha",
        "/evodoctor-names:x/y",
    ] {
        assert_eq!(forwards(target), target.replace(':', "%3A"));
    }
    expect_right_names(&|target| {
        if target.contains("evodoctor-names:") { target.to_owned() } else { forwards(target) }
    });
}

/// Many instances with two rewrites each.
fn shops(count: usize) -> Value {
    let shop = |n| json!({"id": format!("6f1b2c3d-0a4b-4c5d-8e6f-{n:012x}"), "name": format!("Shop {n}")});
    (0..count).map(shop).collect()
}

fn expect_shops(forwards: impl Fn(&str) -> String) {
    let id = format!("/instance/connect/6F1B2C3D-0A4B-4C5D-8E6F-{:012X}", 299);
    assert_eq!(forwards(&id), "/instance/connect/Shop%20299");
    assert_eq!(forwards("/instance/connect/sHOP%2017/?x"), "/instance/connect/Shop%2017/?x");
}

#[test]
fn thousands_of_instances_load_without_a_warning() {
    let many = shops(5000);
    for kind in [Kind::Nginx, Kind::Haproxy, Kind::Caddy] {
        let proxy = Proxy::start(kind, &emit(kind.name(), &many, &[]));
        assert!(!proxy.checked.contains("could not build"), "{}", proxy.checked);
        expect_shops(|target| proxy.forwards(target));
    }
}

#[test]
fn nginx_hash_sizes_fit_any_names() {
    for (count, length) in [(32, 46), (33, 47), (150, 46), (400, 255), (2000, 46)] {
        let instance =
            |n| json!({"id": format!("6f1b2c3d-0a4b-4c5d-8e6f-{n:012x}"), "name": format!("{n:x>length$}")});
        let proxy = Proxy::start(Kind::Nginx, &emit("nginx", &(0..count).map(instance).collect(), &[]));
        assert!(!proxy.checked.contains("warn"), "{count} names of {length}: {}", proxy.checked);
    }
}

#[test]
fn traefiks_chain_finds_an_instance_among_many() {
    expect_shops(through_traefik(&emit("traefik", &shops(300), &[])));
}

#[test]
fn a_proxy_config_has_no_token_and_lists_what_is_left() {
    for proxy in ["nginx", "traefik", "caddy", "haproxy"] {
        let emitted = emit(proxy, &instances(), &[]);
        assert!(!emitted.to_lowercase().contains(&TOKEN.to_lowercase()), "{proxy}");
        assert!(
            emitted
                .contains("#   \"hash#\\n}\\nserver \\x7b\" has a name that a proxy may decode on its way"),
            "{emitted}"
        );
        assert!(
            emitted.contains("#   \"TWIN\" has a name that differs from another one in letter case only")
        );
        assert!(emitted.contains("rewrites for 30 instances"), "{emitted}");
        assert!(!emitted.contains("5511999990000"));
    }
}

#[test]
fn with_logs_only_seen_names_are_rewritten() {
    let line = |target: &str| {
        format!(
            "203.0.113.7 - - [21/Nov/2026:03:59:12 +0000] \"GET {target} HTTP/1.1\" 404 93 \"-\" \"n8n\"\n"
        )
    };
    let log =
        file(&[line(&format!("/instance/connect/{}", id(1))), line("/instance/connect/ALPHA")].concat());
    let log = log.path().to_str().unwrap();
    let written = |more: &[&str]| -> Vec<String> {
        let emitted = emit("haproxy", &instances(), &[&[log], more].concat());
        emitted.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(str::to_owned).collect()
    };
    let (alpha, beta) = ("alpha alpha".to_owned(), format!("{} beta%20store", id(1)));
    assert_eq!(written(&[]), [alpha.clone(), beta.clone()]);
    assert_eq!(written(&["--select", "EVO501"]), [beta]);
    assert_eq!(written(&["--ignore", "EVO501"]), [alpha]);
}

#[test]
fn without_instances_emit_gives_a_hint() {
    evodoctor(&["logs", "--emit", "nginx"]).ends(2).complains(&[
        "needs the list of instances",
        "--instances",
        "--database-url",
    ]);
    evodoctor(&["logs", "--emit", "nginx", "--format", "json"]).ends(2).complains(&["cannot be used with"]);
    evodoctor(&["logs"]).ends(2).complains(&["no log is given"]);
}

#[tokio::test]
async fn the_instances_may_come_from_the_database_and_the_result_go_to_a_file() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let row = format!(
        r#"INSERT INTO evolution_api."Instance" (id, name, "updatedAt") VALUES ('{}', 'Alpha', now())"#,
        id(1)
    );
    execute(&mut database.connect().await, &row).await;
    let file = NamedTempFile::new().unwrap();
    let output = file.path().to_str().unwrap();
    let run = on(&database.url(), &["logs", "--emit", "haproxy", "--output", output]).ends(0);
    assert_eq!(run.stdout, "");
    run.complains(&["2 rewrites for 1 instances"]);
    let emitted = fs::read_to_string(file.path()).unwrap();
    assert!(emitted.ends_with(&format!("\n{} Alpha\nalpha Alpha\n", id(1))), "{emitted}");
}
