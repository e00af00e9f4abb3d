//! Reads questions from standard input and answers on standard output, a line for a line, until the input ends.
//! Exit status 0 unless the pipe breaks. See the library for the form of the lines.

use std::io;

fn main() -> io::Result<()> {
    perennial_referee::serve(io::stdin().lock(), io::stdout().lock())
}
