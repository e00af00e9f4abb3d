//! A signer's statement as the coordinator keeps it: the checked meaning, and the signed bytes to hand on.

use minicbor::{Decode, Encode};
use perennial_model::Error;
use perennial_model::committee::SignerId;
use perennial_model::encoding::{Digest, Document};
use perennial_model::identity::{FindIdentity, Said, Signed};

/// A statement whose author was checked when it came. Written down as it was signed.
///
/// Reading one back from the coordinator's own journal does not check the signature again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heard<D> {
    signed: Signed<D>,
    said: Said<D>,
}

impl<D: Document> Heard<D> {
    /// Checks that `from`, who sent it, is also who signed it.
    ///
    /// # Errors
    /// `Denied` when `from` passes on the words of somebody else or a broken signature; `Misbehaved` when it
    /// signed bytes that are no canonical `D`.
    pub fn check(signed: Signed<D>, from: &SignerId, identities: &dyn FindIdentity) -> Result<Self, Error> {
        if &signed.signer != from {
            let what = format!("{from} sent a {} in the name of {}", D::KIND, signed.signer);
            return Err(Error::Denied(what));
        }
        let said = signed.check(identities)?;
        Ok(Self { signed, said })
    }
}

impl<D> Heard<D> {
    /// Who said it.
    pub fn signer(&self) -> &SignerId {
        &self.said.signer
    }

    /// What was said.
    pub fn body(&self) -> &D {
        &self.said.body
    }

    /// The digest of the body's canonical bytes.
    pub fn digest(&self) -> Digest {
        self.said.digest
    }

    /// The checked statement.
    pub fn said(&self) -> &Said<D> {
        &self.said
    }

    /// The signed original, for others to check.
    pub fn signed(&self) -> &Signed<D> {
        &self.signed
    }

    /// The signed original alone.
    pub fn into_signed(self) -> Signed<D> {
        self.signed
    }
}

impl<C, D> Encode<C> for Heard<D>
where
    Signed<D>: Encode<C>,
{
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut minicbor::Encoder<W>,
        context: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        self.signed.encode(encoder, context)
    }
}

impl<'b, C, D: Document> Decode<'b, C> for Heard<D>
where
    Signed<D>: Decode<'b, C>,
{
    fn decode(decoder: &mut minicbor::Decoder<'b>, context: &mut C) -> Result<Self, minicbor::decode::Error> {
        let signed = Signed::<D>::decode(decoder, context)?;
        let body = signed.read_unchecked().map_err(|e| minicbor::decode::Error::message(e.to_string()))?;
        let said = Said { signer: signed.signer.clone(), body, digest: signed.body_digest() };
        Ok(Self { signed, said })
    }
}
