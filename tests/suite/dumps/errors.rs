//! Files that are not dumps, or cannot be restored here, get an exact error.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::{Dumps, gzip, snapshot, with_snapshot};
use crate::support::database::{TestDatabase, execute};

#[test]
fn a_file_that_is_not_a_dump_is_identified() {
    let dumps = Dumps::new();
    let check = ["check"];
    for (name, content, expected) in [
        ("empty.sql", &b""[..], "empty.sql is empty"),
        ("empty.sql.gz", &gzip(b""), "empty.sql.gz is empty"),
        ("mysql.sql", b"-- MySQL dump 10.13\n/*!40101 SET NAMES utf8 */;\n", "is a dump of MySQL or MariaDB"),
        ("notes.txt", b"Dear all,\nthe dump is late.\n", "is not a dump of a Postgres database"),
        ("talk.txt", b"select the best offer\nfrom us\n", "is a dump that is cut off"),
        ("talk2.txt", b"select the best offer;\n", "the server accepted none of its statements"),
        ("image.png", b"\x89PNG\r\n\x1a\n\0\0", "is not a dump of a Postgres database"),
    ] {
        let path = dumps.write(name, content);
        snapshot(&path, &check).ends(2).complains(&[expected, "next: "]);
    }
    snapshot(&dumps.path("missing"), &check).ends(2).complains(&["missing cannot be read: No such file"]);
    let folder = dumps.path("folder");
    fs::create_dir(&folder).unwrap();
    snapshot(&folder, &check).ends(2).complains(&["holds no toc.dat"]);
    fs::write(folder.join("PG_VERSION"), "15").unwrap();
    snapshot(&folder, &check).ends(2).complains(&["is a server's data directory"]);
}

#[test]
fn another_tar_archive_is_recognised() {
    let dumps = Dumps::new();
    dumps.write("file", "content");
    let tar = dumps.path("a.tar");
    let made = Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(dumps.path(".")).arg("file").status();
    assert!(made.unwrap().success());
    snapshot(&tar, &["check"]).ends(2).complains(&["not one that pg_dump -Ft made", "tar xf"]);
}

#[tokio::test]
async fn a_dump_that_is_cut_off_is_not_examined() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let dumps = Dumps::new();
    let plain = fs::read(dumps.dump(&database, "plain.sql", &[])).unwrap();
    let custom = fs::read(dumps.dump(&database, "custom", &["-Fc"])).unwrap();
    let packed = gzip(&plain);
    let cut = |bytes: &[u8], numerator: usize| bytes[..bytes.len() * numerator / 10].to_vec();
    for (name, bytes) in [
        ("cut.sql", cut(&plain, 9)),
        ("in-a-statement.sql", cut(&plain, 2)),
        ("cut.sql.gz", cut(&packed, 5)),
        ("cut.sql.zst", cut(&zstd::encode_all(&plain[..], 1).unwrap(), 5)),
        ("cut.custom", cut(&custom, 9)),
        ("head.custom", custom[..2000].to_vec()),
        ("magic.custom", custom[..7].to_vec()),
        ("cut.custom.gz", cut(&gzip(&custom), 5)),
    ] {
        let path = dumps.write(name, bytes);
        snapshot(&path, &["check"])
            .ends(2)
            .complains(&[&format!("{name} is a dump that is cut off or damaged")]);
    }
}

#[tokio::test]
async fn a_dump_without_evolutions_tables_says_what_it_holds() {
    let database = TestDatabase::empty().await;
    let sql =
        "CREATE SCHEMA shop; CREATE TABLE shop.goods (id int PRIMARY KEY); CREATE TABLE public.t (a int)";
    execute(&mut database.connect().await, sql).await;
    let dumps = Dumps::new();
    let dump = dumps.dump(&database, "shop.dump", &["-Fc"]);
    snapshot(&dump, &["check"])
        .ends(2)
        .complains(&["shop.dump holds no Evolution tables: it holds tables in \"public\", \"shop\" only"]);
    let evolution = TestDatabase::new("2.3.7", "evolution_api").await;
    for (name, options) in [("rows.dump", &["-Fc", "-a"][..]), ("rows.sql", &["-a"])] {
        let dump = dumps.dump(&evolution, name, options);
        snapshot(&dump, &["check"]).ends(2).complains(&["rows only and no tables"]);
    }
    let dump = dumps.dump(&evolution, "evolution.dump", &["-Fc"]);
    snapshot(&dump, &["check", "--schema", "public"]).ends(2).complains(&["they are in \"evolution_api\""]);
}

#[tokio::test]
async fn a_dump_of_a_newer_server_says_what_to_install() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let dumps = Dumps::new();
    let newer = |text: &[u8], from: &str| {
        let text = String::from_utf8_lossy(text).into_owned();
        let version = text.find(from).map(|at| at + from.len()).unwrap();
        (version, version + 2)
    };
    let mut plain = fs::read(dumps.dump(&database, "plain.sql", &[])).unwrap();
    let (start, end) = newer(&plain, "Dumped from database version ");
    plain[start..end].copy_from_slice(b"99");
    let mut custom = fs::read(dumps.dump(&database, "custom", &["-Fc"])).unwrap();
    // The database's name, then the length of the server's version in a sign and four bytes, then the version.
    let name = database.name().as_bytes();
    let start = memchr::memmem::find(&custom, name).unwrap() + name.len() + 5;
    custom[start..start + 2].copy_from_slice(b"99");
    for (name, bytes) in [("newer.sql", plain), ("newer.dump", custom)] {
        let path = dumps.write(name, bytes);
        let complaint = format!("{name} comes from PostgreSQL 99; the newest here is ");
        snapshot(&path, &["check"]).ends(2).complains(&[&complaint, "install", "99"]);
    }
}

#[tokio::test]
async fn without_programs_it_says_what_to_install() {
    let dumps = Dumps::new();
    let dump = dumps.write("some.sql", "SET a = 1;\n");
    let run = with_snapshot(&dump, &["check"]).env("EVODOCTOR_PG_BIN", dumps.path("."));
    run.run().ends(2).complains(&["holds no initdb and postgres", "next:"]);
}

#[tokio::test]
async fn a_full_disk_is_detected_before_the_restore() {
    let dumps = Dumps::new();
    let dump = dumps.write("some.sql", "SET a = 1;\n");
    let small = dumps.path("small");
    fs::create_dir(&small).unwrap();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=32m,mode=1777", "tmpfs"]).arg(&small).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this user may not mount a small filesystem");
        return;
    }
    for folder in [dumps.path("."), small.clone()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o1777)).unwrap();
    }
    let run = with_snapshot(&dump, &["check"]).env("TMPDIR", &small).run();
    assert!(Command::new("umount").arg(&small).status().unwrap().success());
    run.ends(2).complains(&["restoring some.sql takes about 160 MB", "has 32 MB free", "TMPDIR="]);
}
