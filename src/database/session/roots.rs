//! The trusted certificates: the system's, or the built-in ones of Mozilla if the system has none, as in an image from
//! scratch.

use std::env;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sqlx::postgres::PgConnectOptions;

use crate::database::url::ConnectTarget;

/// The variables that say where the system's certificates are. A user who sets one has chosen the trusted CAs, and none
/// are added.
const CHOSEN: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The target's options, with Mozilla's certificates where it wants the server's verified, and there are no others for it.
pub(super) fn options(target: &ConnectTarget) -> PgConnectOptions {
    let options = target.options.clone();
    let is_chosen = || CHOSEN.iter().any(|name| env::var_os(name).is_some());
    if !target.verifies_with_system() || is_chosen() {
        return options;
    }
    // A file that cannot be read counts as missing; the driver logs it.
    if !rustls_native_certs::load_native_certs().certs.is_empty() {
        return options;
    }
    tracing::debug!("this system has no CA certificates: the built-in ones of Mozilla are used");
    options.ssl_root_cert_from_pem(bundled())
}

/// The system's certificates as PEM, or Mozilla's where it has none: for a program that does not look for them itself.
pub(in crate::database) fn system_certificates() -> Vec<u8> {
    let system = rustls_native_certs::load_native_certs().certs;
    let is_chosen = CHOSEN.iter().any(|name| env::var_os(name).is_some());
    if system.is_empty() && !is_chosen { bundled() } else { pem(system.iter().map(AsRef::as_ref)) }
}

/// Mozilla's certificates as PEM.
fn bundled() -> Vec<u8> {
    pem(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(AsRef::as_ref))
}

fn pem<'c>(certificates: impl Iterator<Item = &'c [u8]>) -> Vec<u8> {
    let mut pem = String::new();
    for certificate in certificates {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        pem.push_str(&STANDARD.encode(certificate));
        pem.push_str("\n-----END CERTIFICATE-----\n");
    }
    pem.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mozillas_certificates_are_complete() {
        let text = String::from_utf8(bundled()).unwrap();
        assert_eq!(text.matches("BEGIN CERTIFICATE").count(), webpki_root_certs::TLS_SERVER_ROOT_CERTS.len());
        assert!(text.matches("BEGIN CERTIFICATE").count() > 100);
    }

    #[test]
    fn built_in_certificates_are_used_only_for_verification() {
        for (parameters, expected) in [
            ("", false),
            ("sslmode=require", false),
            ("sslmode=verify-ca", true),
            ("sslmode=verify-full", true),
            ("sslrootcert=system", true),
            ("sslaccept=strict", true),
            ("sslmode=verify-full&sslrootcert=ca.pem", false),
            ("sslaccept=strict&sslcert=ca.pem", false),
            ("sslmode=verify-full&sslcert=client.pem&sslkey=client.key", true),
        ] {
            let target = ConnectTarget::parse(&format!("postgresql://u@h/d?{parameters}")).unwrap();
            assert_eq!(target.verifies_with_system(), expected, "{parameters}");
        }
    }
}
