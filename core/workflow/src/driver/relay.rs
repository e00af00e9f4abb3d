//! Mail from one signer to another: it is handed on as it is, signed by its author and sealed to its receiver.

use perennial_model::Error;
use perennial_model::committee::SignerId;
use perennial_model::encoding::Document;
use perennial_model::identity::Signed;
use perennial_model::mail::{Reply, Request};

/// The request that hands a reply on to the signer for whom it is meant; none for replies that are for the
/// coordinator. The receiver checks the signature.
///
/// # Errors
/// `Denied` when `from` sends another's mail, `Misbehaved` when what it signed cannot be read.
pub fn relay(from: &SignerId, reply: &Reply) -> Result<Option<(SignerId, Request)>, Error> {
    match reply {
        Reply::SessionMail(signed) => {
            let to = receiver(from, signed, |body| body.to)?;
            Ok(Some((to, Request::SessionMail(signed.clone()))))
        }
        Reply::PairingMail(signed) => {
            let to = receiver(from, signed, |body| body.to)?;
            Ok(Some((to, Request::PairingMail(signed.clone()))))
        }
        _ => Ok(None),
    }
}

fn receiver<D: Document>(
    from: &SignerId,
    signed: &Signed<D>,
    to: impl FnOnce(D) -> SignerId,
) -> Result<SignerId, Error> {
    if signed.signer != *from {
        return Err(Error::denied(format!("{from} sent a {} in the name of {}", D::KIND, signed.signer)));
    }
    let body = signed
        .read_unchecked()
        .map_err(|e| Error::misbehaved(from, format!("sent a {} that cannot be read: {e}", D::KIND)))?;
    Ok(to(body))
}
