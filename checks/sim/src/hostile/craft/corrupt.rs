//! Statements of one corrupt signer, whose keys the attacker has: they verify, and are false.

use super::certificates::made;
use super::{Blows, ask};
use crate::hostile::archive::Attempt;
use crate::hostile::stage::Stage;
use perennial_custody::redistribution::{Constants, DealTerms, deal};
use perennial_custody::share::Share;
use perennial_custody::simulation::danger_open_share;
use perennial_model::dealing::{Commitment, Dealing, Inputs, Opening};
use perennial_model::encoding::{Bytes, Digest};
use perennial_model::group::{Group, Scalar, Transparent, lagrange_at_zero};
use perennial_model::identity::{Said, Signed};
use perennial_model::mail::{PairingMessage, Request};
use perennial_model::plan::{Action, Chunk};
use perennial_model::vote::VoteKind;
use perennial_model::wallet::Scheme;

type Number = <Transparent as Group>::Scalar;

/// A vote that it never cast, in a certificate that lacks just that, or more.
pub fn vote(stage: &mut Stage) -> Blows {
    let Some(corrupt) = stage.corrupt else { return Vec::new() };
    let identity = stage.cast.owns[corrupt].identity.clone();
    let kind = if stage.one_in(2) { VoteKind::Prepared } else { VoteKind::Keep };
    let Some((_, attempt)) = stage.an_attempt(|attempt| !attempt.prepared.is_empty()) else {
        return Vec::new();
    };
    let Some(mut certificate) = made(&attempt, kind) else { return Vec::new() };
    let honest = attempt.prepared.values().find_map(|vote| vote.read_unchecked().ok());
    let Some(mut body) = honest else { return Vec::new() };
    body.kind = kind;
    body.possession = body.possession.filter(|_| kind == VoteKind::Prepared);
    match stage.below(4) {
        0 => body.root.0[0] ^= 1,
        1 => body.inputs.0[0] ^= 1,
        2 => body.governance.0[0] ^= 1,
        _ => {}
    }
    certificate.votes.retain(|vote| vote.signer != *identity.signer());
    let forged = Signed::new(&*identity, &body);
    let times = if stage.one_in(4) { 2 } else { 1 };
    certificate.votes.extend(vec![forged; times]);
    if stage.one_in(3) {
        certificate.root = body.root;
    }
    let certificate = Box::new(certificate);
    let request = match kind {
        VoteKind::Prepared => Request::Activate(certificate),
        VoteKind::Keep => Request::Retire(certificate),
    };
    let number = stage.any_member();
    vec![ask(number, request)]
}

/// One-time keys that are none, too few, or of another chunk, in inputs that name them.
pub fn opening(stage: &mut Stage) -> Blows {
    let Some(corrupt) = stage.corrupt else { return Vec::new() };
    let identity = stage.cast.owns[corrupt].identity.clone();
    let opened = |attempt: &Attempt| attempt.openings.contains_key(identity.signer());
    let found = stage.an_attempt(|attempt| attempt.commitments.is_empty() && opened(attempt));
    let Some((chunk, mut attempt)) = found.or_else(|| stage.an_attempt(opened)) else { return Vec::new() };
    let own = attempt.openings.get(identity.signer()).and_then(|said| said.read_unchecked().ok());
    let Some(mut body) = own else { return Vec::new() };
    match stage.below(4) {
        0 => body.keys.truncate(1),
        1 => body.keys.iter_mut().for_each(|key| key.public = [0; 32]),
        2 => body.chunk.epoch.count += 1,
        // Keys that are good, and nobody's.
        _ => body.keys.iter_mut().for_each(|key| key.public[31] ^= 1),
    }
    attempt.openings.insert(identity.signer().clone(), Signed::new(&*identity, &body));
    let committee = stage.people.committee.clone();
    let openings: Vec<Signed<Opening>> =
        committee.signers().filter_map(|signer| attempt.openings.get(signer).cloned()).collect();
    let governance = stage.cast.history.newest();
    let said: Vec<Said<Opening>> =
        openings.iter().filter_map(|opening| opening.check(governance).ok()).collect();
    let dealers = committee.signers().take(usize::from(committee.threshold())).cloned().collect();
    let inputs = Inputs::new(chunk, dealers, &said);
    let request = Request::Commit { inputs, openings };
    (0..stage.members()).map(|number| ask(number, request.clone())).collect()
}

