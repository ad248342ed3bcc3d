//! How inputs are generated: the same ones for the same code, so that a failure belongs to a change.

use proptest::test_runner::{Config, RngSeed};

/// A number of inputs, always the same. `PROPTEST_RNG_SEED` chooses others and `PROPTEST_CASES` more.
pub fn generated(cases: u32) -> Config {
    let mut config = Config::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    if matches!(config.rng_seed, RngSeed::Random) {
        config.rng_seed = RngSeed::Fixed(20_261_125);
    }
    // A failure shows its input; nothing is written into the sources.
    config.failure_persistence = None;
    config
}
