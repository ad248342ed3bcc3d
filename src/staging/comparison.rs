//! Compares the findings of the copy with the original's: code by code, and count by count.

use std::collections::BTreeMap;

use crate::rules::finding::{CheckOutcome, CheckReport, Finding};

/// The findings of one database.
pub struct Examination<'e> {
    /// The result of each check.
    pub checks: &'e [CheckReport],
    /// The findings.
    pub findings: &'e [Finding],
}

/// The result of the comparison.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// The number of findings that are the same.
    pub same: usize,
    /// One sentence for each code that differs.
    pub differences: Vec<String>,
    /// The same for codes about the server, roles and other schemas, and in a copy that is cut about the size of tables.
    pub not_carried: Vec<String>,
}

/// Codes that are about how large a table is.
const ABOUT_SIZE: [&str; 2] = ["EVO209", "EVO212"];

/// Findings and rows of one code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Totals {
    /// The rows of each finding, sorted: two databases with the same sum may still differ.
    rows: Vec<i64>,
    /// Why its check could not look everywhere.
    undecided: Option<String>,
}

impl Totals {
    fn describe(&self) -> String {
        let findings = match self.rows.len() {
            0 => "no finding".to_owned(),
            1 => format!("1 finding of {}", self.rows[0]),
            count => format!("{count} findings of {} in all", self.rows.iter().sum::<i64>()),
        };
        match &self.undecided {
            None => findings,
            Some(reason) => format!("{findings}, undecided ({reason})"),
        }
    }
}

/// Compares them. Names differ, as names are pseudonyms in one of them; so codes and counts are compared. A copy that is cut has
/// smaller tables.
pub fn compare(original: &Examination<'_>, copy: &Examination<'_>, is_cut: bool) -> Comparison {
    let (original, copy) = (totals(original), totals(copy));
    let mut comparison = Comparison::default();
    let codes: std::collections::BTreeSet<&String> = original.keys().chain(copy.keys()).collect();
    for code in codes {
        let none = Totals::default();
        let (was, is) = (original.get(code).unwrap_or(&none), copy.get(code).unwrap_or(&none));
        let is_same = was.rows == is.rows && was.undecided.is_some() == is.undecided.is_some();
        if is_same {
            comparison.same += was.rows.len();
            continue;
        }
        let sentence = format!("{code}: {} in the original, {} in the copy", was.describe(), is.describe());
        if is_about_the_server(code) || is_cut && ABOUT_SIZE.contains(&code.as_str()) {
            comparison.not_carried.push(sentence);
        } else {
            comparison.differences.push(sentence);
        }
    }
    comparison
}

/// Codes about roles, other schemas, evodoctor's own ledger, and the server: a dump of one schema holds none of them.
fn is_about_the_server(code: &str) -> bool {
    code.starts_with("EVO7") || ["EVO210", "EVO215", "EVO308"].contains(&code)
}

fn totals(examination: &Examination<'_>) -> BTreeMap<String, Totals> {
    let mut totals: BTreeMap<String, Totals> = BTreeMap::new();
    for finding in examination.findings {
        totals.entry(finding.code.clone()).or_default().rows.push(finding.count);
    }
    for check in examination.checks.iter().filter(|check| check.outcome == CheckOutcome::Undecided) {
        let reason = check.reason.clone().unwrap_or_default();
        totals.entry(check.code.clone()).or_default().undecided = Some(reason);
    }
    totals.values_mut().for_each(|totals| totals.rows.sort_unstable());
    totals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::registry::find_rule;

    #[test]
    fn a_row_more_is_a_difference() {
        let finding = |code: &str, count: i64| {
            let mut finding = Finding::new(find_rule(code).unwrap(), "x", "y");
            finding.count = count;
            finding
        };
        let original =
            [finding("EVO101", 5), finding("EVO101", 3), finding("EVO103", 2), finding("EVO215", 1)];
        let copy = [finding("EVO101", 3), finding("EVO101", 5), finding("EVO103", 3)];
        let of = |findings: &[Finding]| {
            compare(
                &Examination { checks: &[], findings: &original },
                &Examination { checks: &[], findings },
                false,
            )
        };
        let comparison = of(&copy);
        assert_eq!(comparison.same, 2);
        assert_eq!(
            comparison.differences,
            ["EVO103: 1 finding of 2 in the original, 1 finding of 3 in the copy"]
        );
        assert_eq!(
            comparison.not_carried,
            ["EVO215: 1 finding of 1 in the original, no finding in the copy"]
        );
        assert_eq!(of(&original), Comparison { same: 4, ..Comparison::default() });
        let large = [finding("EVO212", 500_000)];
        let examination = |findings| Examination { checks: &[], findings };
        assert_eq!(compare(&examination(&large), &examination(&[]), true).differences, [""; 0]);
        assert_eq!(compare(&examination(&large), &examination(&[]), false).differences.len(), 1);
    }
}
