//! Connection strings as Evolution's users have them: Prisma's dialect, with what libpq knows besides.
//!
//! What the string leaves out comes from libpq's variables (`PGHOST`, `PGUSER`, `PGPASSWORD`, …) and then, for the
//! password, from `~/.pgpass`, as a DBA expects; what the string says wins. An unencoded `@` in a password is
//! accepted, because Prisma accepts it: the last one before the host counts.

mod address;
mod parameters;
mod tls;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use url::Url;

use crate::exit::failure;
use address::Address;
use parameters::Parameters;
use tls::Tls;

/// How long to wait for a server that does not answer, unless `connect_timeout` says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where to connect, and what the connection string says besides.
#[derive(Clone)]
pub struct Target {
    /// What the driver needs, with the password.
    pub options: PgConnectOptions,
    /// Prisma's `schema` parameter.
    pub schema: Option<String>,
    /// How long a connection may take; `None` waits for ever (`connect_timeout=0`).
    pub connect_timeout: Option<Duration>,
    /// How many connections it allows Prisma's pool, where it says so.
    pub connection_limit: Option<u64>,
    /// How to go on when the first way to connect is refused.
    pub fallback: Option<Fallback>,
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

impl Target {
    /// Reads a connection string.
    ///
    /// # Errors
    /// When it is none, or asks for something that cannot be done. No error shows the password.
    pub fn parse(text: &str) -> Result<Self> {
        let url = address::parse(unquoted(text.trim()))?;
        let parameters = Parameters::read(&url)?;
        let address = Address::read(&url, &parameters)?;
        let mut options = address.options(parameters.options.as_deref())?;

        // libpq does no TLS through a socket, whatever sslmode says.
        let tls = match socket(&options) {
            Some(_) => Tls::none(),
            None => Tls::choose(&parameters, options.get_ssl_mode())?,
        };
        options = tls.apply(options);
        match (&parameters.application_name, options.get_application_name()) {
            (Some(name), _) => options = options.application_name(name),
            // PgBouncer would leave the name to whoever has the connection next; there each transaction has it for itself
            // (sql/catalog/session_settings.sql).
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
            files: tls.files,
        })
    }

    /// The server as a person would name it: `host:port`, or the path of the socket.
    pub fn server(&self) -> String {
        let (host, port) = (self.options.get_host(), self.options.get_port());
        match socket(&self.options) {
            Some(directory) => format!("{directory}/.s.PGSQL.{port}"),
            None if host.contains(':') => format!("[{host}]:{port}"),
            None => format!("{host}:{port}"),
        }
    }

    /// Whether it is reached through a socket of this machine.
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

    /// The database's name; without one Postgres takes the user's.
    pub fn database(&self) -> &str {
        self.options.get_database().unwrap_or_else(|| self.options.get_username())
    }
}

impl fmt::Debug for Target {
    /// Shows everything but the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("server", &self.server())
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

/// Whether a connection string holds a password.
///
/// # Errors
/// When it is none.
pub fn carries_password(text: &str) -> Result<bool> {
    let url = address::parse(unquoted(text.trim()))?;
    Ok(Address::read(&url, &Parameters::read(&url)?)?.password.is_some())
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
    /// The driver's options, with libpq's variables and `.pgpass` where the address is silent.
    ///
    /// The driver reads them from a URL that has every part as a plain parameter, so that nothing in it is left
    /// to interpret, and the password is looked up for this server and no other.
    fn options(&self, settings: Option<&str>) -> Result<PgConnectOptions> {
        let mut url = Url::parse("postgresql:///").expect("a constant");
        let parts = [
            ("host", self.host.clone()),
            ("port", self.port.map(|port| port.to_string())),
            ("user", self.user.clone()),
            ("password", self.password.clone()),
            ("dbname", self.database.clone()),
            ("options", settings.map(str::to_owned)),
        ];
        for (name, value) in parts {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, &value);
            }
        }
        // The driver's error might show the URL.
        let options = PgConnectOptions::from_url(&url).map_err(|_| {
            failure("the connection string cannot be used", "check its host, port and user, and PGPORT")
        })?;
        // An empty PGHOST is as good as none.
        Ok(if options.get_host().is_empty() { options.host("localhost") } else { options })
    }
}

#[cfg(test)]
mod tests;
