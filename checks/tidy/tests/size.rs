//! The rules on text, held against every file of this repository: shape of Rust files, and words.
//!
//! The rules themselves, with the planted violations that prove them awake, are in `src/size.rs` and
//! `src/wording.rs`.

use perennial_tidy::repository::{root, text_files};
use perennial_tidy::{Error, assert_none, size, wording};

#[test]
fn no_rust_file_is_too_long_unfinished_or_without_a_purpose() -> Result<(), Error> {
    let sources: Vec<_> = text_files(&root())?.into_iter().filter(|file| file.is_rust()).collect();
    assert!(sources.len() > 10, "only {} Rust files were found", sources.len());
    let mut findings = Vec::new();
    for file in &sources {
        findings.extend(size::shape(file)?);
    }
    assert_none("shape", findings);
    Ok(())
}

#[test]
fn the_repository_speaks_of_the_product_alone() -> Result<(), Error> {
    let files = text_files(&root())?;
    assert_none("wording", files.iter().flat_map(wording::beside_the_product).collect());
    Ok(())
}
