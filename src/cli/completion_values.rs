//! Known values: offered by shell completion, and checked later, where a suggestion can be made.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, Command, Error};

use crate::evolution::release::Release;
use crate::repair::fix::{HAZARDS, fixable_codes};
use crate::rules::registry;

/// What a value is one of.
#[derive(Debug, Clone, Copy)]
pub enum CompletionValues {
    /// Every code.
    Code,
    /// Codes with a fix.
    Fixable,
    /// Releases of Evolution.
    Release,
    /// Hazards that can be consented to.
    Hazard,
    /// The commands.
    Command,
}

impl TypedValueParser for CompletionValues {
    type Value = String;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<String, Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let rules = |fixable: bool| {
            let rules = registry::all_rules().iter().copied();
            let chosen = rules.filter(move |rule| !fixable || fixable_codes().any(|code| code == rule.code));
            chosen.map(|rule| PossibleValue::new(rule.code.as_str()).help(rule.summary.as_str()))
        };
        Some(match self {
            Self::Code => Box::new(rules(false)),
            Self::Fixable => Box::new(rules(true)),
            Self::Release => Box::new(Release::all().map(|release| PossibleValue::new(release.version()))),
            Self::Hazard => Box::new(HAZARDS.iter().map(|(name, _)| PossibleValue::new(*name))),
            Self::Command => Box::new(super::command_names().into_iter().map(PossibleValue::new)),
        })
    }
}
