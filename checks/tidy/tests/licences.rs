//! The rules on other people's work, held against the packages that this workspace builds with.
//!
//! They read the lists of `deny.toml`; `cargo deny check`, where it is installed, goes deeper.

use perennial_tidy::graph::Graph;
use perennial_tidy::licences::{self, Terms};
use perennial_tidy::repository::{TextFile, root};
use perennial_tidy::{Error, assert_none};

fn terms() -> Result<Terms, Error> {
    let path = root().join("deny.toml");
    let text =
        std::fs::read_to_string(&path).map_err(|cause| Error::Unreadable { path: path.clone(), cause })?;
    Terms::parse(&TextFile::new("deny.toml", text))
}

#[test]
fn every_package_comes_under_an_allowed_licence_from_the_registry() -> Result<(), Error> {
    let graph = Graph::read(&root())?;
    assert_none("licences", licences::licences(&graph, &terms()?));
    assert_none("sources", licences::sources(&graph));
    Ok(())
}

#[test]
fn no_licence_is_allowed_in_advance() -> Result<(), Error> {
    assert_none("licences in advance", licences::unneeded(&Graph::read(&root())?, &terms()?));
    Ok(())
}

#[test]
fn no_banned_package_and_no_wildcard_is_used() -> Result<(), Error> {
    assert_none("bans", licences::bans(&Graph::read(&root())?, &terms()?));
    Ok(())
}
