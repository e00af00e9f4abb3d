//! How two signers make a base: three messages each way, both sides at once.
//!
//! 1. Opening: the init messages of both directions, and a contribution to the pair secret.
//! 2. Challenge: one multiplication in which the sender of this message is the receiver.
//! 3. Answer: the other half of that multiplication, and a tag over the base id under the pair secret.
//!
//! The multiplications and the tag are the key confirmation: a base is given out only when both halves fit.
//! Sealing and signing the messages is the caller's business. A setup that is cut short leaves nothing behind
//! and starts anew. Randomness comes from the caller, but for that of the two multiplications, which the library
//! draws from the thread's generator.

use super::choices::{Choices, encrypt, random};
use super::knowledge;
use super::transfers::{self, Encrypted};
use super::wire::{blocks, points, scalar, scalars, write_points, write_scalars};
use super::{Base, Extension, Malformed, PairingError, Side, TRANSFERS, Transfer};
use super::{gadget, init_session, mul_receiver, mul_sender, point, write_point};
use dkls23_core::utilities::multiplication::{L, MulDataToKeepReceiver};
use dkls23_core::utilities::proofs::{DLogProof, InteractiveDLogProof, R as PROOFS, T as CHALLENGE_BITS};
use k256::{Scalar as Number, Secp256k1};
use minicbor::{Decode, Encode};
use perennial_model::encoding::{self, Bytes, Digest, Document};
use perennial_model::group::Scalar;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What a setup is for. Both sides must agree on all but the side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SetupTerms {
    /// Digest of whatever names this setup and no other: the two signers, the ceremony or plan, the attempt.
    pub context: Digest,
    /// The generation of the base among those of this pair.
    pub generation: u64,
    /// Which of the two this signer is.
    pub side: Side,
}

#[derive(Encode, Decode)]
struct Envelope {
    #[n(0)]
    context: Digest,
    #[n(1)]
    generation: u64,
    /// Who sends it: a message thrown back at its author is none.
    #[n(2)]
    author: Side,
    #[n(3)]
    step: u8,
    #[n(4)]
    body: Bytes,
}

impl Document for Envelope {
    const KIND: &'static str = "pair-setup-message";
}

#[derive(Encode, Decode)]
struct Opening {
    /// An [`Init`] document: the part that the base id covers.
    #[n(0)]
    init: Bytes,
    #[cbor(n(1), with = "minicbor::bytes")]
    contribution: [u8; 32],
}

impl Document for Opening {
    const KIND: &'static str = "pair-setup-opening";
}

/// The init messages of both directions.
#[derive(Encode, Decode)]
struct Init {
    /// As receiver of multiplications: a key with a proof of knowledge of its logarithm.
    #[n(0)]
    key: perennial_model::group::Point,
    #[n(1)]
    key_commitments: Bytes,
    #[n(2)]
    key_challenges: Bytes,
    #[n(3)]
    key_responses: Bytes,
    #[cbor(n(4), with = "minicbor::bytes")]
    gadget_nonce: [u8; 32],
    /// As sender of multiplications: one encrypted choice bit per transfer, with a proof.
    #[cbor(n(5), with = "minicbor::bytes")]
    transfer_seed: [u8; 32],
    /// Six points for each.
    #[n(6)]
    transfer_points: Bytes,
    /// Four scalars for each.
    #[n(7)]
    transfer_scalars: Bytes,
}

impl Document for Init {
    const KIND: &'static str = "pair-setup-init";
}

#[derive(Encode, Decode)]
struct Challenge {
    #[n(0)]
    extension: Extension,
}

impl Document for Transfer {
    const KIND: &'static str = "pair-setup-transfer";
}

impl Document for Challenge {
    const KIND: &'static str = "pair-setup-challenge";
}

#[derive(Encode, Decode)]
struct Answer {
    #[n(0)]
    transfer: Transfer,
    #[cbor(n(1), with = "minicbor::bytes")]
    tag: [u8; 32],
}

