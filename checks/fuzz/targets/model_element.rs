//! Lets libFuzzer feed elements of the groups. Decides nothing: see `perennial_fuzz::model::element`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    perennial_fuzz::model::element(bytes);
});
