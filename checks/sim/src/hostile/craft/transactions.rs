//! Signing requests that mix what belongs apart, and one session under which signers are told different things.

use super::certificates::made;
use super::sessions::{fresh, to_its_signers};
use super::{Blows, sign};
use crate::hostile::stage::Stage;
use perennial_model::committee::SignerId;
use perennial_model::derivation::Path;
use perennial_model::encoding::Bytes;
use perennial_model::mail::Request;
use perennial_model::session::{Purpose, SessionRequest, TRANSACTION_BYTES_MAX};
use perennial_model::share_set::ShareSet;
use perennial_model::vote::VoteKind;

/// A request as a gateway would make it.
pub fn wanted(stage: &mut Stage) -> Blows {
    a_request(stage).map(|request| to_its_signers(stage, &request)).unwrap_or_default()
}

/// Wallet, epoch and transcript that do not belong together, or are no longer served.
pub fn of_other_epoch(stage: &mut Stage) -> Blows {
    let Some(mut request) = a_request(stage) else { return Vec::new() };
    let Some(other) = a_set(stage, 30) else { return Vec::new() };
    let which = stage.below(4);
    let Purpose::Transaction { wallet, epoch, transcript, .. } = &mut request.purpose else {
        return Vec::new();
    };
    match which {
        0 => *wallet = other.wallet.id,
        1 => *epoch = other.epoch,
        2 => *transcript = other.transcript,
        _ => (*wallet, *epoch, *transcript) = (other.wallet.id, other.epoch, other.transcript),
    }
    to_its_signers(stage, &request)
}

/// Signers of one session are told different transactions, different signers, or different epochs.
pub fn split(stage: &mut Stage) -> Blows {
    let Some(request) = a_request(stage) else { return Vec::new() };
    let mut blows = Vec::new();
    for (at, signer) in request.signers.iter().enumerate() {
        let Some(number) = stage.number(signer) else { continue };
        let mut told = request.clone();
        let which = stage.below(3);
        let other = a_set(stage, 8);
        if at > 0
            && let Purpose::Transaction { transaction, epoch, transcript, wallet, .. } = &mut told.purpose
        {
            match (which, other) {
                (0, Some(other)) if other.wallet.id == *wallet => {
                    (*epoch, *transcript) = (other.epoch, other.transcript);
                }
                (1, _) => told.asked_at_ms += 1,
                _ => transaction.0.extend_from_slice(b" to the thief"),
            }
        }
        blows.push(sign(number, Request::Session(Box::new(told))));
    }
    blows
}

/// A request that breaks a rule of its own: signers, size, form, path.
pub fn unsound(stage: &mut Stage) -> Blows {
    let Some(mut request) = a_request(stage) else { return Vec::new() };
    let stranger = stage.cast.ids[stage.members()].clone();
    let number = request.signers.first().and_then(|signer| stage.number(signer));
    let which = stage.below(8);
    let Purpose::Transaction { transaction, path, .. } = &mut request.purpose else { return Vec::new() };
    match which {
        0 => request.signers.truncate(1),
        1 => request.signers.reverse(),
        2 => request.signers.push(stranger),
        3 => transaction.0 = b"somewhere".to_vec(),
        4 => transaction.0 = vec![b'x'; TRANSACTION_BYTES_MAX + 1],
        5 => *path = "m/0/5".parse().unwrap_or_else(|_| path.clone()),
        6 => drop(request.signers.remove(0)),
        _ => request.signers.push(request.signers[0].clone()),
    }
    number.map(|number| sign(number, Request::Session(Box::new(request)))).into_iter().collect()
}

/// A request of another time.
pub fn of_other_time(stage: &mut Stage) -> Blows {
    let Some(mut request) = a_request(stage) else { return Vec::new() };
    let apart = 61_500 + stage.below(100_000) as u64;
    request.asked_at_ms = match stage.one_in(2) {
        true => request.asked_at_ms + apart,
        false => request.asked_at_ms - apart,
    };
    to_its_signers(stage, &request)
}

/// A request that brings along an Activation which is none, or an old one.
pub fn with_certificate(stage: &mut Stage) -> Blows {
    let Some(mut request) = a_request(stage) else { return Vec::new() };
    let found = stage.an_attempt(|attempt| !attempt.prepared.is_empty());
    let Some((chunk, attempt)) = found else { return Vec::new() };
    let Some(mut certificate) = made(&attempt, VoteKind::Prepared) else { return Vec::new() };
    if stage.one_in(2) {
        certificate.votes.pop();
    }
    let newer = stage.below(2);
    let Purpose::Transaction { epoch, activation, .. } = &mut request.purpose else { return Vec::new() };
    *activation = Some(Box::new(certificate));
    if newer == 0 {
        *epoch = chunk.epoch;
    }
    to_its_signers(stage, &request)
}

/// A share set that was served some time; the newer the likelier.
fn a_set(stage: &mut Stage, reach: usize) -> Option<ShareSet> {
    let reach = stage.archive.sets.len().min(reach);
    let back = stage.below(reach).min(stage.below(reach));
    let at = stage.archive.sets.len().checked_sub(1 + back)?;
    stage.archive.sets.get(at).map(|(_, set)| set.clone())
}

fn a_request(stage: &mut Stage) -> Option<SessionRequest> {
    let set = a_set(stage, 4)?;
    let mut signers: Vec<SignerId> = set.committee.signers().cloned().collect();
    while signers.len() > usize::from(set.committee.threshold()) {
        let at = stage.below(signers.len());
        signers.remove(at);
    }
    let session = fresh(stage);
    let transaction = Bytes(format!("nowhere:{}", session.short()).into_bytes());
    let path = Path::primary(set.wallet.chain);
    let ShareSet { wallet, epoch, transcript, .. } = set;
    let purpose =
        Purpose::Transaction { wallet: wallet.id, epoch, transcript, transaction, path, activation: None };
    Some(SessionRequest { session, asked_at_ms: stage.now_ms, signers, purpose })
}
