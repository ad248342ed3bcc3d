//! Folders that are none of upstream's migrations, or not all of them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use serde_json::json;

use super::{SCHEMA, live, rehearsed};
use crate::support::checkout::Checkout;
use crate::support::database::{TestDatabase, execute};
use crate::support::program::on;

#[tokio::test]
async fn folders_that_hold_no_migrations_say_what_to_give() {
    let database = TestDatabase::new("2.3.7", SCHEMA).await;
    let refused = |path: &Path, texts: &[&str]| {
        on(&database.url(), &live(path, &[])).ends(2).complains(texts);
    };
    let empty = tempfile::tempdir().expect("a folder");
    refused(empty.path(), &["holds no migrations", "prisma/postgresql-migrations"]);
    refused(&empty.path().join("none"), &["cannot be read", "No such file"]);
    let file = empty.path().join("file");
    fs::write(&file, "SELECT 1;").expect("a file");
    refused(&file, &["is not a folder"]);
    symlink(empty.path().join("loop"), empty.path().join("loop")).expect("a link");
    refused(&empty.path().join("loop"), &["cannot be read", "symbolic links"]);

    let mysql = Checkout::empty().with("20240101000000_init", "CREATE TABLE `Instance` (`id` VARCHAR(191));");
    refused(mysql.root(), &["are for mysql, and this is PostgreSQL", "postgresql-migrations"]);
    fs::write(mysql.migrations().join("migration_lock.toml"), "provider = \"mysql\"\n").expect("a file");
    refused(&mysql.migrations(), &["are for mysql"]);
    fs::rename(mysql.migrations(), mysql.root().join("prisma/mysql-migrations")).expect("a folder");
    refused(mysql.root(), &["are for mysql"]);

    let lacking = Checkout::of("2.3.7");
    fs::create_dir(lacking.migrations().join("20990101000000_lacking")).expect("a folder");
    refused(lacking.root(), &["20990101000000_lacking/migration.sql cannot be read", "P3015"]);
    let looping = Checkout::of("2.3.7");
    let link = looping.migrations().join("20990101000000_loop");
    symlink(&link, &link).expect("a link");
    refused(looping.root(), &["20990101000000_loop cannot be read", "symbolic links"]);
    let binary = Checkout::of("2.3.7").with("20990101000000_binary", b"SELECT '\xff';");
    refused(binary.root(), &["is not UTF-8"]);
    let piped = Checkout::of("2.3.7");
    fs::create_dir_all(piped.migrations().join("20990101000000_folder/migration.sql")).expect("a folder");
    refused(piped.root(), &["is not a file"]);

    // Root reads everything.
    if !rustix::process::geteuid().is_root() {
        let closed = Checkout::of("2.3.7").with("20990101000000_closed", "SELECT 1;");
        let path = closed.migrations().join("20990101000000_closed/migration.sql");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("permissions");
        refused(closed.root(), &["cannot be read", "as another user"]);
    }
}

#[tokio::test]
async fn a_folder_of_an_older_release_is_refused_and_a_history_is_needed() {
    let database = TestDatabase::new("2.3.7", SCHEMA).await;
    let checkout = Checkout::of("2.2.3");
    on(&database.url(), &live(checkout.root(), &[]))
        .ends(2)
        .complains(&["2.2.3 is older", "migrations cannot be reverted"]);
    execute(&mut database.connect().await, "DROP TABLE evolution_api._prisma_migrations").await;
    let report = rehearsed(&database, &Checkout::of("2.3.7")).ends(1).json();
    assert_eq!(report["preflight"]["rehearsal"]["files"], json!([]));
    assert_eq!(report["findings"][0]["code"], "EVO302");
}
