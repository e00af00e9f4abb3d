//! A transaction of whichever chain: read, explain, say what to sign, check, put together.

use crate::bitcoin::Account as BitcoinAccount;
use crate::{Error, Signature, SigningMessage, Summary, address, bitcoin, evm, solana};
use perennial_model::derivation::Path;
use perennial_model::wallet::{Chain, Wallet, WalletKey};

/// Chains that share the form of their transactions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Family {
    Ethereum,
    Bitcoin,
    Solana,
    #[cfg(feature = "simulation")]
    Nowhere,
}

impl Family {
    pub(crate) fn of(chain: Chain) -> Result<Self, Error> {
        match chain {
            Chain::Ethereum => Ok(Self::Ethereum),
            Chain::Bitcoin | Chain::BitcoinTest | Chain::BitcoinRegtest => Ok(Self::Bitcoin),
            Chain::Solana => Ok(Self::Solana),
            #[cfg(feature = "simulation")]
            Chain::Nowhere => Ok(Self::Nowhere),
            // The model has one chain more when its simulation is on and this crate's is not.
            #[allow(unreachable_patterns)]
            other => Err(Error::unsupported(other, "this build knows no transactions of that chain")),
        }
    }
}

/// An unsigned transaction that was read in full. Whatever is signed or shown comes from here.
#[derive(Clone, Debug)]
pub struct Transaction {
    chain: Chain,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Ethereum(evm::Unsigned),
    Bitcoin(Box<bitcoin::Unsigned>),
    Solana(solana::Message),
    #[cfg(feature = "simulation")]
    Nowhere(crate::nowhere::Unsigned),
}

/// A transaction with the wallet's signatures in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Assembled {
    /// Nothing is missing: the bytes can be sent to the network.
    Complete {
        /// The network's form: typed envelope on Ethereum, network transaction with witnesses on Bitcoin,
        /// signatures and message on Solana.
        bytes: Vec<u8>,
        /// By what name the network will know it: transaction hash, transaction id, first signature.
        id: String,
    },
    /// Signatures of others are missing.
    Partial {
        /// What to pass on: the PSBT with the wallet's signatures on Bitcoin; on Solana the network's form with
        /// zeros in the places of the missing signatures.
        bytes: Vec<u8>,
        /// What is missing: `input 2` on Bitcoin, the signer's address on Solana.
        missing: Vec<String>,
    },
}

/// Reads an unsigned transaction: on Ethereum an EIP-1559 payload, `0x02` and the RLP list of its nine fields; on
/// Bitcoin a PSBT of version 0 (BIP-174); on Solana a message, legacy or of version 0, as it is signed.
///
/// # Errors
/// [`Error::Malformed`], [`Error::TooLarge`] or [`Error::Unsupported`]: the sender of the bytes is to blame.
pub fn parse(chain: Chain, bytes: &[u8]) -> Result<Transaction, Error> {
    let content = match Family::of(chain)? {
        Family::Ethereum => Content::Ethereum(evm::Unsigned::parse(bytes)?),
        Family::Bitcoin => Content::Bitcoin(Box::new(bitcoin::Unsigned::parse(chain, bytes)?)),
        Family::Solana => Content::Solana(solana::Message::parse(bytes)?),
        #[cfg(feature = "simulation")]
        Family::Nowhere => Content::Nowhere(crate::nowhere::Unsigned::parse(bytes)?),
    };
    Ok(Transaction { chain, content })
}

impl Transaction {
    /// The chain that it was read for.
    pub fn chain(&self) -> Chain {
        self.chain
    }

    /// What it says.
    pub fn summary(&self) -> Summary {
        match &self.content {
            Content::Ethereum(transaction) => transaction.summary(),
            Content::Bitcoin(transaction) => transaction.summary(),
            Content::Solana(message) => message.summary(),
            #[cfg(feature = "simulation")]
            Content::Nowhere(transaction) => transaction.summary(),
        }
    }

