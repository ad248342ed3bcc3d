//! Fixes: SQL files with the stem of the check they serve, found by walking `sql/fixes/`.
//!
//! A fix has a pair of files, `.up.sql` and `.down.sql`, or a query `.rows.sql` that selects the rows to remove or
//! change, or both; rows come first. What happens to rows goes through the quarantine and needs no way back of its own.
//! The header stands in the up file, where there is one.
//!
//! A fix with `each: finding` in its header is run for every finding, with the statements that the check returns beside
//! it: columns `repair`, `undo` and `tables` (text[]), the variables `:repair` and `:undo` here. The statements for the
//! way back are kept in the ledger, since a later check could not know them.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use crate::database::script::{FILES, Script};
use crate::evolution::release::ReleaseRange;
use crate::examine::check::{Family, checks};
use crate::examine::finding::{Finding, FixSummary};
use crate::examine::rule::Applicability;

/// The hazards that a fix may have, and whether `--apply` needs consent to them. Those that destroy do.
pub const HAZARDS: &[(&str, bool)] = &[
    ("deletes-rows", true),
    ("changes-rows", true),
    ("blocks-writes", false),
    ("rewrites-table", true),
    ("limits-undo", false),
];

/// A versioned fix.
#[derive(Debug)]
pub struct Fix {
    /// The code of the check it serves.
    pub code: String,
    /// Raised when the statements change.
    pub version: u32,
    /// How freely it may be applied.
    pub applicability: Applicability,
    /// What it may do that needs consent or patience.
    pub hazards: Vec<String>,
    /// The tables it alters.
    pub tables: Vec<String>,
    /// Upstream's migrations that touch the same objects, by the number in front of the name.
    pub upstream: Vec<String>,
    /// What the API does once this is applied, per range of releases.
    pub after: Vec<(ReleaseRange, String)>,
    /// The query for the rows to remove or change: `table`, `key`, `change`, `reason`.
    pub rows: Option<String>,
    /// The statements, with psql's variables.
    pub up: Vec<String>,
    /// The statements that reverse them.
    pub down: Vec<String>,
    /// What the statements are run for.
    pub family: Family,
    /// SHA-256 over all its files: what the ledger compares.
    pub checksum: String,
}

impl Fix {
    /// Reads the files of a fix, by what stands between the stem and `.sql`; empty text for a file that is missing.
    ///
    /// # Errors
    /// When a header is incomplete or the files do not belong together.
    pub fn parse(stem: &str, rows: &str, up: &str, down: &str) -> Result<Self> {
        let mut checksum = Sha256::new();
        for text in [rows, up, down] {
            checksum.update(text);
            checksum.update([0]);
        }
        let checksum = checksum.finalize();
        let [rows, up, down] = [rows, up, down].map(Script::parse);
        ensure!(
            up.statements.is_empty() == down.statements.is_empty(),
            "{stem}: no way without its way back"
        );
        let first = if up.header.is_empty() { &rows } else { &up };
        let need = |key: &str| first.get(key).with_context(|| format!("{stem}: the header lacks `{key}`"));
        let words = |key: &str| -> Vec<String> {
            first.get(key).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
        };
        let code = need("code")?.to_owned();
        for other in [&rows, &up, &down].into_iter().filter(|script| !script.statements.is_empty()) {
            ensure!(other.get("code") == Some(&code), "{stem}: the files name different codes");
        }
        ensure!(stem.starts_with(&format!("{code}_")), "{stem}: the header names {code}");
        let hazards = words("hazards");
        for hazard in &hazards {
            ensure!(HAZARDS.iter().any(|(name, _)| name == hazard), "{stem}: {hazard:?} is no hazard");
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
            tables: words("tables"),
            upstream: words("upstream"),
            family: match first.get("each") {
                None => Family::Once,
                Some("reference") => Family::Reference,
                Some("finding") => Family::Finding,
                Some(other) => bail!("{stem}: {other:?} is nothing a fix can be run for"),
            },
            rows: if rows.statements.is_empty() { None } else { Some(rows.single()?.to_owned()) },
            checksum: checksum.iter().map(|byte| format!("{byte:02x}")).collect(),
            up: up.statements,
            down: down.statements,
            code,
            hazards,
            after,
        })
    }

    /// What the API of any release in `range` does once this is applied.
    pub fn notes(&self, range: Option<ReleaseRange>) -> Vec<String> {
        let speaks = |of: &ReleaseRange| range.is_none_or(|range| range.overlaps(of));
        self.after.iter().filter(|(of, _)| speaks(of)).map(|(of, text)| format!("on {of}: {text}")).collect()
    }
}

static FIXES: LazyLock<Vec<Fix>> = LazyLock::new(|| {
    stems().into_iter().map(|stem| load(stem).expect("the tests keep every fix well formed")).collect()
});

/// The stems of all fixes, in order.
pub fn stems() -> BTreeSet<&'static str> {
    let stem = |path: &'static str| path.strip_prefix("sql/fixes/")?.split('.').next();
    FILES.iter().filter_map(|(path, _)| stem(path)).collect()
}

/// Reads the embedded files of a fix.
///
/// # Errors
/// As [`Fix::parse`].
pub fn load(stem: &str) -> Result<Fix> {
    let text = |kind: &str| {
        let path = format!("sql/fixes/{stem}.{kind}.sql");
        FILES.iter().find(|(name, _)| *name == path).map_or("", |(_, text)| text)
    };
    Fix::parse(stem, text("rows"), text("up"), text("down"))
}

/// Every fix, by code.
pub fn fixes() -> &'static [Fix] {
    &FIXES
}

/// The fix for a code.
pub fn find(code: &str) -> Option<&'static Fix> {
    fixes().iter().find(|fix| fix.code == code)
}

/// Tells each finding which fix it has. One that is in an unforeseen form, and one without a fix of its own although
/// a person could mend it, is manual.
pub fn annotate(findings: &mut [Finding]) {
    for finding in findings {
        finding.fix = match find(&finding.code) {
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
            None => checks()
                .iter()
                .find(|c| c.rule.code == finding.code)
                .and_then(|c| c.rule.fix)
                .map(|applicability| FixSummary { version: 0, applicability, hazards: Vec::new() }),
        };
    }
}
