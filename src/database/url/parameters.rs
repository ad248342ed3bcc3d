//! The back of a connection string: Prisma's parameters, and libpq's.

use std::fmt::Display;
use std::str::FromStr;

use anyhow::Result;
use sqlx::postgres::PgSslMode;
use url::Url;

use crate::exit::failure;

/// What the parameters say; `None` where they are silent.
#[derive(Default)]
pub(super) struct Parameters {
    pub schema: Option<String>,
    pub host: Option<String>,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub password: Option<String>,
    pub database: Option<String>,
    /// Seconds; 0 is for ever.
    pub connect_timeout: Option<u64>,
    /// How many connections Prisma's pool may have.
    pub connection_limit: Option<u64>,
    pub application_name: Option<String>,
    /// Whether Prisma is told that PgBouncer stands in between.
    pub is_pooled: bool,
    /// Server settings in libpq's form, `-c name=value`.
    pub options: Option<String>,
    pub ssl_mode: Option<PgSslMode>,
    /// Prisma's `sslaccept`: whether certificate and host name are verified.
    pub is_strict: Option<bool>,
    pub root_certificate: Option<String>,
    /// With a key libpq's client certificate, alone Prisma's CA certificate.
    pub certificate: Option<String>,
    pub key: Option<String>,
}

impl Parameters {
    /// Reads them; the last of a name wins, as with Prisma, and an empty value is as good as none.
    ///
    /// # Errors
    /// When a value cannot be meant, or asks for something that this program cannot do.
    pub fn read(url: &Url) -> Result<Self> {
        let mut found = Self::default();
        for (name, value) in url.query_pairs() {
            if value.is_empty() {
                continue;
            }
            let text = || Some(value.clone().into_owned());
            match &*name {
                "schema" => found.schema = text(),
                "host" | "hostaddr" => found.host = text(),
                "port" => found.port = Some(number(&name, &value)?),
                "user" => found.user = text(),
                "password" => found.password = text(),
                "dbname" => found.database = text(),
                "connect_timeout" => found.connect_timeout = Some(number(&name, &value)?),
                "application_name" => found.application_name = text(),
                "options" => found.options = text(),
                "sslmode" => found.ssl_mode = Some(ssl_mode(&value)?),
                "sslaccept" => found.is_strict = Some(is_strict(&value)?),
                "sslrootcert" => found.root_certificate = text(),
                "sslcert" => found.certificate = text(),
                "sslkey" => found.key = text(),
                "sslidentity" | "sslpassword" => {
                    return Err(failure(
                        format!("{name} names a PKCS#12 file, which evodoctor does not read"),
                        "convert it (openssl pkcs12 -in FILE -nodes -out client.pem) and give \
                         sslcert=client.pem&sslkey=client.pem",
                    ));
                }
                "connection_limit" => found.connection_limit = value.parse().ok(),
                "pgbouncer" => found.is_pooled = value == "true",
                // They are about Prisma's pool and its cache, which this program has not.
                "pool_timeout"
                | "socket_timeout"
                | "statement_cache_size"
                | "max_connection_lifetime"
                | "max_idle_connection_lifetime" => {
                    tracing::debug!(parameter = %name, "of Prisma's pool; without effect here");
                }
                _ => {
                    tracing::debug!(parameter = %name, "unknown parameter of the connection string, ignored")
                }
            }
        }
        Ok(found)
    }
}

fn number<T: FromStr<Err: Display>>(name: &str, value: &str) -> Result<T> {
    value.parse().map_err(|error| {
        failure(format!("{name}={value} in the connection string: {error}"), format!("give {name} a number"))
    })
}

fn ssl_mode(value: &str) -> Result<PgSslMode> {
    value.parse().map_err(|_| {
        failure(
            format!("sslmode={value} is no mode"),
            "use disable, allow, prefer, require, verify-ca or verify-full",
        )
    })
}

fn is_strict(value: &str) -> Result<bool> {
    match value {
        "strict" => Ok(true),
        "accept_invalid_certs" => Ok(false),
        _ => Err(failure(
            format!("sslaccept={value} is nothing that Prisma knows"),
            "use sslaccept=strict (verify the server) or sslaccept=accept_invalid_certs",
        )),
    }
}
