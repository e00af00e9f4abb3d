//! Lets libFuzzer feed proofs of inclusion and of consistency. Decides nothing: see `perennial_fuzz::ledger::proof`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    perennial_fuzz::ledger::proof(bytes);
});
