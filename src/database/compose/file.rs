//! The parts of a compose file that say where a database is.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The file.
#[derive(Debug, Default, Deserialize)]
pub(super) struct File {
    /// The project's name, where it is written down.
    pub name: Option<String>,
    #[serde(default)]
    pub services: BTreeMap<String, Option<Service>>,
    #[serde(default)]
    pub networks: BTreeMap<String, Option<Network>>,
    /// Other files, which are not read.
    pub include: Option<IgnoredAny>,
}

/// One of its services.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Service {
    pub image: Option<String>,
    #[serde(default)]
    pub environment: Variables,
    #[serde(default)]
    pub env_file: OneOrMany<EnvFile>,
    #[serde(default)]
    pub ports: Vec<Port>,
    #[serde(default)]
    pub networks: Names,
    pub network_mode: Option<String>,
    pub container_name: Option<String>,
    #[serde(default)]
    pub extends: Option<IgnoredAny>,
}

/// A network of its own.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Network {
    pub name: Option<String>,
    /// Set if it is not the project's own: `true`, or a map with its name.
    #[serde(default)]
    pub external: Option<serde_json::Value>,
}

impl Network {
    /// True if it is none of the project's own.
    pub fn is_external(&self) -> bool {
        self.external.as_ref().is_some_and(|external| *external != serde_json::Value::Bool(false))
    }
}

/// `environment:`, a map or a list. `None` takes the value from the environment of compose itself. A value is the text that is
/// written there: `01` stays `01`.
#[derive(Debug, Clone, Default)]
pub(super) struct Variables(pub Vec<(String, Option<String>)>);

impl<'de> Deserialize<'de> for Variables {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Both;

        impl<'de> Visitor<'de> for Both {
            type Value = Variables;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map or a list of variables")
            }

            fn visit_unit<E>(self) -> Result<Variables, E> {
                Ok(Variables::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Variables, A::Error> {
                let mut all = Vec::new();
                while let Some(pair) = map.next_entry::<String, Option<String>>()? {
                    all.push(pair);
                }
                Ok(Variables(all))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Variables, A::Error> {
                let mut all = Vec::new();
                while let Some(line) = list.next_element::<String>()? {
                    all.push(match line.split_once('=') {
                        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                        None => (line, None),
                    });
                }
                Ok(Variables(all))
            }
        }

        deserializer.deserialize_any(Both)
    }
}

/// `env_file:`, by its path alone or with more.
#[derive(Debug, Clone)]
pub(super) struct EnvFile {
    pub path: String,
    pub is_required: bool,
}

impl<'de> Deserialize<'de> for EnvFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Long {
            path: String,
            required: Option<bool>,
        }
        let long = short_or_long(deserializer, |path| Long { path, required: None })?;
        Ok(Self { path: long.path, is_required: long.required.unwrap_or(true) })
    }
}

/// A published port: `5433:5432` with an address before and a protocol after it, or in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Port {
    /// As it is written; a range stays one.
    pub published: Option<String>,
    pub inside: String,
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Long {
            target: String,
            published: Option<String>,
        }
        let long = short_or_long(deserializer, |text| {
            let text = text.split('/').next().unwrap_or_default();
            match last_colon(text) {
                Some(at) => {
                    let before = &text[..at];
                    let published = last_colon(before).map_or(before, |at| &before[at + 1..]);
                    Long { target: text[at + 1..].to_owned(), published: Some(published.to_owned()) }
                }
                None => Long { target: text.to_owned(), published: None },
            }
        })?;
        Ok(Self { published: long.published.filter(|port| !port.is_empty()), inside: long.target })
    }
}

/// Where the last colon is that is in no `${PORT:-5432}`.
fn last_colon(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut last = None;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b':' if depth == 0 => last = Some(at),
            _ => {}
        }
    }
    last
}

/// Names, as a list or as the keys of a map.
#[derive(Debug, Clone, Default)]
pub(super) struct Names(pub Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Both;

        impl<'de> Visitor<'de> for Both {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of names, or a map")
            }

            fn visit_unit<E>(self) -> Result<Names, E> {
                Ok(Names::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                let mut all = Vec::new();
                while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                    all.push(name);
                }
                Ok(Names(all))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Names, A::Error> {
                let mut all = Vec::new();
                while let Some(name) = list.next_element()? {
                    all.push(name);
                }
                Ok(Names(all))
            }
        }

        deserializer.deserialize_any(Both)
    }
}

/// One of a thing, or a list of it.
#[derive(Debug, Clone)]
pub(super) struct OneOrMany<T>(pub Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Both<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Both<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one or a list")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(OneOrMany::default())
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                let text = serde::de::value::StrDeserializer::new(text);
                Ok(OneOrMany(vec![T::deserialize(text)?]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = list.next_element()? {
                    all.push(one);
                }
                Ok(OneOrMany(all))
            }
        }

        deserializer.deserialize_any(Both(PhantomData))
    }
}

/// A value that may be a string, which `short` parses, or a map.
fn short_or_long<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
    short: impl Fn(String) -> T,
) -> Result<T, D::Error> {
    struct Both<F, T>(F, PhantomData<T>);

    impl<'de, T: Deserialize<'de>, F: Fn(String) -> T> Visitor<'de> for Both<F, T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text or a map")
        }

        fn visit_str<E>(self, text: &str) -> Result<T, E> {
            Ok(self.0(text.to_owned()))
        }

        fn visit_u64<E>(self, number: u64) -> Result<T, E> {
            Ok(self.0(number.to_string()))
        }

        fn visit_i64<E>(self, number: i64) -> Result<T, E> {
            Ok(self.0(number.to_string()))
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(serde::de::value::MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_any(Both(short, PhantomData))
}
