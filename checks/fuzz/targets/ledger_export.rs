//! Lets libFuzzer feed exports of a ledger. Decides nothing: see `perennial_fuzz::ledger::export`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    perennial_fuzz::ledger::export(bytes);
});
