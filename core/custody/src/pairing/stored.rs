//! The written form of a base: canonical CBOR like every record, ending in a digest of itself, so that bytes
//! altered at rest are found out even where nobody sealed them.

use super::wire::{blocks, scalar};
use super::{Base, PairingError, Side, TRANSFERS, gadget, init_session, mul_receiver, mul_sender};
use minicbor::encode::Write;
use minicbor::{Decoder, Encoder};
use perennial_model::encoding::{DOMAIN, Digest};
use perennial_model::group::Scalar;
use zeroize::Zeroizing;

const KIND: &str = "pair-base";
const VERSION: u16 = 1;
const FIELDS: u64 = 12;

/// More than a base takes, so that the buffer never moves and leaves a copy behind.
const CAPACITY: usize = 3 * 32 * TRANSFERS + 512;

impl Base {
    /// The base as bytes, secret as the base itself: to be sealed before they are written anywhere.
    pub fn to_secret_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(CAPACITY));
        self.write(&mut *bytes).expect("writing to memory does not fail");
        let checksum = checksum(&bytes);
        Encoder::new(&mut *bytes).bytes(&checksum.0).expect("writing to memory does not fail");
        bytes
    }

    fn write<W: Write>(&self, bytes: W) -> Result<(), minicbor::encode::Error<W::Error>> {
        let mut encoder = Encoder::new(bytes);
        encoder.array(4)?.str(DOMAIN)?.str(KIND)?.u16(VERSION)?.array(FIELDS)?;
        encoder.bytes(&self.context.0)?.u64(self.generation)?.u8(self.side.direction()[0])?;
        encoder.bytes(&self.id.0)?.bytes(&*self.secret)?;
        encoder.bytes(&*pack(&self.sender.ote_sender.correlation))?;
        encoder.bytes(self.sender.ote_sender.seeds.as_flattened())?;
        encoder.bytes(&self.sender_nonce.encode())?;
        encoder.bytes(self.receiver.ote_receiver.seeds0.as_flattened())?;
        encoder.bytes(self.receiver.ote_receiver.seeds1.as_flattened())?;
        encoder.bytes(&self.receiver_nonce.encode())?;
        Ok(())
    }

    /// Reads what [`Base::to_secret_bytes`] wrote.
    ///
    /// # Errors
    /// [`PairingError::Damaged`] when a single bit is not as it was written.
    pub fn from_secret_bytes(bytes: &[u8]) -> Result<Self, PairingError> {
        let damaged = |reason: String| PairingError::Damaged(reason);
        let base = Self::read(bytes).map_err(|e| damaged(e.to_string()))??;
        if *base.to_secret_bytes() != bytes {
            return Err(damaged("the stored base is not as it was written".into()));
        }
        Ok(base)
    }

    fn read(bytes: &[u8]) -> Result<Result<Self, PairingError>, minicbor::decode::Error> {
        let wrong = |what: &str| minicbor::decode::Error::message(what.to_owned());
        let mut decoder = Decoder::new(bytes);
        let label = (decoder.array()?, decoder.str()?, decoder.str()?, decoder.u16()?, decoder.array()?);
        if label != (Some(4), DOMAIN, KIND, VERSION, Some(FIELDS)) {
            return Err(wrong("not a pair-base record of version 1"));
        }
        let context = Digest(fixed(&mut decoder)?);
        let generation = decoder.u64()?;
        let side = match decoder.u8()? {
            1 => Side::First,
            2 => Side::Second,
            _ => return Err(wrong("a side is 1 or 2")),
        };
        let id = Digest(fixed(&mut decoder)?);
        let secret = Zeroizing::new(fixed(&mut decoder)?);
        let correlation = unpack(&fixed(&mut decoder)?);
        let mut many = || blocks("seeds", decoder.bytes()?, TRANSFERS).map_err(|e| wrong(&e.0));
        let sender_seeds = many()?;
        let nonce = |bytes| scalar("gadget nonce", &bytes).map_err(|e| wrong(&e.0));
        let sender_nonce = nonce(fixed(&mut decoder)?)?;
        let mut many = || blocks("seeds", decoder.bytes()?, TRANSFERS).map_err(|e| wrong(&e.0));
        let (seeds0, seeds1) = (many()?, many()?);
        let receiver_nonce = nonce(fixed(&mut decoder)?)?;
        let checked = checksum(&bytes[..decoder.position()]);
        if Digest(fixed(&mut decoder)?) != checked || decoder.position() != bytes.len() {
            return Err(wrong("the record does not match its own digest"));
        }
        let sender_gadget = gadget(&init_session(&context, generation, side.other()), &sender_nonce);
        let receiver_gadget = gadget(&init_session(&context, generation, side), &receiver_nonce);
        let halves = mul_sender(sender_gadget, correlation, sender_seeds)
            .and_then(|sender| Ok((sender, mul_receiver(receiver_gadget, seeds0, seeds1)?)));
        Ok(halves.map(|(sender, receiver)| Self {
            context,
            generation,
            side,
            id,
            secret,
            sender,
            sender_nonce,
            receiver,
            receiver_nonce,
        }))
    }
}

fn checksum(bytes: &[u8]) -> Digest {
    Digest::of_parts("perennial/pair-base/checksum/v1", &[bytes])
}

fn fixed<const N: usize>(decoder: &mut Decoder<'_>) -> Result<[u8; N], minicbor::decode::Error> {
    let bytes = decoder.bytes()?;
    bytes
        .try_into()
        .map_err(|_| minicbor::decode::Error::message(format!("expected {N} bytes, got {}", bytes.len())))
}

/// Bits as bytes, the first bit lowest.
fn pack(bits: &[bool]) -> Zeroizing<[u8; TRANSFERS / 8]> {
    let mut bytes = Zeroizing::new([0; TRANSFERS / 8]);
    for (at, bit) in bits.iter().enumerate() {
        bytes[at / 8] |= u8::from(*bit) << (at % 8);
    }
    bytes
}

fn unpack(bytes: &[u8; TRANSFERS / 8]) -> Vec<bool> {
    bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1)).collect()
}
