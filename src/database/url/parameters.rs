//! The back of a connection string: Prisma's parameters, and libpq's.

use std::fmt::Display;
use std::net::IpAddr;
use std::str::FromStr;

use anyhow::Result;
use sqlx::postgres::PgSslMode;
use url::Url;

use super::setting::Setting;
use super::{environment, service};
use crate::error::user_error;
use crate::text::suggest::closest_match;

/// Parameters that decide where to connect, and what is examined there: a name that is almost one of these is a
/// mistake.
const DECIDING: [&str; 9] =
    ["host", "hostaddr", "port", "user", "password", "dbname", "service", "schema", "sslmode"];

/// Parameters that libpq supports and the driver does not; with the value that has no effect.
const REFUSED: [(&str, &str); 8] = [
    ("requirepeer", ""),
    ("require_auth", ""),
    ("requiressl", "0"),
    ("gssencmode", "disable prefer"),
    ("sslnegotiation", "postgres"),
    ("sslcrl", ""),
    ("sslcrldir", ""),
    ("replication", "0 false off no"),
];

/// The values of the parameters; `None` for those that are not set.
#[derive(Default)]
pub(super) struct Parameters {
    pub schema: Option<String>,
    pub host: Option<String>,
    /// The address to connect to in the place of the host's.
    pub address: Option<String>,
    pub service: Option<String>,
    pub service_file: Option<String>,
    /// libpq's file of passwords.
    pub password_file: Option<String>,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub password: Option<String>,
    pub database: Option<String>,
    /// Seconds; 0 is for ever.
    pub connect_timeout: Option<u64>,
    /// The maximum number of connections of Prisma's pool.
    pub connection_limit: Option<u64>,
    pub application_name: Option<String>,
    /// True if Prisma is told that PgBouncer is in between.
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
    /// Reads those of a connection string; the last of a name wins, as with Prisma, and an empty value is as good as none.
    ///
    /// # Errors
    /// When a value cannot be meant, or asks for something that this program cannot do.
    pub fn read(url: &Url) -> Result<Self> {
        Self::of(url.query_pairs().map(|(name, value)| Setting {
            name: name.into_owned(),
            value: value.into_owned(),
            place: "the connection string".to_owned(),
        }))
    }

    /// Defaults for a connection string: its service, or `PGSERVICE`'s, and libpq's variables under that.
    ///
    /// # Errors
    /// When there is no such service, or something in it or in the environment asks for what cannot be done.
    pub fn defaults(&self) -> Result<(Self, Self)> {
        let environment = Self::of(environment::settings())?;
        let name = self.service.as_ref().or(environment.service.as_ref());
        let file = self.service_file.as_ref().or(environment.service_file.as_ref());
        let service = match name {
            Some(name) => Self::of(service::settings(name, file.map(String::as_str))?)?,
            None => Self::default(),
        };
        Ok((service, environment))
    }

    /// Fills in what is silent, for what is not part of the address.
    pub fn or(self, under: Self) -> Self {
        Self {
            schema: self.schema.or(under.schema),
            connect_timeout: self.connect_timeout.or(under.connect_timeout),
            connection_limit: self.connection_limit.or(under.connection_limit),
            application_name: self.application_name.or(under.application_name),
            is_pooled: self.is_pooled || under.is_pooled,
            options: self.options.or(under.options),
            ssl_mode: self.ssl_mode.or(under.ssl_mode),
            is_strict: self.is_strict.or(under.is_strict),
            root_certificate: self.root_certificate.or(under.root_certificate),
            certificate: self.certificate.or(under.certificate),
            key: self.key.or(under.key),
            ..self
        }
    }

    fn of(settings: impl IntoIterator<Item = Setting>) -> Result<Self> {
        let mut found = Self::default();
        for setting in settings {
            if !setting.value.is_empty() {
                found.take(&setting)?;
            }
        }
        Ok(found)
    }

