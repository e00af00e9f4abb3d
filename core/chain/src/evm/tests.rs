//! Golden values from the EIPs and from a transaction on the main network; a second reader as the judge.

use super::*;
use crate::sample::{Secp256k1Secret, bytes, path, public_key, wallet};
use crate::{address as wallet_address, assemble, parse, verify as verify_all};
use alloy_consensus::transaction::RlpEcdsaDecodableTx;
use alloy_consensus::{SignableTransaction, Transaction as _, TxEip1559};
use proptest::prelude::*;

/// The nine fields in hexadecimal digits, each already in RLP.
const FIELDS: [&str; 9] = [
    "01",
    "42",
    "843b9aca00",
    "8504a817c800",
    "82ad62",
    "946069a6c32cf691f5982febae4faf8a6f3ab2f0f6",
    "80",
    "b844a22cb4650000000000000000000000005eee75727d804a2b13038928d36f8b188945a57a\
     0000000000000000000000000000000000000000000000000000000000000000",
    "c0",
];

fn encoded(fields: &[&str]) -> Vec<u8> {
    let joined = fields.concat().replace(' ', "");
    typed_list(&hex::decode(joined).expect("digits"))
}

/// The fields with one of them replaced.
fn with(index: usize, digits: &str) -> Vec<u8> {
    let mut fields = FIELDS;
    fields[index] = digits;
    encoded(&fields)
}

fn reason(bytes: &[u8]) -> String {
    parse(CHAIN, bytes).expect_err("it must be refused").to_string()
}

#[test]
fn addresses_carry_the_checksum_of_eip_55() {
    for address in [
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ] {
        assert_eq!(with_checksum(&bytes(&address[2..].to_lowercase())), address);
    }
}

#[test]
fn the_address_of_the_key_in_eip_155_is_the_one_it_states() {
    let key = Secp256k1Secret([0x46; 32]).key();
    let address = wallet_address(&wallet(CHAIN), &key, &path("m")).expect("an address");
    assert_eq!(address, "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F");
    let child = wallet_address(&wallet(CHAIN), &key, &path("m/0/0")).expect("an address");
    assert_ne!(child, address);
}

#[test]
fn digest_signer_and_hash_of_a_transaction_on_the_main_network_come_out() {
    let transaction = parse(CHAIN, &encoded(&FIELDS)).expect("a transaction");
    let digest = "0d5688ac3897124635b6cf1bc0e29d6dfebceebdc10a54d74f2ef8b56535b682";
    let mut r_and_s = [0; 64];
    r_and_s[..32]
        .copy_from_slice(&bytes::<32>("840cfc572845f5786e702984c2a582528cad4b49b2a10b9db1be7fca90058565"));
    r_and_s[32..]
        .copy_from_slice(&bytes::<32>("25e7109ceb98168d95b09b18bbf6b685130e0562f233877d492b94eee0c5b6d1"));
    let signature = k256::ecdsa::Signature::from_slice(&r_and_s).expect("a signature");
    let sender =
        VerifyingKey::recover_from_prehash(&bytes::<32>(digest), &signature, RecoveryId::new(false, false))
            .expect("a key");
    let key = public_key(&hex::encode(sender.to_sec1_point(true).as_bytes()));
    let (wallet, root) = (wallet(CHAIN), path("m"));
    assert_eq!(
        wallet_address(&wallet, &key, &root).expect("an address").to_lowercase(),
        "0xdd6b8b3dc6b7ad97db52f08a275ff4483e024cea"
    );
    let messages = transaction.messages(&wallet, &key, &root).expect("a message");
    assert_eq!(messages.len(), 1);
    assert_eq!(hex::encode(messages[0].as_bytes()), digest);
    let signatures = [Signature::Ecdsa { r_and_s, recovery_id: 0 }];
    let Ok(Assembled::Complete { id, .. }) = assemble(&wallet, &key, &root, &transaction, &signatures) else {
        panic!("the signature of the main network must hold");
    };
    assert_eq!(id, "0x0ec0b6a2df4d87424e5f6ad2a654e27aaeb7dac20ae9e8385cc09087ad532ee0");
}

