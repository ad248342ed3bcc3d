//! A row for each code: how bad it is, in how many places, and what `fix` does about it.

use std::fmt;

use crate::rules::finding::Finding;
use crate::rules::registry;
use crate::rules::rule::Severity;

use super::view::{CodeGroup, FindingView, is_fixable};

/// The summary of one code.
#[derive(Debug)]
pub struct KindRow<'r> {
    /// The code.
    pub code: &'r str,
    /// Its worst finding's severity.
    pub severity: Severity,
    /// The problem in about five words.
    pub title: &'r str,
    /// In how many places.
    pub places: usize,
    /// The number of rows (or requests) that are concerned.
    pub rows: i64,
    /// The effect of `fix`.
    pub fix: FixVerdict,
}

/// The effect of `evodoctor fix` on the findings of one code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FixVerdict {
    /// It repairs them.
    Repairs,
    /// It repairs some of them.
    Partly,
    /// The fix of this other code, which comes before, repairs them too.
    With(String),
    /// A person has to decide.
    Yours,
}

impl fmt::Display for FixVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repairs => f.write_str("repairs it"),
            Self::Partly => f.write_str("partly"),
            Self::With(code) => write!(f, "with {code}"),
            Self::Yours => f.write_str("left to you"),
        }
    }
}

/// A row for each of the groups.
pub fn kind_rows<'r>(groups: &[CodeGroup<'r>]) -> Vec<KindRow<'r>> {
    groups.iter().map(|group| row(group, groups)).collect()
}

fn row<'r>(group: &CodeGroup<'r>, groups: &[CodeGroup<'r>]) -> KindRow<'r> {
    let fixable = group.views.iter().filter(|view| is_fixable(view.finding)).count();
    let fix = match solved_by(group, groups) {
        Some(code) => FixVerdict::With(code.to_owned()),
        None if fixable == 0 => FixVerdict::Yours,
        None if fixable < group.views.len() => FixVerdict::Partly,
        None => FixVerdict::Repairs,
    };
    KindRow {
        code: group.code,
        severity: group.worst(),
        title: registry::find_rule(group.code).map_or(group.name, |rule| &rule.title),
        places: group.views.len(),
        rows: group.views.iter().map(|view| rows(view.finding)).sum(),
        fix,
    }
}

/// Returns the number of rows that a finding is about: 0 where it is about a column, a key or an index.
pub fn rows(finding: &Finding) -> i64 {
    if finding.predicate.is_some() || !finding.sample.is_empty() { finding.count } else { 0 }
}

/// The code whose fix makes every one of these findings go: EVO101 restores the key of a reference after its rows are
/// repaired, and that key is what EVO206 and EVO207 miss.
fn solved_by<'g>(group: &CodeGroup<'_>, groups: &'g [CodeGroup<'_>]) -> Option<&'g str> {
    const MISS_KEYS: [&str; 2] = ["EVO206", "EVO207"];
    const RESTORES_KEYS: &str = "EVO101";
    if !MISS_KEYS.contains(&group.code) {
        return None;
    }
    let orphans = groups.iter().find(|group| group.code == RESTORES_KEYS)?;
    let restored: Vec<&FindingView<'_>> =
        orphans.views.iter().filter(|view| is_fixable(view.finding)).collect();
    let is_restored = |finding: &Finding| {
        let mut words = finding.subject.split(' ').map(|word| word.trim_matches('"'));
        words.any(|word| {
            word.ends_with("_fkey")
                && restored.iter().any(|view| view.finding.detail.contains(&format!("\"{word}\"")))
        })
    };
    group.views.iter().all(|view| is_restored(view.finding)).then_some(orphans.code)
}
