//! The coordinator daemon as the tests of this package start it: the shipped one, built with them.

use std::process::ExitCode;

fn main() -> ExitCode {
    perennial_coordinator::command::main()
}
