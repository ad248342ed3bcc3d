//! Names that say that their value is a secret: of columns, keys of JSON, parameters of URLs and headers, in any
//! spelling: `x-api-key`, `apiKey`, `API_KEY` and `globalApikey` are compared by their words.

/// Words that say it by themselves, wherever they are in a name.
const WORDS: &[&str] = &[
    "token",
    "tokens",
    "secret",
    "secrets",
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "pass",
    "senha",
    "senhas",
    "contrasena",
    "contraseña",
    "clave",
    "jwt",
    "jws",
    "otp",
    "totp",
    "pin",
    "authorization",
    "auth",
    "bearer",
    "creds",
    "credential",
    "credentials",
    "cookie",
    "cookies",
    "signature",
    "sig",
    "sas",
    "csrf",
    "xsrf",
    "mnemonic",
    "dsn",
    "apikey",
    "headers",
];

/// The same, of words that are written together.
const WITHIN: &[&str] = &[
    "apikey",
    "apitoken",
    "accesskey",
    "accesstoken",
    "secretkey",
    "privatekey",
    "authkey",
    "authtoken",
    "signingkey",
    "encryptionkey",
    "masterkey",
    "mediakey",
    "noisekey",
    "identitykey",
    "prekey",
    "keypair",
    "enckey",
    "mackey",
    "clientsecret",
    "password",
    "passwd",
    "passphrase",
    "basicauth",
    "connectionstring",
    "connectionuri",
    "pairingcode",
    "disconnectionobject",
    "chaveapi",
    "apichave",
    "webhooksecret",
];

/// Words that make a following `key` secret.
const OF_KEY: &[&str] = &[
    "api",
    "access",
    "secret",
    "private",
    "signing",
    "sign",
    "encryption",
    "enc",
    "mac",
    "master",
    "media",
    "noise",
    "identity",
    "pre",
    "auth",
    "shared",
    "consumer",
    "client",
    "app",
    "service",
    "webhook",
    "license",
    "licence",
    "global",
    "admin",
    "hmac",
    "account",
    "storage",
    "subscription",
    "ssh",
    "aes",
    "rsa",
    "root",
    "device",
    "user",
    "bot",
];

/// Of these words a number, a count or a limit is none: `maxTokens`, `token_count`.
const MEASURES: &[&str] = &["max", "min", "count", "total", "limit", "used", "usage", "prompt", "completion"];

/// Pusher's `key` is a secret, but `Message.key` is not; a bare string under `key` is masked, an object is not.
const IF_TEXT: &[&str] = &["key"];

/// A name that ends so speaks of a secret, and holds none: `openaiCredsId`, `passwordChangedAt`.
const ABOUT: &[&str] = &["id", "ids", "at", "name", "type", "length", "expires", "expiry"];

/// True if a value of this name is a secret, whatever it is; `is_text` where it is a plain text.
pub fn is_secret(name: &str, is_text: bool) -> bool {
    let words = words(name);
    let whole = words.concat();
    if IF_TEXT.contains(&whole.as_str()) {
        return is_text;
    }
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    if has(MEASURES) || words.last().is_some_and(|last| ABOUT.contains(&last.as_str())) {
        return false;
    }
    let is_key =
        |pair: &[String]| OF_KEY.contains(&pair[0].as_str()) && (pair[1] == "key" || pair[1] == "keys");
    has(WORDS)
        || WITHIN.iter().any(|part| whole.contains(part))
        || words.windows(2).any(is_key)
        || whole.ends_with("token")
        || whole.ends_with("secret")
}

/// The words of a name, in small letters: cut at what is not a letter and no digit, and where a capital follows a small
/// letter.
fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut before = None;
    for character in name.chars() {
        let begins = character.is_uppercase() && before.is_some_and(char::is_lowercase);
        if (begins || !character.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if character.is_alphanumeric() {
            word.extend(character.to_lowercase());
        }
        before = Some(character);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names_however_they_are_spelt() {
        for name in [
            "apikey",
            "apiKey",
            "api_key",
            "API_KEY",
            "api-key",
            "x-api-key",
            "X-Api-Key",
            "globalApikey",
            "openai_api_key",
            "token",
            "Token",
            "access_token",
            "accessToken",
            "refresh_token",
            "id_token",
            "authToken",
            "auth_token",
            "wavoipToken",
            "bot-token",
            "hub.verify_token",
            "verifyToken",
            "session_token",
            "csrfToken",
            "client_secret",
            "clientSecret",
            "secret",
            "app_secret",
            "webhookSecret",
            "secret_key",
            "aws_secret_access_key",
            "secretAccessKey",
            "access_key",
            "private_key",
            "privateKey",
            "signing_key",
            "password",
            "Password",
            "db_password",
            "passwd",
            "pwd",
            "pass",
            "user_pass",
            "passphrase",
            "senha",
            "senha_wifi",
            "contraseña",
            "clave",
            "jwt",
            "jwt_token",
            "bearer",
            "Authorization",
            "proxy-authorization",
            "auth",
            "basicAuthPass",
            "creds",
            "credentials",
            "cookie",
            "Set-Cookie",
            "mediaKey",
            "media_key",
            "noiseKey",
            "identityKey",
            "signedPreKey",
            "encKey",
            "macKey",
            "pairingCode",
            "otp",
            "sig",
            "signature",
            "connection_string",
            "headers",
            "disconnectionObject",
            "dsn",
        ] {
            assert!(is_secret(name, false), "{name}");
        }
    }

    #[test]
    fn other_names_are_not() {
        for name in [
            "id",
            "name",
            "keyId",
            "remoteJid",
            "sessionId",
            "maxTokens",
            "max_tokens",
            "token_count",
            "author",
            "authorId",
            "passed",
            "compass",
            "keyword",
            "keyboard",
            "monkey",
            "publicKey",
            "pinned",
            "assignature_date",
            "spin",
            "status",
            "instanceId",
            "secretary",
            "designation",
            "messageTimestamp",
            "openaiCredsId",
            "tokenExpiresAt",
        ] {
            assert!(!is_secret(name, true), "{name}");
        }
        assert!(is_secret("key", true) && !is_secret("key", false));
    }
}
