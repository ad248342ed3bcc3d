//! The effect of a failure on the users of the server: the order in which a report lists findings.

use std::str::FromStr;

use anyhow::{Result, bail};
use serde::Serialize;

/// The effect if nothing is done. Ordered: nothing is least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consequence {
    /// Nothing that a user would notice.
    None,
    /// Something takes longer than it has to.
    Slow,
    /// Requests are answered, and what they answer is wrong or incomplete.
    WrongResults,
    /// Requests fail.
    FailsRequests,
    /// Rows are lost, or cannot be restored from a dump.
    LosesData,
    /// The server does not start.
    StopsServer,
}

impl Consequence {
    /// All of them, the worst last.
    const ALL: [Self; 6] =
        [Self::None, Self::Slow, Self::WrongResults, Self::FailsRequests, Self::LosesData, Self::StopsServer];

    /// As it is written in a header and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Slow => "slow",
            Self::WrongResults => "wrong-results",
            Self::FailsRequests => "fails-requests",
            Self::LosesData => "loses-data",
            Self::StopsServer => "stops-server",
        }
    }
}

impl FromStr for Consequence {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match Self::ALL.into_iter().find(|one| one.as_str() == text) {
            Some(one) => Ok(one),
            None => bail!("{text:?} is not a consequence ({})", Self::ALL.map(Self::as_str).join(", ")),
        }
    }
}
