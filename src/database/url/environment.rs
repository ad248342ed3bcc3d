//! libpq's variables, each as the parameter that it stands for.

use std::env;

use super::setting::Setting;

/// The variables of libpq that this program uses too. `PGAPPNAME`, `PGOPTIONS`, `PGSSLCERT` and `PGSSLKEY` are left to
/// the driver.
const VARIABLES: [(&str, &str); 19] = [
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGDATABASE", "dbname"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGPASSFILE", "passfile"),
    ("PGSERVICE", "service"),
    ("PGSERVICEFILE", "servicefile"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGREQUIREPEER", "requirepeer"),
    ("PGREQUIREAUTH", "require_auth"),
    ("PGREQUIRESSL", "requiressl"),
    ("PGGSSENCMODE", "gssencmode"),
    ("PGSSLNEGOTIATION", "sslnegotiation"),
    ("PGSSLCRL", "sslcrl"),
    ("PGSSLCRLDIR", "sslcrldir"),
];

/// Those by which psql finds a server or a database without any argument.
pub const NAMING: [&str; 4] = ["PGSERVICE", "PGHOSTADDR", "PGHOST", "PGDATABASE"];

/// Those that are set.
pub(super) fn settings() -> Vec<Setting> {
    let set = |(variable, name): &(&str, &str)| {
        let value = env::var(variable).ok().filter(|value| !value.is_empty())?;
        Some(Setting { name: (*name).to_owned(), value, place: format!("the variable {variable}") })
    };
    VARIABLES.iter().filter_map(set).collect()
}