    fn take(&mut self, setting: &Setting) -> Result<()> {
        let Setting { name, value, place } = setting;
        let text = || Some(value.clone());
        match name.as_str() {
            "schema" => self.schema = text(),
            "host" if value.contains(',') => {
                return Err(user_error(
                    format!("{place} names several servers: host={value}"),
                    "name one of them: the primary, or a standby if nothing is to be changed",
                ));
            }
            "host" => self.host = text(),
            "hostaddr" if value.parse::<IpAddr>().is_err() => {
                return Err(user_error(
                    format!("hostaddr={value} in {place} is not an address"),
                    "give one address such as 10.0.0.7, or a name with host",
                ));
            }
            "hostaddr" => self.address = text(),
            "service" => self.service = text(),
            "servicefile" => self.service_file = text(),
            "passfile" => self.password_file = text(),
            "port" => self.port = Some(number(setting)?),
            "user" => self.user = text(),
            "password" => self.password = text(),
            "dbname" => self.database = text(),
            "connect_timeout" => self.connect_timeout = Some(number(setting)?),
            "application_name" => self.application_name = text(),
            "options" => self.options = text(),
            "sslmode" => self.ssl_mode = Some(ssl_mode(value)?),
            "sslaccept" => self.is_strict = Some(is_strict(value)?),
            "sslrootcert" => self.root_certificate = text(),
            "sslcert" => self.certificate = text(),
            "sslkey" => self.key = text(),
            "sslidentity" | "sslpassword" => {
                return Err(user_error(
                    format!("{name} names a PKCS#12 file, which evodoctor does not read"),
                    "convert it (openssl pkcs12 -in FILE -nodes -out client.pem) and give \
                     sslcert=client.pem&sslkey=client.pem",
                ));
            }
            "connection_limit" => self.connection_limit = value.parse().ok(),
            "pgbouncer" => self.is_pooled = value == "true",
            // They are about Prisma's pool and its cache, which this program has not.
            "pool_timeout"
            | "socket_timeout"
            | "statement_cache_size"
            | "max_connection_lifetime"
            | "max_idle_connection_lifetime" => {
                tracing::debug!(parameter = %name, "of Prisma's pool; without effect here");
            }
            _ => unknown(setting)?,
        }
        Ok(())
    }
}

/// Ignores what makes no difference to where one connects and to whom; refuses what does.
fn unknown(setting: &Setting) -> Result<()> {
    let Setting { name, value, place } = setting;
    if let Some((_, harmless)) = REFUSED.iter().find(|(refused, _)| refused == name) {
        if harmless.split(' ').any(|harmless| harmless == value) {
            return Ok(());
        }
        return Err(user_error(
            format!("{place} asks for {name} {value}, which evodoctor does not support"),
            "remove it for evodoctor",
        ));
    }
    if let Some(meant) = closest_match(name, &DECIDING) {
        return Err(user_error(
            format!("{name} in {place} is not a parameter, but {meant} is"),
            format!("write {meant}={value}, or remove it"),
        ));
    }
    tracing::debug!(parameter = %name, "unknown parameter of the connection string, ignored");
    Ok(())
}

fn number<T: FromStr<Err: Display>>(setting: &Setting) -> Result<T> {
    let Setting { name, value, place } = setting;
    value.parse().map_err(|error| {
        user_error(format!("{name}={value} in {place}: {error}"), format!("give {name} a number"))
    })
}

fn ssl_mode(value: &str) -> Result<PgSslMode> {
    value.parse().map_err(|_| {
        user_error(
            format!("sslmode={value} is not a mode"),
            "use disable, allow, prefer, require, verify-ca or verify-full",
        )
    })
}

fn is_strict(value: &str) -> Result<bool> {
    match value {
        "strict" => Ok(true),
        "accept_invalid_certs" => Ok(false),
        _ => Err(user_error(
            format!("sslaccept={value} is not a value that Prisma knows"),
            "use sslaccept=strict (verify the server) or sslaccept=accept_invalid_certs",
        )),
    }
}
