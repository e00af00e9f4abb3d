//! What a thief gets from copies of signers' directories, computed from the scalars themselves.
//!
//! A signer that refuses to sign with an old share proves nothing about the share. So this tool asks no signer: it
//! reads copied files ([`body`]), opens every share ([`shares`]) and pair base ([`bases`]) that it can, interpolates what it opened and
//! compares with the wallet's public key ([`combine`]), and searches directories for the bytes of secrets
//! ([`needles`]). It can also damage a share in a stopped signer's store ([`spoil`]), to show what happens then.
//!
//! It never prints a secret. It links the custody crate for its cipher and its records, and no daemon.

pub mod bases;
pub mod body;
pub mod combine;
pub mod needles;
pub mod shares;
pub mod spoil;

use std::io;
use std::path::{Path, PathBuf};

/// Why a directory cannot be examined.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path}: {reason}; copy a signer's whole directory", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What was expected and what came.
        reason: String,
    },
    /// The question makes no sense for these directories.
    #[error("{0}")]
    Question(String),
}

fn disk(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Disk { action, path: path.to_owned(), source }
}

fn unreadable(path: &Path, reason: impl ToString) -> Error {
    Error::Unreadable { path: path.to_owned(), reason: reason.to_string() }
}
