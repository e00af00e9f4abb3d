//! Why a command did not do what it was asked: one line that says what, who is to blame and what to do, and the
//! exit status that scripts look at.

use serde_json::{Value, json};
use std::fmt;

/// Whose fault it is, and so the exit status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// This machine, or a result that is not what it should be: status 1.
    Broken,
    /// The command line: status 2, as for the options that the parser refuses.
    Usage,
    /// The request was refused, and whoever sent it is to blame: status 3.
    Refused,
    /// No coordinator answers, or it cannot do its work: status 4.
    Unreachable,
    /// Policy or the signers said no, or could not: status 5.
    Denied,
}

impl Kind {
    /// The exit status.
    pub fn status(self) -> u8 {
        match self {
            Self::Broken => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Unreachable => 4,
            Self::Denied => 5,
        }
    }
}

/// What went wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Whose fault it is.
    pub kind: Kind,
    /// What was expected and what came.
    pub what: String,
    /// Who is to blame, in a few words.
    pub blame: String,
    /// What to do.
    pub action: String,
}

impl Failure {
    /// A failure in full.
    pub fn new(
        kind: Kind,
        what: impl fmt::Display,
        blame: impl fmt::Display,
        action: impl fmt::Display,
    ) -> Self {
        let line =
            |text: &dyn fmt::Display| text.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        Self { kind, what: line(&what), blame: line(&blame), action: line(&action) }
    }

    /// The command line is at fault.
    pub fn usage(what: impl fmt::Display, action: impl fmt::Display) -> Self {
        Self::new(Kind::Usage, what, "the command line", action)
    }

    /// The command line is at fault, as the parser of options says it: what is wrong in the first lines, and then
    /// perhaps how the command is used.
    pub fn not_parsed(said: &str) -> Self {
        let said = said.split("For more information").next().unwrap_or_default();
        let (what, usage) = said.split_once("Usage: ").unwrap_or((said, ""));
        let what = what.trim().trim_start_matches("error: ");
        match usage.trim() {
            "" => Self::usage(what, "look at --help"),
            usage => Self::usage(what, format!("use it as `{usage}`; --help says more")),
        }
    }

    /// Something on this machine is at fault.
    pub fn local(what: impl fmt::Display, action: impl fmt::Display) -> Self {
        Self::new(Kind::Broken, what, "this machine", action)
    }

    /// A file cannot be used.
    pub fn file(action: &str, path: &std::path::Path, source: &std::io::Error) -> Self {
        Self::local(
            format!("cannot {action} {}: {source}", path.display()),
            "check that the path exists, is yours, and that the disk has room",
        )
    }

    /// What scripts get.
    pub fn to_json(&self) -> Value {
        json!({"error": {
            "status": self.kind.status(), "what": self.what, "blame": self.blame, "action": self.action,
        }})
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "perennial: {} | to blame: {} | what to do: {}", self.what, self.blame, self.action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_whatever_the_other_side_said() {
        let failure = Failure::new(Kind::Denied, "a\n  b\r\nc", "signer a\n", "try\tagain");
        assert_eq!(failure.to_string(), "perennial: a b c | to blame: signer a | what to do: try again");
        assert_eq!(failure.kind.status(), 5);
    }

    #[test]
    fn what_the_parser_refuses_is_one_line_too() {
        let said = "error: unexpected argument '--bogus' found\n\n  tip: a similar one exists: '--keep'\n\nUsage: \
                    perennial demo [OPTIONS]\n\nFor more information, try '--help'.\n";
        assert_eq!(
            Failure::not_parsed(said).to_string(),
            "perennial: unexpected argument '--bogus' found tip: a similar one exists: '--keep' | to blame: the \
             command line | what to do: use it as `perennial demo [OPTIONS]`; --help says more"
        );
        let failure =
            Failure::not_parsed("error: invalid value 'x' for '--refreshes <REFRESHES>': no digit\n");
        assert!(
            failure
                .to_string()
                .ends_with("no digit | to blame: the command line | what to do: look at --help")
        );
    }
}
