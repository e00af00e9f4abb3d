//! `perennial-coordinator client add`, `list` and `revoke`: the file of those who may use the API.
//!
//! A token is shown once, on standard output or in a file of its own, and is nowhere afterwards.

use crate::access::file::{ClientsFile, Listed, Proof, reach, tenants};
use crate::access::token::Token;
use crate::directory::Directory;
use crate::run::RunError;
use crate::world::now_ms;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use perennial_daemon::hardening;
use perennial_daemon::identity::Pin;
use perennial_model::identity::ClientId;
use perennial_workflow::access::{Client, Scope};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// The longest time for which a client can be added, in days: ten years.
const DAYS_MAX: i64 = 3_650;

#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Adds a client and shows its token, once.
    Add(Box<Add>),
    /// Lists the clients.
    List {
        /// The coordinator's directory.
        #[arg(long)]
        dir: PathBuf,
        /// Prints one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Removes a client. Its next request is refused.
    Revoke {
        /// The coordinator's directory.
        #[arg(long)]
        dir: PathBuf,
        /// Its name.
        name: ClientId,
    },
}

#[derive(Debug, Args)]
pub struct Add {
    /// The coordinator's directory.
    #[arg(long)]
    dir: PathBuf,
    /// Its name, as it will stand in the log: small letters, digits and hyphens.
    name: ClientId,
    /// What it may do, with commas: read, submit, sign, audit.
    #[arg(long, value_delimiter = ',', required = true)]
    scopes: Vec<Scope>,
    /// Whose wallets it deals with, with commas; `*` for every tenant, also those to come.
    #[arg(long, value_delimiter = ',', required = true)]
    tenants: Vec<String>,
    /// For how many days.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(i64).range(1..=DAYS_MAX))]
    days: i64,
    /// How often it may ask, if not as usual.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    requests_per_second: Option<u32>,
    /// Writes the token into a new file instead of showing it.
    #[arg(long, value_name = "FILE", conflicts_with = "certificate")]
    token_file: Option<PathBuf>,
    /// Knows the client by this TLS certificate (PEM) instead of a token.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
}

/// Carries out the command.
pub fn run(command: &ClientCommand) -> anyhow::Result<()> {
    hardening::harden()?;
    match command {
        ClientCommand::Add(add) => add.run(),
        ClientCommand::List { dir, json } => list(dir, *json),
        ClientCommand::Revoke { dir, name } => revoke(dir, name),
    }
}

fn clients_file(dir: &Path) -> anyhow::Result<PathBuf> {
    Ok(Directory::open(dir).map_err(RunError::from)?.clients_file())
}

impl Add {
    fn run(&self) -> anyhow::Result<()> {
        let path = clients_file(&self.dir)?;
        let added_ms = now_ms();
        let client = Client {
            name: self.name.clone(),
            scopes: self.scopes.iter().copied().collect(),
            reach: reach(&self.tenants).map_err(|reason| anyhow::anyhow!("--tenants: {reason}"))?,
            expires_ms: added_ms + self.days.unsigned_abs() * DAY_MS,
        };
        let (proof, token) = match &self.certificate {
            Some(file) => (Proof::Certificate(pin_of(file)?), None),
            None => {
                let token = Token::generate()?;
                (Proof::Token(token.digest()), Some(token))
            }
        };
        if let (Some(file), Some(token)) = (&self.token_file, &token) {
            write_token(file, token)?;
        }
        let requests_per_second = self.requests_per_second;
        let new = Listed { client, proof, added_ms, requests_per_second };
        let changed = ClientsFile::change(&path, |listed| {
            listed.push(new);
            Ok(())
        });
        if let (Err(_), Some(file)) = (&changed, &self.token_file) {
            // A token that lets nobody in. What cannot be removed is harmless.
            let _ = std::fs::remove_file(file);
        }
        changed.map_err(RunError::from)?;
        match (&self.token_file, token) {
            (Some(file), Some(_)) => println!("the token of {} is in {}", self.name, file.display()),
            (None, Some(token)) => {
                eprintln!("the token of {}, which is shown this once:", self.name);
                println!("{}", token.reveal());
            }
            (_, None) => println!("{} is known by its certificate", self.name),
        }
        Ok(())
    }
}

fn list(dir: &Path, json: bool) -> anyhow::Result<()> {
    let listed = ClientsFile::read(&clients_file(dir)?).map_err(RunError::from)?;
    let now_ms = now_ms();
    if json {
        let shown: Vec<serde_json::Value> = listed.iter().map(|listed| as_json(listed, now_ms)).collect();
        println!("{}", serde_json::json!({ "clients": shown }));
        return Ok(());
    }
    for listed in &listed {
        let client = &listed.client;
        let scopes: Vec<&str> = client.scopes.iter().map(|scope| scope.name()).collect();
        let ends = match client.expires_ms.checked_sub(now_ms) {
            Some(left_ms) if left_ms > 0 => format!("for {} days more", left_ms / DAY_MS),
            _ => "OVER".to_owned(),
        };
        let (scopes, tenants) = (scopes.join(","), tenants(&client.reach).join(","));
        println!(
            "{:<24} {:<12} {scopes:<24} {tenants:<16} {ends}",
            client.name.as_str(),
            means(&listed.proof)
        );
    }
    Ok(())
}

fn as_json(listed: &Listed, now_ms: u64) -> serde_json::Value {
    let client = &listed.client;
    let scopes: Vec<&str> = client.scopes.iter().map(|scope| scope.name()).collect();
    serde_json::json!({
        "name": client.name.as_str(),
        "proof": means(&listed.proof),
        "scopes": scopes,
        "tenants": tenants(&client.reach),
        "added_ms": listed.added_ms,
        "expires_ms": client.expires_ms,
        "expired": client.is_expired(now_ms),
        "requests_per_second": listed.requests_per_second,
    })
}

fn means(proof: &Proof) -> &'static str {
    match proof {
        Proof::Token(_) => "token",
        Proof::Certificate(_) => "certificate",
    }
}

fn revoke(dir: &Path, name: &ClientId) -> anyhow::Result<()> {
    let changed = ClientsFile::change(&clients_file(dir)?, |listed| {
        let before = listed.len();
        listed.retain(|known| known.client.name != *name);
        if listed.len() < before { Ok(()) } else { Err(format!("there is no client {name}")) }
    });
    changed.map_err(RunError::from)?;
    println!("{name} is revoked");
    Ok(())
}

fn pin_of(file: &Path) -> anyhow::Result<Pin> {
    let unusable = || format!("{} holds no usable certificate", file.display());
    let certificate = CertificateDer::from_pem_file(file).with_context(unusable)?;
    Pin::of_certificate(&certificate).with_context(unusable)
}

fn write_token(file: &Path, token: &Token) -> anyhow::Result<()> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let written = opened.and_then(|mut opened| {
        writeln!(opened, "{}", token.reveal())?;
        opened.sync_all()
    });
    match written {
        Ok(()) => Ok(()),
        Err(error) => bail!("cannot write {}: {error}", file.display()),
    }
}
