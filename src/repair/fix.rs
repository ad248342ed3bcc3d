//! Fixes: SQL files with the stem of the check they serve, found by walking `sql/fixes/`; and operations, which are made
//! alike but are asked for by a command and take arguments (`sql/credentials/`).
//!
//! A fix has a pair of files, `.up.sql` and `.down.sql`, or a query `.rows.sql` that selects the rows to remove or
//! change, or both; rows come first. Queries before that one speak, as they do in the up file. What happens to rows
//! goes through the quarantine and needs no way back of its own. Statements that an up file's query writes bring their
//! way back along: a file of such queries needs no down file. With `records: found` in its header the fix does the work
//! of pending migrations, which are then recorded as applied. The header is in the up file, where there is one.
//!
//! A fix with `each: finding` in its header is run for every finding, with the statements that the check returns beside
//! it: columns `repair`, `undo` and `tables` (text[]), the variables `:repair` and `:undo` here. The statements for the
//! way back are kept in the ledger, since a later check could not know them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{LazyLock, OnceLock};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use super::fix_sql::is_query;
use crate::checks::check::{CheckScope, all_checks};
use crate::database::shared_sql::with_shared_sql;
use crate::database::sql_file::{FILES, SqlFile, Variables, render};
use crate::evolution::release::ReleaseRange;
use crate::rules::finding::{Finding, FixSummary};
use crate::rules::rule::Applicability;
use crate::text::hex::encode_hex;

/// The hazards that a fix may have, and whether `--apply` needs consent to them. Those that destroy do.
pub const HAZARDS: &[(&str, bool)] = &[
    ("deletes-rows", true),
    ("changes-rows", true),
    ("blocks-writes", false),
    ("rewrites-table", true),
    ("limits-undo", false),
    // No fix has it in its header: it is undo's, where rows cannot come back.
    ("leaves-rows", true),
    // Nor this one: it belongs to dry runs on a table with triggers.
    ("fires-triggers", false),
];

/// Those of a fix's hazards that need consent, in the order of [`HAZARDS`]. `limits-undo` does where undo cannot be exact from the
/// start, which only a fix of references has; elsewhere it says that later rows may be in undo's way.
pub fn needing_consent(code: &str, hazards: &[String]) -> Vec<String> {
    let is_inexact = find_fix(code).is_some_and(|fix| fix.family == CheckScope::Reference);
    let needs = |name: &str, always: bool| always || (name == "limits-undo" && is_inexact);
    let has = |name: &str| hazards.iter().any(|one| one == name);
    let needed = HAZARDS.iter().filter(|(name, always)| needs(name, *always) && has(name));
    needed.map(|(name, _)| (*name).to_owned()).collect()
}

/// Hazards once each, in the order of [`HAZARDS`].
pub fn in_order(hazards: &[String]) -> Vec<String> {
    let known = HAZARDS.iter().filter(|(name, _)| hazards.iter().any(|one| one == name));
    known.map(|(name, _)| (*name).to_owned()).collect()
}

/// The header keys of a fix. `sql/README.md` explains them.
pub const KEYS: &[&str] = &[
    "code",
    "version",
    "applicability",
    "hazards",
    "tables",
    "upstream",
    "after",
    "each",
    "records",
    "rows",
    "only",
];

/// A versioned fix.
#[derive(Debug)]
pub struct Fix {
    /// The code of the check it serves, or the operation's name.
    pub code: String,
    /// The rule's name, from the stem; an operation has none.
    pub name: String,
    /// Raised when the statements change.
    pub version: u32,
    /// The applicability of the fix.
    pub applicability: Applicability,
    /// Its hazards.
    pub hazards: Vec<String>,
    /// The tables it alters.
    pub tables: Vec<String>,
    /// True if it alters the tables that its findings are about (`tables: found`): what is before the first dot of
    /// their subject.
    pub alters_found: bool,
    /// Upstream's migrations that touch the same objects, by the number in front of the name.
    pub upstream: Vec<String>,
    /// True if the migrations that its findings are about are recorded as applied (`records: found`): their work is
    /// done.
    pub records: bool,
    /// The effect on the API, per range of releases.
    pub after: Vec<(ReleaseRange, String)>,
    /// The query for the rows to remove or change: `table`, `key`, `change`, `reason`.
    pub rows: Option<String>,
    /// Queries that speak before it.
    pub before_rows: Vec<String>,
    /// The unique index that the rows are about, where the query is that of another fix (`rows: CODE INDEX`).
    pub rows_of_index: Option<String>,
    /// The statements, with psql's variables.
    pub up: Vec<String>,
    /// The statements that reverse them.
    pub down: Vec<String>,
    /// The unit that the statements are run for.
    pub family: CheckScope,
    /// SHA-256 over all its files, with what they share with others: what the ledger compares.
    pub checksum: String,
}

