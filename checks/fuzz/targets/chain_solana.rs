//! Lets libFuzzer feed Solana messages. Decides nothing: see `perennial_fuzz::chain::solana`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    perennial_fuzz::chain::solana(bytes);
});
