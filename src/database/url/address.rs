//! The front of a connection string: server, user, password and database; and common mistakes there.

use anyhow::Result;
use percent_encoding::percent_decode_str;
use url::Url;

use super::parameters::Parameters;
use crate::error::user_error;

const SHAPE: &str = "write it as postgresql://user:password@host:5432/database?schema=evolution_api";
const ENCODE: &str = "percent-encode the special characters of the user, password and database: \
                      @ is %40, : is %3A, / is %2F, ? is %3F, # is %23, % is %25";

/// The server in a connection string. `None` leaves a part to libpq's variables and defaults.
pub(super) struct Address {
    /// A name, an address without brackets, or a socket's directory.
    pub host: Option<String>,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub password: Option<String>,
    pub database: Option<String>,
    /// libpq's file of passwords, where another than the user's own is named.
    pub password_file: Option<String>,
    /// True if the host is an address that stands in for a name.
    pub is_stand_in: bool,
}

impl Address {
    /// Takes it from a URL; libpq's and Prisma's parameters win over the front.
    pub fn read(url: &Url, parameters: &Parameters) -> Result<Self> {
        let front = |name, text: &str| (!text.is_empty()).then(|| decoded(name, text)).transpose();
        let host = match url.host() {
            Some(url::Host::Ipv6(address)) => Some(address.to_string()),
            Some(host) => front("host", &host.to_string())?,
            None => None,
        };
        let path = url.path();
        let chosen = |parameter: &Option<String>, front| parameter.clone().or(front);
        let host = chosen(&parameters.host, host.filter(|host| host != NO_HOST));
        Ok(Self {
            is_stand_in: parameters.address.is_some() && host.is_some(),
            host: parameters.address.clone().or(host),
            port: parameters.port.or(url.port()),
            user: chosen(&parameters.user, front("user", url.username())?),
            password: chosen(&parameters.password, front("password", url.password().unwrap_or_default())?),
            database: chosen(
                &parameters.database,
                front("database", path.strip_prefix('/').unwrap_or(path))?,
            ),
            password_file: parameters.password_file.clone(),
        })
    }

    /// Fills in what it leaves open.
    ///
    /// # Errors
    /// When something there would have psql connect to another server than the one that is named.
    pub fn or(self, under: &Parameters, place: &str) -> Result<Self> {
        if let (Some(host), Some(address)) = (&self.host, &under.address)
            && host != address
        {
            return Err(user_error(
                format!(
                    "{place} has hostaddr={address}, so psql would connect to another server than {host}"
                ),
                "remove one of them (unset PGHOSTADDR)",
            ));
        }
        let stands_in = under.address.is_some() && under.host.is_some();
        Ok(Self {
            is_stand_in: self.is_stand_in || self.host.is_none() && stands_in,
            host: self.host.or_else(|| under.address.clone()).or_else(|| under.host.clone()),
            port: self.port.or(under.port),
            user: self.user.or_else(|| under.user.clone()),
            password: self.password.or_else(|| under.password.clone()),
            database: self.database.or_else(|| under.database.clone()),
            password_file: self.password_file.or_else(|| under.password_file.clone()),
        })
    }
}

/// Stands in for a host that is not there: the `url` crate refuses a user without one. The name is reserved
/// (RFC 2606), so nobody means it.
const NO_HOST: &str = "no-host.invalid";

/// Reads the string as a URL, once it is sure that its parts are what its writer meant.
///
/// # Errors
/// When it is of another kind, or holds a character that cuts it in the wrong place.
pub(super) fn parse(text: &str) -> Result<Url> {
    let Some((scheme, after)) = text.split_once("://") else {
        return Err(user_error("the connection string does not start with postgresql://", SHAPE));
    };
    check_scheme(scheme)?;
    let (authority, rest) = after.split_at(after.find(['/', '?', '#']).unwrap_or(after.len()));
    if let Some((character, encoded)) = misplaced(rest) {
        return Err(user_error(
            format!("an unencoded {character} cuts the connection string in two: {}", redacted(text)),
            format!("{ENCODE}; here {character} must be {encoded}"),
        ));
    }
    let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(user, host)| (user, host));
    if host.contains(',') {
        return Err(user_error(
            format!("the connection string names several servers: {}", redacted(text)),
            "name one of them: the primary, or a standby if nothing is to be changed",
        ));
    }
    let stand_in = if host.is_empty() || host.starts_with(':') { NO_HOST } else { "" };
    let at = if authority.contains('@') { "@" } else { "" };
    Url::parse(&format!("postgresql://{user}{at}{stand_in}{host}{rest}")).map_err(|error| {
        user_error(format!("the connection string cannot be read ({error}): {}", redacted(text)), ENCODE)
    })
}

fn check_scheme(scheme: &str) -> Result<()> {
    match scheme.to_ascii_lowercase().as_str() {
        "postgresql" | "postgres" => Ok(()),
        "mysql" | "mariadb" => Err(user_error(
            "this is a MySQL connection string; evodoctor examines Postgres databases only",
            "name Evolution's Postgres database, if it has one",
        )),
        "prisma" | "prisma+postgres" => Err(user_error(
            "this is a Prisma Accelerate connection string, which only Prisma's client can use",
            "give the direct one of the database behind it, which starts with postgresql://",
        )),
        // A password that is before :// must not be shown, so only what looks like a scheme is.
        other if is_scheme(other) => {
            Err(user_error(format!("{other}:// is not a Postgres connection string"), SHAPE))
        }
        _ => Err(user_error("the connection string does not start with postgresql://", SHAPE)),
    }
}

fn is_scheme(text: &str) -> bool {
    let is_known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    text.len() <= 20 && text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(is_known)
}

/// The character that ended the authority, when what follows looks like the second half of a password, with
/// its encoding. A `#` has no meaning in these strings, so it is always misplaced.
fn misplaced(rest: &str) -> Option<(char, &'static str)> {
    let path = &rest[..rest.find('?').unwrap_or(rest.len())];
    // `?` right behind the host begins parameters, unless an @ comes before the first =.
    let is_half = |query: &str| query.split_once('@').is_some_and(|(before, _)| !before.contains('='));
    if rest.starts_with('#') || (rest.contains('#') && !path.contains('@')) {
        Some(('#', "%23"))
    } else if path.contains('@') {
        Some(('/', "%2F"))
    } else if rest.strip_prefix('?').is_some_and(is_half) {
        Some(('?', "%3F"))
    } else {
        None
    }
}

/// The string with everything that may be a password, or a piece of one, left out.
fn redacted(text: &str) -> String {
    let Some((scheme, after)) = text.split_once("://") else { return "***".to_owned() };
    // Everything between the first colon and the last @ may belong to the password, whatever is there.
    let Some((before, host)) = after.rsplit_once('@') else {
        return format!("{scheme}://***");
    };
    let user = before.split(':').next().unwrap_or_default();
    let user = if before.contains(':') { user } else { "***" };
    // Parameters can hold passwords too.
    let end = host.find(['?', '#']).unwrap_or(host.len());
    let more = if end < host.len() { "?…" } else { "" };
    let is_password = user.contains(['/', '?', '#']);
    let user = if is_password { "***" } else { user };
    format!("{scheme}://{user}:***@{}{more}", &host[..end])
}

fn decoded(name: &str, text: &str) -> Result<String> {
    match percent_decode_str(text).decode_utf8() {
        // libpq and the server end a string there.
        Ok(text) if !text.contains('\0') => Ok(text.into_owned()),
        _ => {
            Err(user_error(format!("the {name} in the connection string is not UTF-8 once decoded"), ENCODE))
        }
    }
}