#[test]
fn a_summary_says_who_gets_how_much_and_what_it_costs_at_most() {
    let said = |bytes: &[u8]| parse(CHAIN, bytes).expect("a transaction").summary().to_string();
    assert_eq!(
        said(&encoded(&FIELDS)),
        "ethereum chain 1: call 0x6069a6C32cf691F5982FEbAe4fAf8a6f3AB2F0F6 function a22cb465 with 0 wei; \
         fee at most 887720000000000 wei"
    );
    let mut payment = FIELDS;
    (payment[6], payment[7]) = ("880de0b6b3a7640000", "80");
    assert!(said(&encoded(&payment)).starts_with(
        "ethereum chain 1: pay 1000000000000000000 wei to 0x6069a6C32cf691F5982FEbAe4fAf8a6f3AB2F0F6; fee"
    ));
    assert!(said(&with(5, "80")).starts_with("ethereum chain 1: create with 0 wei; fee"));
}

#[test]
fn other_kinds_of_transaction_are_refused_by_name() {
    // EIP-155's own example, before and after signing, then the first bytes of the typed kinds.
    let unsigned =
        "ec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080018080";
    for (bytes, name) in [
        (hex::decode(unsigned).expect("digits"), "legacy"),
        (vec![0xf8, 0x6c, 0x09], "legacy"),
        (vec![1, 0xc0], "EIP-2930"),
        (vec![3, 0xc0], "EIP-4844"),
        (vec![4, 0xc0], "EIP-7702"),
        (vec![0x7f, 0xc0], "type 0x7f"),
        (vec![0x19, 1], "type 0x19"),
    ] {
        let reason = reason(&bytes);
        assert!(reason.contains(name) && reason.contains("use type 2"), "{reason}");
    }
    assert!(reason(&[]).contains("empty"));
    assert!(reason(&[2; 32]).contains("after the type byte"), "a bare digest is no transaction");
}

#[test]
fn a_second_spelling_of_the_same_transaction_is_refused() {
    let good = encoded(&FIELDS);
    assert!(parse(CHAIN, &good).is_ok());
    for cut in 0..good.len() {
        assert!(parse(CHAIN, &good[..cut]).is_err(), "cut at {cut}");
    }
    let trailing = [good.as_slice(), &[0]].concat();
    assert!(reason(&trailing).contains("1 bytes after its end"));
    for (index, digits, expected) in [
        (0, "8101", "chain id"),
        (0, "00", "chain id"),
        (1, "820042", "nonce"),
        (1, "89010000000000000000", "nonce"),
        (3, "9101000000000000000000000000000000000000", "highest fee"),
        (5, "81aa", "recipient: 20 bytes were expected, 1 came"),
        (6, "8200ff", "value"),
        (6, "a1010000000000000000000000000000000000000000000000000000000000000000", "value: at most 32"),
        (7, "b80180", "call data"),
        (7, "c0", "call data"),
        (8, "80", "access list"),
        (8, "c1c0", "access list"),
        (8, "d7 d6 94 1111111111111111111111111111111111111111 80", "access list"),
        (8, "d8 d7 94 1111111111111111111111111111111111111111 c1 05", "access list"),
        (8, "d8 d7 94 1111111111111111111111111111111111111111 c0 c0", "more than two fields"),
        (8, "c0 80 01 01", "more than nine fields"),
    ] {
        let reason = reason(&with(index, digits));
        assert!(reason.contains(expected), "{digits}: {reason}");
    }
}

