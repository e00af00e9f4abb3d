//! The token with which this program comes to the coordinator's API. It is read from a file, or from the environment
//! where there is no file (as in pipelines); it is never an argument, since others can see those.

use crate::failure::Failure;
use crate::key_file::read_private;
use std::fmt;
use std::path::Path;
use zeroize::Zeroizing;

/// The one variable of the environment that counts.
pub const VARIABLE: &str = "PERENNIAL_TOKEN";
/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 10;

/// A bearer token. It shows itself only in the header of a request.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// The token that was named, or else the one of the environment, or else the one of the cluster's directory; none if
    /// there is none of them.
    ///
    /// # Errors
    /// When a file that is there cannot be used.
    pub fn find(named: Option<&Path>, usual: &Path) -> Result<Option<Self>, Failure> {
        if let Some(path) = named {
            return Self::read(path).map(Some);
        }
        if let Some(text) = std::env::var_os(VARIABLE) {
            let text = Zeroizing::new(text.into_encoded_bytes());
            return Self::of(&String::from_utf8_lossy(&text), VARIABLE).map(Some);
        }
        if usual.exists() { Self::read(usual).map(Some) } else { Ok(None) }
    }

    fn read(path: &Path) -> Result<Self, Failure> {
        let wide = "chmod 600 the file; if somebody may have read it, revoke the client and add another";
        let text = read_private(path, FILE_BYTES_MAX, wide)?;
        Self::of(&text, &path.display().to_string())
    }

    fn of(text: &str, place: &str) -> Result<Self, Failure> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failure::local(
                format!("{place} holds no token"),
                "make one with `perennial-coordinator client add`",
            ));
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// The value of the header `Authorization`.
    pub fn header(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("Bearer {}", self.0.as_str()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_file::write_new;

    #[test]
    fn a_token_is_read_from_a_file_that_nobody_else_reads_and_is_not_shown() {
        let place = tempfile::tempdir().expect("a directory");
        let [good, wide, empty] = ["good", "wide", "empty"].map(|name| place.path().join(name));
        write_new(&good, b"perennial_abc\n", 0o600).expect("written");
        write_new(&wide, b"perennial_abc\n", 0o644).expect("written");
        write_new(&empty, b"\n", 0o600).expect("written");
        let token = Token::find(Some(&good), &wide).expect("read").expect("there");
        assert_eq!(*token.header(), "Bearer perennial_abc");
        assert!(!format!("{token:?}").contains("abc"));
        for refused in [&wide, &empty, &place.path().join("missing")] {
            let failure = Token::find(Some(refused), &good).expect_err("refused").to_string();
            assert!(!failure.contains("perennial_abc"), "{failure}");
        }
    }
}