impl Document for Answer {
    const KIND: &'static str = "pair-setup-answer";
}

/// What a step of a setup leads to.
#[derive(Debug)]
pub enum SetupProgress {
    /// Send `outgoing`, then advance `setup` with the peer's next message.
    Continue {
        /// The setup after the step.
        setup: Setup,
        /// The message to the peer.
        outgoing: Vec<u8>,
    },
    /// The base, confirmed. The peer may not have it yet.
    Done(Base),
}

/// One side of a setup, between two messages. Moved on use, never copied or saved.
pub struct Setup {
    terms: SetupTerms,
    state: State,
}

enum State {
    Opened(Box<Opened>),
    Challenged { base: Box<Base>, kept: MulDataToKeepReceiver<Secp256k1> },
    Answered { base: Box<Base>, kept: MulDataToKeepReceiver<Secp256k1> },
}

/// The secrets of the own opening.
struct Opened {
    init: Vec<u8>,
    contribution: Zeroizing<[u8; 32]>,
    key: Zeroizing<Number>,
    gadget_nonce: Number,
    choices: Choices,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("terms", &self.terms).finish_non_exhaustive()
    }
}

impl Setup {
    /// Opens a setup and makes the first message to the peer.
    pub fn begin(terms: SetupTerms, rng: &mut dyn rand_core::CryptoRng) -> (Self, Vec<u8>) {
        let receives = init_session(&terms.context, terms.generation, terms.side);
        let sends = init_session(&terms.context, terms.generation, terms.side.other());
        let key = Zeroizing::new(random(rng));
        let key_proof = knowledge::prove(&key, &receives, rng);
        let gadget_nonce = random(rng);
        let (choices, encrypted) = encrypt(&sends, rng);
        let init = Init::write(&key_proof, &gadget_nonce, &choices.transfer_seed, &encrypted);
        let init = encoding::encode(&init);
        let mut contribution = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *contribution);
        let opening = Opening { init: Bytes(init.clone()), contribution: *contribution };
        let outgoing = seal(&terms, 1, &opening);
        let opened = Opened { init, contribution, key, gadget_nonce, choices };
        (Self { terms, state: State::Opened(Box::new(opened)) }, outgoing)
    }

    /// Takes the peer's next message.
    ///
    /// # Errors
    /// [`PairingError`] says whether the peer is to blame; in every case this setup is over and nothing of it
    /// may be used.
    pub fn advance(
        self,
        message: &[u8],
        rng: &mut dyn rand_core::CryptoRng,
    ) -> Result<SetupProgress, PairingError> {
        let Self { terms, state } = self;
        match state {
            State::Opened(opened) => {
                let opening: Opening = open(&terms, 1, message)?;
                let base = opened.finish(&terms, &opening, rng)?;
                Self::challenge(terms, base)
            }
            State::Challenged { base, kept } => {
                let challenge: Challenge = open(&terms, 2, message)?;
                let answer = base.answer(&challenge, rng)?;
                let outgoing = seal(&terms, 3, &answer);
                let state = State::Answered { base, kept };
                Ok(SetupProgress::Continue { setup: Self { terms, state }, outgoing })
            }
            State::Answered { base, kept } => {
                let answer: Answer = open(&terms, 3, message)?;
                base.confirm(&kept, &answer)?;
                Ok(SetupProgress::Done(*base))
            }
        }
    }

    /// Asks the peer to show that its half of the base fits.
    fn challenge(terms: SetupTerms, base: Base) -> Result<SetupProgress, PairingError> {
        let session = base.confirmation_session(terms.side);
        let (_, kept, data) =
            base.receiver.run_phase1(&session).map_err(|e| PairingError::Bug(e.description))?;
        let outgoing = seal(&terms, 2, &Challenge { extension: Extension::write(&data) });
        let state = State::Challenged { base: Box::new(base), kept };
        Ok(SetupProgress::Continue { setup: Self { terms, state }, outgoing })
    }
}

