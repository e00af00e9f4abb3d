//! Mail as it is, at another time, for somebody else, or damaged.

use super::{Blow, Blows, What};
use crate::hostile::stage::{Letter, Stage};
use crate::network::Lane;
use perennial_model::dealing::{Commitment, Dealing};
use perennial_model::encoding;
use perennial_model::identity::{Sign, Signed};
use perennial_model::mail::Request;
use std::sync::Arc;

/// Anything that the signer has had before.
pub fn replayed(stage: &mut Stage) -> Blows {
    let Some(mail) = pick(stage) else { return Vec::new() };
    vec![Blow { number: mail.number, lane: mail.lane, what: What::Request(mail.request) }]
}

/// What was for one signer goes to another, or to the other half of the same.
pub fn misdirected(stage: &mut Stage) -> Blows {
    let Some(mail) = pick(stage) else { return Vec::new() };
    let (number, lane) = match stage.one_in(4) {
        true if mail.lane == Lane::Ceremony => (mail.number, Lane::Signing),
        true => (mail.number, Lane::Ceremony),
        false => (stage.anybody(), mail.lane),
    };
    vec![Blow { number, lane, what: What::Request(mail.request) }]
}

/// What an honest coordinator has just sent overtakes all that it sent before.
pub fn reordered(stage: &mut Stage) -> Blows {
    let to_signers: Vec<usize> = stage
        .letters
        .iter()
        .enumerate()
        .filter(|(_, letter)| matches!(letter, Letter::To(..)))
        .map(|(at, _)| at)
        .collect();
    let Some(at) = stage.one_of(&to_signers) else { return Vec::new() };
    match stage.letters.remove(at) {
        Some(Letter::To(number, lane, request)) => {
            vec![Blow { number, lane, what: What::Request(request) }]
        }
        _ => Vec::new(),
    }
}

/// What an honest coordinator has just sent, with one thing in it changed on the way; it goes on its own way as well.
pub fn tampered(stage: &mut Stage) -> Blows {
    let at = stage.below(stage.letters.len());
    let Some(Letter::To(number, lane, request)) = stage.letters.get(at) else { return Vec::new() };
    let (number, lane, mut request) = (*number, *lane, (**request).clone());
    let other = stage.an_attempt(|other| !other.openings.is_empty()).map(|(_, other)| other);
    let coin = stage.below(3);
    let corrupt = stage.corrupt.map(|number| stage.cast.owns[number].identity.clone());
    match &mut request {
        Request::Activate(certificate) | Request::Retire(certificate) => match (coin, corrupt) {
            (0, None) => drop(certificate.votes.pop()),
            (1, _) => drop(certificate.probes.pop()),
            (_, Some(identity)) => {
                // The corrupt signer's vote with somebody else's proof of shares.
                let body = certificate.votes.iter().find(|vote| vote.signer != *identity.signer());
                let Some(Ok(body)) = body.map(Signed::read_unchecked) else {
                    return Vec::new();
                };
                let forged = Signed::new(&*identity, &body);
                let own = certificate.votes.iter_mut().find(|vote| vote.signer == forged.signer);
                own.into_iter().for_each(|vote| *vote = forged.clone());
            }
            (_, None) => certificate.root.0[0] ^= 1,
        },
        Request::Commit { inputs, openings } => match (coin, other) {
            (0, _) => drop(openings.pop()),
            (1, Some(other)) => {
                let replaced = openings.first().and_then(|own| other.openings.get(&own.signer));
                replaced.into_iter().for_each(|opening| openings[0] = opening.clone());
            }
            _ => inputs.dealers.reverse(),
        },
        Request::Verify { inputs, openings, commitments, dealings } => match (coin, corrupt) {
            (0, None) => dealings.reverse(),
            (1, _) => drop(openings.pop()),
            (_, Some(identity)) => spoil(&*identity, commitments, dealings),
            _ => inputs.holders.reverse(),
        },
        Request::Deal { commitments, .. } => drop(commitments.pop()),
        Request::Open { chunk, .. } => chunk.epoch.count += 1,
        Request::Session(request) => request.asked_at_ms += coin as u64,
        Request::Plan(approved) => drop(approved.approvals.pop()),
        _ => return Vec::new(),
    }
    vec![Blow { number, lane, what: What::Request(Arc::new(request)) }]
}

/// A byte is changed, or the end is missing.
pub fn damaged(stage: &mut Stage) -> Blows {
    let Some(mail) = pick(stage) else { return Vec::new() };
    let mut bytes = encoding::encode(&*mail.request);
    let at = stage.below(bytes.len());
    match stage.one_in(8) {
        true => bytes.truncate(at),
        false => bytes[at] ^= 1 << stage.below(8),
    }
    vec![Blow { number: mail.number, lane: mail.lane, what: What::Bytes(bytes) }]
}

/// A statement under another signer's name.
pub fn renamed(stage: &mut Stage) -> Blows {
    let Some(mail) = pick(stage) else { return Vec::new() };
    let name = stage.anybody();
    let name = match stage.one_in(4) {
        true => crate::cast::name("nobody"),
        false => stage.cast.ids[name].clone(),
    };
    let mut request = (*mail.request).clone();
    let signer = match &mut request {
        Request::Commit { openings, .. } => openings.first_mut().map(|said| &mut said.signer),
        Request::Deal { commitments, .. } => commitments.first_mut().map(|said| &mut said.signer),
        Request::Verify { dealings, .. } => dealings.first_mut().map(|said| &mut said.signer),
        Request::Activate(certificate) | Request::Retire(certificate) => {
            certificate.votes.first_mut().map(|said| &mut said.signer)
        }
        Request::SessionMail(said) => Some(&mut said.signer),
        Request::PairingMail(said) => Some(&mut said.signer),
        _ => None,
    };
    match signer {
        Some(signer) if *signer != name => *signer = name,
        _ => return Vec::new(),
    }
    vec![Blow { number: mail.number, lane: mail.lane, what: What::Request(Arc::new(request)) }]
}

/// The corrupt dealer's dealing opens for nobody, and was promised like that.
fn spoil(identity: &dyn Sign, commitments: &mut [Signed<Commitment>], dealings: &mut [Signed<Dealing>]) {
    for (commitment, dealing) in commitments.iter_mut().zip(dealings) {
        let (Ok(mut promise), Ok(mut body)) = (commitment.read_unchecked(), dealing.read_unchecked()) else {
            continue;
        };
        if dealing.signer != *identity.signer() {
            continue;
        }
        for sub_share in &mut body.sub_shares {
            sub_share.sealed.ciphertext.0.iter_mut().take(1).for_each(|byte| *byte ^= 1);
        }
        *dealing = Signed::new(identity, &body);
        promise.dealing = dealing.body_digest();
        *commitment = Signed::new(identity, &promise);
    }
}

fn pick(stage: &mut Stage) -> Option<crate::hostile::archive::Mail> {
    let at = stage.below(stage.archive.mail.len());
    stage.archive.mail.get(at).cloned()
}
