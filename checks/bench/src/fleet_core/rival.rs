//! The rival: `dkls23-core` refreshing one 2-of-3 ECDSA wallet by its own protocols, all three parties.

use crate::cpu;
use anyhow::anyhow;
use dkls23_core::protocols::re_key::re_key;
use dkls23_core::protocols::{Abort, Parameters, Party};
use k256::{Scalar, Secp256k1};
use std::time::Duration;

/// What the library's two refreshes cost, per wallet.
pub struct Rival {
    /// Shares, zero shares and multiplication state anew.
    pub complete: Duration,
    /// Shares and zero shares anew, multiplication state shifted.
    pub fast: Duration,
}

/// Measures both.
pub fn measure() -> anyhow::Result<Rival> {
    let parameters = Parameters::new(2, 3).map_err(|e| anyhow!("{e:?}"))?;
    let secret = Scalar::from(7_u64);
    let (parties, _) = re_key::<Secp256k1>(&parameters, b"bench", &secret, None, |_| String::new());
    let (complete, fast) = (|| complete(&parties), || fast(&parties));
    Ok(Rival { complete: cpu::try_least(3, complete)?, fast: cpu::try_least(20, fast)? })
}

/// The messages of all parties that are for one of them.
fn for_party<M: Clone>(sent: &[Vec<M>], is_for: impl Fn(&M) -> bool) -> Vec<M> {
    sent.iter().flatten().filter(|message| is_for(message)).cloned().collect()
}

fn fragments(rows: &[Vec<Scalar>], at: usize) -> Vec<Scalar> {
    rows.iter().map(|row| row[at]).collect()
}

pub(crate) fn failed(abort: Abort) -> anyhow::Error {
    anyhow!("the rival's refresh failed: {}", abort.description())
}

fn complete(parties: &[Party<Secp256k1>]) -> anyhow::Result<Vec<Party<Secp256k1>>> {
    let name = b"refresh";
    let rows: Vec<_> = parties.iter().map(Party::refresh_complete_phase1).collect();
    let (mut corrections, mut proofs, mut kept, mut sent_second) = (vec![], vec![], vec![], vec![]);
    for (at, party) in parties.iter().enumerate() {
        let second = party.refresh_complete_phase2(name, &fragments(&rows, at));
        corrections.push(second.0);
        proofs.push(second.1);
        kept.push(second.2);
        sent_second.push(second.3);
    }
    let (mut zero_kept, mut zero_sent, mut mul_kept, mut mul_sent) = (vec![], vec![], vec![], vec![]);
    for (party, kept) in parties.iter().zip(&kept) {
        let third = party.refresh_complete_phase3(name, kept);
        zero_kept.push(third.0);
        zero_sent.push(third.1);
        mul_kept.push(third.2);
        mul_sent.push(third.3);
    }
    let last = |(at, party): (usize, &Party<Secp256k1>)| {
        let me = party.party_index;
        party.refresh_complete_phase4(
            name,
            &corrections[at],
            &proofs,
            &zero_kept[at],
            &for_party(&sent_second, |message| message.parties.receiver == me),
            &for_party(&zero_sent, |message| message.parties.receiver == me),
            &mul_kept[at],
            &for_party(&mul_sent, |message| message.parties.receiver == me),
        )
    };
    parties.iter().enumerate().map(last).collect::<Result<_, _>>().map_err(failed)
}

fn fast(parties: &[Party<Secp256k1>]) -> anyhow::Result<Vec<Party<Secp256k1>>> {
    let name = b"refresh";
    let rows: Vec<_> = parties.iter().map(Party::refresh_phase1).collect();
    let (mut corrections, mut proofs, mut kept, mut sent_second) = (vec![], vec![], vec![], vec![]);
    for (at, party) in parties.iter().enumerate() {
        let second = party.refresh_phase2(name, &fragments(&rows, at));
        corrections.push(second.0);
        proofs.push(second.1);
        kept.push(second.2);
        sent_second.push(second.3);
    }
    let (mut third_kept, mut sent_third) = (vec![], vec![]);
    for (party, kept) in parties.iter().zip(&kept) {
        let third = party.refresh_phase3(kept);
        third_kept.push(third.0);
        sent_third.push(third.1);
    }
    let last = |(at, party): (usize, &Party<Secp256k1>)| {
        let me = party.party_index;
        party.refresh_phase4(
            name,
            &corrections[at],
            &proofs,
            &third_kept[at],
            &for_party(&sent_second, |message| message.parties.receiver == me),
            &for_party(&sent_third, |message| message.parties.receiver == me),
        )
    };
    parties.iter().enumerate().map(last).collect::<Result<_, _>>().map_err(failed)
}
