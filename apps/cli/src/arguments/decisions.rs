//! The commands for what people decide beyond single plans.

use super::ApproveProposal;
use clap::{Args, Subcommand};
use perennial_model::wallet::WalletId;
use std::path::PathBuf;

/// `perennial mandate`
#[derive(Subcommand, Debug)]
pub enum Mandate {
    /// Make a proposal: which wallets, how often, when
    Propose(ProposeMandate),
    /// All mandates, and where each stands
    List,
    /// What a mandate says
    Show {
        /// Its digest, the first digits of it, or the file of a proposal
        mandate: String,
    },
    /// Add an approval to a proposal
    Approve(ApproveProposal),
    /// Hand a complete proposal to the coordinator
    Submit {
        /// The proposal
        file: PathBuf,
    },
}

/// `perennial mandate propose`
#[derive(Args, Debug)]
pub struct ProposeMandate {
    /// The wallets
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub wallets: Vec<WalletId>,
    /// All wallets of the tenant that have one committee, also those that are made later
    #[arg(long)]
    pub all: bool,
    /// How old shares get before they are renewed, such as 7d; a tier may be named: high=30d
    #[arg(long, required = true, value_name = "[TIER=]TIME")]
    pub every: Vec<String>,
    /// Every signer refuses to renew a wallet sooner than this [default: nine tenths of the shortest --every]
    #[arg(long, value_name = "TIME")]
    pub at_most_every: Option<String>,
    /// For how long it holds, such as 365d
    #[arg(long, value_name = "TIME", default_value = "365d")]
    pub lasts: String,
    /// When refreshes may begin, in UTC, such as "sat,sun 22:00 6h" or "mon-fri 01:30 2h" [default: at any time]
    #[arg(long, value_name = "DAYS TIME LENGTH")]
    pub window: Vec<String>,
    /// How long one refresh may take
    #[arg(long, value_name = "TIME", default_value = "2h")]
    pub takes: String,
    /// How many attempts a wallet has between two renewals
    #[arg(long, default_value_t = 12)]
    pub attempts: u32,
    /// After how many failures in a row it stops
    #[arg(long, default_value_t = 3)]
    pub failures: u32,
    /// How long old and new shares both sign, in seconds
    #[arg(long, default_value_t = 10.0, allow_negative_numbers = true, value_name = "SECONDS")]
    pub overlap: f64,
    /// Accept fewer signers than are safe if one of them lies or loses its disk
    #[arg(long)]
    pub unsafe_against_liars: bool,
    /// The file to make
    #[arg(long, default_value = "mandate.proposal", value_name = "FILE")]
    pub out: PathBuf,
}

/// `perennial order`
#[derive(Subcommand, Debug)]
pub enum Order {
    /// Propose to call off a plan or a mandate
    Cancel(ProposeOrder),
    /// Propose that a mandate rests
    Pause(ProposeOrder),
    /// Propose that a mandate goes on
    Resume(ProposeOrder),
    /// Propose that a signer works again that has halted
    Readmit(ProposeOrder),
    /// All orders, and how many signers obey each
    List,
    /// Add an approval to a proposal
    Approve(ApproveProposal),
    /// Hand a complete proposal to the coordinator
    Submit {
        /// The proposal
        file: PathBuf,
    },
}

/// What is proposed.
#[derive(Args, Debug)]
pub struct ProposeOrder {
    /// The digest of the plan or mandate, or its first digits; or the name of the signer
    pub what: String,
    /// Until when it may be taken, from now
    #[arg(long, value_name = "TIME", default_value = "1d")]
    pub expires: String,
    /// The file to make
    #[arg(long, default_value = "order.proposal", value_name = "FILE")]
    pub out: PathBuf,
}

/// `perennial schedule`
#[derive(Subcommand, Debug)]
pub enum Schedule {
    /// What begins when under the mandates, and what to look at
    Show {
        /// How many days ahead
        #[arg(long, default_value_t = 90)]
        days: u64,
    },
}
