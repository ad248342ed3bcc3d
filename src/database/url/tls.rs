//! Which TLS a connection string asks for, where Prisma's words and libpq's meet.

use std::path::PathBuf;

use anyhow::Result;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::Fallback;
use super::parameters::Parameters;
use crate::error::user_error;

/// The choice: the driver's TLS mode, and what is tried after it.
pub(super) struct Tls {
    mode: PgSslMode,
    root: Option<PathBuf>,
    client: Option<(PathBuf, PathBuf)>,
    pub fallback: Option<Fallback>,
    /// Every file above with the parameter that names it.
    pub files: Vec<(&'static str, PathBuf)>,
}

impl Tls {
    /// No TLS at all.
    pub fn none() -> Self {
        Self { mode: PgSslMode::Disable, root: None, client: None, fallback: None, files: Vec::new() }
    }

    /// Chooses; `default` is the mode without `sslmode`, which is `PGSSLMODE` or `prefer`.
    ///
    /// - libpq: `require` with `sslrootcert` verifies like `verify-ca`; `sslrootcert=system` means the system's
    ///   certificates and `verify-full`.
    /// - Prisma: `sslaccept=strict` verifies certificate and host name; `sslcert` without a key is the CA's
    ///   certificate, and verifies nothing without `strict`.
    ///
    /// The driver trusts the system's certificates besides the ones of `sslrootcert`.
    pub fn choose(parameters: &Parameters, default: PgSslMode) -> Result<Self> {
        let mode = parameters.ssl_mode.unwrap_or(default);
        if matches!(mode, PgSslMode::Disable) {
            return Ok(Self::none());
        }
        let certificate = parameters.certificate.as_ref().map(PathBuf::from);
        let key = parameters.key.as_ref().map(PathBuf::from);
        let (client, prisma_root) = match (certificate, key) {
            (Some(certificate), Some(key)) => (Some((certificate, key)), None),
            (None, Some(_)) => {
                return Err(user_error(
                    "sslkey without sslcert",
                    "name the client's certificate with sslcert",
                ));
            }
            (root, None) => (None, root),
        };
        let is_system = parameters.root_certificate.as_deref() == Some("system");
        let root = parameters.root_certificate.as_ref().filter(|_| !is_system).map(PathBuf::from);
        let mut files = Vec::new();
        files.extend(root.clone().map(|path| ("sslrootcert", path)));
        files.extend(prisma_root.clone().map(|path| ("sslcert", path)));
        if let Some((certificate, key)) = &client {
            files.extend([("sslcert", certificate.clone()), ("sslkey", key.clone())]);
        }

        let is_strict = parameters.is_strict == Some(true);
        let (mode, fallback) = match mode {
            // libpq takes no weaker mode with it.
            _ if is_system => (PgSslMode::VerifyFull, None),
            PgSslMode::Prefer if is_strict => (PgSslMode::VerifyFull, Some(Fallback::PlainWithoutServerTls)),
            PgSslMode::Prefer => (PgSslMode::Prefer, Some(Fallback::Plain)),
            PgSslMode::Allow => (PgSslMode::Disable, Some(Fallback::Encrypted)),
            PgSslMode::Require | PgSslMode::VerifyCa if is_strict => (PgSslMode::VerifyFull, None),
            PgSslMode::Require if root.is_some() => (PgSslMode::VerifyCa, None),
            other => (other, None),
        };
        Ok(Self { mode, root: root.or(prisma_root), client, fallback, files })
    }

    /// True if the host's name is compared with the certificate's.
    pub fn compares_names(&self) -> bool {
        matches!(self.mode, PgSslMode::VerifyFull)
    }

    /// The driver's options with it.
    pub fn apply(&self, mut options: PgConnectOptions) -> PgConnectOptions {
        options = options.ssl_mode(self.mode);
        if let Some(root) = &self.root {
            options = options.ssl_root_cert(root);
        }
        if let Some((certificate, key)) = &self.client {
            options = options.ssl_client_cert(certificate).ssl_client_key(key);
        }
        options
    }
}
