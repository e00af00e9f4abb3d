//! Every change of a bundle is noticed, and the message names where: bytes of the archive, members behind a manifest
//! that fits, and forgeries by somebody who has every key but breaks one rule.

use super::cast::name;
use super::scene::Scene;
use super::twist::Twist::{self, *};
use crate::evidence::bundle::{
    About, Bundle, CHECKPOINT, DOCUMENTS, GOVERNANCE, MANIFEST, SUMMARY_MD, document_member,
};
use crate::evidence::check::{Trust, check};
use crate::evidence::facts::Facts;
use crate::evidence::flaw::{Check, Flaw};
use crate::evidence::summary::markdown;
use crate::evidence::verify::text;
use crate::ledger::Shown;
use getrandom::SysRng;
use perennial_model::encoding::Digest;
use rand_core::UnwrapErr;
use std::ops::Range;

/// Where the random changes begin; each failure prints the number that repeats it.
const SEED: u64 = 0x5eed_0000;
const CHANGES_OF_BYTES: u64 = 10_000;
const CHANGES_OF_MEMBERS: u64 = 10_000;

/// What is said of a bundle by who knows the first governance alone.
pub fn judge(bundle: &Bundle, genesis: Digest) -> Result<Facts, Flaw> {
    let trust = Trust { genesis: Some(genesis), ..Trust::default() };
    check(bundle, &trust, &mut UnwrapErr(SysRng))
}

/// Numbers that follow from a seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end.max(1) as u64) as usize
    }
}

#[test]
fn an_honest_bundle_verifies_is_complete_and_says_what_happened() {
    let scene = Scene::of(Twist::Nothing);
    for bundle in [scene.wallet(), scene.ceremony_of_refresh()] {
        let bytes = bundle.to_bytes().expect("it fits");
        let read = Bundle::from_bytes(&bytes).expect("its one form");
        assert_eq!(read, bundle);
        let facts = judge(&read, scene.genesis()).expect("honest");
        assert_eq!(facts.gaps, Vec::<String>::new());
        assert_eq!(facts.ledger.cosigned.len(), 3);
        let checkpoint = String::from_utf8(read.members[CHECKPOINT].clone()).expect("text");
        let shown = Shown { checkpoint, key: String::new(), size: 0, witnesses: Vec::new() };
        assert_eq!(shown.cosigners(), 3, "as many are seen before anything is verified");
        assert!(
            facts
                .ceremonies
                .iter()
                .flat_map(|ceremony| &ceremony.attempts)
                .all(|attempt| { attempt.is_possessed == matches!(bundle.about, About::Ceremony { .. }) })
        );
        let ended: Vec<bool> = facts.epochs.iter().map(|epoch| epoch.ended.is_some()).collect();
        let expected =
            if facts.wallets().len() == 1 { vec![true, false] } else { vec![true, false, true, false] };
        assert_eq!(ended, expected);
        assert!(
            facts.epochs.iter().filter(|epoch| epoch.ended.is_some()).all(|epoch| epoch.erased_by.len() == 3)
        );
    }
    let facts = judge(&scene.wallet(), scene.genesis()).expect("honest");
    let epochs: Vec<String> = facts.signatures.iter().map(|signed| signed.epoch.to_string()).collect();
    assert_eq!(epochs, ["1.1", "2.1"]);
    let [report, withdrawal] = facts.thefts.as_slice() else { panic!("two reports: {:?}", facts.thefts) };
    assert_eq!((report.withdrawn, withdrawal.withdrawn), (Some(withdrawal.at), None));
    let (short, page) = (facts.in_short(), markdown(&facts));
    assert!(short.contains("reported on") && short.contains("as stolen at a (known, from"), "{short}");
    assert!(page.contains("as stolen at a (known") && page.contains("a \\<b\\>disk"), "{page}");
}

/// The page of a ceremony's bundle.
fn summary_of(twist: Twist) -> String {
    let scene = Scene::of(twist);
    let bundle = scene.ceremony_of_refresh();
    judge(&bundle, scene.genesis()).expect("honest");
    String::from_utf8(bundle.members[SUMMARY_MD].clone()).expect("text")
}

#[test]
fn the_coordinators_word_that_an_attempt_was_left_hides_no_activation() {
    let page = summary_of(Twist::LeftAfterActivation);
    let row = page.lines().find(|line| line.contains(", left ")).expect("an attempt that was left");
    assert!(row.matches("UTC \\(entry").count() >= 2 || row.matches("(entry").count() >= 2, "{row}");
}

