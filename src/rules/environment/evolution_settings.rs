//! Evolution's own settings, compared with the database: why a server that runs shows no instances.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::rules::finding::{CheckReport, Finding};
use crate::rules::rule::Severity;

/// The names that images and releases use if none was chosen: the image's `.env`, and the code.
const DEFAULT_CLIENTS: [&str; 2] = ["evolution_exchange", "evolution"];

/// Prisma's default schema, if the connection string names none.
const DEFAULT_SCHEMA: &str = "public";

/// The settings as the server reads them.
#[derive(Debug, Clone, Default)]
pub struct EvolutionSettings(BTreeMap<String, String>);

/// The facts of the database.
#[derive(Debug, Clone, Default)]
pub struct DatabaseFacts {
    /// The schema that is examined.
    pub schema: String,
    /// Client names with the number of their instances; an empty name is none.
    pub clients: Vec<(String, i64)>,
    /// Other schemas with Evolution's tables, with the number of their instances.
    pub others: Vec<(String, i64)>,
}

impl EvolutionSettings {
    /// From variables; the last of a name wins, and an empty one is none.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let trimmed = variables.into_iter().map(|(name, value)| (name, value.trim().to_owned()));
        let mut settings: BTreeMap<String, String> = trimmed.collect();
        settings.retain(|_, value| !value.is_empty());
        Self(settings)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn is_on(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The role that the server connects as.
    pub fn role(&self) -> Option<String> {
        let url = Url::parse(self.get("DATABASE_CONNECTION_URI")?).ok()?;
        let role = percent_decode_str(url.username()).decode_utf8().ok()?.into_owned();
        Some(role).filter(|role| !role.is_empty())
    }

    /// The schema that Prisma takes for the server's connection string.
    fn schema(&self) -> Option<String> {
        let url = Url::parse(self.get("DATABASE_CONNECTION_URI")?).ok()?;
        let named = url.query_pairs().find(|(name, _)| name == "schema").map(|(_, value)| value.into_owned());
        Some(named.filter(|name| !name.is_empty()).unwrap_or_else(|| DEFAULT_SCHEMA.to_owned()))
    }
}

/// The findings.
pub fn compare_settings(settings: &EvolutionSettings, existing: &DatabaseFacts) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(client(settings, existing));
    findings.extend(schema(settings, existing));
    findings.extend(unread(settings));
    findings
}

/// A line for the report per rule that found something.
pub fn checks(findings: &[Finding]) -> Vec<CheckReport> {
    let mut checks: Vec<CheckReport> = Vec::new();
    for finding in findings {
        if checks.iter().all(|check| check.code != finding.code) {
            checks.push(CheckReport::completed(super::rule(&finding.code)));
        }
    }
    checks
}

fn finding(code: &str, key: &str, severity: Severity, detail: String) -> Finding {
    let mut finding = Finding::new(super::rule(code), key, detail);
    finding.severity = severity;
    finding
}

/// A client name that no instance has, while others have some.
fn client(settings: &EvolutionSettings, existing: &DatabaseFacts) -> Option<Finding> {
    const NAME: &str = "DATABASE_CONNECTION_CLIENT_NAME";
    let total: i64 = existing.clients.iter().map(|(_, count)| count).sum();
    let has = |name: &str| existing.clients.iter().any(|(own, _)| own == name);
    let shown: Vec<String> =
        existing
            .clients
            .iter()
            .take(5)
            .map(|(name, count)| {
                if name.is_empty() {
                    format!("{count} without one")
                } else {
                    format!("{count} of \"{name}\"")
                }
            })
            .collect();
    let shown = shown.join(", ");
    let chosen = settings.get(NAME);
    let detail = match chosen {
        _ if total == 0 => return None,
        Some(name) if has(name) => return None,
        Some(name) => format!(
            "{NAME} is \"{name}\", and no instance has it ({shown}), so the server loads none of them"
        ),
        None if DEFAULT_CLIENTS.iter().any(|name| has(name)) => return None,
        None => format!(
            "{NAME} is not set, so the server takes \"{}\" (in the image) or \"{}\", and no instance has \
             either ({shown}): it loads none of them",
            DEFAULT_CLIENTS[0], DEFAULT_CLIENTS[1]
        ),
    };
    let best = existing.clients.iter().find(|(name, _)| !name.is_empty());
    let next =
        best.map_or_else(String::new, |(name, _)| format!("; set {NAME}={name} and restart the server"));
    let mut finding = finding("EVO405", NAME, Severity::Error, detail + &next);
    finding.count = total;
    Some(finding)
}

