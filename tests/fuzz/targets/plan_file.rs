#![no_main]

#[path = "../bodies.rs"]
#[allow(dead_code, reason = "each target runs one")]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let file = std::env::temp_dir().join(format!("evodoctor-fuzz-{}", std::process::id()));
    bodies::plan_file(bytes, &file);
});