#[test]
fn who_approved_a_mandate_is_shown_where_it_stands_for_their_approval() {
    let page = summary_of(Twist::UnderMandate);
    let line = page.lines().find(|line| line.contains("Made under mandate")).expect("a line");
    assert!(line.contains("which dana (operator) approved under governance version 2"), "{line}");
    assert!(!page.contains("Approved by  under"), "{page}");
}

#[test]
fn what_has_not_happened_yet_makes_a_bundle_incomplete_and_not_false() {
    let scene = Scene::of(Twist::Nothing);
    let mut bundle = scene.ceremony_of_refresh();
    let receipt =
        bundle.members.iter().find(|(_, content)| contains(content, b"greceipt\x01")).expect("there");
    let digest = Digest::of(receipt.1);
    let entry = bundle
        .members
        .iter()
        .find(|(name, content)| name.starts_with("entries/") && contains(content, &digest.0));
    let entry = entry.expect("there").0.clone();
    bundle.members.remove(&entry);
    bundle.members.remove(&document_member(&digest));
    let facts = crate::evidence::check::facts_of(&bundle, &Trust::default(), &mut UnwrapErr(SysRng));
    let gaps = facts.expect("true as far as it goes").gaps;
    assert!(gaps.len() == 1 && gaps[0].starts_with("no receipt of "), "{gaps:?}");
}

fn contains(content: &[u8], part: &[u8]) -> bool {
    content.windows(part.len()).any(|window| window == part)
}

/// Where the content of each member stands in an archive.
fn places(bundle: &Bundle, bytes: &[u8]) -> Vec<(String, Range<usize>)> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).expect("an archive");
    let mut places: Vec<(String, Range<usize>)> = (0..archive.len())
        .map(|at| {
            let file = archive.by_index_raw(at).expect("a member");
            let start = file.data_start().expect("known") as usize;
            (file.name().expect("text").into_owned(), start..start + file.size() as usize)
        })
        .collect();
    places.sort_by_key(|(_, place)| place.start);
    assert_eq!(places.len(), bundle.members.len() + 1);
    places
}

#[test]
fn ten_thousand_changes_of_an_archive_are_noticed_and_the_member_is_named() {
    let bundle = Scene::of(Twist::Nothing).wallet();
    let bytes = bundle.to_bytes().expect("it fits");
    let places = places(&bundle, &bytes);
    let mut named = 0;
    for number in 0..CHANGES_OF_BYTES {
        let mut dice = Dice(SEED + number);
        let mut changed = bytes.clone();
        let at = dice.below(bytes.len());
        let length = 1 + dice.below(40).min(bytes.len() - at - 1);
        let mut flipped = None;
        match dice.below(6) {
            0 => changed.truncate(at),
            1 => drop(changed.drain(at..at + length)),
            2 => drop(changed.splice(at..at, [dice.below(256) as u8])),
            3 => {
                let (_, one) = &places[dice.below(places.len())];
                let (_, other) = &places[dice.below(places.len())];
                let count = one.len().min(other.len());
                for offset in 0..count {
                    changed.swap(one.start + offset, other.start + offset);
                }
            }
            _ => {
                changed[at] ^= 1 << dice.below(8);
                flipped = places.iter().find(|(_, place)| place.contains(&at));
            }
        }
        if changed == bytes {
            continue;
        }
        let flaw = Bundle::from_bytes(&changed).expect_err("changed");
        if let Some((member, _)) = flipped {
            assert_eq!(&flaw.member, member, "change {number}: {flaw}");
            named += 1;
        }
        assert!(
            !flaw.member.is_empty() && flaw.to_string().contains(&flaw.member),
            "change {number}: {flaw}"
        );
    }
    assert!(named > 1000, "only {named} changes hit the content of a member");
}

