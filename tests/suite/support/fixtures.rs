//! The databases under `fixtures/databases/`: per check one that shows the failure and one that does not.

use std::fs;
use std::path::Path;

use evodoctor::database::sql_file::{SqlFile, Variables, embedded_file, render};
use sqlx::{AssertSqlSafe, Executor, PgConnection};

use super::database::TestDatabase;

/// A fixture file.
pub struct Fixture {
    /// The release that the database is of.
    pub release: String,
    /// The release to upgrade to, for hazards.
    pub to: Option<String>,
    /// What the check finds in it.
    pub finds: Vec<Expected>,
    statements: Vec<String>,
}

/// One finding, as the header of a fixture says it: `-- finds: KEY, COUNT, SEVERITY[, manual]`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expected {
    /// The finding's key.
    pub key: String,
    /// Its count.
    pub count: i64,
    /// Its severity.
    pub severity: String,
    /// True if its fix is left to a person.
    pub is_manual: bool,
}

impl Fixture {
    /// Reads `fixtures/databases/STEM/NAME.sql`. With `ledger: empty` in its header evodoctor's ledger is there.
    pub fn read(stem: &str, name: &str) -> Self {
        let path = folder(stem).join(format!("{name}.sql"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::parse(&text)
    }

    /// Reads a fixture's text.
    pub fn parse(text: &str) -> Self {
        let script = SqlFile::parse(text);
        let ledger = script
            .header("ledger")
            .map(|_| SqlFile::parse(embedded_file("sql/ledger/create.sql")).statements);
        let finds = script.header.iter().filter(|(key, _)| key == "finds");
        Self {
            release: script.header("release").expect("a fixture names its release").to_owned(),
            to: script.header("to").map(str::to_owned),
            finds: finds.map(|(_, value)| Expected::parse(value)).collect(),
            statements: ledger.into_iter().flatten().chain(script.statements).collect(),
        }
    }

    /// Makes a database of it.
    pub async fn database(&self, schema: &str) -> TestDatabase {
        let database = TestDatabase::new(&self.release, schema).await;
        self.fill(&mut database.connect().await, schema).await;
        database
    }

    /// Runs its statements on a database that has the release's tables.
    pub async fn fill(&self, connection: &mut PgConnection, schema: &str) {
        for statement in &self.statements {
            let sql =
                render(statement, &Variables::for_schema(schema)).expect("fixtures know the schema only");
            let done = connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.clone()))).await;
            done.unwrap_or_else(|error| panic!("{error}\n{sql}"));
        }
    }
}

impl Expected {
    fn parse(text: &str) -> Self {
        let parts: Vec<&str> = text.split(", ").collect();
        let [key, count, severity, rest @ ..] = parts.as_slice() else {
            panic!("finds: KEY, COUNT, SEVERITY")
        };
        Self {
            key: (*key).to_owned(),
            count: count.parse().expect("a number"),
            severity: (*severity).to_owned(),
            is_manual: rest == ["manual"],
        }
    }
}

/// Every fixture of a check, by name.
pub fn names(stem: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder(stem))
        .expect("every check has fixtures")
        .map(|entry| entry.expect("readable").path())
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

fn folder(stem: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/databases").join(stem)
}
