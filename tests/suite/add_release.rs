//! Adds a release of Evolution API to the facts: what is new in its migrations is run on a throwaway server, and what changes in
//! the catalog is written into `src/evolution/facts/`. `src/evolution/facts/README.md` says when and how.

mod catalog;
mod releases_file;
mod schema_file;
mod steps;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use evodoctor::database::release_schema::create_release_schema;
use evodoctor::evolution::release::Release;
use evodoctor::text::hex::encode_hex;
use sha2::{Digest, Sha256};

use crate::support::database::{TestDatabase, execute};
use releases_file::ReleasesFile;
use schema_file::SchemaFile;

/// What is said of the release by whoever adds it.
struct NewRelease<'r> {
    version: &'r str,
    /// When it came out, as `2026-05-17`.
    date: &'r str,
    is_stable: bool,
    /// What its server needs to start, such as `licence`.
    requires: Option<&'r str>,
    /// The release before it, whose facts are there.
    previous: Release,
    /// A folder with Prisma's migrations, one folder each.
    migrations: &'r Path,
}

/// The files that the program writes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    releases: String,
    schema: String,
    migrations: String,
}

/// One migration of the folder.
struct MigrationFile {
    name: String,
    sha256: String,
    sql: String,
}

fn facts_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/evolution/facts")
}

impl Facts {
    fn read(folder: &Path) -> Self {
        let text = |name: &str| fs::read_to_string(folder.join(name)).expect("a file of the facts");
        Self {
            releases: text("releases.json"),
            schema: text("schema.json"),
            migrations: text("migrations.json"),
        }
    }

    fn write(&self, folder: &Path) {
        let files = [
            ("releases.json", &self.releases),
            ("schema.json", &self.schema),
            ("migrations.json", &self.migrations),
        ];
        for (name, text) in files {
            fs::write(folder.join(name), text).expect("the facts can be written");
        }
    }
}

/// The migrations of a folder in the order in which Prisma applies them.
fn migration_files(folder: &Path) -> Vec<MigrationFile> {
    let folders = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<MigrationFile> = folders
        .map(|entry| entry.expect("a folder entry").path())
        .filter(|path| path.is_dir())
        .map(|path| {
            let file = path.join("migration.sql");
            let sql = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            MigrationFile { name, sha256: encode_hex(&Sha256::digest(&sql)), sql }
        })
        .collect();
    files.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(!files.is_empty(), "{} holds no migration", folder.display());
    files
}

/// The facts with a release added, and what a person has to decide.
async fn add_release(facts: &Facts, release: &NewRelease<'_>) -> (Facts, Vec<String>) {
    let mut decide = Vec::new();
    let mut releases = ReleasesFile::parse(&facts.releases);
    releases.add_release(release);
    let files = migration_files(release.migrations);
    let mut pending = Vec::new();
    for file in &files {
        match releases.content_of(&file.name, release.previous) {
            None => pending.push(file),
            Some(sha256) if sha256 == file.sha256 => {}
            Some(_) => {
                releases.change_content(&file.name, &file.sha256, release);
                decide.push(format!(
                    "{}: its content has changed; see whether its steps in migrations.json still hold, \
                     and keep the old file of the fixtures in fixtures/migrations_before/{}",
                    file.name, release.version
                ));
            }
        }
    }

    // A folder of new migrations alone says nothing of the others.
    if files.len() > pending.len() {
        let is_missing = |name: &str| !files.iter().any(|file| file.name == name);
        let missing = release.previous.migrations().filter(|migration| is_missing(&migration.name));
        decide.extend(missing.map(|migration| {
            format!("{}: not in the folder; was it withdrawn? Then move it in releases.json", migration.name)
        }));
    }

    let database = TestDatabase::empty().await;
    let mut connection = database.connect().await;
    create_release_schema(&mut connection, "public", release.previous).await.expect("the facts can be built");
    let mut migrations = facts.migrations.clone();
    for file in &pending {
        releases.add_migration(&file.name, &file.sha256, release.version);
        // A drop names no table: it is looked up before it is gone.
        let before = catalog::Catalog::read(&mut connection).await;
        let (read, unread) = steps::steps(&file.sql, &before);
        migrations = steps::append(&migrations, &file.name, &read);
        decide.extend(unread.into_iter().map(|statement| format!("{}: {statement}", file.name)));
        decide.push(format!(
            "{0}: write fixtures/migrations/{0}/migration.sql with the same effect, in words of your own",
            file.name
        ));
        execute(&mut connection, &file.sql).await;
    }

    let mut schema = SchemaFile::parse(&facts.schema);
    let after = catalog::Catalog::read(&mut connection).await;
    decide.extend(schema.update(&after, release.previous, release.version));
    let facts = Facts { releases: releases.render(), schema: schema.render(), migrations };
    (facts, decide)
}

