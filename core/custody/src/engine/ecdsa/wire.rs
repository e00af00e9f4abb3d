//! The messages of threshold ECDSA between two signers, field by field.

use crate::pairing::{Extension, Malformed, Transfer, point, scalar, write_point};
use dkls23_core::protocols::signing::{Broadcast3to4, TransmitPhase1to2, TransmitPhase2to3};
use dkls23_core::protocols::{PartiesMessage, PartyIndex};
use k256::Secp256k1;
use minicbor::{Decode, Encode};
use perennial_model::encoding::Document;
use perennial_model::group::{Point, Scalar};

/// Round 1: a commitment to the nonce, and the start of a multiplication.
#[derive(Encode, Decode)]
pub(super) struct Opening {
    #[cbor(n(0), with = "minicbor::bytes")]
    session_binding: [u8; 32],
    #[cbor(n(1), with = "minicbor::bytes")]
    commitment: [u8; 32],
    #[n(2)]
    extension: Extension,
}

impl Document for Opening {
    const KIND: &'static str = "ecdsa-opening";
}

impl Opening {
    pub(super) fn write(message: &TransmitPhase1to2) -> Self {
        Self {
            session_binding: message.session_binding,
            commitment: message.commitment,
            extension: Extension::write(&message.mul_transmit),
        }
    }

    pub(super) fn read(
        &self,
        sender: PartyIndex,
        receiver: PartyIndex,
    ) -> Result<TransmitPhase1to2, Malformed> {
        Ok(TransmitPhase1to2 {
            parties: PartiesMessage { sender, receiver },
            session_binding: self.session_binding,
            commitment: self.commitment,
            mul_transmit: self.extension.read()?,
        })
    }
}

/// Round 2: the nonce's point, and the answer to the other's multiplication.
#[derive(Encode, Decode)]
pub(super) struct Reveal {
    #[cbor(n(0), with = "minicbor::bytes")]
    session_binding: [u8; 32],
    #[n(1)]
    gamma_u: Point,
    #[n(2)]
    gamma_v: Point,
    #[cbor(n(3), with = "minicbor::bytes")]
    psi: [u8; 32],
    #[n(4)]
    public_share: Point,
    #[n(5)]
    instance_point: Point,
    #[cbor(n(6), with = "minicbor::bytes")]
    salt: [u8; 64],
    #[n(7)]
    transfer: Transfer,
}

impl Document for Reveal {
    const KIND: &'static str = "ecdsa-reveal";
}

impl Reveal {
    pub(super) fn write(message: &TransmitPhase2to3<Secp256k1>) -> Self {
        let salt = message.salt.as_slice().try_into();
        Self {
            session_binding: message.session_binding,
            gamma_u: write_point(&message.gamma_u),
            gamma_v: write_point(&message.gamma_v),
            psi: message.psi.encode(),
            public_share: write_point(&message.public_share),
            instance_point: write_point(&message.instance_point),
            salt: salt.expect("the pinned library salts a commitment with 64 bytes"),
            transfer: Transfer::write(&message.mul_transmit),
        }
    }

    pub(super) fn read(
        &self,
        sender: PartyIndex,
        receiver: PartyIndex,
    ) -> Result<TransmitPhase2to3<Secp256k1>, Malformed> {
        Ok(TransmitPhase2to3 {
            parties: PartiesMessage { sender, receiver },
            session_binding: self.session_binding,
            gamma_u: point("gamma_u", &self.gamma_u)?,
            gamma_v: point("gamma_v", &self.gamma_v)?,
            psi: scalar("psi", &self.psi)?,
            public_share: point("public share", &self.public_share)?,
            instance_point: point("instance point", &self.instance_point)?,
            salt: self.salt.to_vec(),
            mul_transmit: self.transfer.read()?,
        })
    }
}

/// Round 3: a signer's part of numerator and denominator of `s`.
#[derive(Encode, Decode)]
pub(super) struct Part {
    #[cbor(n(0), with = "minicbor::bytes")]
    u: [u8; 32],
    #[cbor(n(1), with = "minicbor::bytes")]
    w: [u8; 32],
}

impl Document for Part {
    const KIND: &'static str = "ecdsa-part";
}

impl Part {
    pub(super) fn write(message: &Broadcast3to4<Secp256k1>) -> Self {
        Self { u: message.u.encode(), w: message.w.encode() }
    }

    pub(super) fn read(&self) -> Result<Broadcast3to4<Secp256k1>, Malformed> {
        Ok(Broadcast3to4 { u: scalar("u", &self.u)?, w: scalar("w", &self.w)? })
    }
}
