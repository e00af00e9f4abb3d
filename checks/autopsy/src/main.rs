//! `perennial-autopsy`: what a thief gets from copies of signers' directories. Every command prints one JSON object
//! and no secret; the status is 0 if the question could be answered, whatever the answer is.

use clap::{Parser, Subcommand};
use perennial_autopsy::body::{self, Body};
use perennial_autopsy::combine::{Combined, combine};
use perennial_autopsy::needles::{self, Needle};
use perennial_autopsy::shares::{FoundShare, open_all};
use perennial_autopsy::{Error, spoil};
use perennial_model::epoch::Epoch;
use perennial_model::wallet::WalletId;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What a thief gets from copies of signers' directories. Prints one JSON object and never a secret.
#[derive(Parser)]
#[command(name = "perennial-autopsy", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Copy a signer's directory, running or not, so that records and key slots are of one moment.
    Copy {
        /// The signer's directory.
        #[arg(long)]
        from: PathBuf,
        /// Where the copy goes; it must not be there yet.
        #[arg(long)]
        to: PathBuf,
    },
    /// How many of the shares that the records name can be opened.
    Open {
        /// The directory of the records.
        #[arg(long)]
        dir: PathBuf,
        /// Use the key slots and the wrapping key of this directory instead.
        #[arg(long)]
        keys_of: Option<PathBuf>,
    },
    /// Whether the newest shares in these directories make each wallet's key.
    Combine {
        /// The directories, one for each share.
        #[arg(long, num_args = 1.., required = true)]
        dirs: Vec<PathBuf>,
    },
    /// Write all secrets of a copy to a file for `scan`. The file is as secret as the copy.
    Needles {
        /// The copy.
        #[arg(long)]
        dir: PathBuf,
        /// The file to make.
        #[arg(long)]
        out: PathBuf,
    },
    /// Search every file under a directory for secrets.
    Scan {
        /// The directory.
        #[arg(long)]
        dir: PathBuf,
        /// Files that `needles` wrote.
        #[arg(long, num_args = 1.., required = true)]
        needles: Vec<PathBuf>,
    },
    /// Damage the newest share of a wallet in a stopped signer's store. There is no way back.
    Break {
        /// The signer's directory.
        #[arg(long)]
        dir: PathBuf,
        /// The wallet.
        #[arg(long)]
        wallet: WalletId,
    },
}

fn main() -> ExitCode {
    match answer(CommandLine::parse().command) {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("perennial-autopsy: {error}");
            ExitCode::FAILURE
        }
    }
}

fn answer(command: Command) -> Result<Value, Error> {
    match command {
        Command::Copy { from, to } => {
            let body = body::copy(&from, &to)?;
            Ok(json!({"signer": body.signer.as_str(), "copied_to": to, "wallets": body.wallets.len()}))
        }
        Command::Open { dir, keys_of } => open(&dir, keys_of.as_deref().unwrap_or(&dir)),
        Command::Combine { dirs } => {
            let bodies = dirs.iter().map(|dir| Body::read(dir)).collect::<Result<Vec<_>, _>>()?;
            let wallets = combine(&bodies);
            let keys = wallets.iter().filter(|wallet| wallet.is_key).count();
            Ok(json!({
                "keys": keys,
                "wallets": wallets.iter().map(combined).collect::<Vec<_>>(),
            }))
        }
        Command::Needles { dir, out } => {
            let needles = Needle::all_of(&Body::read(&dir)?)?;
            needles::write_danger_secret(&needles, &out)?;
            Ok(json!({"needles": needles.len(), "written_to": out}))
        }
        Command::Scan { dir, needles } => {
            let read = needles.iter().map(|path| needles::read(path)).collect::<Result<Vec<_>, _>>()?;
            let needles: Vec<Needle> = read.into_iter().flatten().collect();
            let search = needles::scan(&dir, &needles)?;
            let hit = |hit: &needles::Hit| json!({"needle": hit.label, "form": hit.form, "file": hit.path, "at": hit.at});
            Ok(json!({
                "needles": needles.len(),
                "files": search.files,
                "bytes": search.bytes,
                "hits": search.hits.iter().map(hit).collect::<Vec<_>>(),
            }))
        }
        Command::Break { dir, wallet } => {
            let epoch = spoil::spoil_newest_share(&dir, &wallet)?;
            Ok(json!({"wallet": wallet.as_str(), "broken_epoch": written(epoch)}))
        }
    }
}

fn open(records: &Path, keys: &Path) -> Result<Value, Error> {
    let (records, keys) = (Body::read(records)?, Body::read(keys)?);
    let found = open_all(&records, &keys);
    let opened = found.iter().filter(|share| share.secret.is_some()).count();
    Ok(json!({
        "signer": records.signer.as_str(),
        "held": found.len(),
        "opened": opened,
        "shares": found.iter().map(share).collect::<Vec<_>>(),
    }))
}

fn share(found: &FoundShare) -> Value {
    json!({
        "wallet": found.share_set.wallet.id.as_str(),
        "epoch": written(found.share_set.epoch),
        "seat": found.seat.map(|seat| seat.get()),
        "opens": found.secret.is_some(),
    })
}

fn combined(combined: &Combined) -> Value {
    let share = |(signer, epoch): &(perennial_model::committee::SignerId, Epoch)| json!({"signer": signer.as_str(), "epoch": written(*epoch)});
    json!({
        "wallet": combined.wallet.as_str(),
        "threshold": combined.threshold,
        "shares": combined.shares.iter().map(share).collect::<Vec<_>>(),
        "is_key": combined.is_key,
    })
}

fn written(epoch: Epoch) -> [u32; 2] {
    [epoch.rank, epoch.count]
}
