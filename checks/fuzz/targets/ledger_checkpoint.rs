//! Lets libFuzzer feed the texts of checkpoints. Decides nothing: see `perennial_fuzz::ledger::checkpoint`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    perennial_fuzz::ledger::checkpoint(bytes);
});
