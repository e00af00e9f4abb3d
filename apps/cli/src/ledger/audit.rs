//! `perennial ledger verify`: an export, or the ledger of a running coordinator, against its checkpoint and the
//! cosignatures under it.

use super::{as_json, audited, broken, flawed, newest};
use crate::arguments::Trust;
use crate::failure::Failure;
use crate::governance::installed;
use crate::operator::Operator;
use perennial_ledger::audit::{ExportReader, LINE_BYTES_MAX};
use perennial_ledger::{Audit, Checkpoint, Error, NoteKey, WitnessKey};
use perennial_model::governance::Governance;
use perennial_model::identity::IdentityKey;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Carries out the command.
pub fn run(operator: &Operator, file: Option<&Path>, trust: &Trust) -> Result<(), Failure> {
    let governance = match &trust.governance {
        Some(path) => Some(read_governance(path)?),
        None => operator.cluster.history()?.map(|history| history.newest().clone()),
    };
    let pinned = trust.key.as_deref().map(NoteKey::parse).transpose();
    let pinned = pinned.map_err(|error| Failure::usage(error, "give the key as `name+id+base64`"))?;
    let (key, checkpoint) = match file {
        Some(path) => read_export(path)?,
        None => {
            let (key, note) = newest(&operator.client)?;
            let audit = Audit::begin(&note, &key).map_err(|flaw| flawed(&flaw))?;
            let checkpoint = audited(&operator.client, audit, |_, _| Ok(()))?;
            (key, checkpoint)
        }
    };
    if let Some(pinned) = pinned.filter(|pinned| *pinned != key) {
        return Err(broken(&format!("the ledger's key is {key}, not {pinned}")));
    }
    let named = governance.as_ref().and_then(|governance| governance.ledger_key.clone());
    if let Some(named) = named.filter(|named| *named != key.to_string()) {
        return Err(broken(&format!("the ledger's key is {key}, and governance names {named}")));
    }
    let verdict = Verdict::of(&checkpoint, governance.as_ref())?;
    verdict.check(trust, governance.as_ref())?;
    let head = checkpoint.head();
    let mut value = as_json(head.size, &head.root.to_string(), &verdict.cosigned, &verdict.missing);
    value["key"] = key.to_string().into();
    operator.answer(&verdict.text(&key, &checkpoint), &value);
    Ok(())
}

/// Whose cosignatures are under a checkpoint, each of them verified.
struct Verdict {
    /// The signers, with the time that each put there, in seconds since 1970.
    cosigned: Vec<(String, u64)>,
    missing: Vec<String>,
}

impl Verdict {
    fn of(checkpoint: &Checkpoint, governance: Option<&Governance>) -> Result<Self, Failure> {
        let mut verdict = Self { cosigned: Vec::new(), missing: Vec::new() };
        for known in governance.into_iter().flat_map(|governance| &governance.signers) {
            let name = known.signer.to_string();
            let public = match &known.key {
                IdentityKey::Ed25519(public) => public,
                // The model has one kind more when its simulation is on and this crate's is not.
                #[allow(unreachable_patterns)]
                _ => continue,
            };
            let witness = WitnessKey::of_member(checkpoint.origin(), &name, public)
                .map_err(|error| broken(&format!("signer {name}: {error}")))?;
            match checkpoint.cosigned_by(&witness) {
                Ok(cosignature) => verdict.cosigned.push((name, cosignature.time_s())),
                Err(Error::NotSigned { found: 0, .. }) => verdict.missing.push(name),
                Err(error) => {
                    let size = checkpoint.head().size;
                    return Err(broken(&format!("{name}'s cosignature of size {size}: {error}")));
                }
            }
        }
        Ok(verdict)
    }

    /// Refuses a checkpoint that too few have cosigned: by default, if it is known who the signers are, half or fewer.
    fn check(&self, trust: &Trust, governance: Option<&Governance>) -> Result<(), Failure> {
        let wanted = match (trust.cosigned, governance) {
            (Some(wanted), Some(_)) => wanted,
            (Some(_), None) => {
                return Err(Failure::usage(
                    "it is not known who the signers are",
                    "give --governance with their keys",
                ));
            }
            (None, Some(governance)) => governance.signers.len() / 2 + 1,
            (None, None) => 0,
        };
        if self.cosigned.len() < wanted {
            let (have, missing) = (self.cosigned.len(), self.missing.join(", "));
            return Err(broken(&format!(
                "{have} signers have cosigned, {wanted} are wanted; not by {missing}"
            )));
        }
        Ok(())
    }

    fn text(&self, key: &NoteKey, checkpoint: &Checkpoint) -> String {
        let head = checkpoint.head();
        let all = self.cosigned.len() + self.missing.len();
        let names: Vec<&str> = self.cosigned.iter().map(|(name, _)| name.as_str()).collect();
        let mut text =
            format!("{} entries, each in its place\nroot  {}\nkey   {key}\n", head.size, head.root);
        match all {
            0 => text.push_str(
                "This is what that key signed. Nobody's cosignature was looked at: give --governance, or \
                                compare the key with one that you pinned.\n",
            ),
            _ => {
                text.push_str(&format!("cosigned by {} of {all} signers: {}\n", names.len(), names.join(" ")))
            }
        }
        if !self.missing.is_empty() {
            text.push_str(&format!("not cosigned by {}\n", self.missing.join(" ")));
        }
        text
    }
}

fn read_export(path: &Path) -> Result<(NoteKey, Checkpoint), Failure> {
    let failed = |error: std::io::Error| Failure::file("read", path, &error);
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let mut reader = ExportReader::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        // A line that is longer than any comes out without its newline, and is refused for that.
        let read = (&mut file).take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line).map_err(failed)?;
        if read == 0 {
            return reader.finish().map_err(|flaw| flawed(&flaw));
        }
        reader.take(&line).map_err(|flaw| flawed(&flaw))?;
    }
}

fn read_governance(path: &Path) -> Result<Governance, Failure> {
    let read = installed(path)?.ok_or_else(|| {
        Failure::usage(
            format!("there is no {}", path.display()),
            "take the governance.cbor that the signers pin",
        )
    })?;
    Ok(read.newest().clone())
}
