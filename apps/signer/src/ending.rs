//! How this program ends: one exit status per kind of trouble, and one line that says what to do.

use std::fmt;
use std::process::ExitCode;

/// What the exit status says. The numbers are part of the interface: scripts and tests read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// The operating system refused something else than the disk: a thread, a signal handler.
    System,
    /// The command line, a setting, a key file, the governance or a permission has to be mended.
    Setup,
    /// The store is another signer's, incomplete or damaged.
    WrongStore,
    /// The disk did not do what it was asked. Nothing may leave any more.
    DiskFailed,
    /// Another process works in this directory.
    AlreadyRunning,
    /// A bug in this program.
    Bug,
}

impl ExitStatus {
    /// The status as the operating system sees it. 0 is a wanted end.
    pub fn code(self) -> u8 {
        match self {
            Self::System => 1,
            Self::Setup => 2,
            Self::WrongStore => 3,
            Self::DiskFailed => 4,
            Self::AlreadyRunning => 5,
            Self::Bug => 6,
        }
    }
}

/// Why this program ends before it was asked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind.
    pub status: ExitStatus,
    line: String,
}

impl Failure {
    /// A failure with the line that is shown to the operator.
    pub fn new(status: ExitStatus, reason: impl fmt::Display) -> Self {
        Self { status, line: one_line(&reason.to_string(), LINE_CHARACTERS_MAX) }
    }

    /// Prints the line to standard error and gives the status for `main`.
    pub fn report(&self) -> ExitCode {
        eprintln!("{self}");
        ExitCode::from(self.status.code())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "perennial-signer: {}", self.line)
    }
}

/// The longest line that is shown.
const LINE_CHARACTERS_MAX: usize = 1000;

/// Text from anywhere as one line of at most `most` characters: line breaks become spaces, what else could
/// steer a terminal or forge a line of a log becomes `?`.
pub fn one_line(text: &str, most: usize) -> String {
    let mut line = String::with_capacity(text.len().min(most));
    let mut last_is_space = false;
    for (at, character) in text.chars().enumerate() {
        if at == most {
            line.push('…');
            break;
        }
        match character {
            '\n' | '\r' | '\t' | ' ' => {
                if !last_is_space {
                    line.push(' ');
                }
            }
            other if other.is_control() => line.push('?'),
            other => line.push(other),
        }
        last_is_space = line.ends_with(' ');
    }
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_forge_a_second_line() {
        assert_eq!(one_line("a\n\n  b\x1b[31m\u{9b}c\r\n", 100), "a b?[31m?c");
        assert_eq!(one_line("abcdef", 3), "abc…");
        let failure = Failure::new(ExitStatus::Setup, "first\nsecond");
        assert_eq!(failure.to_string(), "perennial-signer: first second");
    }
}
