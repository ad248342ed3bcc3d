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

/// What could not be decided, by its reason.
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

/// The statements that give this role the rights that checks lacked, each once, as lines for psql.
pub fn missing_grants(checks: &[CheckReport]) -> Vec<String> {
    let mut grants: Vec<String> = checks
        .iter()
        .filter_map(|check| check.reason.as_deref())
        .flat_map(|reason| without_grants(reason).1)
        .collect();
    // That a schema may be used has to be granted before its tables can be read.
    grants.sort_by_key(|grant| (!grant.starts_with("GRANT USAGE"), grant.clone()));
    grants.dedup();
    grants
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
}
