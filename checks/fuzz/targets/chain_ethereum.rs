//! Lets libFuzzer feed EIP-1559 transactions. Decides nothing: see `perennial_fuzz::chain::ethereum`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    perennial_fuzz::chain::ethereum(bytes);
});