#[test]
fn what_no_chain_or_wallet_should_take_is_refused() {
    assert!(reason(&with(0, "80")).contains("chain id 0"));
    assert!(reason(&with(2, "8504a817c801")).contains("above its highest fee"));
    let code = format!("b9c001{}", "00".repeat(INIT_CODE_BYTES_MAX + 1));
    assert!(
        reason(&{
            let mut fields = FIELDS;
            (fields[5], fields[7]) = ("80", code.as_str());
            encoded(&fields)
        })
        .contains("49153 bytes of code")
    );
    assert!(matches!(
        parse(CHAIN, &vec![2; TRANSACTION_BYTES_MAX + 1]),
        Err(Error::TooLarge { most: TRANSACTION_BYTES_MAX, .. })
    ));
}

#[test]
fn a_signature_that_the_network_would_refuse_is_refused_here() {
    let (secret, wallet, place) = (Secp256k1Secret([9; 32]), wallet(CHAIN), path("m/0/0"));
    let key = secret.key();
    let transaction = parse(CHAIN, &encoded(&FIELDS)).expect("a transaction");
    let message = &transaction.messages(&wallet, &key, &place).expect("a message")[0];
    let good = secret.ecdsa(&place, message);
    let check = |signatures: &[Signature]| verify_all(&wallet, &key, &place, &transaction, signatures);
    assert_eq!(check(&[good]), Ok(()));
    let Signature::Ecdsa { r_and_s, recovery_id } = good else { panic!("ECDSA signs ECDSA") };
    let mut high = r_and_s;
    let s = k256::ecdsa::Signature::from_slice(&r_and_s).expect("a signature").s();
    high[32..].copy_from_slice(&(-*s.as_ref()).to_bytes());
    let mut zero = r_and_s;
    zero[..32].fill(0);
    let mut tampered = r_and_s;
    tampered[40] ^= 1;
    let ecdsa = |r_and_s, recovery_id| Signature::Ecdsa { r_and_s, recovery_id };
    for (bad, expected) in [
        (ecdsa(high, 1 - recovery_id), "upper half"),
        (ecdsa(r_and_s, 1 - recovery_id), "it recovers to"),
        (ecdsa(r_and_s, 2), "recovery id"),
        (ecdsa(zero, recovery_id), "is zero"),
        (ecdsa(tampered, recovery_id), "it recovers to"),
        (Signature::Taproot(r_and_s), "an ECDSA signature was expected"),
        (secret.ecdsa(&path("m/0/1"), message), "it recovers to"),
    ] {
        let error = check(&[bad]).expect_err("it must be refused").to_string();
        assert!(error.contains(expected), "{error}");
        assert!(assemble(&wallet, &key, &place, &transaction, &[bad]).is_err());
    }
    assert_eq!(check(&[]), Err(Error::SignatureCount { expected: 1, got: 0 }));
    assert_eq!(check(&[good, good]), Err(Error::SignatureCount { expected: 1, got: 2 }));
}

#[test]
fn a_wallet_of_another_chain_or_with_a_damaged_key_signs_nothing() {
    let transaction = parse(CHAIN, &encoded(&FIELDS)).expect("a transaction");
    let key = Secp256k1Secret([9; 32]).key();
    assert_eq!(
        transaction.messages(&wallet(Chain::Bitcoin), &key, &path("m")),
        Err(Error::OtherChain { wallet: Chain::Bitcoin, transaction: CHAIN })
    );
    let damaged = public_key("02ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff");
    assert!(matches!(
        transaction.messages(&wallet(CHAIN), &damaged, &path("m")),
        Err(Error::DamagedKey { chain: CHAIN, .. })
    ));
}

