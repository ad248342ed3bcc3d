//! `cargo bench --bench logs`: `evodoctor logs` beside what a person would otherwise run on the same files, in one go.
//!
//! Writes logs of `EVODOCTOR_BENCH_BYTES` (1 GB each, unless told otherwise) under the target directory, and prints a
//! markdown table: the median of several runs from the page cache, and each time as a multiple of the first of its log.
//! At the end other forms of logs are beside combined.

mod generate;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use std::{env, fs};

use generate::Form;

const RUNS: usize = 5;

/// What takes longer than this, in seconds, is run once.
const SLOW: f64 = 15.0;

/// The last segment of the path, counted per client and status.
const AWK: &str = r#"{ split($7, path, "?"); n = split(path[1], part, "/"); count[$1 " " part[n] " " $9]++ }
END { for (key in count) print count[key], key }"#;

const JQ: &str =
    r#"select(.DownstreamStatus == 404) | [.ClientHost, .RequestPath, .DownstreamStatus, .StartUTC] | @tsv"#;

const AGRIND: &str =
    "* | json | where DownstreamStatus == 404 | count by ClientHost, RequestPath, DownstreamStatus";

/// Forms that are held against combined: name, file, form.
const OTHERS: [(&str, &str, Form); 4] = [
    ("docker compose, combined", "compose.log", Form::Compose),
    ("Nginx Proxy Manager", "npm.log", Form::NginxProxyManager),
    ("Gin", "gin.log", Form::Gin),
    ("Fastify, two lines a request", "fastify.log", Form::Fastify),
];

fn main() {
    let bytes: u64 =
        env::var("EVODOCTOR_BENCH_BYTES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000_000);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench-logs");
    fs::create_dir_all(&folder).expect("the target directory can be written");
    let at = |name: &str| folder.join(name).display().to_string();
    prepare(&folder, bytes);

    let doctor = env!("CARGO_BIN_EXE_evodoctor").to_owned();
    let logs = |log: &str| {
        vec![
            doctor.clone(),
            "logs".into(),
            at(log),
            "--instances".into(),
            at("instances.json"),
            "--format".into(),
            "json".into(),
        ]
    };
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    println!("| log | tool | GB/s | median s | × the first |");
    println!("|---|---|---|---|---|");
    race(
        "combined",
        &at("combined.log"),
        bytes,
        &[
            ("evodoctor logs", logs("combined.log")),
            ("rg -F -f ids", words(&["rg", "-F", "-c", "-f", &at("ids"), &at("combined.log")])),
            (
                "grep -F -f ids",
                words(&["env", "LC_ALL=C", "grep", "-F", "-c", "-f", &at("ids"), &at("combined.log")]),
            ),
            ("mawk, last segment", words(&["mawk", AWK, &at("combined.log")])),
            (
                "goaccess",
                words(&[
                    "goaccess",
                    &at("combined.log"),
                    "--log-format=COMBINED",
                    "-o",
                    &at("goaccess.json"),
                    "--no-progress",
                ]),
            ),
        ],
    );
    race(
        "Traefik JSON",
        &at("traefik.json"),
        bytes,
        &[
            ("evodoctor logs", logs("traefik.json")),
            ("jq", words(&["jq", "-rR", &format!("fromjson? | {JQ}"), &at("traefik.json")])),
            ("angle-grinder", words(&["agrind", "-f", &at("traefik.json"), AGRIND])),
        ],
    );
    race(
        "combined, gzip",
        &at("combined.log"),
        bytes,
        &[
            ("evodoctor logs", logs("combined.log.gz")),
            ("zcat", words(&["zcat", &at("combined.log.gz")])),
            ("zcat \\| wc -l", words(&["sh", "-c", &format!("zcat {} | wc -l", at("combined.log.gz"))])),
        ],
    );
    // All of one size, so that times tell rates: other forms are to be read at a third of combined's.
    let forms: Vec<(&str, Vec<String>)> = OTHERS.iter().map(|(name, file, _)| (*name, logs(file))).collect();
    let forms = [vec![("combined", logs("combined.log"))], forms].concat();
    race("other forms", &at("combined.log"), bytes, &forms);
}

fn prepare(folder: &Path, bytes: u64) {
    let missing = |name: &str| fs::metadata(folder.join(name)).map_or(true, |file| file.len() < bytes);
    fs::write(folder.join("ids"), generate::ids()).expect("ids are written");
    fs::write(folder.join("instances.json"), generate::instances()).expect("instances are written");
    let others = OTHERS.into_iter().map(|(_, name, form)| (name, form));
    for (name, form) in
        [("combined.log", Form::Combined), ("traefik.json", Form::Traefik)].into_iter().chain(others)
    {
        if missing(name) {
            generate::log(&folder.join(name), form, bytes).expect("a log is written");
        }
    }
    let packed = folder.join("combined.log.gz");
    if !packed.exists() {
        let log = folder.join("combined.log");
        let status = Command::new("gzip").arg("-k").arg("-f").arg(log).status().expect("gzip runs");
        assert!(status.success());
    }
}

/// A file for what nobody reads: grep sees a null device, and stops at its first match.
fn sink() -> File {
    File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-logs/output"))
        .expect("a file can be written")
}

/// Runs each command in turn, several times, and prints a row for each.
fn race(log: &str, file: &str, bytes: u64, tools: &[(&str, Vec<String>)]) {
    let size = fs::metadata(file).map_or(bytes, |file| file.len()) as f64;
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); tools.len()];
    for run in 0..=RUNS {
        for (at, (_, command)) in tools.iter().enumerate() {
            // Of what takes long, one run tells enough.
            if times[at].first().is_some_and(|&first| first > SLOW) {
                continue;
            }
            let begun = Instant::now();
            let status =
                Command::new(&command[0]).args(&command[1..]).stdout(sink()).stderr(Stdio::null()).status();
            let seconds = begun.elapsed().as_secs_f64();
            // 1: evodoctor has findings, grep no match.
            let worked = status.is_ok_and(|status| matches!(status.code(), Some(0 | 1)));
            // The first run warms up.
            if worked && (run > 0 || seconds > SLOW) {
                times[at].push(seconds);
            }
        }
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied()
    };
    let medians: Vec<Option<f64>> = times.iter_mut().map(median).collect();
    for ((name, _), seconds) in tools.iter().zip(&medians) {
        match (seconds, medians[0]) {
            (Some(seconds), Some(own)) => {
                println!(
                    "| {log} | {name} | {:.2} | {seconds:.2} | {:.2} |",
                    size / seconds / 1e9,
                    seconds / own
                );
            }
            _ => println!("| {log} | {name} | – | not installed | – |"),
        }
    }
}