impl Opened {
    /// Makes the base out of both openings.
    fn finish(
        mut self,
        terms: &SetupTerms,
        peer: &Opening,
        rng: &mut dyn rand_core::CryptoRng,
    ) -> Result<Base, PairingError> {
        let (context, generation, side) = (terms.context, terms.generation, terms.side);
        let receives = init_session(&context, generation, side);
        let sends = init_session(&context, generation, side.other());
        let init: Init = encoding::decode(&peer.init.0).map_err(|e| misbehaved(e.to_string()))?;
        let (key_proof, sender_nonce) = init.read_key()?;
        let encrypted = init.read_transfers()?;
        let seeds = transfers::receive(&self.key, &receives, &init.transfer_seed, &encrypted, rng);
        let [seeds0, seeds1] =
            seeds.ok_or_else(|| misbehaved("the proofs of its choice bits do not hold".into()))?;
        let receiver = mul_receiver(gadget(&receives, &self.gadget_nonce), seeds0, seeds1)?;
        if !knowledge::holds(&key_proof, &sends, rng) {
            return Err(misbehaved("it does not prove that it knows the logarithm of its key".into()));
        }
        let seeds = self.choices.seeds(&sends, &key_proof.point);
        let correlation = std::mem::take(&mut *self.choices.bits);
        let sender = mul_sender(gadget(&sends, &sender_nonce), correlation, seeds)?;
        let (own, others) = ((&self.init, &self.contribution), (&peer.init.0, &peer.contribution));
        let (first, second) = match side {
            Side::First => ((own.0, &**own.1), (others.0, others.1)),
            Side::Second => ((others.0, others.1), (own.0, &**own.1)),
        };
        let number = generation.to_be_bytes();
        let transcript = [&context.0[..], &number, first.0, second.0];
        let id = Digest::of_parts("perennial/pair-base/id/v1", &transcript);
        let secret = Digest::of_parts("perennial/pair-base/secret/v1", &[&id.0, first.1, second.1]);
        Ok(Base {
            context,
            generation,
            side,
            id,
            secret: Zeroizing::new(secret.0),
            sender,
            sender_nonce,
            receiver,
            receiver_nonce: self.gadget_nonce,
        })
    }
}

impl Base {
    fn confirmation_session(&self, receiver: Side) -> [u8; 32] {
        Digest::of_parts("perennial/pair-base/confirmation/v1", &[&self.id.0, &receiver.direction()]).0
    }

    /// Shows that the author of an answer knows the pair secret, and binds the whole answer: the adjustments in
    /// it are in no check of the multiplication.
    fn tag(&self, author: Side, transfer: &Transfer) -> [u8; 32] {
        let transfer = encoding::digest(transfer);
        let parts = [&*self.secret, &self.id.0[..], &author.direction(), &transfer.0];
        Digest::of_parts("perennial/pair-base/tag/v1", &parts).0
    }

    fn answer(
        &self,
        challenge: &Challenge,
        rng: &mut dyn rand_core::CryptoRng,
    ) -> Result<Answer, PairingError> {
        let data = challenge.extension.read()?;
        let mut inputs = Zeroizing::new(Vec::with_capacity(L.into()));
        for _ in 0..L {
            let mut wide = Zeroizing::new([0; 64]);
            rng.fill_bytes(&mut *wide);
            inputs.push(Number::reduce(&wide));
        }
        let session = self.confirmation_session(self.side.other());
        let (outputs, transfer) =
            self.sender.run(&session, &inputs, &data).map_err(|e| misbehaved(e.description))?;
        drop(Zeroizing::new(outputs));
        let transfer = Transfer::write(&transfer);
        Ok(Answer { tag: self.tag(self.side, &transfer), transfer })
    }