impl Fix {
    /// Reads the files of a fix, by what is between the stem and `.sql`; empty text for a file that is missing.
    ///
    /// # Errors
    /// When a header is incomplete or the files do not belong together.
    pub fn parse(stem: &str, rows: &str, up: &str, down: &str) -> Result<Self> {
        let texts = [rows, up, down].map(with_shared_sql);
        let mut checksum = Sha256::new();
        for text in &texts {
            checksum.update(text);
            checksum.update([0]);
        }
        let checksum = checksum.finalize();
        let [mut rows, up, down] = texts.map(|text| SqlFile::parse(&text));
        for script in [&rows, &up, &down] {
            script.expect_keys(KEYS).with_context(|| stem.to_owned())?;
        }
        let brings_its_way_back = up.statements.iter().all(|statement| is_query(statement));
        ensure!(
            down.statements.is_empty() == up.statements.is_empty()
                || (down.statements.is_empty() && brings_its_way_back),
            "{stem}: no way without its way back"
        );
        let first = if up.header.is_empty() { &rows } else { &up };
        let need = |key: &str| first.header(key).with_context(|| format!("{stem}: the header lacks `{key}`"));
        let header = |key: &str| first.header(key);
        let words = |key: &str| -> Vec<String> {
            first.header(key).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
        };
        let code = need("code")?.to_owned();
        let (rows_of, rows_of_index) = borrowed(&up).unzip();
        let rows_code = rows_of.unwrap_or(code.clone());
        for (script, code) in [(&rows, &rows_code), (&up, &code), (&down, &code)] {
            let is_right = script.statements.is_empty() || script.header("code") == Some(code);
            ensure!(is_right, "{stem}: the files name different codes");
        }
        ensure!(stem.split('_').next() == Some(&code), "{stem}: the header names {code}");
        let hazards = words("hazards");
        for hazard in &hazards {
            ensure!(HAZARDS.iter().any(|(name, _)| name == hazard), "{stem}: {hazard:?} is not a hazard");
        }
        let mut after = Vec::new();
        for (key, text) in &first.header {
            if let Some(range) = key.strip_prefix("after ") {
                after.push((ReleaseRange::parse(range).with_context(|| stem.to_owned())?, text.clone()));
            }
        }
        Ok(Self {
            version: need("version")?.parse().with_context(|| format!("{stem}: version"))?,
            applicability: need("applicability")?.parse()?,
            alters_found: header("tables") == Some("found"),
            tables: words("tables").into_iter().filter(|table| table != "found").collect(),
            upstream: words("upstream"),
            records: header("records") == Some("found"),
            name: stem.split_once('_').map(|(_, name)| name.replace('_', "-")).unwrap_or_default(),
            family: CheckScope::parse(header("each")).with_context(|| stem.to_owned())?,
            rows: rows.statements.pop(),
            before_rows: rows.statements,
            rows_of_index,
            checksum: encode_hex(&checksum),
            up: up.statements,
            down: down.statements,
            code,
            hazards,
            after,
        })
    }

    /// The effect on the API of any release in `range`.
    pub fn notes(&self, range: Option<ReleaseRange>) -> Vec<String> {
        let speaks = |of: &ReleaseRange| range.is_none_or(|range| range.overlaps(of));
        self.after.iter().filter(|(of, _)| speaks(of)).map(|(of, text)| format!("on {of}: {text}")).collect()
    }
}

/// `rows: CODE INDEX` in an up file: the rows are those that the query of that code selects for that unique index.
fn borrowed(up: &SqlFile) -> Option<(String, String)> {
    let (code, index) = up.header("rows")?.split_once(' ')?;
    Some((code.to_owned(), index.to_owned()))
}

/// The fixes of a folder by code. Each is read when somebody asks for it: a run seldom needs more than one.
type Fixes = BTreeMap<&'static str, LazyFix>;

/// A fix that is read when it is needed.
struct LazyFix {
    folder: &'static str,
    stem: &'static str,
    fix: OnceLock<Fix>,
}

static FIXES: LazyLock<Fixes> = LazyLock::new(|| all_in(FIX_FILES));

