//! The coordinator daemon. Everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    perennial_coordinator::command::main()
}
