//! Lets libFuzzer feed partially signed Bitcoin transactions. Decides nothing: see `perennial_fuzz::chain::bitcoin`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    perennial_fuzz::chain::bitcoin(bytes);
});
