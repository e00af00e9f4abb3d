//! Signers are killed in the middle of ceremonies, at moments that the mail decides.

use crate::cluster::PATIENCE;
use crate::governance::name;
use crate::office::{Office, now_ms};
use crate::plans::{create, refresh};
use crate::signing::sign;
use crate::wallets::present;
use perennial_model::committee::SignerId;
use perennial_model::wallet::{Chain, WalletId};
use perennial_workflow::ceremony::status::Stage;
use std::time::Instant;

/// After how many items of mail the next signer dies, one after the other.
const ITEMS_BETWEEN_KILLS: [usize; 7] = [1, 4, 2, 6, 3, 9, 5];
/// How many kills a ceremony has to bear.
const KILLS: usize = 14;

#[test]
fn signers_that_are_killed_again_and_again_lose_no_share_and_finish() {
    let mut office = Office::running(&["a", "b", "c"]);
    let wallets: Vec<(WalletId, Chain)> =
        ["one", "two", "three"].iter().map(|id| (name(id), Chain::Solana)).collect();
    office.complete(&create(&office.governance, 2, &wallets, now_ms()));
    let mut kills = 0;
    for rank in 2..6 {
        let parents = present(&office);
        let ceremony = office.begin(&refresh(&office.governance, 2, &parents, rank, now_ms()));
        let begun = Instant::now();
        let mut items = 0;
        let mut killed_here = 0;
        while office.stage(&ceremony) != Stage::Done {
            assert!(begun.elapsed() < 10 * PATIENCE, "no end: {:?}", office.driver.status(&ceremony));
            items += office.turn();
            if items >= ITEMS_BETWEEN_KILLS[kills % ITEMS_BETWEEN_KILLS.len()] && killed_here < KILLS {
                let signers: Vec<SignerId> = office.signers.keys().cloned().collect();
                let victim = signers[kills % signers.len()].clone();
                office.kill(&victim);
                office.start(victim.as_str());
                (kills, killed_here, items) = (kills + 1, killed_here + 1, 0);
            }
        }
        for (wallet, _) in &wallets {
            assert_eq!(sign(&mut office, wallet, rank as u8).epoch.rank, rank);
        }
    }
    assert!(kills > 20, "{kills} kills");
    for signer in ["a", "b", "c"] {
        assert_eq!(office.stop(signer), Some(0), "{}", office.log(signer));
        assert_eq!(office.show(signer)["slots"]["used"], 3, "slots of dead attempts are left");
        assert!(!office.log(signer).contains("perennial-signer: "), "{}", office.log(signer));
    }
}
