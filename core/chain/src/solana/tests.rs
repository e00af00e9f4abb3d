//! The network's own crates as the judge of the reader; what is refused; signing alone and with others.

use super::*;
use crate::sample::{Ed25519Secret, path, wallet};
use crate::{address, assemble, parse, verify as verify_all};
use perennial_model::derivation::BadPath;
use proptest::prelude::*;
use solana_transaction::versioned::VersionedTransaction;

fn secret() -> Ed25519Secret {
    Ed25519Secret::new([1; 32])
}

fn stranger() -> Ed25519Secret {
    Ed25519Secret::new([2; 32])
}

/// A message in parts, so that each part can be made wrong.
#[derive(Clone, Debug)]
struct Draft {
    version: Option<u8>,
    header: [u8; 3],
    keys: Vec<Key>,
    instructions: Vec<(u8, Vec<u8>, Vec<u8>)>,
    lookups: Vec<(Key, Vec<u8>, Vec<u8>)>,
}

impl Draft {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.version.iter().map(|version| VERSIONED | version).collect();
        bytes.extend(self.header);
        count(&mut bytes, self.keys.len());
        bytes.extend(self.keys.iter().flatten());
        bytes.extend([0xbb; 32]);
        count(&mut bytes, self.instructions.len());
        for (program, accounts, data) in &self.instructions {
            bytes.push(*program);
            list(&mut bytes, accounts);
            list(&mut bytes, data);
        }
        if self.version.is_some() {
            count(&mut bytes, self.lookups.len());
            for (table, writable, readonly) in &self.lookups {
                bytes.extend(table);
                list(&mut bytes, writable);
                list(&mut bytes, readonly);
            }
        }
        bytes
    }
}

/// The first bit of every version byte.
const VERSIONED: u8 = 0x80;

fn count(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn list(bytes: &mut Vec<u8>, items: &[u8]) {
    count(bytes, items.len());
    bytes.extend_from_slice(items);
}

/// A transfer of 1,000 lamports from the wallet to somebody.
fn transfer() -> Draft {
    let data = [&2u32.to_le_bytes()[..], &1_000u64.to_le_bytes()].concat();
    Draft {
        version: None,
        header: [1, 0, 1],
        keys: vec![secret().public(), [7; 32], SYSTEM_PROGRAM],
        instructions: vec![(2, vec![0, 1], data)],
        lookups: Vec::new(),
    }
}

/// The same with another signer, who pays the fee.
fn sponsored() -> Draft {
    let mut draft = transfer();
    draft.header[0] = 2;
    draft.keys.insert(0, stranger().public());
    draft.instructions[0].0 = 3;
    draft.instructions[0].1 = vec![1, 2];
    draft
}

fn read(draft: &Draft) -> crate::Transaction {
    parse(CHAIN, &draft.bytes()).expect("a message")
}

fn reason(bytes: &[u8]) -> String {
    parse(CHAIN, bytes).expect_err("it must be refused").to_string()
}

fn changed(change: impl Fn(&mut Draft)) -> String {
    let mut draft = transfer();
    change(&mut draft);
    reason(&draft.bytes())
}

/// What the network's crates make of a message: nothing, or its bytes again.
fn theirs(message: &[u8]) -> Option<Vec<u8>> {
    let prefix = usize::from(message[0] & VERSIONED != 0);
    let signatures = usize::from(*message.get(prefix)?);
    let mut bytes = Vec::new();
    count(&mut bytes, signatures);
    bytes.extend(vec![0; signatures * SIGNATURE_BYTES]);
    bytes.extend_from_slice(message);
    let transaction: VersionedTransaction = wincode::deserialize_exact(&bytes).ok()?;
    transaction.sanitize().ok()?;
    Some(transaction.message.serialize())
}

#[test]
fn the_address_is_the_key_in_base_58() {
    // RFC 8032, test 1.
    let key = crate::sample::public_key("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    assert_eq!(
        address(&wallet(CHAIN), &key, &path("m")).as_deref(),
        Ok("FVen3X669xLzsi6N2V91DoiyzHzg1uAgqiT8jZ9nS96Z")
    );
    assert_eq!(address(&wallet(CHAIN), &key, &path("m/0/0")), Err(Error::Path(BadPath::NoDerivation(CHAIN))));
    let identity = crate::sample::public_key(&format!("01{}", "00".repeat(31)));
    assert!(matches!(
        address(&wallet(CHAIN), &identity, &path("m")),
        Err(Error::DamagedKey { chain: CHAIN, .. })
    ));
}

#[test]
fn the_message_itself_is_signed_and_the_network_transaction_holds() {
    for version in [None, Some(0)] {
        let draft = Draft { version, ..transfer() };
        let (transaction, key, wallet, root) = (read(&draft), secret().key(), wallet(CHAIN), path("m"));
        let messages = transaction.messages(&wallet, &key, &root).expect("a message");
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].as_bytes(), draft.bytes());
        let signatures = [secret().sign(&messages[0])];
        assert_eq!(verify_all(&wallet, &key, &root, &transaction, &signatures), Ok(()));
        let Ok(Assembled::Complete { bytes, id }) = assemble(&wallet, &key, &root, &transaction, &signatures)
        else {
            panic!("nobody else signs")
        };
        let signed: VersionedTransaction = wincode::deserialize_exact(&bytes).expect("a transaction");
        assert!(signed.verify_and_hash_message().is_ok());
        assert_eq!(id, signed.signatures[0].to_string());
    }
}

