//! The table of walls, held against this repository: who may import whom, and what each crate may never reach.
//!
//! A new crate, or a new edge between two of ours, needs a row here and a decision record. The rules themselves,
//! and the planted violations that prove them awake, are in `src/walls.rs`, `src/features.rs` and `src/core_text.rs`.

use perennial_tidy::graph::Graph;
use perennial_tidy::repository::{root, text_files};
use perennial_tidy::walls::{self, May, Wall};
use perennial_tidy::{Error, assert_none, core_text, features};

const MODEL: &str = "perennial-model";
const LEDGER: &str = "perennial-ledger";
const CHAIN: &str = "perennial-chain";
const CUSTODY: &str = "perennial-custody";
const WORKFLOW: &str = "perennial-workflow";
const DAEMON: &str = "perennial-daemon";
const SIGNER: &str = "perennial-signer";
const COORDINATOR: &str = "perennial-coordinator";
const OPERATOR: &str = "perennial";

/// The crates that decide.
const CORE: [&str; 5] = [MODEL, LEDGER, CHAIN, CUSTODY, WORKFLOW];

const TABLE: [Wall; 16] = [
    // Core decides.
    wall(MODEL, &[], &[LEDGER, CHAIN, CUSTODY, WORKFLOW]),
    wall(LEDGER, &[], &[MODEL, CHAIN, CUSTODY, WORKFLOW]),
    wall(CHAIN, &[MODEL], &[LEDGER, CUSTODY, WORKFLOW]),
    wall(CUSTODY, &[MODEL, CHAIN, LEDGER], &[WORKFLOW]),
    wall(WORKFLOW, &[MODEL], &[LEDGER, CHAIN, CUSTODY]),
    // Apps act.
    wall(DAEMON, &[], &[MODEL, LEDGER, CHAIN, CUSTODY, WORKFLOW]),
    wall(SIGNER, &[DAEMON, MODEL, CHAIN, CUSTODY, LEDGER], &[WORKFLOW, COORDINATOR, OPERATOR]),
    wall(COORDINATOR, &[DAEMON, MODEL, CHAIN, WORKFLOW, LEDGER], &[CUSTODY, SIGNER, OPERATOR]),
    wall(OPERATOR, &[MODEL, CHAIN, LEDGER], &[CUSTODY, WORKFLOW, SIGNER, COORDINATOR]),
    // Checks prove.
    wall("perennial-sim", &CORE, &[SIGNER, COORDINATOR, OPERATOR]),
    wall("perennial-tidy", &[], &[]),
    wall("perennial-referee", &[], &[MODEL, LEDGER, CHAIN, CUSTODY, WORKFLOW, SIGNER, COORDINATOR, OPERATOR]),
    wall("perennial-autopsy", &[CUSTODY, MODEL], &[WORKFLOW, SIGNER, COORDINATOR, OPERATOR]),
    Wall { name: "perennial-bench", may_import: May::Anything, never_reaches: &[] },
    Wall { name: "perennial-e2e", may_import: May::Anything, never_reaches: &[] },
    Wall { name: "perennial-fuzz", may_import: May::Anything, never_reaches: &[] },
];

/// What core never links: an asynchronous runtime or a socket library is a way to the world.
const WORLD: [&str; 7] = ["tokio", "async-std", "smol", "mio", "hyper", "socket2", "rustix"];

/// What core never imports itself: randomness is an argument. (The one engine that draws its own does so through
/// its own dependency.)
const RANDOMNESS: [&str; 4] = ["getrandom", "rand", "fastrand", "oorandom"];

/// What the tests of core may use beyond what core itself uses: properties, fixed randomness, the keys of people who
/// approve, and the reference readers that judge ours.
const TEST_CRATES: [&str; 10] = [
    "proptest",
    "p256",
    "base64ct",
    "rand_chacha",
    "rand_core",
    "hex",
    "serde_json",
    "alloy-consensus",
    "solana-transaction",
    "wincode",
];

