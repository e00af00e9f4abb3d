//! Lets libFuzzer feed ledger entries. Decides nothing: see `perennial_fuzz::ledger::entry`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    perennial_fuzz::ledger::entry(bytes);
});
