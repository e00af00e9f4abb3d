//! How the library's messages are written: every field at its fixed size, in canonical form, so that a message
//! of the wrong shape is refused before any secret meets it.

use super::{GADGET, TRANSFERS};
use dkls23_core::utilities::multiplication::{L, MulDataToReceiver, OT_WIDTH};
use dkls23_core::utilities::ot::extension::{FieldElement, OTEDataToSender, PRGOutput};
use k256::elliptic_curve::group::GroupEncoding;
use k256::elliptic_curve::sec1::ToSec1Point;
use k256::{AffinePoint, Scalar as Number, Secp256k1};
use minicbor::{Decode, Encode};
use perennial_model::encoding::Bytes;
use perennial_model::group::{Group, Point, SCALAR_BYTES, Scalar, UNCOMPRESSED_BYTES, read_uncompressed};

/// What is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub String);

/// What the receiver of a multiplication sends: its extension of the oblivious transfers.
#[derive(Encode, Decode)]
pub(crate) struct Extension {
    #[cbor(n(0), with = "minicbor::bytes")]
    nonce: [u8; 32],
    /// The matrix `u`, a row for each base transfer.
    #[n(1)]
    rows: Bytes,
    #[n(2)]
    check: Bytes,
    /// One check for each row.
    #[n(3)]
    row_checks: Bytes,
}

impl Extension {
    pub(crate) fn write(data: &OTEDataToSender) -> Self {
        Self {
            nonce: data.nonce,
            rows: Bytes(data.u.concat()),
            check: Bytes(data.verify_x.to_vec()),
            row_checks: Bytes(data.verify_t.concat()),
        }
    }

    pub(crate) fn read(&self) -> Result<OTEDataToSender, Malformed> {
        let checks: Vec<FieldElement> = blocks("check", &self.check.0, 1)?;
        Ok(OTEDataToSender {
            nonce: self.nonce,
            u: blocks::<{ size_of::<PRGOutput>() }>("rows", &self.rows.0, TRANSFERS)?,
            verify_x: checks[0],
            verify_t: blocks("row checks", &self.row_checks.0, TRANSFERS)?,
        })
    }
}

/// What the sender of a multiplication answers.
#[derive(Encode, Decode)]
pub(crate) struct Transfer {
    /// `tau`, one scalar for each weight of the gadget, as often as the transfers are wide.
    #[n(0)]
    corrections: Bytes,
    #[cbor(n(1), with = "minicbor::bytes")]
    salt: [u8; 32],
    #[cbor(n(2), with = "minicbor::bytes")]
    check_digest: [u8; 32],
    #[n(3)]
    check_scalars: Bytes,
    #[n(4)]
    adjustments: Bytes,
}

impl Transfer {
    pub(crate) fn write(data: &MulDataToReceiver<Secp256k1>) -> Self {
        Self {
            corrections: write_scalars(data.vector_of_tau.as_slice().concat().as_slice()),
            salt: data.ote_salt,
            check_digest: data.verify_r,
            check_scalars: write_scalars(&data.verify_u),
            adjustments: write_scalars(&data.gamma_sender),
        }
    }

    pub(crate) fn read(&self) -> Result<MulDataToReceiver<Secp256k1>, Malformed> {
        let corrections = scalars("corrections", &self.corrections.0, usize::from(OT_WIDTH) * GADGET)?;
        Ok(MulDataToReceiver {
            vector_of_tau: corrections.chunks(GADGET).map(<[Number]>::to_vec).collect(),
            ote_salt: self.salt,
            verify_r: self.check_digest,
            verify_u: scalars("check scalars", &self.check_scalars.0, L.into())?,
            gamma_sender: scalars("adjustments", &self.adjustments.0, L.into())?,
        })
    }
}

/// Cuts bytes into exactly `count` blocks.
pub(super) fn blocks<const N: usize>(
    name: &str,
    bytes: &[u8],
    count: usize,
) -> Result<Vec<[u8; N]>, Malformed> {
    let (blocks, rest) = bytes.as_chunks::<N>();
    if blocks.len() != count || !rest.is_empty() {
        let expected = count * N;
        return Err(Malformed(format!("{name}: expected {expected} bytes, got {}", bytes.len())));
    }
    Ok(blocks.to_vec())
}

/// Reads one canonical scalar.
pub(crate) fn scalar(name: &str, bytes: &[u8; SCALAR_BYTES]) -> Result<Number, Malformed> {
    <Number as Scalar>::decode(bytes).ok_or_else(|| Malformed(format!("{name}: a scalar above the order")))
}

/// Reads exactly `count` canonical scalars.
pub(super) fn scalars(name: &str, bytes: &[u8], count: usize) -> Result<Vec<Number>, Malformed> {
    blocks(name, bytes, count)?.iter().map(|block| scalar(name, block)).collect()
}

/// Writes scalars one after the other.
pub(super) fn write_scalars(scalars: &[Number]) -> Bytes {
    let mut bytes = Vec::with_capacity(SCALAR_BYTES * scalars.len());
    scalars.iter().for_each(|scalar| bytes.extend_from_slice(&scalar.encode()));
    Bytes(bytes)
}

/// Reads one element, not the identity.
pub(crate) fn point(name: &str, point: &Point) -> Result<AffinePoint, Malformed> {
    let element = perennial_model::group::Secp256k1::decode(point);
    let element = element.ok_or_else(|| Malformed(format!("{name}: {point} is no element of secp256k1")))?;
    Ok(element.to_affine())
}

/// Writes one element.
pub(crate) fn write_point(point: &AffinePoint) -> Point {
    Point::from_bytes(&point.to_bytes()).expect("a compressed point has 33 bytes, as many as fit")
}

/// Reads exactly `count` elements. They are not compressed: reading one takes no square root.
pub(super) fn points(name: &str, bytes: &[u8], count: usize) -> Result<Vec<AffinePoint>, Malformed> {
    let read = |block: &[u8; UNCOMPRESSED_BYTES]| {
        let affine = read_uncompressed(block);
        affine.ok_or_else(|| Malformed(format!("{name}: {} is no element of secp256k1", hex::encode(block))))
    };
    blocks(name, bytes, count)?.iter().map(read).collect()
}

/// Writes elements one after the other.
pub(super) fn write_points<'a>(points: impl IntoIterator<Item = &'a AffinePoint>) -> Bytes {
    let mut bytes = Vec::new();
    points.into_iter().for_each(|point| bytes.extend_from_slice(point.to_sec1_point(false).as_bytes()));
    Bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_points_has_one_spelling_of_points_of_the_curve() {
        let written = write_points([&AffinePoint::GENERATOR]).0;
        assert_eq!(points("points", &written, 1), Ok(vec![AffinePoint::GENERATOR]));
        let refused = |bytes: &[u8]| assert!(points("points", bytes, 1).is_err(), "{}", hex::encode(bytes));
        for tag in (0..=u8::MAX).filter(|tag| *tag != 4) {
            refused(&[&[tag], &written[1..]].concat());
        }
        for at in 1..UNCOMPRESSED_BYTES {
            let mut altered = written.clone();
            altered[at] ^= 1;
            refused(&altered);
        }
        // The prime (SEC 2, section 2.4.1) as a coordinate, which stands for zero.
        let prime =
            hex::decode("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f").expect("digits");
        refused(&[&[4], &prime[..], &written[33..]].concat());
        refused(&[&written[..33], &prime[..]].concat());
        refused(&write_points([&AffinePoint::IDENTITY]).0);
        refused(&written[..64]);
        refused(&[written.clone(), written].concat());
    }
}
