//! Nothing stays behind: not of a run that is interrupted, and not of one that died with its guard.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use evodoctor::database::scratch_server::{ScratchServer, ScratchServerOptions};

use super::{Dumps, with_snapshot};
use crate::support::program::ended;

/// A folder of this test's own that every user may enter.
fn place() -> tempfile::TempDir {
    let place =
        tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o1777)).tempdir_in("/tmp").unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    place
}

fn servers(place: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.join("owner").exists()).collect()
}

#[tokio::test]
async fn an_interrupted_restore_leaves_nothing() {
    let (place, dumps) = (place(), Dumps::new());
    let dump = dumps.write("slow.sql", "SELECT pg_sleep(3600);\n");
    let run = with_snapshot(&dump, &["check"]).env("TMPDIR", place.path()).spawn();
    let directory = loop {
        if let [only] = servers(place.path()).as_slice() {
            break only.clone();
        }
        thread::sleep(Duration::from_millis(10));
    };
    assert!(Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap().success());
    ended(run).ends(2).complains(&["interrupted"]);
    assert!(!directory.exists());
}

#[tokio::test]
async fn leftovers_of_a_dead_run_are_removed_and_nothing_else() {
    let place = place();
    let make = |name: &str, mode: u32, is_marked: bool| {
        let path = place.path().join(name);
        fs::create_dir(&path).unwrap();
        if is_marked {
            File::create(path.join("owner")).unwrap();
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let left = make("evodoctor-left01", 0o700, true);
    fs::create_dir_all(left.join("data/base")).unwrap();
    let precious = make("precious", 0o700, true);
    let unmarked = make("evodoctor-other1", 0o700, false);
    let open = make("evodoctor-open01", 0o755, true);
    let alive = make("evodoctor-alive1", 0o700, false);
    let lock = File::create(alive.join("owner")).unwrap();
    lock.lock().unwrap();
    let link = place.path().join("evodoctor-link01");
    symlink(&precious, &link).unwrap();
    let inner = make("evodoctor-inner1", 0o700, false);
    symlink(precious.join("owner"), inner.join("owner")).unwrap();
    let options =
        || ScratchServerOptions { parent: Some(place.path().to_owned()), ..ScratchServerOptions::default() };
    let first = ScratchServer::start(options()).await.unwrap();
    let second = ScratchServer::start(options()).await.unwrap();
    assert!(!left.exists(), "what a dead run left is still there");
    for kept in
        [&precious.join("owner"), &unmarked, &open, &alive, &link, &inner, &first.directory().to_owned()]
    {
        assert!(kept.exists(), "{} is gone", kept.display());
    }
    drop((first, second));
}