    /// What a wallet has to sign, each with the key at `path`, in an order that follows from the transaction alone:
    /// one digest on Ethereum, one message on Solana, one signature hash for each input on Bitcoin that spends
    /// from the wallet's address at that path; other people's inputs are left alone.
    ///
    /// # Errors
    /// [`Error::OtherChain`]; [`Error::NotOurs`] if no input belongs to the wallet or it is no required signer (on
    /// Ethereum the sender is implied: the transaction is whoever's key signs it); [`Error::Unsupported`] if the
    /// wallet's input asks for anything but a spend by key that commits to the whole transaction; a bad path or
    /// damaged key.
    pub fn messages(
        &self,
        wallet: &Wallet,
        key: &WalletKey,
        path: &Path,
    ) -> Result<Vec<SigningMessage>, Error> {
        self.same_chain(wallet)?;
        match &self.content {
            Content::Ethereum(transaction) => {
                address::secp256k1_key(wallet, key, path)?;
                Ok(vec![SigningMessage::ecdsa(transaction.digest())])
            }
            Content::Bitcoin(transaction) => transaction.messages(&BitcoinAccount::new(wallet, key, path)?),
            Content::Solana(message) => {
                message.position_of(&address::ed25519_key(wallet, key, path)?)?;
                Ok(vec![SigningMessage::ed25519(message.bytes().to_vec())])
            }
            #[cfg(feature = "simulation")]
            Content::Nowhere(transaction) => transaction.messages(wallet, key, path),
        }
    }

    fn same_chain(&self, wallet: &Wallet) -> Result<(), Error> {
        if wallet.chain == self.chain {
            Ok(())
        } else {
            Err(Error::OtherChain { wallet: wallet.chain, transaction: self.chain })
        }
    }
}

/// Checks the signatures that were made for [`Transaction::messages`], in the same order, under the wallet's key at
/// the path. ECDSA signatures must have the lower `s` and recover the wallet's address; BIP-340 signatures must
/// hold under the tweaked output key; Ed25519 signatures are checked strictly (RFC 8032 without cofactor, no
/// points of small order).
///
/// # Errors
/// [`Error::SignatureCount`] or [`Error::BadSignature`]: the signers are to blame; or the errors of `messages`.
pub fn verify(
    wallet: &Wallet,
    key: &WalletKey,
    path: &Path,
    transaction: &Transaction,
    signatures: &[Signature],
) -> Result<(), Error> {
    let messages = transaction.messages(wallet, key, path)?;
    if messages.len() != signatures.len() {
        return Err(Error::SignatureCount { expected: messages.len(), got: signatures.len() });
    }
    let mut pairs = messages.iter().zip(signatures).enumerate();
    match &transaction.content {
        Content::Ethereum(_) => {
            let key = address::secp256k1_key(wallet, key, path)?;
            pairs.try_for_each(|(index, (message, signature))| evm::verify(&key, index, message, signature))
        }
        Content::Bitcoin(_) => {
            let account = BitcoinAccount::new(wallet, key, path)?;
            pairs.try_for_each(|(index, (message, signature))| account.verify(index, message, signature))
        }
        Content::Solana(_) => {
            let key = address::ed25519_key(wallet, key, path)?;
            pairs
                .try_for_each(|(index, (message, signature))| solana::verify(&key, index, message, signature))
        }
        #[cfg(feature = "simulation")]
        Content::Nowhere(_) => pairs.try_for_each(|(index, (message, signature))| {
            crate::nowhere::verify(wallet, key, index, message, signature)
        }),
    }
}

/// Puts the signatures into the transaction. They are checked first, as by [`verify`]: nothing is put together that
/// does not hold.
///
/// # Errors
/// Those of [`verify`]; [`Error::Malformed`] if a signature by another that the PSBT already carries does not hold.
pub fn assemble(
    wallet: &Wallet,
    key: &WalletKey,
    path: &Path,
    transaction: &Transaction,
    signatures: &[Signature],
) -> Result<Assembled, Error> {
    verify(wallet, key, path, transaction, signatures)?;
    match &transaction.content {
        Content::Ethereum(unsigned) => Ok(unsigned.assemble(signatures)),
        Content::Bitcoin(unsigned) => unsigned.assemble(&BitcoinAccount::new(wallet, key, path)?, signatures),
        Content::Solana(message) => message.assemble(&address::ed25519_key(wallet, key, path)?, signatures),
        #[cfg(feature = "simulation")]
        Content::Nowhere(unsigned) => Ok(unsigned.assemble(signatures)),
    }
}
