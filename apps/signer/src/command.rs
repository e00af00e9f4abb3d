//! The command line: `init` makes a signer's directory, `run` works in it, `show` tells what it holds,
//! `clear-halt` lets it work again after it has halted.

use crate::config::{self, CONFIG_FILE, Config};
use crate::ending::{ExitStatus, Failure};
use crate::keys::{Keys, StoreExists, identity_digits};
use crate::process::{self, DirectoryLock};
use crate::run::StartError;
use crate::{log, private_file, run, show, store};
use clap::{Parser, Subcommand};
use perennial_custody::witness::Clear;
use perennial_daemon::hardening;
use perennial_daemon::identity::{Identity, Pin, write_new_file};
use perennial_model::committee::SignerId;
use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// One signer of a Perennial deployment: it holds shares, fetches its mail, and listens on no port.
#[derive(Parser)]
#[command(name = "perennial-signer", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make the keys of a new signer and print its public identity as one line of JSON. An existing key is kept.
    Init {
        /// The signer's directory; it is made if it is missing.
        #[arg(long)]
        dir: PathBuf,
        /// The signer's name, as governance will give it: small letters, digits and hyphens.
        #[arg(long)]
        name: SignerId,
        /// Where the coordinator is, for a new signer.toml.
        #[arg(long)]
        coordinator: Option<SocketAddr>,
        /// The coordinator's transport pin, for a new signer.toml.
        #[arg(long)]
        coordinator_pin: Option<Pin>,
    },
    /// Work until SIGTERM or SIGINT.
    Run {
        /// The signer's directory.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Tell what the signer holds, while it does not run. Nothing is changed.
    Show {
        /// The signer's directory.
        #[arg(long)]
        dir: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Let a signer that has halted work again, while it does not run. It halted because the ledger did not continue
    /// what it had cosigned: know why before you clear it.
    ClearHalt {
        /// The signer's directory.
        #[arg(long)]
        dir: PathBuf,
        /// Forget the last checkpoint cosigned as well, and believe the next one as the first, whatever it says and
        /// whoever signed it.
        #[arg(long)]
        forget_checkpoint: bool,
    },
}

/// Does what the arguments say. The status is 0 after a wanted end, and else one of [`ExitStatus`]; then one line
/// on standard error says what to do.
pub fn main() -> ExitCode {
    process::end_on_panic();
    let command = match CommandLine::try_parse() {
        Ok(line) => line.command,
        Err(asked) if !asked.use_stderr() => {
            // Help or the version was asked for. If nobody reads it, nothing is lost.
            let _ = asked.print();
            return ExitCode::SUCCESS;
        }
        // Nothing was asked for: what there is to ask for, in its own lines.
        Err(nothing)
            if nothing.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand =>
        {
            nothing.exit()
        }
        Err(wrong) => return Failure::new(ExitStatus::Setup, wrong).report(),
    };
    let hardened = hardening::harden()
        .map_err(|e| Failure::new(ExitStatus::System, format!("cannot turn core dumps off: {e}")));
    match hardened.and_then(|()| carry_out(command).map_err(Failure::from)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn carry_out(command: Command) -> Result<(), StartError> {
    match command {
        Command::Init { dir, name, coordinator, coordinator_pin } => {
            init(&dir, &name, coordinator, coordinator_pin)
        }
        Command::Run { dir } => run::run(&dir, |config| log::begin(config.tune.log)),
        Command::Show { dir, json } => {
            show::show(&dir, if json { show::Form::Json } else { show::Form::Text })
        }
        Command::ClearHalt { dir, forget_checkpoint } => {
            let clear = if forget_checkpoint { Clear::HaltAndCheckpoint } else { Clear::Halt };
            let cleared = run::clear_halt(&dir, clear)?;
            show::write(&show::cleared(&cleared, clear))
        }
    }
}

fn init(
    directory: &Path,
    name: &SignerId,
    coordinator: Option<SocketAddr>,
    coordinator_pin: Option<Pin>,
) -> Result<(), StartError> {
    let disk = |action, path: &Path| {
        let path = path.to_owned();
        move |source| private_file::PrivateFileError::Disk { action, path, source }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(disk("make", directory))?;
    private_file::check_directory(directory)?;
    let _lock = DirectoryLock::take(directory)?;
    if let Some(known) = Config::name_in(directory)?
        && known != name.as_str()
    {
        return Err(StartError::Governance(format!(
            "{} is the directory of signer `{known}`, not of `{name}`; give each signer its own directory",
            directory.display()
        )));
    }
    let exists = store::exists(directory).map_err(disk("look into", directory))?;
    let keys = Keys::make(directory, if exists { StoreExists::Yes } else { StoreExists::No })?;
    let identity = Identity::load_or_create(directory)?;
    let settings = directory.join(CONFIG_FILE);
    if !settings.try_exists().map_err(disk("look for", &settings))? {
        let text = config::template(name, coordinator, coordinator_pin);
        write_new_file(&settings, text.as_bytes())?;
    }
    println!(
        "{}",
        serde_json::json!({
            "signer": name.as_str(),
            "identity_key": identity_digits(&keys.identity_key()),
            "transport_pin": identity.pin().to_string(),
        })
    );
    Ok(())
}
