//! I4: no unvalidated signature, no session that mixes epochs or transcripts, no nonce twice.
//!
//! Signatures themselves are checked where they are released, from the transaction.

use crate::history::History;
use crate::violation::{Invariant, Violation};
use perennial_custody::engine::transparent::nonce_in;
use perennial_model::encoding::Digest;
use perennial_model::epoch::Epoch;
use perennial_model::group::Point;
use perennial_model::session::{
    Blame, Purpose, SessionMessage, SessionOutcome, SessionReport, SessionRequest,
};
use perennial_model::wallet::WalletId;
use std::collections::HashMap;

/// Under which epoch a session runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Under {
    /// The wallet.
    pub wallet: WalletId,
    /// The epoch.
    pub epoch: Epoch,
    /// Its transcript digest.
    pub transcript: Digest,
}

/// The sessions seen so far.
#[derive(Default)]
pub struct Sessions {
    under: HashMap<Digest, Under>,
    agreements: HashMap<(Digest, usize), Digest>,
    nonces: HashMap<Point, (Digest, usize, usize, u32)>,
}

impl Sessions {
    /// A session begins.
    pub fn begins(&mut self, request: &SessionRequest) {
        if let Purpose::Transaction { wallet, epoch, transcript, .. } = &request.purpose {
            let under = Under { wallet: wallet.clone(), epoch: *epoch, transcript: *transcript };
            self.under.insert(request.session, under);
        }
    }

    /// Under which epoch a transaction is signed in a session.
    pub fn under(&self, session: &Digest) -> Option<&Under> {
        self.under.get(session)
    }
}

/// All messages of one item of a session name the same terms, and no nonce is in two of them or in two lives of a
/// process.
pub fn i4_no_mixed_session_no_nonce_twice(
    history: &mut History,
    number: usize,
    life: u32,
    said: &SessionMessage,
) -> Result<(), Violation> {
    let sessions = &mut history.sessions;
    for (item, message) in said.items.iter().enumerate() {
        if let Some(agreement) = agreement_in(&message.0) {
            let known = sessions.agreements.entry((said.session, item)).or_insert(agreement);
            if *known != agreement {
                let session = said.session.short();
                return Err(broken(format!("session {session} is signed under different terms")));
            }
        }
        if let Some(nonce) = nonce_in(&message.0) {
            let here = (said.session, item, number, life);
            let known = sessions.nonces.entry(nonce).or_insert(here);
            if *known != here {
                return Err(broken(format!("s{:02} uses a nonce for the second time", number + 1)));
            }
        }
    }
    Ok(())
}

/// No session ends with a bug, and no honest signer is accused.
pub fn i4_no_bug(number: usize, report: &SessionReport) -> Result<(), Violation> {
    match &report.outcome {
        SessionOutcome::Failed { blame: Blame::Bug, reason } => {
            Err(Violation::new(Invariant::Sound, format!("s{:02} reports a bug: {reason}", number + 1)))
        }
        SessionOutcome::Failed { blame: Blame::Signer(culprit), reason } => {
            Err(broken(format!("s{:02} blames {culprit} in a session: {reason}", number + 1)))
        }
        _ => Ok(()),
    }
}

/// The digest of the terms in a signing message: the first field of its envelope.
fn agreement_in(message: &[u8]) -> Option<Digest> {
    let mut decoder = minicbor::Decoder::new(message);
    decoder.array().ok()?;
    let _domain = decoder.str().ok()?;
    (decoder.str().ok()? == "signing-message").then_some(())?;
    let _version = decoder.u16().ok()?;
    decoder.array().ok()?;
    Some(Digest(decoder.bytes().ok()?.try_into().ok()?))
}

fn broken(what: String) -> Violation {
    Violation::new(Invariant::I4ValidSignatures, what)
}
