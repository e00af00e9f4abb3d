//! The operator's tool. Everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    perennial::main()
}
