//! The codes that a command is limited to.

use std::sync::LazyLock;

use anyhow::Result;

use crate::cli::GlobalOptions;
use crate::cli::mistakes::option_for;
use crate::database::sql_file::{FILES, SqlFile};
use crate::error::user_error;
use crate::repair::fix::{HAZARDS, fixable_codes};
use crate::rules::code::{parse_code, suggest_code};
use crate::rules::finding::Finding;
use crate::text::date::today;
use crate::text::suggest::closest_match;

/// The codes asked for and not ignored, in capital letters.
#[derive(Debug, Clone, Default)]
pub struct CodeFilter {
    select: Vec<String>,
    ignore: Vec<String>,
}

impl CodeFilter {
    /// Reads `--select` and `--ignore`.
    ///
    /// # Errors
    /// When a code does not exist; the nearest one is suggested.
    pub fn new(common: &GlobalOptions) -> Result<Self> {
        Ok(Self { select: parse_codes(&common.select)?, ignore: parse_codes(&common.ignore)? })
    }

    /// All of them, whatever is selected.
    pub fn everything() -> Self {
        Self::default()
    }

    /// True if a code is asked for.
    pub fn matches(&self, code: &str) -> bool {
        let is_in = |list: &[String]| list.iter().any(|c| c == code);
        (self.select.is_empty() || is_in(&self.select)) && !is_in(&self.ignore)
    }
}

/// Which findings a fix takes: those that `--fail-on` counts and `evodoctor.toml` does not ignore. A named code is
/// taken at any severity, even if it is ignored.
pub fn finding_filter(is_named: bool, common: &GlobalOptions) -> impl Fn(&Finding) -> bool {
    let (policy, today) = (common.policy(), today());
    move |finding| {
        is_named
            || common.fail_on.includes(policy.severity(finding))
                && policy.ignore_reason(finding, today).is_none()
    }
}

/// True if a fix is taken only when its code is named (`only: named` in its header), whatever its findings count for.
pub fn needs_explicit_code(code: &str) -> bool {
    static CODES: LazyLock<Vec<String>> = LazyLock::new(|| {
        let files = FILES.iter().filter(|(path, _)| path.starts_with("sql/fixes/"));
        let scripts = files
            .map(|(_, text)| SqlFile::parse_header(text))
            .filter(|script| script.header("only") == Some("named"));
        scripts.filter_map(|script| script.header("code").map(str::to_owned)).collect()
    });
    CODES.iter().any(|one| one == code)
}

/// The codes as they are written in the files, by whatever [`parse_code`] understands.
///
/// # Errors
/// When one does not exist; the nearest ones are suggested.
pub fn parse_codes(codes: &[String]) -> Result<Vec<String>> {
    // Between commas, as the options take them.
    codes.iter().flat_map(|codes| codes.split(',')).map(as_written).collect()
}

fn as_written(text: &str) -> Result<String> {
    if let Some(rule) = parse_code(text) {
        return Ok(rule.code.clone());
    }
    if let Some(option) = option_for(text.trim()) {
        return Err(user_error("a database is given with an option, not as an argument", option));
    }
    let typed = text.trim().to_ascii_uppercase();
    if typed == "ALL" {
        return Err(user_error("there is no code ALL", "leave it out: without a code, all of them are used"));
    }
    Err(user_error(format!("there is no code {typed}"), suggest_code(text)))
}

/// The codes that have a fix.
pub fn parse_fixable_codes(codes: &[String]) -> Result<Vec<String>> {
    let codes = parse_codes(codes)?;
    match codes.iter().find(|code| !fixable_codes().any(|fixable| fixable == **code)) {
        None => Ok(codes),
        Some(code) => {
            let able = fixable_codes().collect::<Vec<_>>().join(", ");
            Err(user_error(
                format!("{code} has no automatic fix"),
                format!("evodoctor explain {code} says what to do; these have a fix: {able}"),
            ))
        }
    }
}

/// The hazards consented to.
pub fn parse_hazards(allowed: &[String]) -> Result<Vec<String>> {
    let all: Vec<&str> = HAZARDS.iter().map(|(name, _)| *name).collect();
    match allowed.iter().find(|hazard| !all.contains(&hazard.as_str())) {
        None => Ok(allowed.to_vec()),
        Some(hazard) => Err(user_error(
            format!("there is no hazard {hazard:?}"),
            match closest_match(hazard, &all) {
                Some(near) => format!("did you mean --allow {near}?"),
                None => format!("hazards are {}", all.join(", ")),
            },
        )),
    }
}
