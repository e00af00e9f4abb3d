//! `perennial`: the operator's tool, and the demo. It holds no share and no right: it asks the coordinator, shows
//! what came after checking what can be checked, and signs approvals with the approver's own key.

mod api;
mod approve;
mod arguments;
mod ceremony;
mod client;
mod cluster;
mod demo;
mod failure;
mod governance;
mod init;
mod key_file;
mod operator;
mod plans;
mod process;
mod refresh;
mod rendering;
mod sign;
mod signer;
mod table;
mod transfer;
mod wallet;

use arguments::{Arguments, Command, Governance, Signer};
use clap::Parser;
use demo::Verdict;
use failure::Failure;
use operator::{Form, Operator, print};
use std::process::ExitCode;

/// Does what the arguments say. The exit status is one of those that `perennial --help` lists.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Bad) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("{failure}");
            if Form::of(&arguments.global) == Form::Json {
                print(&format!("{}\n", failure.to_json()));
            }
            ExitCode::from(failure.kind.status())
        }
    }
}

fn run(Arguments { global, command }: &Arguments) -> Result<Verdict, Failure> {
    let operator = || Operator::new(global);
    let done = match command {
        Command::Init(arguments) => init::run(global, arguments),
        Command::Governance(Governance::Show) => governance::show(&operator()?),
        Command::Wallet(command) => wallet::run(&operator()?, command),
        Command::Sign(arguments) => sign::run(&operator()?, arguments),
        Command::Refresh(arguments) => refresh::run(&operator()?, arguments),
        Command::Approve(arguments) => approve::run(&operator()?, arguments),
        Command::Ceremony(command) => ceremony::run(&operator()?, command),
        Command::Signer(Signer::List) => signer::list(&operator()?),
        Command::Demo(arguments) => return demo::run(global, arguments),
    };
    done.map(|()| Verdict::Good)
}