/// A schema in the connection string that is empty, while another has the instances.
fn schema(settings: &EvolutionSettings, existing: &DatabaseFacts) -> Option<Finding> {
    let taken = settings.schema()?;
    let own: i64 = existing.clients.iter().map(|(_, count)| count).sum();
    let all = existing
        .others
        .iter()
        .map(|(name, count)| (name.as_str(), *count))
        .chain([(existing.schema.as_str(), own)]);
    let of_taken = all.clone().find(|(name, _)| *name == taken).map_or(0, |(_, count)| count);
    let (full, count) = all.filter(|(name, _)| *name != taken).max_by_key(|(_, count)| *count)?;
    if of_taken > 0 || count == 0 {
        return None;
    }
    let is_named = settings.get("DATABASE_CONNECTION_URI").is_some_and(|url| url.contains("schema="));
    let why = if is_named {
        format!("the connection string names the schema \"{taken}\"")
    } else {
        format!("the connection string names no schema, so Prisma takes \"{taken}\"")
    };
    let instances = if count == 1 { "1 instance is".to_owned() } else { format!("{count} instances are") };
    let detail = format!(
        "{why}, where no instance is, and {instances} in \"{full}\"; add schema={full} to \
         DATABASE_CONNECTION_URI and restart the server"
    );
    let mut finding = finding("EVO745", "DATABASE_CONNECTION_URI", Severity::Error, detail);
    finding.count = count;
    Some(finding)
}