    fn confirm(&self, kept: &MulDataToKeepReceiver<Secp256k1>, answer: &Answer) -> Result<(), PairingError> {
        let data = answer.transfer.read()?;
        let session = self.confirmation_session(self.side);
        let outputs =
            self.receiver.run_phase2(&session, kept, &data).map_err(|e| misbehaved(e.description))?;
        drop(Zeroizing::new(outputs));
        if bool::from(answer.tag.ct_eq(&self.tag(self.side.other(), &answer.transfer))) {
            return Ok(());
        }
        Err(misbehaved("it does not know the pair secret of this base".into()))
    }
}

impl Init {
    fn write(
        key_proof: &DLogProof<Secp256k1>,
        gadget_nonce: &Number,
        transfer_seed: &[u8; 32],
        encrypted: &[Encrypted],
    ) -> Self {
        let responses: Vec<Number> = key_proof.proofs.iter().map(|proof| proof.challenge_response).collect();
        Self {
            key: write_point(&key_proof.point),
            key_commitments: write_points(&key_proof.rand_commitments),
            key_challenges: Bytes(
                key_proof.proofs.iter().flat_map(|proof| proof.challenge.clone()).collect(),
            ),
            key_responses: write_scalars(&responses),
            gadget_nonce: Scalar::encode(gadget_nonce),
            transfer_seed: *transfer_seed,
            transfer_points: write_points(encrypted.iter().flat_map(|parts| &parts.points)),
            transfer_scalars: write_scalars(
                &encrypted.iter().flat_map(|parts| parts.scalars).collect::<Vec<_>>(),
            ),
        }
    }

    fn read_key(&self) -> Result<(DLogProof<Secp256k1>, Number), Malformed> {
        let count = usize::from(PROOFS);
        let challenges: Vec<[u8; CHALLENGE_BITS as usize / 8]> =
            blocks("key challenges", &self.key_challenges.0, count)?;
        let responses = scalars("key responses", &self.key_responses.0, count)?;
        // A field of the proof's type is private; with a witness of zero, the response is the second argument.
        let proof = |(challenge, response): (&[u8; 4], &Number)| {
            InteractiveDLogProof::prove_step2(&Number::ZERO, response, challenge)
        };
        let proof = DLogProof {
            point: point("key", &self.key)?,
            rand_commitments: points("key commitments", &self.key_commitments.0, count)?,
            proofs: challenges.iter().zip(&responses).map(proof).collect(),
        };
        Ok((proof, scalar("gadget nonce", &self.gadget_nonce)?))
    }

    fn read_transfers(&self) -> Result<Vec<Encrypted>, Malformed> {
        let points = points("transfer points", &self.transfer_points.0, 6 * TRANSFERS)?;
        let scalars = scalars("transfer scalars", &self.transfer_scalars.0, 4 * TRANSFERS)?;
        let (points, _) = points.as_chunks::<6>();
        let (scalars, _) = scalars.as_chunks::<4>();
        let read = points.iter().zip(scalars);
        Ok(read.map(|(points, scalars)| Encrypted { points: *points, scalars: *scalars }).collect())
    }
}

fn seal<D: Document>(terms: &SetupTerms, step: u8, body: &D) -> Vec<u8> {
    let SetupTerms { context, generation, side } = *terms;
    let body = Bytes(encoding::encode(body));
    encoding::encode(&Envelope { context, generation, author: side, step, body })
}

fn open<D: Document>(terms: &SetupTerms, step: u8, bytes: &[u8]) -> Result<D, PairingError> {
    let envelope: Envelope = encoding::decode(bytes).map_err(|e| misbehaved(e.to_string()))?;
    let got = (envelope.context, envelope.generation, envelope.author, envelope.step);
    let expected = (terms.context, terms.generation, terms.side.other(), step);
    if got != expected {
        return Err(PairingError::Stale(format!("expected message {expected:?}, got {got:?}")));
    }
    encoding::decode(&envelope.body.0).map_err(|e| misbehaved(e.to_string()))
}

fn misbehaved(what: String) -> PairingError {
    PairingError::Misbehaved(what)
}

impl From<Malformed> for PairingError {
    fn from(malformed: Malformed) -> Self {
        misbehaved(malformed.0)
    }
}

#[cfg(test)]
mod tests;
