//! The fuzz targets, briefly: each on mutations of real input, always the same ones. `EVODOCTOR_FUZZ_SEED` picks others,
//! `EVODOCTOR_FUZZ_RUNS` more of them; `tests/fuzz` runs the same code under cargo-fuzz.

#[path = "../fuzz/bodies.rs"]
mod bodies;

use std::env;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;

use evodoctor::database::sql_file::FILES;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tempfile::NamedTempFile;

/// The number of mutations each target sees.
const RUNS: usize = 4000;

/// What parsers trip over.
const PIECES: &[&str] = &[
    "\0",
    "\n",
    "\r\n",
    "'",
    "\"",
    "\\",
    "$",
    "$$",
    "${",
    "%",
    "%zz",
    ":",
    "::",
    ":'",
    ":\"",
    ";",
    "--",
    "/*",
    "*/",
    "@",
    "/",
    "?",
    "#",
    "&",
    "=",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\u{feff}",
    "\u{202e}",
    "\u{1f600}",
    "é",
    "-1",
    "18446744073709551616",
    "1e999",
    "null",
];

fn number<T: FromStr<Err: Debug>>(name: &str, otherwise: T) -> T {
    env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Runs a target on each seed as it is, then on mutations of them.
fn drive(seeds: &[Vec<u8>], target: impl Fn(&[u8])) {
    let seed: u64 = number("EVODOCTOR_FUZZ_SEED", 1);
    let mut random = SmallRng::seed_from_u64(seed);
    let run = |bytes: &[u8]| {
        let done = catch_unwind(AssertUnwindSafe(|| target(bytes)));
        assert!(done.is_ok(), "seed {seed}, input {:?}", String::from_utf8_lossy(bytes));
    };
    seeds.iter().for_each(|seed| run(seed));
    for _ in 0..number("EVODOCTOR_FUZZ_RUNS", RUNS) {
        let mut bytes = seeds.choose(&mut random).expect("a seed").clone();
        for _ in 0..random.random_range(1..6) {
            mutate(&mut bytes, seeds, &mut random);
        }
        run(&bytes);
    }
}

fn mutate(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut SmallRng) {
    let at = random.random_range(0..=bytes.len());
    let to = random.random_range(at..=bytes.len().min(at + 40));
    match random.random_range(0..7) {
        0 if at < bytes.len() => bytes[at] = random.random(),
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(at..to)),
        3 => {
            let again = bytes[at..to].to_vec();
            bytes.splice(at..at, again);
        }
        4 => {
            let other = seeds.choose(random).expect("a seed");
            bytes.splice(at.., other[random.random_range(0..=other.len())..].iter().copied());
        }
        _ => {
            bytes.splice(at..at, PIECES.choose(random).expect("a piece").bytes());
        }
    }
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Runs a target that reads a file.
fn drive_file(seeds: &[&str], target: impl Fn(&[u8], &std::path::Path)) {
    let file = NamedTempFile::new().expect("a file");
    drive(&texts(seeds), |bytes| target(bytes, file.path()));
}

#[test]
fn connection_strings() {
    drive(
        &texts(&[
            "postgresql://u:hunter2hunter2@host:5432/db?schema=evolution_api&sslmode=require&connection_limit=5",
            "postgres://u%40x:hunter2hunter2@[::1]:6432/d%2Fb?host=/var/run/postgresql&pgbouncer=true",
            "prisma+postgres://accelerate.prisma-data.net/?api_key=hunter2hunter2",
            "host=localhost password=hunter2hunter2 dbname=evolution",
            "postgresql://u:hunter2hunter2@a,b:1,2/db?options=-c%20search_path%3Da&sslrootcert=ca.pem&connect_timeout=3",
        ]),
        bodies::connection_string,
    );
}

#[test]
fn env_files() {
    drive_file(
        &[
            "SERVER_URL=http://x\nDATABASE_CONNECTION_URI='postgresql://u:hunter2hunter2@h/d?schema=s'\n",
            "export DATABASE_URL=\"postgresql://u:hunter2hunter2@${HOST:-h}/d\" # here\nHOST=a\n",
            "AUTHENTICATION_API_KEY=hunter2hunter2\nDATABASE_URL=$OTHER\nOTHER=`x`\r\nQUOTED=\"a\nb\"",
        ],
        bodies::env_file,
    );
}

#[test]
fn plan_files() {
    drive_file(
        &[
            r#"{"evodoctor_plan":1,"tool_version":"0.1.0","identity":{"database":"d","database_oid":1},"codes":["EVO101"],"to":null,"fixes":[],"checksum":"00"}"#,
            r#"{"evodoctor_plan":1,"fixes":[{"code":"EVO101","version":1,"row_diff":[{"table":"Message","count":1}]}]}"#,
            "[]",
        ],
        bodies::plan_file,
    );
}

#[test]
fn baselines() {
    drive_file(
        &[
            "{\n  \"evodoctor_baseline\": 1,\n  \"findings\": [\n    {\"code\":\"EVO101\",\"key\":\"Message.instanceId\",\"severity\":\"error\",\"count\":40}\n  ]\n}\n",
            r#"{"evodoctor_baseline":1,"findings":[]}"#,
            r#"{"evodoctor_baseline":2,"findings":{}}"#,
        ],
        bodies::baseline,
    );
}

#[test]
fn configurations() {
    drive_file(
        &[
            "fail-on = \"error\"\nselect = [\"EVO101\"]\n[[ignore]]\ncode = \"EVO209\"\nreason = \"known\"\nuntil = 2026-12-01\n[env.production]\ntimeout = \"30s\"\n",
            "[connection]\nhost = \"h\"\npassword-file = \"p\"\n[env.staging]\nenv-file = \".env\"\n",
            "database-url = \"postgresql://u:hunter2hunter2@h/d\"\n",
        ],
        bodies::config,
    );
}

#[test]
fn check_headers() {
    let of = |folder: &'static str| FILES.iter().filter(move |(path, _)| path.starts_with(folder)).take(12);
    let seeds: Vec<Vec<u8>> =
        of("sql/checks/").chain(of("sql/fixes/")).map(|(_, text)| text.as_bytes().to_vec()).collect();
    drive(&seeds, bodies::check_header);
}

#[test]
fn dumps() {
    let mut archive = b"PGDMP\x01\x0e\x00\x04\x08\x01".to_vec();
    archive.extend([0; 45]);
    archive.extend(b"\x00\x09\x00\x00\x00evolution\x00\x05\x00\x00\x0015.14\x00\x05\x00\x00\x0015.14");
    let plain = "--\n-- PostgreSQL database dump\n-- Dumped from database version 15.14\nSET x = 'a\\';\nCREATE FUNCTION f() RETURNS int \
                 LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END;\nCOPY public.\"Chat\" (id) FROM stdin;\na\\tb\n\\.\n\
                 SELECT $a$;$a$, U&\"x\" /* ; /* */ */;\n\\connect x\n";
    drive(&[archive, plain.as_bytes().to_vec()], bodies::dump);
}

#[test]
fn log_lines() {
    drive(
        &texts(&[
            r#"203.0.113.7 - - [21/Nov/2026:03:59:12 +0000] "GET /instance/connect/a%20b?apikey=x HTTP/1.1" 404 91 "-" "n8n \"x\"""#,
            r#"{"ClientHost":"203.0.113.7","DownstreamStatus":404,"RequestMethod":"GET","RequestPath":"/instance/connect/a"}"#,
            r#"{"ts":1795233552.5,"request":{"remote_ip":"203.0.113.7","method":"GET","uri":"/instance/connect/a"},"status":404}"#,
        ]),
        bodies::log_line,
    );
}
