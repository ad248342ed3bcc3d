//! The disk is full: on a small tablespace of its own, in memory.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use evodoctor::database::release_schema::create_release_schema;
use evodoctor::evolution::release::Release;
use sqlx::PgConnection;

use super::interrupted_runs::FIX;
use crate::support::database::execute;
use crate::support::database_dump::state;
use crate::support::fixtures::Fixture;
use crate::support::killable_server::Mortal;
use crate::support::program::on;

/// A small disk. Gone with this value.
struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Only root may have one.
    fn mount(parent: &Path, megabytes: u32) -> Option<Self> {
        let path = parent.join("disk");
        fs::create_dir(&path).ok()?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(&path)
            .output();
        mounted.is_ok_and(|done| done.status.success()).then_some(Self { path })
    }

    /// Leaves so many bytes of room.
    fn fill(&self, room: u64) {
        let output = Command::new("df").args(["-P", "-B1"]).arg(&self.path).output().expect("df is there");
        let text = String::from_utf8(output.stdout).expect("text");
        let free: u64 = text
            .lines()
            .nth(1)
            .and_then(|line| line.split_whitespace().nth(3))
            .expect("a table")
            .parse()
            .expect("a number");
        fs::write(self.path.join("filler"), vec![1; usize::try_from(free - room).expect("small")])
            .expect("it fits");
    }

    fn empty(&self) {
        fs::remove_file(self.path.join("filler")).expect("written above");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

async fn now(connection: &mut PgConnection) -> String {
    state(connection, &["evodoctor"]).await
}

#[tokio::test]
async fn a_full_disk_changes_nothing_and_is_reported() {
    let server = Mortal::start().await;
    let Some(disk) = Disk::mount(server.directory(), 96) else {
        eprintln!("\n*** NOT TESTED: a small disk of its own needs root, and the right to mount it ***\n");
        return;
    };
    let owner = server.directory().metadata().expect("it is there");
    let place = disk.path.join("tables");
    fs::create_dir(&place).expect("made");
    fs::set_permissions(&disk.path, fs::Permissions::from_mode(0o755)).expect("ours");
    chown(&place, Some(owner.uid()), Some(owner.gid())).expect("root may");
    let mut admin = server.connect("postgres").await;
    execute(&mut admin, &format!("CREATE TABLESPACE small LOCATION '{}'", place.display())).await;
    execute(&mut admin, "CREATE DATABASE patient TABLESPACE small").await;
    let mut connection = server.connect("patient").await;
    let fixture = Fixture::read("EVO101_orphaned_reference", "bad");
    let release = Release::find(&fixture.release).expect("known");
    create_release_schema(&mut connection, "evolution_api", release).await.expect("made");
    fixture.fill(&mut connection, "evolution_api").await;
    execute(
        &mut connection,
        r#"SET session_replication_role = replica;
        INSERT INTO evolution_api."MessageUpdate"
            ("id", "keyId", "remoteJid", "fromMe", "status", "messageId", "instanceId")
            SELECT 'many' || n, 'k', repeat('jid', 30), true, 'READ', 'gone' || n, 'i1' FROM generate_series(1, 15000) AS n;
        SET session_replication_role = origin; CHECKPOINT"#,
    )
    .await;
    let url = format!("postgresql://postgres@localhost/patient?host={}", server.directory().display());
    let before = now(&mut connection).await;
    // Room for the beginning, not for all that the quarantine is to hold.
    disk.fill(2 * 1024 * 1024);
    on(&url, &FIX).ends(2).complains(&[
        "the server's disk is full",
        "nothing has been changed",
        "free disk space",
    ]);
    on(&url, &["check"]).ends(1);
    // To read all of it the server may need room of its own.
    disk.empty();
    assert_eq!(now(&mut connection).await, before);
    on(&url, &FIX).ends(0);
    let after = now(&mut connection).await;
    assert_ne!(after, before);

    disk.fill(256 * 1024);
    on(&url, &["undo", "1", "--apply"])
        .ends(2)
        .complains(&["the server's disk is full", "nothing has been changed"]);
    disk.empty();
    assert_eq!(now(&mut connection).await, after);
    on(&url, &["undo", "1", "--apply"]).ends(0);
    assert_eq!(now(&mut connection).await, before);
}
