//! Bearer tokens: a prefix that scanners for leaked secrets find, and 256 random bits.
//!
//! On disk there is only SHA-256 of a token. That is enough, since nobody can try 2^256 tokens; slow hashes are for
//! secrets that people choose. A token is shown once, when it is made.

use base64ct::{Base64UrlUnpadded, Encoding};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// How every token begins.
pub const PREFIX: &str = "perennial_";
/// How many random bytes follow, in base64url.
const RANDOM_BYTES: usize = 32;
/// How many characters a token has.
const CHARACTERS: usize = PREFIX.len() + 43;

/// A token. It shows itself only when asked.
pub struct Token(Zeroizing<String>);

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate() -> std::io::Result<Self> {
        let mut random = Zeroizing::new([0; RANDOM_BYTES]);
        getrandom::fill(&mut *random).map_err(std::io::Error::other)?;
        let written = Zeroizing::new(Base64UrlUnpadded::encode_string(&*random));
        let mut text = Zeroizing::new(String::with_capacity(CHARACTERS));
        text.push_str(PREFIX);
        text.push_str(&written);
        Ok(Self(text))
    }

    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What the file of clients keeps of it.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// SHA-256 of a token's text, written as 64 hexadecimal digits.
#[derive(Clone)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The digest of what somebody shows; none if it is no token by its form.
    pub fn of(shown: &str) -> Option<Self> {
        let fits = shown.len() == CHARACTERS && shown.starts_with(PREFIX);
        fits.then(|| Self(Sha256::digest(shown.as_bytes()).into()))
    }

    /// By what a table is searched for it.
    pub fn beginning(&self) -> [u8; 8] {
        let mut beginning = [0; 8];
        beginning.copy_from_slice(&self.0[..8]);
        beginning
    }
}

/// In constant time.
impl PartialEq for TokenDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenDigest {}

impl fmt::Display for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenDigest({self})")
    }
}

/// A text that is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no SHA-256 digest: expected 64 lower-case hexadecimal digits")]
pub struct NoDigest;

impl FromStr for TokenDigest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let mut bytes = [0; 32];
        let lower_case = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        hex::decode_to_slice(text, &mut bytes)
            .ok()
            .filter(|()| lower_case)
            .map(|()| Self(bytes))
            .ok_or(NoDigest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_digest_and_never_shows_itself_by_accident() {
        let (one, other) = (Token::generate().expect("random"), Token::generate().expect("random"));
        assert!(one.reveal().starts_with(PREFIX) && one.reveal().len() == CHARACTERS);
        assert_eq!(TokenDigest::of(one.reveal()), Some(one.digest()));
        assert_ne!(one.digest(), other.digest());
        assert_eq!(one.digest().to_string().parse(), Ok(one.digest()));
        let shown = format!("{one:?} {one:#?}");
        assert!(!shown.contains(&one.reveal()[PREFIX.len()..]), "{shown}");
    }

    #[test]
    fn what_has_not_the_form_of_a_token_is_none() {
        let token = Token::generate().expect("random");
        let text = token.reveal();
        for shown in
            ["", PREFIX, &text[1..], &text[..text.len() - 1], &format!("{text}0"), &text.to_uppercase()]
        {
            assert_eq!(TokenDigest::of(shown), None, "{shown}");
        }
        assert!("ab".parse::<TokenDigest>().is_err());
        assert!("AB".repeat(32).parse::<TokenDigest>().is_err());
    }
}
