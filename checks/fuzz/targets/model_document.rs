//! Lets libFuzzer feed documents of the model. Decides nothing: see `perennial_fuzz::model::document`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    perennial_fuzz::model::document(bytes);
});
