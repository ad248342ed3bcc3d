//! Pseudonyms: other values of the same form in place of real ones, the same for the same value wherever it stands.
//!
//! A value keeps its length, its punctuation and the kind of each character: a phone number stays a phone number of as
//! many digits, a UUID stays a UUID, `name` and `Name` still differ in their case only. Two values that differ get
//! pseudonyms that differ (the mapping is a permutation of all values of one form), so duplicates, orphans and unique
//! keys are what they were. The key is random and never leaves the process: the values cannot be found from the
//! pseudonyms.
//!
//! Knows nothing of databases.

mod alphabet;
mod copy_rows;
mod json;
mod permutation;
mod time_shift;
mod value;

pub use copy_rows::{CopyField, decode_field, encode_field, map_array};
pub use permutation::PseudonymKey;
pub use time_shift::TimeShift;
pub use value::{Pseudonymizer, is_telling};
