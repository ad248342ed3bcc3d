//! Connection strings as Evolution's users have them: Prisma's dialect, with what libpq knows besides.
//!
//! What the string leaves out comes from its `service`, then from libpq's variables (`PGHOST`, `PGUSER`, `PGPASSWORD`, …) and then,
//! for the password, from `~/.pgpass`, as a DBA expects; what the string says wins. An unencoded `@` in a password is
//! accepted, because Prisma accepts it: the last one before the host counts.

mod address;
mod environment;
mod parameters;
mod passfile;
mod service;
mod setting;
mod tls;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::error::user_error;
use address::Address;
pub use environment::NAMING;
use parameters::Parameters;
use passfile::Wanted;
use tls::Tls;

/// The longest wait for a server that does not answer, unless `connect_timeout` says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where to connect, and what the connection string says besides.
#[derive(Clone)]
pub struct ConnectTarget {
    /// The driver's options, with the password.
    pub options: PgConnectOptions,
    /// Prisma's `schema` parameter.
    pub schema: Option<String>,
    /// The time that a connection may take; `None` waits for ever (`connect_timeout=0`).
    pub connect_timeout: Option<Duration>,
    /// The number of connections it allows Prisma's pool, where it says so.
    pub connection_limit: Option<u64>,
    /// The second way to connect, if the first one is refused.
    pub fallback: Option<Fallback>,
    /// The compose file that it is from.
    pub compose: Option<PathBuf>,
    /// Certificate and key files, each with the parameter that names it.
    pub files: Vec<(&'static str, PathBuf)>,
}

/// A second way to connect, for the TLS modes that have two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// `allow`: with TLS, when the server refuses a connection without.
    Encrypted,
    /// `prefer`: without TLS, when the server or TLS itself refuses.
    Plain,
    /// `prefer` with `sslaccept=strict`: without TLS, only when the server has none.
    PlainWithoutServerTls,
}

impl ConnectTarget {
    /// Reads a connection string.
    ///
    /// # Errors
    /// When it is none, or asks for something that cannot be done. No error shows the password.
    pub fn parse(text: &str) -> Result<Self> {
        let url = address::parse(unquoted(text.trim()))?;
        let mut parameters = Parameters::read(&url)?;
        let (service, environment) = parameters.defaults()?;
        let address = Address::read(&url, &parameters)?;
        let address = address.or(&service, "the service")?.or(&environment, "the environment")?;
        parameters = parameters.or(service).or(environment);
        let mut options = address.options(parameters.options.as_deref())?;

        // libpq does no TLS through a socket, whatever sslmode says.
        let tls = match socket(&options) {
            Some(_) => Tls::none(),
            None => Tls::choose(&parameters, options.get_ssl_mode())?,
        };
        if address.is_stand_in && tls.compares_names() {
            return Err(user_error(
                "hostaddr replaces the host's address, and the certificate would be compared with hostaddr",
                "remove hostaddr, or use sslmode=verify-ca, which does not compare names",
            ));
        }
        options = tls.apply(options);
        match (&parameters.application_name, options.get_application_name()) {
            (Some(name), _) => options = options.application_name(name),
            // PgBouncer would leave the name to the next client of the connection; behind it each transaction sets the
            // name (sql/catalog/session_settings.sql).
            (None, None) if parameters.is_pooled => {}
            (None, None) => options = options.application_name("evodoctor"),
            (None, Some(_)) => {}
        }
        // PgBouncer refuses the first as a startup parameter, and mixes up its clients' prepared statements.
        options = options.extra_float_digits(None).statement_cache_capacity(0);
        Ok(Self {
            options,
            schema: parameters.schema,
            connect_timeout: match parameters.connect_timeout {
                Some(0) => None,
                Some(seconds) => Some(Duration::from_secs(seconds)),
                None => Some(CONNECT_TIMEOUT),
            },
            connection_limit: parameters.connection_limit,
            fallback: tls.fallback,
            compose: None,
            files: tls.files,
        })
    }

    /// The server as a person would name it: `host:port`, or the path of the socket.
    pub fn server_name(&self) -> String {
        let (host, port) = (self.options.get_host(), self.options.get_port());
        match socket(&self.options) {
            Some(directory) => format!("{directory}/.s.PGSQL.{port}"),
            None if host.contains(':') => format!("[{host}]:{port}"),
            None => format!("{host}:{port}"),
        }
    }

    /// True if it is reached through a socket of this machine.
    pub fn is_socket(&self) -> bool {
        socket(&self.options).is_some()
    }

    /// The host whose name a connection string says or leaves to libpq's variables; `None` where nothing leaves this machine.
    pub fn remote_host(&self) -> Option<&str> {
        let host = self.options.get_host();
        let is_local = || {
            let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
            host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
        };
        (!self.is_socket() && !is_local()).then_some(host)
    }

