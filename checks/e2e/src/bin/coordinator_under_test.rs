//! The coordinator daemon as the tests of this package start it: the shipped one, built with them.

use perennial_coordinator::Allocator;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    perennial_coordinator::command::main()
}