/// The fields of a transaction as another library would write them.
fn any_transaction() -> impl Strategy<Value = Vec<u8>> {
    let numbers = (1u64.., any::<u64>(), any::<u128>(), any::<u128>(), any::<u64>());
    let to = prop_oneof![Just(Vec::new()), prop::collection::vec(any::<u8>(), 20)];
    let data = prop::collection::vec(any::<u8>(), 0..200);
    let item = (any::<[u8; 20]>(), prop::collection::vec(any::<[u8; 32]>(), 0..4));
    let value = prop::collection::vec(any::<u8>(), 0..=32);
    (numbers, to, value, data, prop::collection::vec(item, 0..4)).prop_map(
        |((chain_id, nonce, fee_one, fee_two, gas), to, value, data, accesses)| {
            let mut fields = Vec::new();
            chain_id.encode(&mut fields);
            nonce.encode(&mut fields);
            fee_one.min(fee_two).encode(&mut fields);
            fee_one.max(fee_two).encode(&mut fields);
            gas.encode(&mut fields);
            to.as_slice().encode(&mut fields);
            number(&value).encode(&mut fields);
            data.as_slice().encode(&mut fields);
            let mut list = Vec::new();
            for (address, slots) in accesses {
                let mut item = Vec::new();
                address.as_slice().encode(&mut item);
                let slots: Vec<u8> = slots.iter().flat_map(alloy_rlp::encode).collect();
                Header { list: true, payload_length: slots.len() }.encode(&mut item);
                item.extend(slots);
                Header { list: true, payload_length: item.len() }.encode(&mut list);
                list.extend(item);
            }
            Header { list: true, payload_length: list.len() }.encode(&mut fields);
            fields.extend(list);
            typed_list(&fields)
        },
    )
}

proptest! {
    #[test]
    fn another_library_reads_the_same_digest_amounts_and_sender(bytes in any_transaction(), seed in 1u8..255) {
        let mut list = &bytes[1..];
        let theirs = TxEip1559::decode(&mut list).expect("a transaction");
        let ours = parse(CHAIN, &bytes).expect("a transaction");
        let (secret, wallet, place) = (Secp256k1Secret([seed; 32]), wallet(CHAIN), path("m/0/7"));
        let key = secret.key();
        let messages = ours.messages(&wallet, &key, &place).expect("a message");
        let digest = theirs.signature_hash();
        prop_assert_eq!(messages[0].as_bytes(), digest.as_slice());
        let summary = ours.summary();
        prop_assert_eq!(summary.chain_id, theirs.chain_id());
        let amount = summary.effects[0].amount.expect("an amount");
        prop_assert_eq!(amount.to_be_bytes(), theirs.value.to_be_bytes::<32>());
        prop_assert_eq!(amount.digits(), theirs.value.to_string());
        let to = theirs.to().map(|to| to.to_checksum(None));
        prop_assert_eq!(&summary.effects[0].to, &to);

        let signatures = [secret.ecdsa(&place, &messages[0])];
        let assembled = assemble(&wallet, &key, &place, &ours, &signatures).expect("signed");
        let Assembled::Complete { bytes: signed, id } = assembled else { panic!("nobody else signs") };
        let mut rest = &signed[1..];
        let theirs = TxEip1559::rlp_decode_signed(&mut rest).expect("a signed transaction");
        prop_assert!(rest.is_empty());
        prop_assert_eq!(id, theirs.hash().to_string());
        let sender = theirs.recover_signer().expect("a sender").to_checksum(None);
        prop_assert_eq!(sender, wallet_address(&wallet, &key, &place).expect("an address"));
    }

    #[test]
    fn a_changed_byte_is_refused_or_changes_the_digest(bytes in any_transaction(), at: usize, change in 1u8..) {
        let mut changed = bytes.clone();
        let at = at % bytes.len();
        changed[at] ^= change;
        let digest = Unsigned::parse(&bytes).expect("a transaction").digest();
        if let Ok(other) = Unsigned::parse(&changed) {
            prop_assert_ne!(other.digest(), digest);
            prop_assert_eq!(typed_list(&other.fields), changed);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), typed: bool) {
        let bytes = if typed { [&[TYPE], bytes.as_slice()].concat() } else { bytes };
        let _ = parse(CHAIN, &bytes);
    }
}