    /// True if the server's certificate is to be verified, and by the system's certificates alone.
    pub fn verifies_with_system(&self) -> bool {
        let has = |name| self.files.iter().any(|(parameter, _)| *parameter == name);
        // A certificate without its key is an authority's, as Prisma has it.
        let names_authority = has("sslrootcert") || has("sslcert") && !has("sslkey");
        matches!(self.options.get_ssl_mode(), PgSslMode::VerifyCa | PgSslMode::VerifyFull) && !names_authority
    }

    /// The database's name; without one Postgres takes the user's.
    pub fn database(&self) -> &str {
        self.options.get_database().unwrap_or_else(|| self.options.get_username())
    }
}

impl fmt::Debug for ConnectTarget {
    /// Shows everything but the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("server", &self.server_name())
            .field("user", &self.options.get_username())
            .field("database", &self.database())
            .field("schema", &self.schema)
            .field("sslmode", &self.options.get_ssl_mode())
            .field("connect_timeout", &self.connect_timeout)
            .field("connection_limit", &self.connection_limit)
            .field("fallback", &self.fallback)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// True if a connection string holds a password.
pub fn has_password(text: &str) -> Result<bool> {
    let url = address::parse(unquoted(text.trim()))?;
    Ok(Address::read(&url, &Parameters::read(&url)?)?.password.is_some())
}

/// True if a connection string names a service or a file that a password may come from.
pub fn fetches_password(text: &str) -> Result<bool> {
    let parameters = Parameters::read(&address::parse(unquoted(text.trim()))?)?;
    Ok(parameters.service.is_some() || parameters.password_file.is_some())
}

/// The directory of the socket, if it is one: given as such, or as a host that starts with a slash.
fn socket(options: &PgConnectOptions) -> Option<String> {
    let host = || Some(options.get_host().to_owned()).filter(|host| host.starts_with('/'));
    options.get_socket().map(|directory| directory.display().to_string()).or_else(host)
}

/// A string that a shell or a container's env file left in its quotes.
fn unquoted(text: &str) -> &str {
    ['"', '\''].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote)).unwrap_or(text)
}

impl Address {
    /// The driver's options, with the password of libpq's file where there is no other.
    fn options(&self, settings: Option<&str>) -> Result<PgConnectOptions> {
        let mut options = PgConnectOptions::new_without_pgpass();
        options = match &self.host {
            Some(host) if host.starts_with('/') => options.socket(host),
            Some(host) => options.host(host),
            // An empty PGHOST is as good as none.
            None if options.get_host().is_empty() => options.host("localhost"),
            None => options,
        };
        if let Some(port) = self.port {
            options = options.port(port);
        }
        if let Some(user) = &self.user {
            options = options.username(user);
        }
        if let Some(database) = &self.database {
            options = options.database(database);
        }
        if let Some(settings) = settings {
            options = options.options(server_settings(settings)?);
        }
        let password = self.password.clone().or_else(|| self.password_of_file(&options));
        Ok(match password {
            Some(password) => options.password(&password),
            None => options,
        })
    }

    fn password_of_file(&self, options: &PgConnectOptions) -> Option<String> {
        // psql looks a socket in its usual place up as localhost.
        let is_usual = |directory: &str| matches!(directory, "/var/run/postgresql" | "/tmp");
        let host = match socket(options) {
            Some(directory) if is_usual(&directory) => "localhost".to_owned(),
            Some(directory) => directory,
            None => options.get_host().to_owned(),
        };
        let (user, database) = (options.get_username(), options.get_database());
        let database = database.unwrap_or(user);
        let wanted = Wanted { host: &host, port: options.get_port(), database, user };
        passfile::password(self.password_file.as_deref(), &wanted)
    }
}

/// The settings in libpq's `options`: `-c name=value` and `--name=value`, with a backslash before a space that is none between two.
fn server_settings(text: &str) -> Result<Vec<(String, String)>> {
    let mut words = vec![String::new()];
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        let word = words.last_mut().expect("begun with one");
        match c {
            '\\' => word.extend(characters.next()),
            c if c.is_whitespace() => words.push(String::new()),
            c => word.push(c),
        }
    }
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let setting = match word.as_str() {
            "-c" => words.next(),
            _ => word.strip_prefix("--").or_else(|| word.strip_prefix("-c")).map(str::to_owned),
        };
        let pair = setting.as_deref().and_then(|setting| setting.split_once('='));
        let (name, value) = pair.ok_or_else(|| {
            user_error(
                format!("options has {word:?}, which is not a setting"),
                "write options as -c%20name=value, once for each setting",
            )
        })?;
        settings.push((name.to_owned(), value.to_owned()));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests;
