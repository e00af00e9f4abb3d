//! The two lanes of the mailbox.

/// Mail that is urgent, and mail that is not. Each lane has its own numbers and its own connections, so a big
/// body in one never delays the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// A request waits for this.
    Signing,
    /// Redistribution and everything else.
    Ceremony,
}

impl Lane {
    /// The lane's name in a path: `signing` or `ceremony`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Signing => "signing",
            Self::Ceremony => "ceremony",
        }
    }
}