#[test]
fn where_others_sign_too_their_places_are_left_empty_and_named() {
    let (transaction, wallet, root) = (read(&sponsored()), wallet(CHAIN), path("m"));
    let messages = transaction.messages(&wallet, &secret().key(), &root).expect("a message");
    let signature = secret().sign(&messages[0]);
    let assembled = assemble(&wallet, &secret().key(), &root, &transaction, &[signature]).expect("signed");
    let Assembled::Partial { bytes, missing } = assembled else { panic!("somebody else signs") };
    assert_eq!(missing, [base58(&stranger().public())]);
    let mut signed: VersionedTransaction = wincode::deserialize_exact(&bytes).expect("a transaction");
    assert!(signed.verify_and_hash_message().is_err());
    signed.signatures[0] = (*stranger().sign(&messages[0]).as_bytes()).into();
    assert!(signed.verify_and_hash_message().is_ok());
}

#[test]
fn a_wallet_that_is_no_required_signer_signs_nothing() {
    let key = Ed25519Secret::new([7; 32]).key();
    let error = read(&transfer()).messages(&wallet(CHAIN), &key, &path("m")).expect_err("not its message");
    assert!(error.to_string().contains("its required signers are"), "{error}");
    let mut draft = transfer();
    draft.keys[1] = Ed25519Secret::new([7; 32]).public();
    assert!(matches!(read(&draft).messages(&wallet(CHAIN), &key, &path("m")), Err(Error::NotOurs { .. })));
    assert!(matches!(
        read(&transfer()).messages(&wallet(CHAIN), &secret().key(), &path("m/0")),
        Err(Error::Path(_))
    ));
}

#[test]
fn signatures_that_do_not_hold_are_refused() {
    let (transaction, wallet, root) = (read(&transfer()), wallet(CHAIN), path("m"));
    let message = &transaction.messages(&wallet, &secret().key(), &root).expect("a message")[0];
    let good = secret().sign(message);
    let check = |signature| verify_all(&wallet, &secret().key(), &root, &transaction, &[signature]);
    assert_eq!(check(good), Ok(()));
    assert!(check(stranger().sign(message)).is_err());
    assert!(check(Signature::Taproot(*good.as_bytes())).is_err());
    for at in 0..SIGNATURE_BYTES {
        let mut changed = *good.as_bytes();
        changed[at] ^= 1;
        assert!(matches!(check(Signature::Ed25519(changed)), Err(Error::BadSignature { index: 0, .. })));
    }
}