static OPERATIONS: LazyLock<Fixes> = LazyLock::new(|| all_in(OPERATION_FILES));

/// Where the fixes are.
pub const FIX_FILES: &str = "sql/fixes/";

/// Where the operations are.
pub const OPERATION_FILES: &str = "sql/credentials/";

fn all_in(folder: &'static str) -> Fixes {
    let by_code = |stem: &'static str| {
        let code = stem.split('_').next().unwrap_or_default();
        (code, LazyFix { folder, stem, fix: OnceLock::new() })
    };
    stems(folder).into_iter().map(by_code).collect()
}

impl LazyFix {
    fn get(&'static self) -> &'static Fix {
        let load = || load_fix(self.folder, self.stem).expect("the tests keep every fix well formed");
        self.fix.get_or_init(load)
    }
}

/// The stems of all fixes in a folder, in order.
pub fn stems(folder: &str) -> BTreeSet<&'static str> {
    // `stem.kind.sql`; a file without a kind is a query of its own.
    let stem = |path: &'static str| {
        let mut parts = path.strip_prefix(folder)?.split('.');
        let stem = parts.next();
        if parts.count() == 2 { stem } else { None }
    };
    FILES.iter().filter_map(|(path, _)| stem(path)).collect()
}

/// Reads the embedded files of a fix.
pub fn load_fix(folder: &str, stem: &str) -> Result<Fix> {
    let text = |stem: &str, kind: &str| {
        let path = format!("{folder}{stem}.{kind}.sql");
        FILES.binary_search_by_key(&path.as_str(), |(name, _)| name).map_or("", |at| FILES[at].1)
    };
    let (rows, up, down) = (text(stem, "rows"), text(stem, "up"), text(stem, "down"));
    let rows = match borrowed(&SqlFile::parse_header(up)) {
        None => rows,
        Some((code, _)) => {
            let lender = stems(folder).into_iter().find(|other| other.starts_with(&format!("{code}_")));
            text(lender.with_context(|| format!("{stem}: {code} has no rows to lend"))?, "rows")
        }
    };
    Fix::parse(stem, rows, up, down)
}

/// Every fix, by code.
pub fn all_fixes() -> impl Iterator<Item = &'static Fix> {
    FIXES.values().map(LazyFix::get)
}

/// The codes that have a fix.
pub fn fixable_codes() -> impl Iterator<Item = &'static str> {
    FIXES.keys().copied()
}

/// The fix for a code.
pub fn find_fix(code: &str) -> Option<&'static Fix> {
    FIXES.get(code).map(LazyFix::get)
}

/// The operation of a name.
pub fn find_operation(name: &str) -> Option<&'static Fix> {
    OPERATIONS.get(name).map(LazyFix::get)
}

/// The statements that repair a finding, where they are all there is to it: no rows to move, nothing to ask the database.
pub fn suggestion(finding: &Finding, schema: Option<&str>) -> Option<Vec<String>> {
    let fix = find_fix(&finding.code).filter(|_| finding.is_fixable)?;
    if fix.family == CheckScope::Finding {
        return Some(finding.repair.statements.clone()).filter(|statements| !statements.is_empty());
    }
    let writes = |statement: &&String| is_query(statement) && !statement.contains(" AS note");
    if fix.rows.is_some() || !fix.before_rows.is_empty() || fix.up.iter().any(|one| writes(&one)) {
        return None;
    }
    let variables = Variables::for_schema(schema?);
    let statements = fix.up.iter().filter(|statement| !is_query(statement));
    let statements = statements.map(|statement| render(statement, &variables).ok());
    statements.collect::<Option<Vec<String>>>().filter(|statements| !statements.is_empty())
}

/// Tells each finding which fix it has. One that is in an unforeseen form, and one without a fix of its own although a
/// person could fix it, is manual.
pub fn annotate(findings: &mut [Finding]) {
    for finding in findings {
        finding.fix = match find_fix(&finding.code) {
            Some(fix) if finding.is_fixable => Some(FixSummary {
                version: fix.version,
                applicability: fix.applicability,
                hazards: fix.hazards.clone(),
            }),
            Some(fix) => Some(FixSummary {
                version: fix.version,
                applicability: Applicability::Manual,
                hazards: Vec::new(),
            }),
            None => all_checks()
                .iter()
                .find(|c| c.rule.code == finding.code)
                .and_then(|c| c.rule.fix)
                .map(|applicability| FixSummary { version: 0, applicability, hazards: Vec::new() }),
        };
    }
}
