//! What is fed with hostile bytes: every parser through which bytes of somebody else enter.
//!
//! A target is a plain function from bytes to a [`Verdict`] that panics when a promise is broken: that nothing
//! panics, that what is accepted is canonical, that nothing false is proved. `checks/fuzz/run` feeds them to
//! libFuzzer, one program per target in `targets/`; the tests here feed them the committed corpus, without it.
//! Instrumented code is never shipped and never shares a build folder with what is.
//!
//! A new target needs a function and samples here, a program in `targets/` with its lines in `Cargo.toml`, and
//! `cargo run --release -p perennial-fuzz --bin seeds`.

pub mod chain;
pub mod ledger;
pub mod model;

use std::path::PathBuf;

/// What a parser said to one input. Both answers are fine; a panic is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The input was accepted, and what was made of it kept every promise.
    Accepted,
    /// The input was refused with an error.
    Refused,
}

impl Verdict {
    /// The verdict on a parser's answer.
    pub fn of<T, E>(answer: &Result<T, E>) -> Self {
        if answer.is_ok() { Self::Accepted } else { Self::Refused }
    }
}

/// Something to be fed.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name of its program and of its folder in `corpus/`.
    pub name: &'static str,
    /// Parses the input and checks what the parser promises.
    pub feed: fn(&[u8]) -> Verdict,
    /// Inputs that must be accepted: from these the fuzzer finds the others.
    pub samples: fn() -> Vec<Vec<u8>>,
}

/// Every target, in the order of the layers.
pub const TARGETS: [Target; 10] = [
    Target { name: "model_element", feed: model::element, samples: model::element_samples },
    Target { name: "model_document", feed: model::document, samples: model::document_samples },
    Target { name: "chain_ethereum", feed: chain::ethereum, samples: chain::ethereum_samples },
    Target { name: "chain_bitcoin", feed: chain::bitcoin, samples: chain::bitcoin_samples },
    Target { name: "chain_solana", feed: chain::solana, samples: chain::solana_samples },
    Target { name: "ledger_entry", feed: ledger::entry, samples: ledger::entry_samples },
    Target { name: "ledger_proof", feed: ledger::proof, samples: ledger::proof_samples },
    Target { name: "ledger_checkpoint", feed: ledger::checkpoint, samples: ledger::checkpoint_samples },
    Target { name: "ledger_cosignature", feed: ledger::cosignature, samples: ledger::cosignature_samples },
    Target { name: "ledger_export", feed: ledger::export, samples: ledger::export_samples },
];

/// The folder that holds the committed inputs of the target called `name`.
pub fn corpus(name: &str) -> PathBuf {
    folder().join("corpus").join(name)
}

/// The folder of this crate.
fn folder() -> PathBuf {
    // Cargo says it at run time too. What was compiled in could name another copy that shares the build folder.
    std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::io::Error;

    #[test]
    fn every_sample_is_accepted_and_committed() -> Result<(), Error> {
        for target in TARGETS {
            for (number, sample) in (target.samples)().into_iter().enumerate() {
                let path = corpus(target.name).join(format!("sample-{number:02}"));
                assert_eq!((target.feed)(&sample), Verdict::Accepted, "{} of {number}", target.name);
                assert_eq!(std::fs::read(&path)?, sample, "{path:?} is stale: run the program `seeds`");
            }
        }
        Ok(())
    }

    #[test]
    fn every_committed_input_keeps_every_promise() -> Result<(), Error> {
        for target in TARGETS {
            let mut refused = 0;
            for entry in std::fs::read_dir(corpus(target.name))? {
                let verdict = (target.feed)(&std::fs::read(entry?.path())?);
                refused += usize::from(verdict == Verdict::Refused);
            }
            assert!(refused > 0, "the corpus of {} holds nothing that is refused", target.name);
        }
        Ok(())
    }

    #[test]
    fn a_sample_that_is_cut_short_or_lengthened_is_refused() {
        for target in TARGETS {
            for mut sample in (target.samples)() {
                sample.push(b'\n');
                assert_eq!((target.feed)(&sample), Verdict::Refused, "{} lengthened", target.name);
                sample.truncate(sample.len() - 2);
                assert_eq!((target.feed)(&sample), Verdict::Refused, "{} cut short", target.name);
            }
        }
    }

    #[test]
    fn no_target_lacks_its_program() -> Result<(), Error> {
        let mut programs = BTreeSet::new();
        for entry in std::fs::read_dir(folder().join("targets"))? {
            programs.insert(entry?.file_name().to_string_lossy().trim_end_matches(".rs").to_owned());
        }
        assert_eq!(programs, TARGETS.iter().map(|target| target.name.to_owned()).collect());
        Ok(())
    }
}