#[test]
fn a_summary_says_transfers_and_calls_and_the_highest_fee() {
    let said = |draft: &Draft| read(draft).summary().to_string();
    let (own, other) = (base58(&secret().public()), base58(&[7; 32]));
    assert_eq!(
        said(&transfer()),
        format!("solana: pay 1000 lamport to {other} from {own}; fee at most 5000 lamport from {own}")
    );
    let payer = base58(&stranger().public());
    assert!(said(&sponsored()).ends_with(&format!("; fee at most 10000 lamport from {payer}")));
    let mut budgeted = transfer();
    budgeted.keys.push(fee_program());
    budgeted.header[2] = 2;
    budgeted.instructions.push((3, vec![], [&[3][..], &2_500_000u64.to_le_bytes()].concat()));
    assert!(said(&budgeted).contains("fee at most 1005000 lamport"), "{}", said(&budgeted));
    budgeted.instructions.push((3, vec![], [&[2][..], &1_001u32.to_le_bytes()].concat()));
    assert!(said(&budgeted).contains("fee at most 7503 lamport"), "{}", said(&budgeted));
    let mut unknown = transfer();
    unknown.instructions[0].2 = vec![9; 12];
    assert!(
        said(&unknown).starts_with(&format!("solana: call {} function 0909090909090909;", base58(&[0; 32])))
    );
    let looked_up = Draft {
        version: Some(0),
        lookups: vec![([5; 32], vec![4], vec![6])],
        instructions: vec![(2, vec![0, 4], transfer().instructions[0].2.clone())],
        ..transfer()
    };
    assert!(said(&looked_up).contains(&format!("to entry 6 of table {} from", base58(&[5; 32]))));
}

fn fee_program() -> Key {
    let key = base58ck::decode("ComputeBudget111111111111111111111111111111").expect("digits");
    key.try_into().expect("32 bytes")
}

#[test]
fn bytes_that_are_no_message_are_refused() {
    let good = transfer().bytes();
    for cut in 0..good.len() {
        assert!(parse(CHAIN, &good[..cut]).is_err(), "cut at {cut}");
    }
    assert!(reason(&[good.as_slice(), &[0]].concat()).contains("1 bytes after its end"));
    assert!(reason(&[0; 32]).contains("cut short"), "a bare digest is no message");
    // The header of what Solana signs off the chain.
    assert!(reason(b"\xffsolana offchain").contains("version 127"));
    assert!(changed(|draft| draft.version = Some(1)).contains("version 1"));
    // A count of three in two bytes.
    let long = [&good[..3], &[0x83, 0], &good[4..]].concat();
    assert!(reason(&long).contains("account keys is not in its one short form"));
    let huge = [&good[..3], &[0xff, 0xff, 0x7f], &good[4..]].concat();
    assert!(reason(&huge).contains("account keys is not in its one short form"));
    assert!(changed(|draft| draft.header = [1, 1, 1]).contains("pays the fee"));
    assert!(changed(|draft| draft.header = [0, 0, 1]).contains("pays the fee"));
    assert!(changed(|draft| draft.header = [3, 0, 1]).contains("counts more keys"));
    assert!(changed(|draft| draft.keys[1] = draft.keys[0]).contains("names an account twice"));
    assert!(changed(|draft| draft.instructions[0].0 = 0).contains("program is the fee payer"));
    assert!(changed(|draft| draft.instructions[0].0 = 3).contains("not among the keys"));
    assert!(changed(|draft| draft.instructions[0].1 = vec![3]).contains("an account that is not named"));
}