/// Not a test: adds the release that the environment names to the facts of this project.
#[tokio::test]
#[ignore = "writes src/evolution/facts; see the README there"]
async fn write() {
    let variable = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let (version, date) = (variable("NEW_RELEASE"), variable("NEW_RELEASE_DATE"));
    let requires = env::var("NEW_RELEASE_REQUIRES").ok();
    let migrations = PathBuf::from(variable("NEW_RELEASE_MIGRATIONS"));
    let release = NewRelease {
        version: &version,
        date: &date,
        is_stable: !version.contains('-'),
        requires: requires.as_deref(),
        previous: Release::newest(),
        migrations: &migrations,
    };
    let (facts, decide) = add_release(&Facts::read(&facts_folder()), &release).await;
    facts.write(&facts_folder());
    println!("{version} is in src/evolution/facts. What a person has to decide:");
    decide.iter().for_each(|line| println!("- {line}"));
}

/// Without the newest releases the facts are those of an older program; adding them again gives the same files.
#[tokio::test]
async fn the_newest_releases_are_derived_again() {
    let current = Facts::read(&facts_folder());
    let previous = Release::find("2.3.7").expect("known");
    let newer: Vec<Release> = Release::all().filter(|release| *release > previous).collect();
    assert!(newer.len() >= 2, "{newer:?}");
    let mut facts = releases_file::tests::without(&current, previous, &newer);
    assert!(newer.iter().all(|release| !facts.schema.contains(&release.to_string())));

    let mut expected = current.clone();
    for release in &newer {
        let migrations = tempfile::tempdir().expect("a folder");
        // What a release ships is everything up to then; the files of the fixtures have the effect of upstream's, not the bytes.
        for migration in release.migrations().filter(|migration| migration.since() > previous) {
            let from =
                Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/migrations").join(&migration.name);
            let to = migrations.path().join(&migration.name);
            fs::create_dir(&to).expect("a folder");
            fs::copy(from.join("migration.sql"), to.join("migration.sql")).expect("a file of the fixtures");
            let sql = fs::read(to.join("migration.sql")).expect("a file of the fixtures");
            let upstream = migration.checksum_in(*release).expect("a checksum");
            expected.releases = expected.releases.replace(upstream, &encode_hex(&Sha256::digest(sql)));
        }
        let position = Release::all().position(|other| other == *release).expect("known");
        let known = releases_file::tests::said_of(&current.releases, release.version());
        let added = NewRelease {
            version: release.version(),
            date: &known.date,
            is_stable: known.is_stable,
            requires: known.requires.as_deref(),
            previous: Release::all().nth(position - 1).expect("there is one before"),
            migrations: migrations.path(),
        };
        let (next, decide) = add_release(&facts, &added).await;
        if *release == newer[0] {
            assert!(decide.iter().any(|line| line.contains("RuntimeConfig.value")), "{decide:#?}");
            assert!(decide.iter().any(|line| line.contains("fixtures/migrations/")), "{decide:#?}");
        } else {
            // The folder of the test holds the newest migrations only.
            let is_of_folder = |line: &String| line.contains("not in the folder");
            assert!(!decide.is_empty() && decide.iter().all(is_of_folder), "nothing is new: {decide:#?}");
        }
        facts = next;
    }
    assert_eq!(facts.releases, expected.releases);
    assert_eq!(facts.schema, expected.schema);
    assert_eq!(facts.migrations, expected.migrations);
}
