//! The house rules as pure functions: who may import whom, how long a file may be, which words may stand in it.
//!
//! A rule takes something already read (a dependency graph, the text of a file) and returns what breaks it, so
//! every rule is tested twice: against this repository (in `tests/`) and against a violation planted in its own
//! unit tests, which proves that it can fail. The crate changes nothing and downloads nothing.
//!
//! Reading order: [`repository`] finds the files, [`graph`] asks cargo who imports whom, [`walls`] holds the rules
//! on imports, [`rust_source`] reads Rust, [`size`], [`core_text`] and [`wording`] hold the rules on text,
//! [`licences`] the rules on other people's work, [`features`] the one on how it is built.

pub mod core_text;
pub mod features;
pub mod graph;
pub mod licences;
pub mod repository;
pub mod rust_source;
pub mod size;
pub mod walls;
pub mod wording;

/// What went wrong before a rule could be applied.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder of the repository could not be read.
    #[error("cannot read {path}: {cause}")]
    Unreadable {
        /// The path that was asked for.
        path: std::path::PathBuf,
        /// What the system answered.
        cause: std::io::Error,
    },
    /// A command could not be started, or answered with a failure.
    #[error("`{command}` failed: {cause}")]
    Command {
        /// The command line.
        command: String,
        /// What the system or the command said.
        cause: String,
    },
    /// A document was read, but does not have the form that the rules expect.
    #[error("{document} is not as expected: {cause}")]
    Malformed {
        /// Which document.
        document: String,
        /// What was missing or wrong.
        cause: String,
    },
}

/// One broken rule: where, and what to do about it.
///
/// Rules return all their findings, not the first, so that one run shows the whole work.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// A crate name or `path:line`.
    pub place: String,
    /// The rule that is broken, as a full sentence.
    pub complaint: String,
}

impl Finding {
    /// A finding at `place` (a crate name, a path, or `path:line`).
    pub fn new(place: impl Into<String>, complaint: impl Into<String>) -> Self {
        Self { place: place.into(), complaint: complaint.into() }
    }
}

/// Fails the calling test with every finding on a line of its own; passes on none.
///
/// # Panics
///
/// When there is at least one finding: that is its purpose.
pub fn assert_none(rule: &str, mut findings: Vec<Finding>) {
    findings.sort();
    let lines: Vec<String> = findings.iter().map(|f| format!("  {}: {}", f.place, f.complaint)).collect();
    assert!(findings.is_empty(), "{rule}: {} findings\n{}", findings.len(), lines.join("\n"));
}