#[test]
fn members_changed_behind_a_manifest_that_fits_are_noticed() {
    let scene = Scene::of(Twist::Nothing);
    let (genesis, fork) = (scene.genesis(), Scene::of(Twist::Fork));
    let pairs = [
        (scene.wallet(), fork.wallet()),
        (scene.ceremony_of_refresh(), fork.ceremony_of_refresh()),
        (scene.wallet(), scene.ceremony_of_refresh()),
    ];
    for number in 0..CHANGES_OF_MEMBERS {
        let mut dice = Dice(SEED + number);
        let (honest, other) = &pairs[dice.below(pairs.len())];
        let mut bundle = honest.clone();
        let names: Vec<String> = bundle.members.keys().cloned().collect();
        let (one, two) = (&names[dice.below(names.len())], &names[dice.below(names.len())]);
        let content = bundle.members[one].clone();
        match dice.below(6) {
            0 => drop(bundle.members.remove(one)),
            1 => {
                let at = dice.below(content.len());
                bundle.members.entry(one.clone()).or_default()[at] ^= 1 << dice.below(8);
            }
            2 => {
                let swapped = bundle.members.insert(two.clone(), content).unwrap_or_default();
                bundle.members.insert(one.clone(), swapped);
            }
            3 if one.starts_with(DOCUMENTS) => {
                // A document that is changed and named by its new digest.
                let mut changed = content;
                let at = dice.below(changed.len());
                changed[at] ^= 1 << dice.below(8);
                bundle.members.remove(one);
                bundle.add_document(changed);
            }
            4 => {
                let names: Vec<&String> = other.members.keys().collect();
                let taken = names[dice.below(names.len())];
                bundle.members.insert(taken.clone(), other.members[taken].clone());
            }
            _ => bundle.members.entry(one.clone()).or_default().truncate(dice.below(content.len())),
        }
        if bundle == *honest {
            continue;
        }
        let bytes = bundle.to_bytes().expect("it fits");
        let flaw = Bundle::from_bytes(&bytes).and_then(|read| judge(&read, genesis));
        let flaw = flaw.expect_err(&format!("change {number} of {one}"));
        assert!(!flaw.member.is_empty() && !flaw.reason.is_empty(), "change {number}: {flaw}");
    }
}

/// Every rule that is broken once, the check that says so, and in what words.
pub const BROKEN: [(Twist, Check, &str); 52] = [
    (Fork, Check::Witnesses, "0 of 3 signers have cosigned, 2 are wanted"),
    (NobodyApproves, Check::Plan, "has 0 of the 1 approvals"),
    (InitiatorApproves, Check::Plan, "erin started this and cannot approve it"),
    (ApprovedUnderReplacedGovernance, Check::Plan, "names governance version 1, and 2 was in force"),
    (ActivatedBeforeApproved, Check::Plan, "its plan was not approved before it"),
    (VoteMissing, Check::Certificate, "2 of 3 votes"),
    (VoteForOtherRoot, Check::Certificate, "b's vote is for"),
    (KeepOfOtherRoot, Check::Certificate, "no Activation of the same shares"),
    (ActivationOfOtherRoot, Check::Certificate, "no Activation of the same shares"),
    (RootOfOtherInputs, Check::Root, "over other inputs than those of the certificate"),
    (LeafMissing, Check::Root, "the list of its leaves is not here"),
    (KeyChanges, Check::ShareSet, "the wallet or its key is another one"),
    (ChainCodeOfNobody, Check::ShareSet, "it is of no epoch that is in the bundle"),
    (ParentChanges, Check::ShareSet, "another parent at its place"),
    (ShareOffThePolynomial, Check::ShareSet, "do not open to its key"),
    (ProbeIsWrong, Check::Possession, "is missing or does not verify"),
    (PossessionIsWrong, Check::Possession, "'s proof of possession does not hold"),
    (ReceiptOfOtherTranscript, Check::Receipt, "that epoch has another transcript"),
    (ReceiptOfOtherWallet, Check::Receipt, "did not retire that"),
    (ReceiptByStranger, Check::Receipt, "the signature on this receipt is not a's"),
    (SignedUnderOtherPlan, Check::Signature, "it names the plan 0303"),
    (SignedByStranger, Check::Signature, "z holds no share of epoch 1.1"),
    (ActivatedTooLate, Check::Times, "activated after the plan's date"),
    (SignedAfterTheEnd, Check::Times, "signed after epoch 1.1 was ended"),
    (ErasedTooEarly, Check::Times, "erased before the Retirement"),
    (DatedAfterItsCosignatures, Check::Times, "dated after checkpoint.txt was cosigned"),
    (MoreWordsInSubject, Check::Entry, "its subject is not of its form"),
    (NotSubmitted, Check::Plan, "no plan-submitted of its plan comes before it"),
    (ApprovalOfNobody, Check::Plan, "no approval of mallory is among those of the plan"),
    (PlanOfOthers, Check::Entry, "the bundle is about payroll, which is not in it"),
    (ParentOfNoApprovedPlan, Check::ShareSet, "it is of no epoch that is in the bundle"),
    (ParentOfNobody, Check::ShareSet, "it is of no epoch that is in the bundle"),
    (PinnedVersionZero, Check::Governance, "not that version in governance.cbor"),
    (PinnedWithOtherApprovals, Check::Governance, "not that version in governance.cbor"),
    (ApprovedTwice, Check::Plan, "it was approved before"),
    (RetiredTwice, Check::Certificate, "it was retired before"),
    (CreatedTwice, Check::ShareSet, "they were created before"),
    (HoldersOutOfOrder, Check::Certificate, "in the order of their seats"),
    (AttemptOfNoPlan, Check::Certificate, "was not approved with this plan"),
    (ShareOutsideGroup, Check::ShareSet, "no element of the group"),
    (ParentIsLater, Check::ShareSet, "its parent is of another wallet, or not before it"),
    (AnswerLacksTransaction, Check::Signature, "missing field `transaction_id`"),
    (AnswerSaysTwice, Check::Signature, "duplicate field `epoch`"),
    (AnswerInUtf16, Check::Signature, "its answer cannot be read"),
    (AnswerWithoutANumber, Check::Signature, "its answer cannot be read"),
    (TheftOfOtherWallet, Check::Entry, "is not about the bundle's wallet"),
    (TheftOfOtherTenant, Check::Theft, "another tenant's wallets than acme's"),
    (TheftOfTwoLines, Check::Theft, "one line"),
    (TheftUnderOtherDigest, Check::Theft, "its subject is not the report's digest"),
    (TheftUnderMoreWords, Check::Entry, "its subject is not of its form"),
    (TheftTwice, Check::Theft, "it was reported before"),
    (NothingWithdrawn, Check::Theft, "it withdraws no report that is here before it"),
];