/// A second dealing: sound, so that two transcripts are possible; or damaged for one holder, or for all.
pub fn dealing(stage: &mut Stage) -> Blows {
    let Some(corrupt) = stage.corrupt else { return Vec::new() };
    let identity = stage.cast.owns[corrupt].identity.clone();
    let name = identity.signer().clone();
    let deals = |attempt: &Attempt| {
        attempt
            .inputs
            .iter()
            .any(|inputs| inputs.dealers.contains(&name) && attempt.commitments.len() >= inputs.dealers.len())
    };
    let found = stage.an_attempt(|attempt| attempt.prepared.is_empty() && deals(attempt));
    let found = found.or_else(|| stage.an_attempt(deals));
    let Some((_, attempt)) = found else { return Vec::new() };
    deal_again(stage, corrupt, &attempt, true)
}

/// A second dealing of a new key, as sound as the first, of a dealer that has seen those of all others by then.
pub fn dealing_chosen_last(stage: &mut Stage) -> Blows {
    let Some(corrupt) = stage.corrupt else { return Vec::new() };
    let makes = |chunk: &Chunk| {
        stage.archive.plan(&chunk.plan).is_some_and(|plan| plan.plan.action == Action::Create)
    };
    let is_dealt = |attempt: &Attempt| {
        let all = |inputs: &Inputs| inputs.dealers.iter().all(|dealer| attempt.dealings.contains_key(dealer));
        attempt.prepared.is_empty() && attempt.inputs.iter().any(all)
    };
    let newest = stage.archive.newest().filter(|(chunk, attempt)| makes(chunk) && is_dealt(attempt));
    let attempts: Vec<Attempt> = newest.take(3).map(|(_, attempt)| attempt.clone()).collect();
    match stage.one_of(&attempts) {
        Some(attempt) => deal_again(stage, corrupt, &attempt, false),
        None => Vec::new(),
    }
}

fn deal_again(stage: &mut Stage, corrupt: usize, attempt: &Attempt, spoils: bool) -> Blows {
    let identity = stage.cast.owns[corrupt].identity.clone();
    let name = identity.signer().clone();
    let Some(inputs) = attempt.inputs.iter().rev().find(|inputs| inputs.dealers.contains(&name)).cloned()
    else {
        return Vec::new();
    };
    let chunk = inputs.chunk;
    let sound = second_dealing(stage, corrupt, attempt, &inputs);
    let own = attempt.dealings.get(&name).and_then(|said| said.read_unchecked().ok());
    let Some(mut body) = sound.or(own) else { return Vec::new() };
    if spoils {
        spoil(stage, &mut body);
    }
    let dealing = Signed::new(&*identity, &body);
    let promise = Commitment { chunk, inputs: inputs.digest(), dealing: dealing.body_digest() };
    let promise = Signed::new(&*identity, &promise);
    let commitments: Vec<_> = inputs
        .dealers
        .iter()
        .filter_map(|dealer| match *dealer == name {
            true => Some(promise.clone()),
            false => attempt.commitments.get(dealer).cloned(),
        })
        .collect();
    let dealings: Vec<_> = inputs
        .dealers
        .iter()
        .filter_map(|dealer| match *dealer == name {
            true => Some(dealing.clone()),
            false => attempt.dealings.get(dealer).cloned(),
        })
        .collect();
    let openings: Vec<_> =
        inputs.holders.iter().filter_map(|holder| attempt.openings.get(holder).cloned()).collect();
    let request = match dealings.len() < inputs.dealers.len() {
        true => Request::Deal { inputs, commitments },
        false => Request::Verify { inputs, openings, commitments, dealings },
    };
    (0..stage.members()).map(|number| ask(number, request.clone())).collect()
}

