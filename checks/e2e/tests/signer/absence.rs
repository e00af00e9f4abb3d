//! A signer that is away while others go on, and is needed afterwards.

use crate::cluster::PATIENCE;
use crate::governance::name;
use crate::office::{Office, now_ms};
use crate::plans::{create, refresh};
use crate::signing::sign;
use crate::wallets::present;
use perennial_model::encoding::Digest;
use perennial_model::mail::Request;
use perennial_model::plan::{LiarTolerance, Plan};
use perennial_model::wallet::{Chain, WalletId};
use perennial_workflow::ceremony::status::{Phase, Stage};
use std::time::Instant;

/// A refresh of everything that takes two signers alone.
fn of_two(office: &Office, rank: u32) -> Plan {
    let plan = refresh(&office.governance, 2, &present(office), rank, now_ms());
    Plan { liar_tolerance: LiarTolerance::WaivedUnsafe, ..plan }
}

/// Lets an attempt at it come so far.
fn reach(office: &mut Office, ceremony: &Digest, phase: Phase) {
    let begun = Instant::now();
    loop {
        let status = office.driver.status(ceremony).expect("a known ceremony");
        if status.attempts.iter().any(|attempt| attempt.phase == phase) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "not {phase}: {status:?}");
        office.turn();
    }
}

/// It erases by a Retirement in which it had no part, and with that all that it knew of the one in which it had.
#[test]
fn whoever_was_left_out_once_deals_again() {
    let mut office = Office::waiting(&["a", "b", "c"], 1_000);
    ["a", "b", "c"].iter().for_each(|signer| office.start(signer));
    let wallet: WalletId = name("treasury");
    office.complete(&create(&office.governance, 2, &[(wallet.clone(), Chain::Solana)], now_ms()));

    office.kill(&name("c"));
    let without_c = of_two(&office, 2);
    let ceremony = office.begin(&without_c);
    reach(&mut office, &ceremony, Phase::Retiring);
    office.start("c");
    reach(&mut office, &ceremony, Phase::Retired);

    // The next one is promised by all, and nobody sees its Retirement.
    office.driver.world_mut().meddler =
        Some(Box::new(|request| matches!(request, Request::Retire(_)).then(Vec::new)));
    let of_all = refresh(&office.governance, 2, &present(&office), 3, now_ms());
    let ceremony = office.begin(&of_all);
    reach(&mut office, &ceremony, Phase::Retiring);
    office.kill(&name("a"));
    office.driver.world_mut().meddler = Some(Box::new(|request| {
        let held_back = matches!(request, Request::Retire(of) if of.inputs.chunk.epoch.rank == 3);
        held_back.then(Vec::new)
    }));
    let without_a = of_two(&office, 4);
    let ceremony = office.begin(&without_a);
    reach(&mut office, &ceremony, Phase::Retiring);
    assert_eq!(sign(&mut office, &wallet, 1).epoch.rank, 4);
    office.start("a");
    reach(&mut office, &ceremony, Phase::Retired);
    assert_eq!(office.stage(&ceremony), Stage::Done);
}
