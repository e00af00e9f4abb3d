//! What a caller asks for, and what is made of it before any signer hears of it.

use super::SignError;
use base64ct::{Base64, Encoding};
use perennial_chain::Transaction;
use perennial_model::derivation::{BadPath, Path};
use perennial_model::encoding::{Bytes, Digest};
use perennial_model::session::TRANSACTION_BYTES_MAX;
use perennial_model::wallet::{Chain, Wallet, WalletId, WalletKey};
use perennial_workflow::route::Order;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningOrder {
    /// The wallet's name.
    pub wallet: WalletId,
    /// The unsigned transaction: `0x` and hexadecimal digits on Ethereum; base64 of a PSBT on Bitcoin, of the
    /// message on Solana.
    pub transaction: String,
    /// Which derived key signs; by default the one of the wallet's first address.
    pub path: Option<String>,
}

/// Why a request cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadOrder {
    /// The text is no transaction in the form of its chain.
    #[error("the transaction is not written as {chain} wants it: {wanted}")]
    NotWritten {
        /// The wallet's chain.
        chain: Chain,
        /// The form.
        wanted: &'static str,
    },
    /// More bytes than any transaction has.
    #[error("the transaction has {bytes} bytes; at most {TRANSACTION_BYTES_MAX} are read")]
    TooLarge {
        /// How many came.
        bytes: usize,
    },
    /// The path.
    #[error(transparent)]
    Path(#[from] BadPath),
}

/// A request that has been read and understood.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub wallet: Wallet,
    pub key: WalletKey,
    pub transaction: Transaction,
    pub order: Order,
    /// The digest of everything that was asked.
    pub digest: Digest,
}

impl SigningOrder {
    /// Reads the request for this wallet.
    ///
    /// # Errors
    /// The caller's.
    pub(super) fn prepare(&self, wallet: Wallet, key: WalletKey) -> Result<Prepared, SignError> {
        let path = match &self.path {
            Some(text) => text.parse().map_err(BadOrder::from)?,
            None => Path::primary(wallet.chain),
        };
        let bytes = decode(wallet.chain, &self.transaction)?;
        let transaction = perennial_chain::parse(wallet.chain, &bytes)?;
        transaction.messages(&wallet, &key, &path)?;
        let (name, steps) = (wallet.id.as_str(), path.to_string());
        let parts = [name.as_bytes(), steps.as_bytes(), &bytes];
        let digest = Digest::of_parts("perennial/sign-request/v1", &parts);
        let order = Order { transaction: Bytes(bytes), path };
        Ok(Prepared { wallet, key, transaction, order, digest })
    }
}

/// The bytes of a transaction from the form in which its chain writes it.
fn decode(chain: Chain, text: &str) -> Result<Vec<u8>, BadOrder> {
    let bytes = match chain {
        Chain::Ethereum => {
            let wanted = "0x and an even number of hexadecimal digits";
            let digits = text.strip_prefix("0x");
            digits
                .and_then(|digits| hex::decode(digits).ok())
                .ok_or(BadOrder::NotWritten { chain, wanted })?
        }
        _ => {
            let wanted = "standard base64 with padding, without line breaks";
            Base64::decode_vec(text).map_err(|_| BadOrder::NotWritten { chain, wanted })?
        }
    };
    if bytes.len() > TRANSACTION_BYTES_MAX {
        return Err(BadOrder::TooLarge { bytes: bytes.len() });
    }
    Ok(bytes)
}
