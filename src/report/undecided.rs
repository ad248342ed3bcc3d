//! The checks that could not look everywhere, those of one reason together, and the rights that would let them.

use crate::rules::finding::CheckReport;

use super::view::ReportView;

/// Checks that could not look everywhere for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndecidedReason<'r> {
    /// Why, without the statements that would end it: [`missing_grants`] collects these.
    pub reason: String,
    /// Their codes, in the order of the checks.
    pub codes: Vec<&'r str>,
}

/// The undecided checks, grouped by reason.
pub fn undecided_reasons<'r>(outline: &ReportView<'r>) -> Vec<UndecidedReason<'r>> {
    let mut reasons: Vec<UndecidedReason<'r>> = Vec::new();
    for (check, reason) in outline.undecided() {
        let (reason, _) = without_grants(reason);
        match reasons.iter_mut().find(|known| known.reason == reason) {
            Some(known) => known.codes.push(&check.code),
            None => reasons.push(UndecidedReason { reason, codes: vec![&check.code] }),
        }
    }
    reasons
}

/// Tables of a schema that are granted one by one; of more all are.
const MOST_TABLES: usize = 3;

/// The statements that give this role the rights that checks lacked, each once, as lines for psql.
pub fn missing_grants(checks: &[CheckReport]) -> Vec<String> {
    let mut grants: Vec<String> = checks
        .iter()
        .filter_map(|check| check.reason.as_deref())
        .flat_map(|reason| without_grants(reason).1)
        .collect();
    grants.sort();
    grants.dedup();
    let of_all: Vec<String> = grants.iter().filter_map(|grant| for_all_tables(grant)).collect();
    // A role that lacks many rights mostly lacks all: checks name only the first that they meet.
    let is_covered = |grant: &String| {
        let all = for_all_tables(grant);
        all.is_some_and(|all| {
            grants.contains(&all) || of_all.iter().filter(|other| **other == all).count() > MOST_TABLES
        })
    };
    let (covered, mut left): (Vec<String>, Vec<String>) = grants.iter().cloned().partition(is_covered);
    left.extend(covered.iter().filter_map(|grant| for_all_tables(grant)));
    // That a schema may be used has to be granted before its tables can be read.
    left.sort_by_key(|grant| (!grant.starts_with("GRANT USAGE"), grant.clone()));
    left.dedup();
    left
}

/// The statement that grants the same on all tables of the schema; `None` where it is not about one table.
fn for_all_tables(grant: &str) -> Option<String> {
    let (schema, table) = grant.strip_prefix("GRANT SELECT ON \"")?.split_once("\".\"")?;
    let (_, role) = table.rsplit_once(" TO ")?;
    Some(format!("GRANT SELECT ON ALL TABLES IN SCHEMA \"{schema}\" TO {role}"))
}

/// A reason without the statements that would end it, and these, each as a line for psql.
fn without_grants(reason: &str) -> (String, Vec<String>) {
    let (mut rest, mut grants) = (String::new(), Vec::new());
    for part in reason.split("; ") {
        let gap = if rest.is_empty() { "" } else { "; " };
        if !part.starts_with("GRANT ") {
            rest.push_str(&format!("{gap}{part}"));
            continue;
        }
        // Behind the last one stands what it is about.
        let (grant, about) = part.split_once("\": ").unwrap_or((part.trim_end_matches('"'), ""));
        grants.push(format!("{grant}\";"));
        if !about.is_empty() {
            rest.push_str(&format!(": {about}"));
        }
    }
    (rest, grants)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::registry;

    #[test]
    fn statements_leave_their_reason_and_what_it_is_about_stays() {
        let reason = "role \"r\" may not read it; GRANT USAGE ON SCHEMA \"s\" TO \"r\"; GRANT SELECT ON \"s\".\"a\" TO \"r\": a, and 2 more; b";
        let (rest, grants) = without_grants(reason);
        assert_eq!(rest, "role \"r\" may not read it: a, and 2 more; b");
        assert_eq!(
            grants,
            ["GRANT USAGE ON SCHEMA \"s\" TO \"r\";", "GRANT SELECT ON \"s\".\"a\" TO \"r\";"]
        );
        assert_eq!(without_grants("timeout"), ("timeout".to_owned(), Vec::new()));
    }

    #[test]
    fn many_missing_tables_become_one_grant_on_the_schema() {
        let rule = &registry::all_rules()[0];
        let lacking = |tables: &[&str]| {
            let checks: Vec<CheckReport> = tables
                .iter()
                .map(|table| CheckReport {
                    reason: Some(format!(
                        "no; GRANT SELECT ON \"s\".\"{table}\" TO \"r\"; GRANT USAGE ON SCHEMA \"s\" TO \"r\""
                    )),
                    ..CheckReport::completed(rule)
                })
                .collect();
            missing_grants(&checks)
        };
        let usage = "GRANT USAGE ON SCHEMA \"s\" TO \"r\";";
        let few = lacking(&["b", "a", "b"]);
        assert_eq!(
            few,
            [usage, "GRANT SELECT ON \"s\".\"a\" TO \"r\";", "GRANT SELECT ON \"s\".\"b\" TO \"r\";"]
        );
        let all = "GRANT SELECT ON ALL TABLES IN SCHEMA \"s\" TO \"r\";";
        assert_eq!(lacking(&["a", "b", "c", "d"]), [usage, all]);
    }
}
