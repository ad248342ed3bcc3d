//! Which codes a command speaks of.

use anyhow::Result;

use crate::cli::Common;
use crate::exit::failure;
use crate::nearest::nearest;
use crate::repair::fix::{HAZARDS, fixes};
use crate::rules;

/// The codes asked for and not ignored, in capital letters.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    select: Vec<String>,
    ignore: Vec<String>,
}

impl Selection {
    /// Reads `--select` and `--ignore`.
    ///
    /// # Errors
    /// When a code does not exist; the nearest one is suggested.
    pub fn new(common: &Common) -> Result<Self> {
        Ok(Self { select: known(&common.select)?, ignore: known(&common.ignore)? })
    }

    /// Whether a code is asked for.
    pub fn lets_through(&self, code: &str) -> bool {
        let is_in = |list: &[String]| list.iter().any(|c| c == code);
        (self.select.is_empty() || is_in(&self.select)) && !is_in(&self.ignore)
    }
}

/// Every code there is, in order.
pub fn all_codes() -> Vec<&'static str> {
    rules::all().iter().map(|rule| rule.code.as_str()).collect()
}

/// The codes as they are written in the files.
///
/// # Errors
/// When one does not exist; the nearest one is suggested.
pub fn known(codes: &[String]) -> Result<Vec<String>> {
    let all = all_codes();
    codes
        .iter()
        .map(|code| {
            let code = code.trim().to_ascii_uppercase();
            if all.contains(&code.as_str()) {
                return Ok(code);
            }
            let next = match nearest(&code, &all) {
                Some(near) => format!("did you mean {near}? evodoctor explain lists every code"),
                None => "evodoctor explain lists every code".to_owned(),
            };
            Err(failure(format!("there is no code {code}"), next))
        })
        .collect()
}

/// The codes that have a fix.
///
/// # Errors
/// When a code does not exist, or has no fix.
pub fn fixable(codes: &[String]) -> Result<Vec<String>> {
    let codes = known(codes)?;
    match codes.iter().find(|code| !fixes().iter().any(|fix| fix.code == **code)) {
        None => Ok(codes),
        Some(code) => {
            let able = fixes().iter().map(|fix| fix.code.as_str()).collect::<Vec<_>>().join(", ");
            Err(failure(
                format!("{code} has no fix that evodoctor could run"),
                format!("evodoctor explain {code} says what helps; fixes exist for {able}"),
            ))
        }
    }
}

/// The hazards consented to.
///
/// # Errors
/// When one does not exist.
pub fn hazards(allowed: &[String]) -> Result<Vec<String>> {
    let all: Vec<&str> = HAZARDS.iter().map(|(name, _)| *name).collect();
    match allowed.iter().find(|hazard| !all.contains(&hazard.as_str())) {
        None => Ok(allowed.to_vec()),
        Some(hazard) => Err(failure(
            format!("{hazard:?} is no hazard that could be allowed"),
            match nearest(hazard, &all) {
                Some(near) => format!("did you mean --allow {near}?"),
                None => format!("hazards are {}", all.join(", ")),
            },
        )),
    }
}
