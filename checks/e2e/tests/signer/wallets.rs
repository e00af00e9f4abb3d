//! The whole way, with everybody alive: wallets are made, signed with, refreshed and signed with again.

use crate::governance::name;
use crate::office::{Office, now_ms};
use crate::plans::{create, refresh};
use crate::signing::sign;
use perennial_model::encoding::Digest;
use perennial_model::wallet::{Chain, WalletId, WalletKey};
use std::collections::{BTreeMap, BTreeSet};

/// Every wallet with the digest of its present share set.
pub fn present(office: &Office) -> Vec<(WalletId, Digest)> {
    office.driver.heads().iter().map(|head| (head.wallet().id.clone(), head.present.digest)).collect()
}

fn keys(office: &Office) -> BTreeMap<WalletId, WalletKey> {
    office.driver.heads().iter().map(|head| (head.wallet().id.clone(), head.key().clone())).collect()
}

#[test]
fn three_signers_make_wallets_sign_with_them_and_replace_their_shares() {
    let mut office = Office::running(&["a", "b", "c"]);
    let wallets = [(name("treasury"), Chain::Ethereum), (name("signing"), Chain::Solana)];
    office.complete(&create(&office.governance, 2, &wallets, now_ms()));
    let before = keys(&office);
    assert_eq!(before.len(), 2);
    for rank in 2..5 {
        for (wallet, _) in &wallets {
            let signed = sign(&mut office, wallet, rank as u8);
            assert_eq!((signed.epoch.rank, signed.tries), (rank - 1, 1), "{wallet}");
        }
        let parents = present(&office);
        office.complete(&refresh(&office.governance, 2, &parents, rank, now_ms()));
        assert_eq!(keys(&office), before, "a refresh changed a key");
    }
    for (wallet, _) in &wallets {
        assert_eq!(sign(&mut office, wallet, 9).epoch.rank, 4);
    }
    for signer in ["a", "b", "c"] {
        assert_eq!(office.stop(signer), Some(0), "{}", office.log(signer));
        let shown = office.show(signer);
        let held = |at: usize| shown["wallets"][at]["held"].as_array().expect("a list").clone();
        for at in [0, 1] {
            assert_eq!(held(at).len(), 1, "old shares are left: {shown}");
            assert_eq!((&held(at)[0]["epoch"][0], &held(at)[0]["served"]), (&4.into(), &true.into()));
        }
        // Two shares, and one pair base with each of the two others.
        assert_eq!(shown["slots"]["used"], 4, "{shown}");
        assert_eq!(shown["banned"], serde_json::json!([]));
        let log = office.log(signer);
        let receipts = log.lines().filter_map(|line| line.split_once("receipt=")).map(|(_, receipt)| receipt);
        assert_eq!(receipts.collect::<BTreeSet<_>>().len(), 8, "{log}");
        for word in ["WARN", "ERROR", "perennial-signer: "] {
            assert!(!log.contains(word), "{log}");
        }
    }
}

#[test]
fn two_signers_of_two_are_enough_where_people_approved_it() {
    let mut office = Office::running(&["a", "b"]);
    let wallet: WalletId = name("small");
    office.complete(&create(&office.governance, 2, &[(wallet.clone(), Chain::Solana)], now_ms()));
    assert_eq!(sign(&mut office, &wallet, 1).epoch.rank, 1);
    let parents = present(&office);
    office.complete(&refresh(&office.governance, 2, &parents, 2, now_ms()));
    assert_eq!(sign(&mut office, &wallet, 2).epoch.rank, 2);
}

#[test]
fn a_signer_that_was_away_takes_up_its_records_and_signs() {
    let mut office = Office::running(&["a", "b", "c"]);
    let wallet: WalletId = name("steady");
    office.complete(&create(&office.governance, 2, &[(wallet.clone(), Chain::Solana)], now_ms()));
    for (round, away) in ["a", "b", "c"].into_iter().enumerate() {
        assert_eq!(office.stop(away), Some(0));
        let number = round as u8 + 1;
        sign(&mut office, &wallet, number);
        office.start(away);
        // Now the others are away in turn, so the returned one has to take part.
        let other = if away == "a" { "b" } else { "a" };
        office.kill(&name(other));
        sign(&mut office, &wallet, number + 10);
        office.start(other);
    }
}
