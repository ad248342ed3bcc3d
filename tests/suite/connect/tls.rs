//! TLS as far as was asked, and the server's rules about it.

use std::fs;
use std::path::Path;
use std::process::Command;

use evodoctor::database::scratch_server::{ScratchServer, ScratchServerOptions};
use sqlx::ConnectOptions;
use tempfile::TempDir;

use super::{is_encrypted, refused, start};
use crate::support::database::execute;

/// A CA, a server certificate for the names `localhost` and `db.example`, and another CA, made by openssl.
pub fn certificates() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let script = "
        set -eu
        for ca in ca other; do
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $ca.key -out $ca.pem \
                -days 2 -subj /CN=$ca -addext basicConstraints=critical,CA:TRUE
        done
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj /CN=x
        printf 'subjectAltName=DNS:localhost,DNS:db.example\\nbasicConstraints=CA:FALSE\\n' >server.ext
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext \
            -out server.pem
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout client.key -out client.csr \
            -subj /CN=postgres
        printf 'basicConstraints=CA:FALSE\\n' >client.ext
        openssl x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile client.ext \
            -out client.pem
    ";
    let output = Command::new("sh").args(["-c", script]).current_dir(directory.path()).output().unwrap();
    assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
    directory
}

/// A server that shows this certificate, with these rules.
pub async fn start_with_tls(directory: &Path, certificate: &str, key: &str, hba: &str) -> ScratchServer {
    let read = |name: &str| fs::read(directory.join(name)).unwrap();
    let settings = [
        ("ssl", "on"),
        ("ssl_cert_file", "../server.pem"),
        ("ssl_key_file", "../server.key"),
        ("ssl_ca_file", "../ca.pem"),
        ("hba_file", "hba.conf"),
    ];
    start(ScratchServerOptions {
        tcp: true,
        files: vec![
            ("server.pem".to_owned(), read(certificate)),
            ("server.key".to_owned(), read(key)),
            ("ca.pem".to_owned(), read("ca.pem")),
            ("hba.conf".to_owned(), hba.into()),
        ],
        settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        ..ScratchServerOptions::default()
    })
    .await
}

#[tokio::test]
async fn tls_is_verified_as_requested() {
    let files = certificates();
    let hba = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
    let server = start_with_tls(files.path(), "server.pem", "server.key", hba).await;
    let url = |host: &str, parameters: &str| {
        let parameters = parameters.replace("DIR", &files.path().display().to_string());
        format!("{}?{parameters}", server.tcp_url("postgres").replace("127.0.0.1", host))
    };
    for parameters in [
        "",
        "sslmode=prefer",
        "sslmode=require",
        "sslmode=require&sslaccept=accept_invalid_certs",
        "sslmode=require&sslcert=DIR/other.pem",
        "sslmode=require&sslrootcert=DIR/ca.pem",
        "sslmode=verify-ca&sslrootcert=DIR/ca.pem",
        "sslmode=verify-full&sslrootcert=DIR/ca.pem",
        "sslcert=DIR/ca.pem&sslaccept=strict",
        "sslmode=require&sslcert=DIR/client.pem&sslkey=DIR/client.key",
    ] {
        assert!(is_encrypted(&url("localhost", parameters)).await, "{parameters}");
    }
    assert!(is_encrypted(&url("127.0.0.1", "sslmode=verify-ca&sslrootcert=DIR/ca.pem")).await);
    assert!(!is_encrypted(&url("localhost", "sslmode=disable")).await);
    assert!(!is_encrypted(&url("localhost", "sslmode=allow")).await);

    for (host, parameters, part) in [
        ("127.0.0.1", "sslmode=verify-full&sslrootcert=DIR/ca.pem", "another host name"),
        ("127.0.0.1", "sslmode=require&sslcert=DIR/ca.pem&sslaccept=strict", "another host name"),
        ("localhost", "sslmode=verify-full&sslrootcert=DIR/other.pem", "not signed by a trusted CA"),
        ("localhost", "sslmode=verify-ca&sslrootcert=DIR/other.pem", "not signed by a trusted CA"),
        ("localhost", "sslmode=require&sslrootcert=DIR/other.pem", "not signed by a trusted CA"),
        ("localhost", "sslmode=verify-full", "not signed by a trusted CA"),
        ("localhost", "sslaccept=strict", "not signed by a trusted CA"),
    ] {
        let message = refused(&url(host, parameters)).await;
        assert!(message.contains(part), "{host} {parameters}: {message}");
    }
}

#[tokio::test]
async fn tls_requirements_of_the_server_are_met_or_explained() {
    let files = certificates();
    let path = |name: &str| files.path().join(name).display().to_string();
    let hba = "local all all trust
        hostssl postgres all 127.0.0.1/32 trust
        hostnossl template1 all 127.0.0.1/32 trust
        hostssl mutual all 127.0.0.1/32 trust clientcert=verify-ca\n";
    // The server shows a CA's certificate as its own, as many self-signed ones are.
    let server = start_with_tls(files.path(), "ca.pem", "ca.key", hba).await;
    let mut admin = server.connect_options("postgres").connect().await.unwrap();
    execute(&mut admin, "CREATE DATABASE mutual").await;
    let url = |database: &str, parameters: &str| format!("{}?{parameters}", server.tcp_url(database));

    assert!(is_encrypted(&url("postgres", "sslmode=require")).await);
    assert!(is_encrypted(&url("postgres", "sslmode=allow")).await, "allow goes on with TLS");
    assert!(!is_encrypted(&url("template1", "sslmode=prefer")).await, "prefer goes on without");
    let message = refused(&url("postgres", "sslmode=disable")).await;
    assert!(message.contains("pg_hba.conf") && message.contains("sslmode=require"), "{message}");
    let message =
        refused(&url("postgres", &format!("sslmode=verify-ca&sslrootcert={}", path("ca.pem")))).await;
    assert!(message.contains("CA's certificate as its own"), "{message}");

    let pair = format!("sslmode=require&sslcert={}&sslkey={}", path("client.pem"), path("client.key"));
    assert!(is_encrypted(&url("mutual", &pair)).await);
    let message = refused(&url("mutual", "sslmode=require")).await;
    assert!(message.contains("client certificate"), "{message}");
}
