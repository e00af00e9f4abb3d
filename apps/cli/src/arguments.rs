//! The command line.

mod decisions;

pub use decisions::{Mandate, Order, ProposeMandate, ProposeOrder, Schedule};

use clap::{Args, Parser, Subcommand};
use perennial_model::committee::SignerId;
use perennial_model::governance::PersonId;
use perennial_model::wallet::{Chain, TenantId, WalletId};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Custody whose key shares are replaced while the wallets keep signing.
///
/// Exit status: 0 done; 1 this machine, or a result that is not what it should be; 2 the command line; 3 refused
/// because of the request; 4 no coordinator answers, or it cannot work; 5 policy or the signers said no.
#[derive(Parser, Debug)]
#[command(name = "perennial", version, max_term_width = 100)]
pub struct Arguments {
    /// For all commands.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// For all commands.
#[derive(Args, Clone, Debug)]
pub struct Global {
    /// The cluster's directory, as `perennial init` made it [default: the current directory]
    #[arg(long, global = true)]
    pub dir: Option<PathBuf>,
    /// Where the coordinator's API listens [default: what the cluster's settings say, else 127.0.0.1:7700]
    #[arg(long, global = true)]
    pub api: Option<SocketAddr>,
    /// The token for the coordinator's API [default: the variable PERENNIAL_TOKEN, else operator.token in the cluster's
    /// directory]
    #[arg(long, global = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Print JSON for programs
    #[arg(long, global = true)]
    pub json: bool,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Make the directories of a cluster on this machine
    Init(Init),
    /// Who approves what, and who the signers are
    #[command(subcommand)]
    Governance(Governance),
    /// Make wallets and look at them
    #[command(subcommand)]
    Wallet(Wallet),
    /// Sign a transaction
    Sign(Sign),
    /// Replace the shares of wallets; their keys and addresses stay
    Refresh(Refresh),
    /// Read a plan and approve it
    Approve(Approve),
    /// What was asked of the signers, and how far it is
    #[command(subcommand)]
    Ceremony(Ceremony),
    /// Standing approvals, under which wallets are refreshed without asking each time
    #[command(subcommand)]
    Mandate(Mandate),
    /// Call off a plan or a mandate, have a mandate rest, let a halted signer work again
    #[command(subcommand)]
    Order(Order),
    /// What will be refreshed when
    #[command(subcommand)]
    Schedule(Schedule),
    /// The ledger: what happened, and whether anybody has changed it since
    #[command(subcommand)]
    Ledger(Ledger),
    /// Make the package that an auditor asks for: plans, approvals, certificates, receipts, and their ledger entries
    Evidence(Evidence),
    /// Check such a package, offline
    Verify(Verify),
    /// The signers, as the coordinator sees them
    #[command(subcommand)]
    Signer(Signer),
    /// Start a cluster, replace its shares under load, and show what became of the old ones
    Demo(Demo),
}

/// `perennial init`
#[derive(Args, Debug)]
pub struct Init {
    /// How many signers
    #[arg(long, default_value_t = 3)]
    pub signers: u8,
    /// How many of them have to sign together, for new wallets [default: more than half]
    #[arg(long)]
    pub threshold: Option<u8>,
    /// Who approves plans; the key is made here
    #[arg(long, default_value = "dana")]
    pub approver: PersonId,
    /// Who starts plans
    #[arg(long, default_value = "operator")]
    pub initiator: PersonId,
    /// Whose wallets these are
    #[arg(long, default_value = "local")]
    pub tenant: String,
    /// Where the mailbox for signers listens [default: the port after the API's]
    #[arg(long)]
    pub mail: Option<SocketAddr>,
}

/// `perennial governance`
#[derive(Subcommand, Debug)]
pub enum Governance {
    /// Who approves what, who the signers are
    Show {
        /// A proposal, instead of what is in force
        file: Option<PathBuf>,
        /// As TOML, to be changed and proposed
        #[arg(long)]
        toml: bool,
    },
    /// Make a proposal for a first version
    Init(Change),
    /// Make a proposal for the version after the one in force
    Propose(Change),
    /// What a proposal changes
    Diff {
        /// The proposal
        file: PathBuf,
    },
    /// Add an approval to a proposal
    Approve(ApproveProposal),
    /// Hand a complete proposal to the coordinator
    Submit {
        /// The proposal
        file: PathBuf,
    },
    /// Put a complete proposal into directories of daemons that do not run
    Install(Install),
}

/// What a proposal is made of.
#[derive(Args, Debug)]
pub struct Change {
    /// The governance in TOML, as `perennial governance show --toml` writes it
    pub file: PathBuf,
    /// The file to make
    #[arg(long, default_value = "governance.proposal", value_name = "FILE")]
    pub out: PathBuf,
}

/// `perennial governance approve`, and the same for mandates and orders
#[derive(Args, Debug)]
pub struct ApproveProposal {
    /// The proposal
    pub file: PathBuf,
    /// The key to approve with [default: what the cluster's settings say]
    #[arg(long, value_name = "FILE", conflicts_with = "signature")]
    pub key: Option<PathBuf>,
    /// A signature that ssh-keygen made, instead of a key
    #[arg(long, value_name = "FILE", requires = "person")]
    pub signature: Option<PathBuf>,
    /// Who approves [default: whose key it is]
    #[arg(long)]
    pub person: Option<PersonId>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// `perennial governance install`
#[derive(Args, Debug)]
pub struct Install {
    /// The proposal
    pub file: PathBuf,
    /// The directories of signers, of a coordinator, or of a cluster
    #[arg(required = true)]
    pub directories: Vec<PathBuf>,
}

/// `perennial wallet`
#[derive(Subcommand, Debug)]
pub enum Wallet {
    /// Ask for new wallets; they exist once the plan is approved and every signer keeps its shares
    Create {
        /// Their names: small letters, digits and hyphens
        #[arg(required = true)]
        names: Vec<WalletId>,
        /// Where they receive: ethereum, bitcoin, bitcoin-test, bitcoin-regtest or solana
        #[arg(long)]
        chain: Chain,
        /// How many signers have to sign together [default: what the cluster's settings say]
        #[arg(long)]
        threshold: Option<u8>,
        /// Who is to hold shares, all of whom have to be there [default: every signer that governance names]
        #[arg(long, value_delimiter = ',', value_name = "NAMES")]
        signers: Vec<SignerId>,
        /// What the plan says besides
        #[command(flatten)]
        terms: Terms,
    },
    /// All wallets
    List,
    /// One wallet
    Show {
        /// Its name
        name: WalletId,
    },
}

/// What plans have in common.
#[derive(Args, Clone, Debug)]
pub struct Terms {
    /// Accept fewer signers than are safe if one of them lies or loses its disk
    #[arg(long)]
    pub unsafe_against_liars: bool,
    /// Approve at once with this key, after showing the plan
    #[arg(long, value_name = "FILE")]
    pub approve_with: Option<PathBuf>,
    /// Do not ask before approving
    #[arg(long, requires = "approve_with")]
    pub yes: bool,
    /// Wait until it is done
    #[arg(long)]
    pub wait: bool,
}

/// `perennial sign`
#[derive(Args, Debug)]
pub struct Sign {
    /// The wallet
    pub wallet: WalletId,
    /// An unsigned transaction in a file: EIP-1559 payload as 0x and hexadecimal digits, PSBT or Solana message in
    /// base64
    #[arg(long, value_name = "FILE", conflicts_with_all = ["to", "amount"])]
    pub transaction: Option<PathBuf>,
    /// Which derived key signs, such as m/0/7 [default: the one of the wallet's address]
    #[arg(long)]
    pub path: Option<String>,
    /// Repeating a request with the same key gives the same answer [default: a new one]
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// A simple transfer instead of a file
    #[command(flatten)]
    pub transfer: Transfer,
}

/// A simple transfer.
#[derive(Args, Debug)]
pub struct Transfer {
    /// The receiver's address
    #[arg(long, requires = "amount", value_name = "ADDRESS")]
    pub to: Option<String>,
    /// The amount in wei, satoshi or lamports
    #[arg(long, requires = "to", value_name = "UNITS")]
    pub amount: Option<u128>,
    /// Ethereum: how many transactions the wallet has sent
    #[arg(long)]
    pub nonce: Option<u64>,
    /// Ethereum: the chain's number
    #[arg(long, default_value_t = 1)]
    pub chain_id: u64,
    /// Ethereum: the most to pay, in wei per gas
    #[arg(long, default_value_t = 30_000_000_000, value_name = "WEI")]
    pub max_fee: u128,
    /// Ethereum: the most of it for the block's author, in wei per gas
    #[arg(long, default_value_t = 1_000_000_000, value_name = "WEI")]
    pub tip: u128,
    /// Bitcoin: the output to spend
    #[arg(long, value_name = "TXID:INDEX:SATOSHI")]
    pub spend: Option<String>,
    /// Bitcoin: the fee in satoshi
    #[arg(long, default_value_t = 500, value_name = "SATOSHI")]
    pub fee: u64,
    /// Solana: a recent block hash
    #[arg(long, value_name = "BASE58")]
    pub blockhash: Option<String>,
}

/// `perennial refresh`
#[derive(Args, Debug)]
pub struct Refresh {
    /// The wallets
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub wallets: Vec<WalletId>,
    /// All wallets that have one committee
    #[arg(long)]
    pub all: bool,
    /// How long old and new shares both sign, in seconds
    #[arg(long, default_value_t = 10.0, allow_negative_numbers = true, value_name = "SECONDS")]
    pub overlap: f64,
    /// What the plan says besides
    #[command(flatten)]
    pub terms: Terms,
}

/// `perennial approve`
#[derive(Args, Debug)]
pub struct Approve {
    /// The ceremony: the plan's digest, or its first digits
    pub ceremony: String,
    /// The key to approve with [default: what the cluster's settings say]
    #[arg(long, value_name = "FILE", conflicts_with = "signature")]
    pub key: Option<PathBuf>,
    /// A signature that ssh-keygen made, instead of a key
    #[arg(long, value_name = "FILE")]
    pub signature: Option<PathBuf>,
    /// Who approves [default: what the cluster's settings say]
    #[arg(long)]
    pub person: Option<PersonId>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// `perennial ceremony`
#[derive(Subcommand, Debug)]
pub enum Ceremony {
    /// All ceremonies, the newest first
    List,
    /// One ceremony
    Show {
        /// The plan's digest, or its first digits
        ceremony: String,
    },
    /// Follow one ceremony to its end
    Watch {
        /// The plan's digest, or its first digits
        ceremony: String,
    },
}

/// `perennial ledger`
#[derive(Subcommand, Debug)]
pub enum Ledger {
    /// Show entries [default: the last 20]
    Tail {
        /// Go on with what comes, until interrupted
        #[arg(short, long)]
        follow: bool,
        /// Begin with this entry, counted from 0
        #[arg(long, value_name = "N")]
        from: Option<u64>,
    },
    /// Write all entries and the newest cosigned checkpoint into a file, for `verify`
    Export {
        /// The file; it must not exist
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Check every entry against the checkpoint, and who has cosigned that
    Verify {
        /// An export; nobody is asked anything [default: the coordinator's ledger]
        file: Option<PathBuf>,
        /// Whom to believe
        #[command(flatten)]
        trust: Trust,
    },
}

/// Whom an auditor believes.
#[derive(Args, Debug)]
pub struct Trust {
    /// The governance with the signers' keys [default: the cluster's]
    #[arg(long, value_name = "FILE")]
    pub governance: Option<PathBuf>,
    /// How many signers must have cosigned [default: more than half]
    #[arg(long, value_name = "N")]
    pub cosigned: Option<usize>,
    /// The ledger's key, if you have pinned it: name+id+base64
    #[arg(long)]
    pub key: Option<String>,
}

/// `perennial evidence`
#[derive(Args, Debug)]
pub struct Evidence {
    /// A wallet, or a ceremony: the plan's digest, or its first digits
    pub about: String,
    /// The file; it must not exist
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Of a wallet: only from this time on, such as 2026-11-21T10:30:00Z [default: its creation]
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Of a wallet: only up to this time [default: now]
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
}

/// `perennial verify`
#[derive(Args, Debug)]
pub struct Verify {
    /// The package
    pub file: PathBuf,
    /// The governance that is trusted: a governance.cbor, or the digest of its first version [default: the cluster's]
    #[arg(long, value_name = "FILE|DIGEST")]
    pub governance: Option<String>,
    /// How many signers must have cosigned the ledger [default: more than half]
    #[arg(long, value_name = "N")]
    pub witnesses: Option<usize>,
    /// The ledger's key, if you have pinned it: name+id+base64
    #[arg(long)]
    pub key: Option<String>,
}

/// `perennial signer`
#[derive(Subcommand, Debug)]
pub enum Signer {
    /// All signers
    List,
    /// Say that others may have the copies that a signer held. It tells the register and the ledger, and changes nothing
    /// at signers
    ReportTheft(ReportTheft),
    /// Say that such a report does not hold; both stay on record
    WithdrawTheft {
        /// The report's digest, or its first digits
        report: String,
        /// Why, in a line
        #[arg(long)]
        text: String,
    },
    /// All such reports
    Thefts,
}

/// `perennial signer report-theft`
#[derive(Args, Debug)]
pub struct ReportTheft {
    /// The signer that held them
    pub name: SignerId,
    /// Of these wallets only; repeat it for several [default: of all]
    #[arg(long = "wallet", value_name = "WALLET")]
    pub wallets: Vec<WalletId>,
    /// Of the wallets of this tenant only [default: of all that the token's client sees]
    #[arg(long)]
    pub tenant: Option<TenantId>,
    /// From when on, such as 2026-11-21T10:30:00Z: what it held at any moment from then on counts
    #[arg(long, value_name = "TIME")]
    pub from: String,
    /// Up to when; not in the future
    #[arg(long, value_name = "TIME")]
    pub to: String,
    /// It is known, not only suspected
    #[arg(long)]
    pub known: bool,
    /// What is known of it, in a line
    #[arg(long)]
    pub text: String,
}

/// `perennial demo`
#[derive(Args, Clone, Debug)]
pub struct Demo {
    /// How many wallets; the first three are for Ethereum, Bitcoin and Solana, and so on in turn
    #[arg(long, default_value_t = 3)]
    pub wallets: u32,
    /// How many signers
    #[arg(long, default_value_t = 3)]
    pub signers: u8,
    /// How many of them have to sign together
    #[arg(long, default_value_t = 2)]
    pub threshold: u8,
    /// How many signatures a second, over all wallets
    #[arg(long, default_value_t = 20.0, allow_negative_numbers = true)]
    pub rate: f64,
    /// How often all shares are replaced
    #[arg(long, default_value_t = 3)]
    pub refreshes: u32,
    /// How long to sign before the first refresh, in seconds
    #[arg(long, default_value_t = 15.0, allow_negative_numbers = true)]
    pub seconds: f64,
    /// How long old and new shares both sign, in seconds
    #[arg(long, default_value_t = 3.0, allow_negative_numbers = true)]
    pub overlap: f64,
    /// Damage one signer's new share on its disk, right after it has come into use (needs an --overlap of 2 or more)
    #[arg(long)]
    pub break_new_epoch: bool,
    /// Leave the cluster running, and say how to go on
    #[arg(long)]
    pub keep: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_holds_together() {
        Arguments::command().debug_assert();
    }
}
