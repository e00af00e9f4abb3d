//! `perennial-coordinator`: the command line, the log, and exit codes.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | ended by SIGINT or SIGTERM, or `init` or `client` is done |
//! | 1 | failed while it ran |
//! | 2 | the command line is wrong |
//! | 3 | configuration, governance, identity or directory cannot be used |
//! | 4 | cannot listen on an address |
//! | 5 | a store cannot be used |

mod clients;

use crate::ceremonies::CeremoniesError;
use crate::config::Config;
use crate::directory::Directory;
use crate::log::OneLineEach;
use crate::run::{RunError, run};
use clap::{Parser, Subcommand};
use clients::ClientCommand;
use perennial_daemon::hardening;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::prelude::*;

/// Plans, relays, stores and shows; holds no share and no right.
#[derive(Debug, Parser)]
#[command(name = "perennial-coordinator", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes the directory with configuration, identity and ledger key, and prints what others have to know. What
    /// is there already stays as it is.
    Init {
        /// The coordinator's directory.
        #[arg(long)]
        dir: PathBuf,
        /// Where the API will listen (loopback, without TLS).
        #[arg(long)]
        api_address: Option<SocketAddr>,
        /// Where signers will fetch and post mail (loopback).
        #[arg(long)]
        mail_address: Option<SocketAddr>,
        /// Prints one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Who may use the API. A running daemon takes a change over at once.
    #[command(subcommand)]
    Client(ClientCommand),
    /// Runs the daemon until SIGINT or SIGTERM.
    Run {
        /// The coordinator's directory.
        #[arg(long)]
        dir: PathBuf,
    },
}

/// Does what the arguments say. The status is one of the table above; with any but 0, one line on standard error
/// says what to do.
pub fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Init { dir, api_address, mail_address, json } => {
            let defaults = Config::default();
            let config = Config {
                api_address: api_address.unwrap_or(defaults.api_address),
                mail_address: mail_address.unwrap_or(defaults.mail_address),
                ..defaults
            };
            init(&dir, &config, json)
        }
        Command::Client(command) => clients::run(&command),
        Command::Run { dir } => start(&dir),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("perennial-coordinator: {error}");
            ExitCode::from(code(&error))
        }
    }
}

fn init(dir: &std::path::Path, config: &Config, json: bool) -> anyhow::Result<()> {
    config.check().map_err(|error| RunError::Directory(error.into()))?;
    hardening::harden()?;
    let directory = Directory::init(dir, config).map_err(RunError::from)?;
    let (pin, key) = (
        directory.identity().map_err(RunError::from)?.pin().to_string(),
        directory.ledger_key().map_err(RunError::from)?.public_line(),
    );
    let config = directory.config().map_err(RunError::from)?;
    let path = directory.path().display();
    if json {
        let printed = serde_json::json!({
            "directory": path.to_string(),
            "pin": pin,
            "ledger_key": key,
            "api_address": config.api_address.to_string(),
            "mail_address": config.mail_address.to_string(),
        });
        println!("{printed}");
        return Ok(());
    }
    println!("directory   {path}");
    println!("pin         {pin}");
    println!("            (each signer's configuration names it)");
    println!("ledger key  {key}");
    println!("            (who checks the ledger pins it)");
    println!("next        put governance.cbor into {path}, then run");
    println!("            perennial-coordinator run --dir {path}");
    Ok(())
}

fn start(dir: &std::path::Path) -> anyhow::Result<()> {
    hardening::harden()?;
    let directory = Directory::open(dir).map_err(RunError::from)?;
    let config = directory.config().map_err(RunError::from)?;
    // An empty rule would mean `error`.
    let rules: Vec<&str> = config.log.split(',').map(str::trim).filter(|rule| !rule.is_empty()).collect();
    let filter: Targets = rules
        .join(",")
        .parse()
        .map_err(|error: ParseError| RunError::Directory(config.log_refused(&error.to_string()).into()))?;
    let lines =
        tracing_subscriber::fmt::layer().with_writer(|| OneLineEach(std::io::stderr())).with_ansi(false);
    tracing_subscriber::registry().with(lines).with(filter).init();
    tracing::info!("perennial-coordinator {} on {}", env!("CARGO_PKG_VERSION"), dir.display());
    for line in config.to_toml().lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        tracing::info!("configuration: {line}");
    }
    Ok(run(&directory, &config)?)
}

fn code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<RunError>() {
        Some(RunError::Directory(_) | RunError::SharedPin(_) | RunError::Clients(_) | RunError::Tls(_)) => 3,
        Some(RunError::Ceremonies(CeremoniesError::Open(error))) if error.is_about_governance() => 3,
        Some(RunError::Listen(_)) => 4,
        Some(RunError::Store(_) | RunError::Ceremonies(_)) => 5,
        _ => 1,
    }
}
