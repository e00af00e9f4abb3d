//! Pair bases are made although messages between the two are lost.

use crate::governance::name;
use crate::office::{Office, now_ms};
use crate::plans::create;
use crate::signing::sign;
use perennial_model::mail::Request;
use perennial_model::wallet::{Chain, WalletId};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

const SIGNERS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Each message of a set-up, lost once between some two signers: from whom, to whom, and its step. Who has the greater
/// name invites.
const LOST: [(&str, &str, u8); 8] = [
    ("b", "a", 0),
    ("a", "c", 0),
    ("d", "a", 1),
    ("a", "e", 1),
    ("c", "b", 2),
    ("b", "d", 2),
    ("e", "b", 3),
    ("c", "d", 3),
];

#[test]
fn whichever_message_of_a_pair_is_lost_both_have_its_base_in_the_first_attempt() {
    let mut office = Office::running(&SIGNERS);
    let lost = Rc::new(RefCell::new(BTreeSet::new()));
    let lose = Rc::clone(&lost);
    office.hold_back(move |request| {
        let Request::PairingMail(said) = request else { return false };
        let message = said.read_unchecked().expect("signers send what can be read");
        let place = (said.signer.as_str(), message.to.as_str(), message.step);
        LOST.iter().position(|lost| *lost == place).is_some_and(|at| lose.borrow_mut().insert(at))
    });
    let wallet: WalletId = name("treasury");
    let plan = create(&office.governance, 3, &[(wallet.clone(), Chain::Ethereum)], now_ms());
    let ceremony = office.complete(&plan);
    assert_eq!(lost.borrow().len(), LOST.len(), "not every message was sent");
    let status = office.driver.status(&ceremony).expect("a known ceremony");
    assert_eq!(status.attempts.len(), 1, "an attempt was left: {status:?}");
    assert_eq!(sign(&mut office, &wallet, 1).tries, 1);
    for signer in SIGNERS {
        assert_eq!(office.stop(signer), Some(0), "{}", office.log(signer));
        // A share of the wallet, and one base with each of the four others: none is left of a run cut short.
        assert_eq!(office.show(signer)["slots"]["used"], 5, "{}", office.log(signer));
    }
}
