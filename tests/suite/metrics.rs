//! Promise: a run becomes figures that Prometheus's own node exporter reads, also one that failed, and no half of a file.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::fixtures::Fixture;
use crate::support::program::{evodoctor, on};

/// Debian's node exporter on a folder, on a port that the system chooses.
struct Exporter {
    child: Child,
    address: String,
}

impl Exporter {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new("prometheus-node-exporter")
            .args([
                "--collector.disable-defaults",
                "--collector.textfile",
                "--web.listen-address=127.0.0.1:0",
            ])
            .arg(format!("--collector.textfile.directory={}", folder.display()))
            .stderr(Stdio::piped())
            .spawn()
            .expect("prometheus-node-exporter is installed by tests/setup.sh");
        let mut said = BufReader::new(child.stderr.take().expect("piped")).lines();
        let listens = |line: &String| line.contains("127.0.0.1:");
        let line = said.by_ref().map_while(Result::ok).find(listens).expect("it says where it listens");
        let at = line.find("127.0.0.1:").expect("found");
        let end = line[at..].find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':'));
        let address = line[at..end.map_or(line.len(), |end| at + end)].to_owned();
        // The pipe's reader has gone, and the program must not wait for it.
        std::thread::spawn(move || said.map_while(Result::ok).for_each(drop));
        Self { child, address }
    }

    /// What Prometheus would read: value by name and labels.
    fn scrape(&self) -> BTreeMap<String, f64> {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("UTF-8");
        assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
        let samples = answer.lines().filter(|line| !line.starts_with('#'));
        let pair = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        samples.filter_map(pair).collect()
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn the_node_exporter_reads_the_metrics() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("evodoctor.prom");
    let baseline = folder.path().join("baseline.json");
    let path = file.to_str().expect("UTF-8");
    fs::write(&baseline, "{\"evodoctor_baseline\": 1, \"findings\": []}").expect("writable");
    let known = ["--baseline", baseline.to_str().expect("UTF-8")];
    let arguments = ["check", "--select", "EVO101,EVO104", "--format", "json", "--metrics", path];
    let report = on(&database.url(), &[&arguments[..], &known].concat()).ends(1).json();
    assert_eq!(fs::metadata(&file).expect("written").permissions().mode() & 0o777, 0o644);
    let left: Vec<_> = fs::read_dir(folder.path()).expect("readable").collect();
    assert_eq!(left.len(), 2, "a file that was begun is left behind: {left:?}");

    let exporter = Exporter::start(folder.path());
    let read = exporter.scrape();
    assert_eq!(read["node_textfile_scrape_error"], 0.0);
    let text = |name: &str| report["database"][name].as_str().expect("text");
    // Prometheus's own library sorts the labels.
    let value = |name: &str, code: &str, more: &str| {
        let labels = format!(
            "{code}command=\"check\",database=\"{}\",schema=\"evolution_api\",server=\"{}\"{more}",
            text("name"),
            text("host")
        );
        let mut parts: Vec<&str> = labels.split(',').collect();
        parts.sort_unstable();
        read.get(&format!("{name}{{{}}}", parts.join(","))).copied()
    };
    let findings = report["findings"].as_array().expect("a list");
    let errors = findings.iter().filter(|finding| finding["severity"] == "error").count();
    let rows: i64 = findings.iter().filter_map(|finding| finding["count"].as_i64()).sum();
    assert!(errors > 0 && rows > 0);
    #[allow(clippy::cast_precision_loss)]
    let (errors, rows, all) = (errors as f64, rows as f64, findings.len() as f64);
    assert_eq!(value("evodoctor_findings", "code=\"EVO101\",", ",severity=\"error\""), Some(errors));
    assert_eq!(
        value("evodoctor_findings", "code=\"EVO104\",", ",severity=\"error\""),
        Some(0.0),
        "an alarm can end"
    );
    assert_eq!(value("evodoctor_finding_rows", "code=\"EVO101\",", ""), Some(rows));
    assert_eq!(value("evodoctor_findings_new", "", ""), Some(all));
    assert_eq!(value("evodoctor_check_undecided", "code=\"EVO101\",", ""), Some(0.0));
    assert!(value("evodoctor_check_duration_seconds", "code=\"EVO101\",", "").is_some());
    assert_eq!(read["evodoctor_run_exit_code{command=\"check\"}"], 1.0);
    assert!(read["evodoctor_run_timestamp_seconds{command=\"check\"}"] > 1.7e9);
    assert!(read.keys().any(|name| name.contains("release_from=\"2.1.1\"")), "{read:#?}");

    // The same file after a run that failed: nothing of the one before stays.
    on("postgresql://nobody@127.0.0.1:1/x", &["check", "--metrics", path]).ends(2);
    let read = exporter.scrape();
    assert_eq!(
        (read["node_textfile_scrape_error"], read["evodoctor_run_exit_code{command=\"check\"}"]),
        (0.0, 2.0)
    );
    assert!(!read.keys().any(|name| name.starts_with("evodoctor_findings")), "{read:#?}");

    // Another command's file beside it is not a second sample of the same.
    let other = folder.path().join("logs.prom");
    let log = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/logs/nginx-combined.log");
    evodoctor(&["logs", log, "--metrics", other.to_str().expect("UTF-8")]).ends(1);
    on(&database.url(), &["check", "--select", "EVO101", "--metrics", path]).ends(1);
    let read = exporter.scrape();
    assert_eq!(read["node_textfile_scrape_error"], 0.0);
    assert_eq!(read["evodoctor_run_exit_code{command=\"logs\"}"], 1.0);
    assert_eq!(read["evodoctor_run_exit_code{command=\"check\"}"], 1.0);
}

#[test]
fn a_file_that_is_not_collected_is_refused_before_any_work() {
    let folder = TempDir::new().expect("a folder");
    let refuses = |arguments: &[&str], words: &[&str]| {
        on("postgresql://nobody@127.0.0.1:1/x", arguments).ends(2).complains(words);
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 0, "something was written");
    };
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    refuses(&["check", "--metrics", &path("a.txt")], &["only files that end in .prom", "a.prom"]);
    refuses(&["check", "--metrics", &path("none/a.prom")], &["not a file in an existing folder"]);
    refuses(&["fix", "--metrics", &path("a.prom")], &["fix writes no metrics"]);
}
