//! Why a transaction is not read, not signed, or not accepted as signed.

use perennial_model::derivation::BadPath;
use perennial_model::wallet::Chain;

/// What was wrong, sorted by who is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The requester's bytes are no unsigned transaction of the chain: broken, cut short, not in the one
    /// accepted form, or with bytes left over.
    #[error("this is no readable unsigned {chain} transaction: {what}")]
    Malformed {
        /// The chain that the bytes were read for.
        chain: Chain,
        /// What was expected and what came.
        what: String,
    },
    /// The requester's bytes are more than a transaction of the chain may have.
    #[error("{bytes} bytes are too many for a {chain} transaction: at most {most} are read")]
    TooLarge {
        /// The chain that the bytes were read for.
        chain: Chain,
        /// How many came.
        bytes: usize,
        /// How many are read.
        most: usize,
    },
    /// The requester's transaction is well formed, but of a kind that is never signed here.
    #[error("no {chain} transaction of this kind is signed: {what}")]
    Unsupported {
        /// The chain.
        chain: Chain,
        /// What it asks for, and what would be signed instead.
        what: String,
    },
    /// The requester's transaction is fine, but not this wallet's to sign.
    #[error("{address} has nothing to sign in this transaction: {what}")]
    NotOurs {
        /// The address of the wallet at the path that was asked for.
        address: String,
        /// Whose it is.
        what: String,
    },
    /// The requester's transaction was read for one chain and the wallet lives on another.
    #[error("a {transaction} transaction cannot be signed by a wallet on {wallet}")]
    OtherChain {
        /// The wallet's chain.
        wallet: Chain,
        /// The transaction's chain.
        transaction: Chain,
    },
    /// The requester's path cannot be followed.
    #[error(transparent)]
    Path(#[from] BadPath),
    /// The signers made another number of signatures than there are messages.
    #[error("{expected} signatures are needed, {got} came")]
    SignatureCount {
        /// One for each message.
        expected: usize,
        /// How many came.
        got: usize,
    },
    /// The signers made a signature that is worth nothing under the wallet's key.
    #[error("signature {index} is not one of {address}: {what}")]
    BadSignature {
        /// Its place in the list, from zero.
        index: usize,
        /// The address that it should have been made for.
        address: String,
        /// What does not hold.
        what: String,
    },
    /// Our own record is damaged: the wallet's public key is no key of its scheme.
    #[error("the public key of wallet {wallet} is no key of {chain}: its record is damaged, restore it")]
    DamagedKey {
        /// The wallet.
        wallet: String,
        /// Its chain.
        chain: Chain,
    },
}

impl Error {
    /// Shorthand for [`Error::Malformed`].
    pub(crate) fn malformed(chain: Chain, what: impl Into<String>) -> Self {
        Self::Malformed { chain, what: what.into() }
    }

    /// Shorthand for [`Error::Unsupported`].
    pub(crate) fn unsupported(chain: Chain, what: impl Into<String>) -> Self {
        Self::Unsupported { chain, what: what.into() }
    }

    /// Shorthand for [`Error::NotOurs`].
    pub(crate) fn not_ours(address: &str, what: impl Into<String>) -> Self {
        Self::NotOurs { address: address.to_owned(), what: what.into() }
    }

    /// Shorthand for [`Error::BadSignature`].
    pub(crate) fn bad_signature(index: usize, address: &str, what: impl Into<String>) -> Self {
        Self::BadSignature { index, address: address.to_owned(), what: what.into() }
    }
}