/// What the signer never links: it holds shares, so every line it runs is a line to trust.
#[rustfmt::skip]
const NOT_IN_A_SIGNER: [&str; 41] = [
    // Web frameworks and general-purpose clients.
    "axum*", "actix*", "warp", "rocket*", "poem*", "salvo*", "tide", "ntex*", "gotham", "tonic*", "reqwest*", "ureq*",
    "isahc", "tower-http", "utoipa*", "askama*", "async-graphql*",
    // Documents.
    "lopdf", "printpdf", "genpdf", "pdf*", "typst*", "image", "resvg",
    // Cloud kits and object stores.
    "aws-config", "aws-sdk*", "aws-smithy*", "rusoto*", "azure*", "google-cloud*", "gcloud*", "object_store",
    "opendal*", "kube*",
    // Databases of the coordinator.
    "sqlx*", "rusqlite", "libsqlite3-sys", "diesel*", "sea-orm*", "postgres*", "tokio-postgres*",
];

const fn wall(name: &'static str, may: &'static [&'static str], never: &'static [&'static str]) -> Wall {
    Wall { name, may_import: May::Only(may), never_reaches: never }
}

#[test]
fn every_crate_has_a_row_and_every_row_a_crate() -> Result<(), Error> {
    assert_none("the table of walls", walls::rows_match_crates(&Graph::read(&root())?, &TABLE));
    Ok(())
}

#[test]
fn no_manifest_imports_what_its_row_does_not_allow() -> Result<(), Error> {
    assert_none("imports", walls::imports_follow_the_table(&Graph::read(&root())?, &TABLE));
    Ok(())
}

#[test]
fn nothing_on_the_coordinators_side_can_name_a_share() -> Result<(), Error> {
    let graph = Graph::read(&root())?;
    for name in [COORDINATOR, WORKFLOW, OPERATOR] {
        assert!(!graph.closure(name).is_empty(), "the closure of {name} was not read");
        assert_none("the wall that matters", walls::reaches(&graph, name, &[CUSTODY]));
    }
    Ok(())
}

#[test]
fn no_crate_reaches_what_its_row_forbids() -> Result<(), Error> {
    assert_none("closures", walls::closures_follow_the_table(&Graph::read(&root())?, &TABLE));
    Ok(())
}

#[test]
fn the_signer_links_no_web_framework_no_documents_no_cloud_kit_and_no_sql() -> Result<(), Error> {
    let graph = Graph::read(&root())?;
    assert!(graph.closure(SIGNER).contains_key(CUSTODY), "the closure of {SIGNER} was not read");
    assert_none("the signer's closure", walls::reaches(&graph, SIGNER, &NOT_IN_A_SIGNER));
    Ok(())
}

#[test]
fn core_links_no_way_to_the_world_and_imports_no_randomness() -> Result<(), Error> {
    let graph = Graph::read(&root())?;
    for name in CORE {
        assert_none("core and the world", walls::reaches(&graph, name, &WORLD));
        assert_none("core and randomness", walls::imports(&graph, name, &RANDOMNESS));
    }
    Ok(())
}

#[test]
fn the_tests_of_core_use_core_and_property_testing_only() -> Result<(), Error> {
    assert_none("tests of core", walls::core_tests_stay_in_core(&Graph::read(&root())?, &CORE, &TEST_CRATES));
    Ok(())
}

#[test]
fn no_daemon_can_be_built_with_planted_mutants() -> Result<(), Error> {
    assert_none("simulation", walls::only_checks_simulate(&Graph::read(&root())?, &CORE));
    Ok(())
}

#[test]
fn what_others_made_is_not_compiled_again_for_the_simulator() -> Result<(), Error> {
    let (shipped, simulating) = (features::shipped(&root())?, features::simulating(&root())?);
    assert!(simulating.lines().count() > 100, "cargo named few crates:\n{simulating}");
    assert_none("features", features::compiled_twice(&shipped, &simulating));
    Ok(())
}

#[test]
fn the_text_of_core_names_no_file_socket_thread_clock_or_environment() -> Result<(), Error> {
    let sources: Vec<_> = text_files(&root())?
        .into_iter()
        .filter(|file| file.is_rust() && core_text::applies_to(file))
        .collect();
    assert!(sources.len() >= CORE.len(), "only {} sources of core were found", sources.len());
    let mut findings = Vec::new();
    for file in &sources {
        findings.extend(core_text::touches_the_world(file)?);
    }
    assert_none("the text of core", findings);
    Ok(())
}
