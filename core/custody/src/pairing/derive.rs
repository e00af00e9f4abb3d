//! From the base of a pair to the state of one wallet in one epoch.
//!
//! With `s = HKDF(pair secret; base id, wallet, epoch, T)`, in each direction: the sender's choice bits become
//! `Delta xor p` with `p` from `s`; every seed becomes `H(s, direction, k, seed)`, and the receiver swaps its
//! two where `p_k = 1`; the gadget is scaled by `c = Hs(base id, H(s), direction)`. Without the pair secret,
//! `Delta' = Delta xor p` says nothing about `Delta`, and the seeds of one wallet nothing about another's.

use super::{Base, PairingError, Side, TRANSFERS, mul_receiver, mul_sender};
use dkls23_core::utilities::multiplication::{MulReceiver, MulSender};
use hkdf::Hkdf;
use k256::{Scalar as Number, Secp256k1};
use minicbor::{Decode, Encode};
use perennial_model::encoding::{self, Digest, Document};
use perennial_model::epoch::Epoch;
use perennial_model::group::Scalar;
use perennial_model::wallet::WalletId;
use sha2::{Digest as _, Sha256};
use std::fmt;
use subtle::{Choice, ConditionallySelectable};
use zeroize::Zeroizing;

/// What a base is used for: one wallet under one epoch.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct PairUse {
    /// The wallet.
    #[n(0)]
    pub wallet: WalletId,
    /// The number of the epoch.
    #[n(1)]
    pub epoch: Epoch,
    /// The transcript digest `T` of the epoch.
    #[n(2)]
    pub transcript: Digest,
}

impl Document for PairUse {
    const KIND: &'static str = "pair-use";
}

/// The multiplication state of one pair for one wallet and epoch, at one of the two. It lives as long as the
/// session that it is made for.
pub struct PairState {
    pub(crate) sender: MulSender<Secp256k1>,
    pub(crate) receiver: MulReceiver<Secp256k1>,
    /// The seed of the pair's shares of zero.
    pub(crate) zero_seed: Zeroizing<[u8; 32]>,
    /// What the pair's session mail is locked under; it dies with the base.
    pub(crate) mail_secret: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for PairState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairState(redacted)")
    }
}

impl Base {
    /// Derives the state of one wallet under one epoch. Both sides get matching halves if, and only if, base
    /// and use are the same at both.
    ///
    /// # Errors
    /// [`PairingError::Bug`] when the library no longer has the shape that this was written for.
    pub fn derive(&self, pair_use: &PairUse) -> Result<PairState, PairingError> {
        let root = Root::new(self, pair_use);
        let (sends, receives) = (root.direction(self.side.other()), root.direction(self.side));
        let correlation = self.sender.ote_sender.correlation.iter().zip(sends.offset_bits());
        let sender = mul_sender(
            sends.scale(&self.sender.public_gadget),
            correlation.map(|(bit, offset)| bit ^ offset).collect(),
            self.sender.ote_sender.seeds.iter().enumerate().map(|(k, seed)| sends.seed(k, seed)).collect(),
        )?;
        let old = &self.receiver.ote_receiver;
        let (mut seeds0, mut seeds1) = (Vec::with_capacity(TRANSFERS), Vec::with_capacity(TRANSFERS));
        for (k, swapped) in receives.offset_bits().enumerate() {
            let mut pair = [receives.seed(k, &old.seeds0[k]), receives.seed(k, &old.seeds1[k])];
            let [new0, new1] = &mut pair;
            <[u8; 32]>::conditional_swap(new0, new1, Choice::from(u8::from(swapped)));
            seeds0.push(pair[0]);
            seeds1.push(pair[1]);
        }
        let receiver = mul_receiver(receives.scale(&self.receiver.public_gadget), seeds0, seeds1)?;
        let (zero_seed, mail_secret) = (root.expand("zero shares", &[]), root.expand("session mail", &[]));
        Ok(PairState { sender, receiver, zero_seed, mail_secret })
    }
}

/// `s`, and what follows from it.
struct Root {
    base_id: Digest,
    secret: Zeroizing<[u8; 32]>,
    hkdf: Hkdf<Sha256>,
}

impl Root {
    fn new(base: &Base, pair_use: &PairUse) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(&base.id.0), &*base.secret)
            .expand(&encoding::encode(pair_use), &mut *secret)
            .expect("one block is within the limit of HKDF");
        let hkdf = Hkdf::<Sha256>::new(None, &*secret);
        Self { base_id: base.id, secret, hkdf }
    }

    fn expand(&self, label: &str, detail: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut output = Zeroizing::new([0; 32]);
        self.hkdf
            .expand_multi_info(&[b"perennial/pair-state/v1/", label.as_bytes(), b"/", detail], &mut *output)
            .expect("one block is within the limit of HKDF");
        output
    }

    /// The direction in which `receiver` receives.
    fn direction(&self, receiver: Side) -> Direction {
        let byte = receiver.direction();
        // One block of SHA-256 in front, so that every seed costs one more.
        let seeds = Sha256::new()
            .chain_update(Digest::of(b"perennial/pair-state/v1/seed").0)
            .chain_update(self.secret.as_slice());
        let public = Digest::of_parts("perennial/pair-state/v1/public", &[&*self.secret]);
        let half = |number: u8| {
            let parts = [&self.base_id.0[..], &public.0, &byte, &[number]];
            Digest::of_parts("perennial/pair-state/v1/scale", &parts).0
        };
        let mut wide = [0; 64];
        wide[..32].copy_from_slice(&half(0));
        wide[32..].copy_from_slice(&half(1));
        let scale = Number::reduce(&wide);
        Direction {
            byte,
            offset: self.expand("offset", &byte),
            seeds,
            // Zero comes up once in 2^256 and would make every product zero.
            scale: if scale == Number::ZERO { Number::ONE } else { scale },
        }
    }
}

/// The changes that `s` makes to one direction.
struct Direction {
    byte: [u8; 1],
    offset: Zeroizing<[u8; 32]>,
    seeds: Sha256,
    scale: Number,
}

impl Direction {
    /// `p`, lowest bit of the first byte first.
    fn offset_bits(&self) -> impl Iterator<Item = bool> + '_ {
        self.offset.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1))
    }

    fn seed(&self, k: usize, seed: &[u8; 32]) -> [u8; 32] {
        let place = u16::try_from(k).expect("fewer than 2^16 transfers").to_be_bytes();
        self.seeds.clone().chain_update(self.byte).chain_update(place).chain_update(seed).finalize().into()
    }

    fn scale(&self, gadget: &[Number]) -> Vec<Number> {
        gadget.iter().map(|weight| *weight * self.scale).collect()
    }
}