/// Settings that the server does not read, or reads otherwise than meant.
fn unread(settings: &EvolutionSettings) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |key: &str, severity, detail: &str| {
        findings.push(finding("EVO746", key, severity, detail.to_owned()))
    };
    if settings.get("DATABASE_CONNECTION_URI").is_none() && settings.get("DATABASE_URL").is_some() {
        add(
            "DATABASE_URL",
            Severity::Warning,
            "only DATABASE_URL is set, which Evolution does not read; set DATABASE_CONNECTION_URI to the same",
        );
    }
    let bouncer = settings.get("DATABASE_BOUNCER_CONNECTION_URI").is_some();
    match settings.get("DATABASE_PROVIDER") {
        Some("psql_bouncer") if !bouncer => add(
            "DATABASE_PROVIDER",
            Severity::Warning,
            "DATABASE_PROVIDER is psql_bouncer, and DATABASE_BOUNCER_CONNECTION_URI is not set, so the \
             server has no connection string for its queries; set it, or make the provider postgresql",
        ),
        Some("postgresql" | "psql_bouncer") | None => {}
        Some(_) => add(
            "DATABASE_PROVIDER",
            Severity::Warning,
            "DATABASE_PROVIDER is neither postgresql nor psql_bouncer, although this is a PostgreSQL \
             database; the server takes the tables and migrations of another one, or does not start",
        ),
    }
    if bouncer && settings.get("DATABASE_PROVIDER") == Some("postgresql") {
        add(
            "DATABASE_BOUNCER_CONNECTION_URI",
            Severity::Advice,
            "DATABASE_BOUNCER_CONNECTION_URI is set, and with DATABASE_PROVIDER postgresql nothing reads it; \
             psql_bouncer does (since 2.3)",
        );
    }
    if settings.is_on("CACHE_REDIS_SAVE_INSTANCES") {
        add(
            "CACHE_REDIS_SAVE_INSTANCES",
            Severity::Advice,
            "CACHE_REDIS_SAVE_INSTANCES is on: the server looks for sessions of instances in Redis, \
             so an instance that is here may be unknown there, and one deleted here may still be there",
        );
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(variables: &[(&str, &str)], existing: &DatabaseFacts) -> Vec<String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let findings = compare_settings(&EvolutionSettings::new(variables), existing);
        findings.into_iter().map(|finding| format!("{} {}", finding.code, finding.key)).collect()
    }

    fn in_evolution_api(clients: &[(&str, i64)]) -> DatabaseFacts {
        let clients = clients.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        DatabaseFacts { schema: "evolution_api".to_owned(), clients, others: vec![("public".to_owned(), 0)] }
    }

    const URL: (&str, &str) = ("DATABASE_CONNECTION_URI", "postgresql://u:p@h/d?schema=evolution_api");

    #[test]
    fn a_client_name_without_instances_is_found() {
        let existing = in_evolution_api(&[("evolution", 3), ("", 1)]);
        let name = |name| [URL, ("DATABASE_CONNECTION_CLIENT_NAME", name)];
        assert_eq!(codes(&name("evolution"), &existing), [""; 0]);
        assert_eq!(codes(&name("shop"), &existing), ["EVO405 DATABASE_CONNECTION_CLIENT_NAME"]);
        assert_eq!(codes(&[URL], &existing), [""; 0], "one of the defaults is there");
        let existing = in_evolution_api(&[("evolution_v2", 3)]);
        assert_eq!(codes(&[URL], &existing), ["EVO405 DATABASE_CONNECTION_CLIENT_NAME"]);
        assert_eq!(codes(&name("shop"), &in_evolution_api(&[])), [""; 0], "a new database has none");
    }

    #[test]
    fn a_schema_that_is_empty_while_another_is_full_is_found() {
        let existing = in_evolution_api(&[("evolution", 3)]);
        let url = |url| [("DATABASE_CONNECTION_URI", url)];
        assert_eq!(codes(&url("postgresql://u:p@h/d"), &existing), ["EVO745 DATABASE_CONNECTION_URI"]);
        assert_eq!(
            codes(&url("postgresql://u:p@h/d?schema=public"), &existing),
            ["EVO745 DATABASE_CONNECTION_URI"]
        );
        let findings = compare_settings(
            &EvolutionSettings::new([(
                "DATABASE_CONNECTION_URI".to_owned(),
                "postgresql://u@h/d".to_owned(),
            )]),
            &existing,
        );
        assert!(
            findings[0].detail.contains("schema=evolution_api")
                && findings[0].detail.contains("names no schema")
        );
    }

    #[test]
    fn settings_that_nothing_reads_are_found() {
        let existing = in_evolution_api(&[("evolution", 1)]);
        assert_eq!(codes(&[("DATABASE_URL", URL.1)], &existing), ["EVO746 DATABASE_URL"]);
        assert_eq!(
            codes(&[URL, ("DATABASE_PROVIDER", "psql_bouncer")], &existing),
            ["EVO746 DATABASE_PROVIDER"]
        );
        let bouncer = ("DATABASE_BOUNCER_CONNECTION_URI", URL.1);
        assert_eq!(codes(&[URL, ("DATABASE_PROVIDER", "psql_bouncer"), bouncer], &existing), [""; 0]);
        assert_eq!(
            codes(&[URL, ("DATABASE_PROVIDER", "postgresql"), bouncer], &existing),
            ["EVO746 DATABASE_BOUNCER_CONNECTION_URI"]
        );
        assert_eq!(codes(&[URL, ("DATABASE_PROVIDER", "sqlite")], &existing), ["EVO746 DATABASE_PROVIDER"]);
        assert_eq!(
            codes(&[URL, ("CACHE_REDIS_SAVE_INSTANCES", "true")], &existing),
            ["EVO746 CACHE_REDIS_SAVE_INSTANCES"]
        );
    }
}
