//! Lets libFuzzer feed witnesses' lines. Decides nothing: see `perennial_fuzz::ledger::cosignature`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    perennial_fuzz::ledger::cosignature(bytes);
});
