//! The reasons why a connection fails, in words that say what to do.

use std::io;
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;

use super::containers::Around;
use crate::database::url::ConnectTarget;
use crate::error::sqlstate::{self, SqlstateAdvice};
use crate::error::user_error;

/// The cause.
#[derive(Debug)]
pub(super) enum ConnectError {
    /// No answer within this time.
    TimedOut(Duration),
    /// The server answered, with one of Postgres's error codes. Its message may be in any language, the name of the function
    /// that said it is not; PgBouncer names none.
    Server { code: String, message: String, routine: String, advice: Option<SqlstateAdvice> },
    /// TLS did not come about; the text is the driver's.
    Tls(String),
    /// The network or the socket.
    Io(io::ErrorKind, String),
    /// Anything else that the driver says.
    Other(String),
}

impl From<sqlx::Error> for ConnectError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => Self::server(error.as_ref()),
            sqlx::Error::Tls(error) => Self::Tls(error.to_string()),
            // The TLS library hands its errors through as ones of the socket.
            sqlx::Error::Io(error) if is_of_tls(&error) => Self::Tls(error.to_string()),
            sqlx::Error::Io(error) => Self::Io(error.kind(), error.to_string()),
            other => Self::Other(other.to_string()),
        }
    }
}

fn is_of_tls(error: &io::Error) -> bool {
    let text = error.to_string();
    error.kind() == io::ErrorKind::InvalidData
        || ["peer certificate", "fatal alert", "TLS", "handshake"].iter().any(|part| text.contains(part))
}

impl ConnectError {
    fn server(error: &dyn DatabaseError) -> Self {
        let postgres = error.try_downcast_ref::<PgDatabaseError>();
        let detail = postgres.and_then(PgDatabaseError::detail);
        let routine = postgres.and_then(PgDatabaseError::routine).unwrap_or_default().to_owned();
        let message = match detail {
            Some(detail) => format!("{} ({detail})", error.message()),
            None => error.message().to_owned(),
        };
        let code = error.code().unwrap_or_default().into_owned();
        Self::Server { code, message, routine, advice: sqlstate::advice(error) }
    }

    /// True if `pg_hba.conf` refused this kind of connection, so that another kind may be let in.
    pub fn is_by_rule(&self) -> bool {
        matches!(self, Self::Server { code, message, .. } if code == "28000" && message.contains("pg_hba.conf"))
    }

    /// True if TLS is what failed.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// True if the server has no TLS at all.
    pub fn is_missing_tls(&self) -> bool {
        matches!(self, Self::Tls(text) if text.contains("server does not support TLS"))
    }

    /// The error that the user sees.
    pub fn explain(&self, target: &ConnectTarget) -> anyhow::Error {
        let server = target.server_name();
        let (message, next) = match self {
            Self::TimedOut(limit) => (
                format!("{server} does not answer within {} s", limit.as_secs()),
                "check host, port and firewall; connect_timeout=60 in the connection string waits longer"
                    .to_owned(),
            ),
            Self::Server { code, message, routine, advice } => {
                let (user, database) = (target.options.get_username(), target.database());
                let next = match code.as_str() {
                    "28000" if routine == "auth_failed" && target.is_socket() => {
                        format!(
                            "run as the system user {user}, or connect over TCP (localhost) with a password"
                        )
                    }
                    "42501" => {
                        format!("as an administrator: GRANT CONNECT ON DATABASE \"{database}\" TO \"{user}\"")
                    }
                    _ => advice
                        .map_or("the message is the server's; its log may say more", |advice| advice.next)
                        .to_owned(),
                };
                (format!("{server} says: {message}"), next)
            }
            Self::Tls(text) => explain_tls(target, text),
            Self::Io(kind, text) => explain_io(target, *kind, text),
            Self::Other(text) => (
                format!("connecting to {server} failed: {text}"),
                "check that it is a Postgres server, and try the same connection string with psql".to_owned(),
            ),
        };
        user_error(message, next)
    }
}

fn explain_tls(target: &ConnectTarget, text: &str) -> (String, String) {
    let server = target.server_name();
    let has = |part: &str| text.contains(part);
    let (what, next) = if has("server does not support TLS") {
        ("it offers no TLS", "turn ssl on at the server, or use sslmode=prefer or sslmode=disable")
    } else if has("not valid for name") {
        (
            "its certificate is for another host name",
            "connect with the name in the certificate, or use sslmode=verify-ca, which does not compare names",
        )
    } else if has("UnknownIssuer") {
        (
            "its certificate is not signed by a trusted CA",
            "give the CA's certificate with sslrootcert=ca.pem, or use sslmode=require without sslrootcert, \
             which encrypts but does not verify",
        )
    } else if has("CaUsedAsEndEntity") {
        (
            "it shows a CA's certificate as its own, which cannot be verified",
            "use sslmode=require without sslrootcert, or give the server a certificate that a CA signed",
        )
    } else if has("UnsupportedCertVersion") {
        (
            "its certificate is of X.509 version 1, which is too old",
            "give the server a version 3 certificate, or use sslmode=disable on a network that you trust",
        )
    } else if has("expired") || has("Expired") {
        ("its certificate has expired", "renew it at the server")
    } else if has("CertificateRequired") || has("HandshakeFailure") || has("CertificateUnknown") {
        (
            "it asks for a client certificate that it accepts",
            "give one with sslcert=client.pem&sslkey=client.key",
        )
    } else {
        ("the TLS handshake fails", "check the certificates; sslmode=disable connects without TLS")
    };
    (format!("no encrypted connection to {server}: {what} ({text})"), next.to_owned())
}

fn explain_io(target: &ConnectTarget, kind: io::ErrorKind, text: &str) -> (String, String) {
    let server = target.server_name();
    match kind {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound if target.is_socket() => (
            format!("no server listens on the socket {server}"),
            "check that Postgres runs, and its unix_socket_directories and port".to_owned(),
        ),
        io::ErrorKind::ConnectionRefused => {
            let (more, next) = match target.remote_host() {
                Some(_) => None,
                None => Around::look(target).refused_here(target.options.get_port()),
            }
            .unwrap_or_else(|| {
                let next = "check host and port, that Postgres runs, and its listen_addresses";
                (String::new(), next.to_owned())
            });
            (format!("no server listens on {server}: the connection is refused{more}"), next)
        }
        io::ErrorKind::PermissionDenied => (
            format!("the socket {server} may not be opened: {text}"),
            "run as a user with the right, or connect over TCP (localhost)".to_owned(),
        ),
        _ if text.contains("lookup address") => {
            Around::look(target).unknown_name(target.options.get_host(), target.options.get_port())
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => (
            format!("{server} closes the connection: {text}"),
            "check that a Postgres server listens there; its log may say why".to_owned(),
        ),
        _ => (format!("{server} cannot be reached: {text}"), "check host, port and network".to_owned()),
    }
}
