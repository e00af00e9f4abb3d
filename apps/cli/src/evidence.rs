//! `perennial evidence` and `perennial verify`: what an auditor is handed, and what they can check of it alone.
//!
//! Reading order: [`bundle`] (the archive and its manifest), [`check`] (every rule that a bundle has to keep, and the
//! facts that follow), [`facts`] and [`summary`] (the facts for people), [`collect`] (a bundle from a coordinator),
//! [`verify`] (the command). `docs/formats.md` says the same without Rust; the two are held together by a test.
//!
//! Nothing here believes the coordinator, or whoever handed over the bundle: governance is the only root of trust.

mod bundle;
mod check;
mod collect;
mod documents;
mod facts;
mod flaw;
mod pages;
mod summary;
#[cfg(test)]
mod tests;
mod verify;
mod window;

use crate::arguments;
use crate::failure::Failure;
use crate::operator::Operator;
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

pub use verify::run as verify;
pub use window::read_time;

/// Makes a bundle.
pub fn run(operator: &Operator, arguments: &arguments::Evidence) -> Result<(), Failure> {
    let (bundle, facts) = collect::collect(operator, arguments)?;
    let bytes = bundle.to_bytes().map_err(|flaw| Failure::local(flaw, "report this"))?;
    let output = &arguments.output;
    let failed = |error: std::io::Error| Failure::file("write", output, &error);
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(output).map_err(failed)?;
    let written = file.write_all(&bytes).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // Half of a bundle is none. What cannot be removed is refused by `verify`.
        let _ = std::fs::remove_file(output);
        return Err(failed(error));
    }
    let (path, members) = (output.display().to_string(), bundle.members.len());
    let mut text = format!("{members} members, {} bytes in {path}\n{}", bytes.len(), facts.in_short());
    text.push_str("To check it: perennial verify ");
    text.push_str(&format!("{path} --governance {}\n", facts.genesis));
    let value = json!({
        "file": path, "bytes": bytes.len(), "members": members, "genesis": facts.genesis.to_string(),
        "complete": facts.gaps.is_empty(), "gaps": facts.gaps,
    });
    operator.answer(&text, &value);
    Ok(())
}
