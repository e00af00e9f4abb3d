//! A signer that is away while others go on, and is needed afterwards.

use crate::governance::name;
use crate::office::{Office, now_ms};
use crate::plans::{create, refresh};
use crate::signing::sign;
use crate::wallets::present;
use perennial_model::mail::Request;
use perennial_model::plan::{LiarTolerance, Plan};
use perennial_model::wallet::{Chain, WalletId};
use perennial_workflow::ceremony::status::{Phase, Stage};

/// A refresh of everything that takes two signers alone.
fn of_two(office: &Office, rank: u32) -> Plan {
    let plan = refresh(&office.governance, 2, &present(office), rank, now_ms());
    Plan { liar_tolerance: LiarTolerance::WaivedUnsafe, ..plan }
}

/// Nobody is asked to retire anything of this rank.
fn unretired(office: &mut Office, rank: u32) {
    office.hold_back(
        move |request| matches!(request, Request::Retire(of) if of.inputs.chunk.epoch.rank == rank),
    );
}

/// A wallet is made by all. One of them is away while the others refresh it; then all have the next epoch, and before its
/// Retirement has come to anybody another one is lost for a while. The two that are left refresh it.
fn one_is_left_out_and_then_another(sees_the_first_retirement: bool) {
    let mut office = Office::waiting(&["a", "b", "c"], 1_000);
    ["a", "b", "c"].iter().for_each(|signer| office.start(signer));
    let wallet: WalletId = name("treasury");
    let made = create(&office.governance, 2, &[(wallet.clone(), Chain::Solana)], now_ms());
    if sees_the_first_retirement {
        office.complete(&made);
    } else {
        unretired(&mut office, 1);
        let ceremony = office.begin(&made);
        office.reach(&ceremony, Phase::Retiring);
    }
    office.kill(&name("c"));
    if !sees_the_first_retirement {
        office.let_through();
        office.until("two have erased", |office| {
            ["a", "b"].iter().all(|signer| office.log(signer).contains("receipt=")).then_some(())
        });
        unretired(&mut office, 1);
    }
    let without_c = of_two(&office, 2);
    let ceremony = office.begin(&without_c);
    office.reach(&ceremony, Phase::Retiring);
    office.start("c");
    office.reach(&ceremony, Phase::Retired);
    assert_eq!(office.stop("c"), Some(0));
    office.start("c");

    unretired(&mut office, 3);
    let of_all = refresh(&office.governance, 2, &present(&office), 3, now_ms());
    let ceremony = office.begin(&of_all);
    office.reach(&ceremony, Phase::Retiring);
    office.kill(&name("a"));
    let without_a = of_two(&office, 4);
    let ceremony = office.begin(&without_a);
    office.reach(&ceremony, Phase::Retiring);
    assert_eq!(sign(&mut office, &wallet, 1).epoch.rank, 4);
    office.start("a");
    office.reach(&ceremony, Phase::Retired);
    assert_eq!(office.stage(&ceremony), Stage::Done);
}

/// It erases by a Retirement in which it had no part, and with that all records of the one in which it had.
#[test]
fn whoever_was_left_out_once_deals_again() {
    one_is_left_out_and_then_another(true);
}

/// The only Retirement that it sees is one in which it had no part; it erases what it has kept.
#[test]
fn whoever_saw_no_retirement_but_one_without_it_deals_again() {
    one_is_left_out_and_then_another(false);
}
