//! `perennial`: the operator's tool, and the demo. It holds no share and no right: it asks the coordinator, shows
//! what came after checking what can be checked, and signs approvals with the approver's own key.

mod api;
mod approve;
mod arguments;
mod ceremony;
mod client;
mod cluster;
mod demo;
mod evidence;
mod failure;
mod governance;
mod init;
mod key_file;
mod ledger;
mod mandate;
mod operator;
mod order;
mod plans;
mod process;
mod proposal;
mod refresh;
mod rendering;
mod schedule;
mod sign;
mod signer;
mod table;
mod theft;
mod times;
mod token;
mod transfer;
mod wallet;

use arguments::{Arguments, Command};
use clap::Parser;
use demo::Verdict;
use failure::Failure;
use operator::{Form, Operator, print};
use std::process::ExitCode;

/// Does what the arguments say. The exit status is one of those that `perennial --help` lists.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return not_parsed(&error),
    };
    let done = run(&arguments);
    process::give_way_to_interrupt();
    match done {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Bad) => ExitCode::FAILURE,
        Err(failure) => failed(&failure, Form::of(&arguments.global)),
    }
}

fn failed(failure: &Failure, form: Form) -> ExitCode {
    eprintln!("{failure}");
    if form == Form::Json {
        print(&format!("{}\n", failure.to_json()));
    }
    ExitCode::from(failure.kind.status())
}

/// Prints help where it was asked for, and otherwise what is wrong, in one line like every other failure.
fn not_parsed(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
    if matches!(error.kind(), DisplayHelp | DisplayVersion | DisplayHelpOnMissingArgumentOrSubcommand) {
        error.exit();
    }
    let form = if std::env::args_os().any(|word| word == "--json") { Form::Json } else { Form::Text };
    failed(&Failure::not_parsed(&error.to_string()), form)
}

fn run(Arguments { global, command }: &Arguments) -> Result<Verdict, Failure> {
    let operator = || Operator::new(global);
    let done = match command {
        Command::Init(arguments) => init::run(global, arguments),
        Command::Governance(command) => governance::run(&operator()?, command),
        Command::Wallet(command) => wallet::run(&operator()?, command),
        Command::Sign(arguments) => sign::run(&operator()?, arguments),
        Command::Refresh(arguments) => refresh::run(&operator()?, arguments),
        Command::Approve(arguments) => approve::run(&operator()?, arguments),
        Command::Ceremony(command) => ceremony::run(&operator()?, command),
        Command::Mandate(command) => mandate::run(&operator()?, command),
        Command::Order(command) => order::run(&operator()?, command),
        Command::Schedule(command) => schedule::run(&operator()?, command),
        Command::Ledger(command) => ledger::run(&operator()?, command),
        Command::Evidence(arguments) => evidence::run(&operator()?, arguments),
        Command::Verify(arguments) => evidence::verify(global, arguments),
        Command::Signer(command) => signer::run(&operator()?, command),
        Command::Demo(arguments) => return demo::run(global, arguments),
    };
    done.map(|()| Verdict::Good)
}