#[test]
fn what_does_not_fit_the_network_is_refused() {
    assert!(matches!(
        parse(CHAIN, &vec![1; TRANSACTION_BYTES_MAX + 1]),
        Err(Error::TooLarge { most: TRANSACTION_BYTES_MAX, .. })
    ));
    let filled = |bytes: usize| {
        let mut draft = transfer();
        draft.instructions[0].2.resize(bytes, 0);
        draft.bytes()
    };
    let room = TRANSACTION_BYTES_MAX - 1 - SIGNATURE_BYTES - (filled(200).len() - 200);
    assert!(parse(CHAIN, &filled(room)).is_ok());
    assert!(matches!(
        parse(CHAIN, &filled(room + 1)),
        Err(Error::TooLarge { bytes, .. }) if bytes == TRANSACTION_BYTES_MAX + 1
    ));
    let tables = |entries: usize| Draft {
        version: Some(0),
        lookups: vec![([5; 32], (0..entries as u8).collect(), vec![])],
        ..transfer()
    };
    assert!(parse(CHAIN, &tables(ACCOUNTS_MAX - 3).bytes()).is_ok());
    let reason = reason(&tables(ACCOUNTS_MAX - 2).bytes());
    assert!(reason.contains("129 accounts; at most 128"), "{reason}");
    let empty = Draft { version: Some(0), lookups: vec![([5; 32], vec![], vec![])], ..transfer() };
    assert!(super::tests::reason(&empty.bytes()).contains("looks nothing up"));
}

fn any_draft() -> impl Strategy<Value = Draft> {
    let keys = prop::collection::btree_set(any::<Key>(), 3..8);
    let few = || prop::collection::vec(any::<u8>(), 0..5);
    let data = prop::collection::vec(any::<u8>(), 0..150);
    let instructions = prop::collection::vec((any::<u8>(), few(), data), 0..4);
    let lookup = (any::<Key>(), few(), prop::collection::vec(any::<u8>(), 1..4));
    let lookups = prop::collection::vec(lookup, 0..3);
    (any::<bool>(), keys, any::<[u8; 3]>(), instructions, lookups).prop_map(
        |(versioned, keys, header, mut instructions, lookups)| {
            let lookups = if versioned { lookups } else { Vec::new() };
            let keys: Vec<Key> = keys.into_iter().collect();
            let static_keys = keys.len() as u8;
            let looked_up: usize = lookups.iter().map(|(_, w, r)| w.len() + r.len()).sum();
            for (program, accounts, _) in &mut instructions {
                *program = 1 + *program % (static_keys - 1);
                accounts.iter_mut().for_each(|account| *account %= static_keys + looked_up as u8);
            }
            let required = 1 + header[0] % static_keys.min(4);
            let header = [required, header[1] % required, header[2] % (static_keys - required + 1)];
            Draft { version: versioned.then_some(0), header, keys, instructions, lookups }
        },
    )
}

proptest! {
    #[test]
    fn the_networks_crates_read_what_is_accepted_and_write_the_same_bytes(draft in any_draft()) {
        let bytes = draft.bytes();
        let fits = 1 + usize::from(draft.header[0]) * SIGNATURE_BYTES + bytes.len() <= TRANSACTION_BYTES_MAX;
        prop_assert_eq!(theirs(&bytes), Some(bytes.clone()));
        prop_assert_eq!(parse(CHAIN, &bytes).is_ok(), fits);
    }

    #[test]
    fn whatever_is_accepted_after_a_change_is_accepted_by_the_network_too(
        draft in any_draft(), at: usize, change in 1u8.., cut: bool,
    ) {
        let mut bytes = draft.bytes();
        let at = at % bytes.len();
        if cut {
            bytes.remove(at);
        } else {
            bytes[at] ^= change;
        }
        if let Ok(transaction) = parse(CHAIN, &bytes) {
            prop_assert_eq!(theirs(&bytes), Some(bytes.clone()));
            prop_assert!(transaction.summary().to_string().starts_with("solana"));
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(transaction) = parse(CHAIN, &noise) {
            let _ = transaction.summary().to_string();
        }
    }
}
