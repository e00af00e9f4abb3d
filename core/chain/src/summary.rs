//! What a transaction says, for people and for policy: exact amounts, no judgement.

use perennial_model::wallet::Chain;
use std::fmt;

/// The smallest unit of a chain's own coin; amounts are whole numbers of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Unit {
    /// 10^-18 of the coin of an Ethereum-like chain; the chain id says which.
    Wei,
    /// 10^-8 bitcoin.
    Satoshi,
    /// 10^-9 SOL.
    Lamport,
}

impl Unit {
    /// The name of the unit.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wei => "wei",
            Self::Satoshi => "satoshi",
            Self::Lamport => "lamport",
        }
    }

    /// The asset that is counted: always the chain's own coin. What a contract or program moves besides is its
    /// own to say.
    pub fn asset(self) -> &'static str {
        match self {
            Self::Wei => "the chain's coin",
            Self::Satoshi => "bitcoin",
            Self::Lamport => "sol",
        }
    }
}

/// An exact amount below 2^256.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Amount {
    bytes: [u8; 32],
    unit: Unit,
}

impl Amount {
    /// An amount from 32 big-endian bytes.
    pub fn from_be_bytes(bytes: [u8; 32], unit: Unit) -> Self {
        Self { bytes, unit }
    }

    /// An amount from a number of units.
    pub fn from_units(units: u128, unit: Unit) -> Self {
        let mut bytes = [0; 32];
        bytes[16..].copy_from_slice(&units.to_be_bytes());
        Self { bytes, unit }
    }

    /// The product of two factors, which is below 2^192.
    pub fn product(small: u64, large: u128, unit: Unit) -> Self {
        let (high, low) = ((large >> 64) as u64, large as u64);
        let low = u128::from(small) * u128::from(low);
        let high = u128::from(small) * u128::from(high) + (low >> 64);
        let mut bytes = [0; 32];
        bytes[8..24].copy_from_slice(&high.to_be_bytes());
        bytes[24..].copy_from_slice(&(low as u64).to_be_bytes());
        Self { bytes, unit }
    }

    /// The unit.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// The number of units as 32 big-endian bytes.
    pub fn to_be_bytes(&self) -> [u8; 32] {
        self.bytes
    }

    /// The number of units in decimal digits.
    pub fn digits(&self) -> String {
        /// The largest power of ten below 2^64, and how many zeros it has.
        const STEP: u128 = 10_000_000_000_000_000_000;
        const STEP_DIGITS: usize = 19;
        let mut limbs = [0u64; 4];
        for (limb, bytes) in limbs.iter_mut().zip(self.bytes.chunks_exact(8)) {
            *limb = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        }
        let mut groups = Vec::new();
        while limbs != [0; 4] {
            let mut rest = 0u128;
            for limb in &mut limbs {
                let number = rest << 64 | u128::from(*limb);
                *limb = (number / STEP) as u64;
                rest = number % STEP;
            }
            groups.push(rest);
        }
        let first = groups.pop().unwrap_or(0).to_string();
        groups.iter().rev().fold(first, |digits, group| format!("{digits}{group:0STEP_DIGITS$}"))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.digits(), self.unit.name())
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What kind of thing happens.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EffectKind {
    /// Coins that the transaction takes up: an input of a Bitcoin transaction.
    Spend,
    /// Coins that go to somebody and nothing else.
    Payment,
    /// A contract or program is run. What it moves beyond `amount` is not known here.
    Call,
    /// An account or contract is made.
    Creation,
}

/// One thing that a transaction does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effect {
    /// What kind of thing it is.
    pub kind: EffectKind,
    /// Who gives: an address. None on Ethereum, where it is whoever signs, and for Bitcoin's outputs, where it
    /// is all inputs together.
    pub from: Option<String>,
    /// Who gets or is called: an address; `script` and its bytes where Bitcoin has no address for it; an entry
    /// of a lookup table on Solana. None for a spend and for a contract that has no address yet.
    pub to: Option<String>,
    /// How much of the chain's coin moves; none where a program decides.
    pub amount: Option<Amount>,
    /// The first bytes of the call data, which name the function: 4 on Ethereum, up to 8 on Solana. None if
    /// there is no data.
    pub selector: Option<Vec<u8>>,
}

/// What a transaction says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    /// The chain it was read for.
    pub chain: Chain,
    /// The number of the chain (EIP-155), on Ethereum-like chains.
    pub chain_id: Option<u64>,
    /// Everything it does, in order; a fee is no effect.
    pub effects: Vec<Effect>,
    /// The most that it can cost beyond its effects. On Bitcoin the fee itself; on Ethereum the gas limit at the
    /// highest price offered (a rollup may charge for its parent chain besides); on Solana the fee for the
    /// signatures and for the compute budget asked for.
    pub fee_at_most: Amount,
    /// Who pays the fee: the first account of a Solana message. None elsewhere: the signer or the inputs.
    pub fee_payer: Option<String>,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part =
            |before: &str, value: Option<String>| value.map_or(String::new(), |v| format!("{before}{v}"));
        let to = |before: &str| part(before, self.to.clone());
        let amount = |before: &str| part(before, self.amount.map(|amount| amount.to_string()));
        let function = part(" function ", self.selector.as_ref().map(hex::encode));
        match self.kind {
            EffectKind::Spend => write!(f, "spend{}", amount(" ")),
            EffectKind::Payment => write!(f, "pay{}{}", amount(" "), to(" to ")),
            EffectKind::Call => write!(f, "call{}{function}{}", to(" "), amount(" with ")),
            EffectKind::Creation => write!(f, "create{}{}", to(" "), amount(" with ")),
        }?;
        f.write_str(&part(" from ", self.from.clone()))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.chain)?;
        if let Some(number) = self.chain_id {
            write!(f, " chain {number}")?;
        }
        for (index, effect) in self.effects.iter().enumerate() {
            write!(f, "{} {effect}", if index == 0 { ":" } else { "," })?;
        }
        write!(f, "; fee at most {}", self.fee_at_most)?;
        match &self.fee_payer {
            Some(payer) => write!(f, " from {payer}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_are_exact_up_to_the_largest() {
        let largest = Amount::from_be_bytes([0xff; 32], Unit::Wei);
        assert_eq!(
            largest.to_string(),
            "115792089237316195423570985008687907853269984665640564039457584007913129639935 wei"
        );
        assert_eq!(Amount::from_units(0, Unit::Lamport).to_string(), "0 lamport");
        let round = Amount::from_units(10u128.pow(38), Unit::Satoshi);
        assert_eq!(round.digits(), format!("1{}", "0".repeat(38)));
        let product = Amount::product(u64::MAX, u128::MAX, Unit::Wei);
        assert_eq!(product.digits(), "6277101735386680763495507056286727952620534092958556749825");
    }

    proptest! {
        #[test]
        fn digits_are_those_of_the_number(units: u128, small: u64, large: u64) {
            prop_assert_eq!(Amount::from_units(units, Unit::Wei).digits(), units.to_string());
            let product = u128::from(small) * u128::from(large);
            prop_assert_eq!(Amount::product(small, large.into(), Unit::Wei).digits(), product.to_string());
        }
    }
}