/// Mail for the set-up of a pair, which no wallet here needs, to the right signer or to another.
pub fn pairing(stage: &mut Stage) -> Blows {
    let Some(corrupt) = stage.corrupt else { return Vec::new() };
    let Some((chunk, _)) = stage.an_attempt(|attempt| !attempt.openings.is_empty()) else {
        return Vec::new();
    };
    let number = stage.anybody();
    let to = if stage.one_in(3) { stage.anybody() } else { number };
    let mut body = PairingMessage {
        plan: chunk.plan,
        epoch: chunk.epoch,
        to: stage.cast.ids[to].clone(),
        run: Digest([stage.below(4) as u8; 32]),
        step: stage.below(4) as u8,
        one_time_key: Some(Digest([9; 32])),
        sealed: None,
    };
    if stage.one_in(3) {
        body.plan.0[0] ^= 1;
    }
    if stage.one_in(2) {
        let ciphertext = Bytes(vec![7; 80]);
        body.sealed = Some(perennial_model::dealing::Sealed { encapsulated: [3; 32], ciphertext });
    }
    let said = Signed::new(&*stage.cast.owns[corrupt].identity, &body);
    vec![ask(number, Request::PairingMail(said))]
}

fn spoil(stage: &mut Stage, body: &mut Dealing) {
    let holders = body.sub_shares.len();
    match stage.below(8) {
        0 | 7 => {
            let at = stage.below(holders);
            // A dealing that was spoiled before may have none left.
            let sealed = body.sub_shares.get_mut(at).map(|of_one| &mut of_one.sealed.ciphertext.0);
            if let Some(byte) = sealed.and_then(|sealed| sealed.first_mut()) {
                *byte ^= 1;
            }
        }
        1 => body.sub_shares.reverse(),
        2 => {
            let other = Transparent::encode(&Transparent::generate(&Number::from_u64(7)));
            body.wallets
                .iter_mut()
                .filter_map(|of| of.coefficients.last_mut())
                .for_each(|last| *last = other);
        }
        3 => {
            for wallet in &mut body.wallets {
                wallet.coefficients.pop();
            }
        }
        4 => drop(body.sub_shares.pop()),
        5 => body.inputs.0[0] ^= 1,
        _ => {}
    }
}

/// Another dealing of the same shares for the same inputs, as sound as the first.
fn second_dealing(stage: &mut Stage, corrupt: usize, attempt: &Attempt, inputs: &Inputs) -> Option<Dealing> {
    let plan = stage.archive.plan(&inputs.chunk.plan)?.plan.clone();
    let wallets = plan.wallets_of(&inputs.chunk).ok()?;
    let governance = stage.cast.history.newest();
    let openings: Vec<Said<Opening>> = inputs
        .holders
        .iter()
        .filter_map(|holder| attempt.openings.get(holder)?.check(governance).ok())
        .collect();
    let seats = openings.iter().map(|opening| Some((plan.committee.seat_of(&opening.signer)?, opening)));
    let holders: Option<Vec<_>> = seats.collect();
    let own = &stage.cast.owns[corrupt];
    let name = own.pinned.me();
    let terms =
        DealTerms { inputs, wallets, threshold: plan.committee.threshold(), holders: holders?, dealer: name };
    let mut shares = Vec::new();
    for wallet in wallets {
        let Some(parent) = wallet.parent() else { break };
        let set = stage.archive.set(&parent)?;
        let seat = |signer| set.committee.seat_of(signer).map(perennial_model::committee::Seat::get);
        let seats: Option<Vec<u8>> = inputs.dealers.iter().map(seat).collect();
        let weight = lagrange_at_zero::<Number>(seat(name)?, &seats?)?;
        let mirror = &stage.history.mirrors[corrupt];
        let held = mirror.wallets.get(wallet.id())?.held.iter();
        let held = held.into_iter().find(|held| held.share_set.transcript == set.transcript)?;
        let slot = stage.signers[corrupt].disk.durable_slot(held.locked.slot);
        let bytes = danger_open_share(own, held, &slot)?;
        shares.push((weight, Share::from_secret_bytes(Scheme::Transparent, bytes)?));
    }
    let constants = match shares.is_empty() {
        true => Constants::Fresh,
        false => Constants::Redealt(&shares),
    };
    deal::<Transparent>(&terms, &constants, &mut stage.rng).ok()
}
