//! The connection to the original for pg_dump: the same server, role and TLS mode as the session that examines it.

use std::io::Write;
use std::process::Command;

use anyhow::Result;
use sqlx::ConnectOptions;
use sqlx::postgres::PgSslMode;
use tempfile::NamedTempFile;

use crate::database::session::roots::system_certificates;
use crate::database::url::ConnectTarget;

/// libpq's variables. Passwords go by the environment, which no other user can read.
pub struct DumpConnection {
    variables: Vec<(String, String)>,
    /// The certificates of authorities; libpq before 16 does not find the system's.
    _authorities: Option<NamedTempFile>,
}

impl DumpConnection {
    /// The connection to a target, in the TLS mode in which its server took a session.
    pub fn new(target: &ConnectTarget, ssl_mode: PgSslMode) -> Result<Self> {
        let options = &target.options;
        let host = options
            .get_socket()
            .map_or_else(|| options.get_host().to_owned(), |socket| socket.display().to_string());
        let mut variables: Vec<(String, String)> = Vec::new();
        let mut set = |name: &str, value: &str| variables.push((name.to_owned(), value.to_owned()));
        set("PGHOST", host.trim_matches(['[', ']']));
        set("PGPORT", &options.get_port().to_string());
        set("PGUSER", options.get_username());
        set("PGDATABASE", target.database());
        set("PGAPPNAME", "evodoctor");
        set("PGCONNECT_TIMEOUT", "10");
        // A role or a limit of the connection string's own.
        if let Some(text) = options.get_options() {
            set("PGOPTIONS", text);
        }
        if let Some(password) = password(target) {
            set("PGPASSWORD", &password);
        }
        let (mode, verifies) = match ssl_mode {
            PgSslMode::Disable => ("disable", false),
            PgSslMode::Allow => ("allow", false),
            PgSslMode::Prefer => ("prefer", false),
            PgSslMode::Require => ("require", false),
            PgSslMode::VerifyCa => ("verify-ca", true),
            PgSslMode::VerifyFull => ("verify-full", true),
        };
        set("PGSSLMODE", mode);
        let has_key = target.files.iter().any(|(parameter, _)| *parameter == "sslkey");
        for (parameter, path) in &target.files {
            match *parameter {
                "sslcert" | "sslkey" if has_key => {
                    set(&format!("PG{}", parameter.to_uppercase()), &path.to_string_lossy());
                }
                // libpq verifies whatever the mode, where it knows an authority. Prisma's sslcert without a key is one.
                "sslrootcert" | "sslcert" if verifies => set("PGSSLROOTCERT", &path.to_string_lossy()),
                _ => {}
            }
        }
        let authorities = if verifies && target.verifies_with_system() {
            let mut file = NamedTempFile::with_prefix("evodoctor-")?;
            file.write_all(&system_certificates())?;
            file.flush()?;
            set("PGSSLROOTCERT", &file.path().to_string_lossy());
            Some(file)
        } else {
            None
        };
        Ok(Self { variables, _authorities: authorities })
    }

    /// Gives a program this connection, and no other variable of libpq's. It speaks English, which is read here.
    pub fn apply(&self, command: &mut Command) {
        let inherited = std::env::vars_os().filter(|(name, _)| !name.as_encoded_bytes().starts_with(b"PG"));
        let inherited: Vec<_> = inherited.collect();
        command.env_clear().envs(inherited).env("LC_ALL", "C");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
    }
}

/// The driver shows the password in its URL only. The URL's other parts are replaced, as it refuses some that are none.
fn password(target: &ConnectTarget) -> Option<String> {
    let url = target.options.clone().username("user").host("localhost").to_url_lossy();
    let encoded = url.password()?;
    Some(percent_encoding::percent_decode_str(encoded).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(parameters: &str, mode: PgSslMode) -> Vec<String> {
        let target = ConnectTarget::parse(&format!("postgresql://u:p%40%25w@h:5/d?{parameters}")).unwrap();
        let connection = DumpConnection::new(&target, mode).unwrap();
        connection.variables.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn libpq_gets_the_same_connection_as_the_driver() {
        let plain = variables("options=-c%20role%3Devolution", PgSslMode::Prefer);
        for expected in
            ["PGHOST=h", "PGPORT=5", "PGUSER=u", "PGDATABASE=d", "PGPASSWORD=p@%w", "PGSSLMODE=prefer"]
        {
            assert!(plain.iter().any(|one| one == expected), "{expected} is not in {plain:?}");
        }
        assert!(plain.iter().any(|one| one.starts_with("PGOPTIONS=") && one.contains("role=evolution")));
        assert!(!plain.iter().any(|one| one.starts_with("PGSSLROOTCERT")));

        // Prisma's sslcert without a key is an authority's, and verifies nothing without strict.
        let prisma = variables("sslmode=require&sslcert=ca.pem", PgSslMode::Require);
        assert!(!prisma.iter().any(|one| one.contains("ca.pem")), "{prisma:?}");
        let strict = variables("sslaccept=strict&sslcert=ca.pem", PgSslMode::VerifyFull);
        assert!(strict.contains(&"PGSSLROOTCERT=ca.pem".to_owned()), "{strict:?}");
        assert!(!strict.iter().any(|one| one.starts_with("PGSSLCERT")), "{strict:?}");
        let client = variables("sslmode=require&sslcert=c.pem&sslkey=c.key", PgSslMode::Require);
        assert!(
            client.contains(&"PGSSLCERT=c.pem".to_owned()) && client.contains(&"PGSSLKEY=c.key".to_owned())
        );
        // libpq before 16 knows no "system".
        let system = variables("sslmode=verify-full", PgSslMode::VerifyFull);
        assert!(system.iter().any(|one| one.starts_with("PGSSLROOTCERT=/")), "{system:?}");
    }
}
