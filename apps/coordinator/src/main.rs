//! The coordinator daemon. Everything it does is in the library.

use perennial_coordinator::Allocator;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    perennial_coordinator::command::main()
}