#[test]
fn whoever_has_every_key_and_breaks_one_rule_is_told_which() {
    for (twist, check, words) in BROKEN {
        let scene = Scene::of(twist);
        let bundles = [scene.ceremony_of_refresh(), scene.wallet()];
        let flaws: Vec<Flaw> =
            bundles.iter().filter_map(|bundle| judge(bundle, scene.genesis()).err()).collect();
        let found = flaws.iter().any(|flaw| flaw.check == check && flaw.to_string().contains(words));
        assert!(found, "{twist:?}: {flaws:?}");
    }
}

#[test]
fn a_bundle_under_a_governance_that_was_replaced_is_no_surprise() {
    let scene = Scene::of(Twist::Nothing);
    let facts = judge(&scene.wallet(), scene.genesis()).expect("honest");
    assert!(!text(&facts, None).contains("YOU KNOW"));
    assert!(
        text(&facts, Some(3))
            .contains("version 2\n            YOU KNOW VERSION 3: signers that were removed")
    );
}

#[test]
fn another_governance_another_key_or_more_witnesses_refuse_what_is_sound_otherwise() {
    let scene = Scene::of(Twist::Nothing);
    let bundle = scene.wallet();
    let refused = |trust: &Trust| check(&bundle, trust, &mut UnwrapErr(SysRng)).expect_err("refused");
    let flaw = refused(&Trust { genesis: Some(Digest([1; 32])), ..Trust::default() });
    assert_eq!((flaw.check, flaw.member.as_str()), (Check::Governance, GOVERNANCE));
    let flaw = refused(&Trust { witnesses: Some(4), ..Trust::default() });
    assert_eq!((flaw.check, flaw.member.as_str()), (Check::Witnesses, CHECKPOINT));
    let key = "example.com/ledger+60db519f+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";
    let key = Some(perennial_ledger::NoteKey::parse(key).expect("a key"));
    let flaw = refused(&Trust { key, ..Trust::default() });
    assert_eq!((flaw.check, flaw.member.as_str()), (Check::Checkpoint, MANIFEST));
    let mut other = bundle.clone();
    other.about = About::Wallet { wallet: name("vault"), from_ms: None, to_ms: None };
    let flaw = judge(&other, scene.genesis()).expect_err("about another wallet");
    assert!(matches!(flaw.check, Check::Entry | Check::Signature | Check::ShareSet), "{flaw}");
}
