//! A transaction signed by keys known here, and the same one spoilt; the mixed transaction of BIP-341.

use super::{accepted, line, refused};
use ::bitcoin::hashes::Hash;
use ::bitcoin::key::TapTweak;
use ::bitcoin::secp256k1::{Keypair, Message, Secp256k1};
use ::bitcoin::sighash::{Prevouts, SighashCache};
use ::bitcoin::{
    Address, Amount, Network, OutPoint, ScriptBuf, Sequence, TapSighashType, Transaction, TxIn, TxOut, Txid,
    Witness, absolute, consensus, taproot, transaction,
};

fn pair(secret: u8) -> Keypair {
    Keypair::from_seckey_slice(&Secp256k1::new(), &[secret; 32]).expect("a secret")
}

fn address(secret: u8, network: Network) -> Address {
    Address::p2tr(&Secp256k1::new(), pair(secret).x_only_public_key().0, None, network)
}

/// The outputs to spend: one of each secret.
fn spent(secrets: &[u8]) -> Vec<TxOut> {
    let output = |secret: &u8| TxOut {
        value: Amount::from_sat(5_000),
        script_pubkey: address(*secret, Network::Bitcoin).script_pubkey(),
    };
    secrets.iter().map(output).collect()
}

fn prevouts(spent: &[TxOut]) -> Vec<(String, u64)> {
    spent.iter().map(|o| (hex::encode(o.script_pubkey.as_bytes()), o.value.to_sat())).collect()
}

/// A transaction that spends an output of each secret and is signed by them.
fn signed(secrets: &[u8], kind: TapSighashType) -> Transaction {
    let input = |index: usize| TxIn {
        previous_output: OutPoint { txid: Txid::from_byte_array([index as u8 + 1; 32]), vout: 0 },
        script_sig: ScriptBuf::new(),
        sequence: Sequence::MAX,
        witness: Witness::new(),
    };
    let mut transaction = Transaction {
        version: transaction::Version::TWO,
        lock_time: absolute::LockTime::ZERO,
        input: (0..secrets.len()).map(input).collect(),
        output: vec![TxOut { value: Amount::from_sat(4_000), script_pubkey: ScriptBuf::new_op_return([1]) }],
    };
    let (context, spent) = (Secp256k1::new(), spent(secrets));
    for (index, secret) in secrets.iter().enumerate() {
        let hash = SighashCache::new(&transaction)
            .taproot_key_spend_signature_hash(index, &Prevouts::All(&spent), kind)
            .expect("a hash");
        let tweaked = pair(*secret).tap_tweak(&context, None).to_keypair();
        let signature = context.sign_schnorr_no_aux_rand(&Message::from(hash), &tweaked);
        let signature = taproot::Signature { signature, sighash_type: kind };
        transaction.input[index].witness = Witness::p2tr_key_spend(&signature);
    }
    transaction
}

fn question(address: &Address, transaction: &Transaction, spent: &[TxOut]) -> String {
    line("bitcoin", &address.to_string(), &consensus::encode::serialize_hex(transaction), &prevouts(spent))
}

#[test]
fn signatures_that_commit_to_everything_are_accepted() {
    for kind in [TapSighashType::Default, TapSighashType::All] {
        let own = address(1, Network::Bitcoin);
        let why = accepted(&question(&own, &signed(&[1, 2, 1], kind), &spent(&[1, 2, 1])));
        assert!(why.starts_with("2 of 3 inputs signed by bc1p"), "{why}");
    }
    for (chain, network) in [("bitcoin-test", Network::Testnet), ("bitcoin-regtest", Network::Regtest)] {
        let transaction = consensus::encode::serialize_hex(&signed(&[1], TapSighashType::Default));
        let address = address(1, network).to_string();
        accepted(&line(chain, &address, &transaction, &prevouts(&spent(&[1]))));
        let why = refused(&line("bitcoin", &address, &transaction, &prevouts(&spent(&[1]))));
        assert!(why.contains("the address is wrong"), "{why}");
    }
}

#[test]
fn any_change_of_what_was_signed_is_noticed() {
    let (own, good) = (address(1, Network::Bitcoin), signed(&[1, 2], TapSighashType::Default));
    let changed = |change: &dyn Fn(&mut Transaction, &mut Vec<TxOut>)| {
        let (mut transaction, mut spent) = (good.clone(), spent(&[1, 2]));
        change(&mut transaction, &mut spent);
        refused(&question(&own, &transaction, &spent))
    };
    let does_not_hold = "its signature does not hold";
    assert!(changed(&|t, _| t.output[0].value = Amount::from_sat(4_001)).contains(does_not_hold));
    assert!(changed(&|t, _| t.input[1].previous_output.vout = 1).contains(does_not_hold));
    assert!(changed(&|t, _| t.input[0].sequence = Sequence::ZERO).contains(does_not_hold));
    assert!(changed(&|_, s| s[1].value = Amount::from_sat(5_001)).contains(does_not_hold));
    assert!(changed(&|_, s| s.swap(0, 1)).contains(does_not_hold));
    assert!(changed(&|_, s| drop(s.pop())).contains("2 inputs and 1 prevouts"));
    assert!(changed(&|_, s| s.clear()).contains("2 inputs and 0 prevouts"));
    assert!(changed(&|t, _| t.output[0].value = Amount::from_sat(10_001)).contains("pays out"));
    assert!(changed(&|_, s| s[0].value = Amount::from_sat(u64::MAX)).contains("more than there is"));
    assert!(changed(&|t, _| t.input[1].witness = Witness::new()).contains("input 1: no spend by key"));
    assert!(changed(&|t, _| t.input[1].script_sig = ScriptBuf::from(vec![0x51])).contains("no spend by key"));
    let annex = |t: &mut Transaction| t.input[0].witness.push([0x50, 1]);
    assert!(changed(&|t, _| annex(t)).contains("2 witness elements"));
    for at in 0..64 {
        let flip = |t: &mut Transaction| {
            let mut signature = t.input[0].witness[0].to_vec();
            signature[at] ^= 1;
            t.input[0].witness = Witness::from_slice(&[signature]);
        };
        assert!(changed(&|t, _| flip(t)).contains(does_not_hold));
    }
    // A 65th byte of zero is no second way to write DEFAULT (BIP-341).
    let longer = |t: &mut Transaction| {
        let signature = [&t.input[0].witness[0], &[0]].concat();
        t.input[0].witness = Witness::from_slice(&[signature]);
    };
    assert!(changed(&|t, _| longer(t)).contains("in 65 bytes"));
}

#[test]
fn a_signature_that_leaves_something_open_is_refused() {
    for kind in [TapSighashType::None, TapSighashType::Single, TapSighashType::AllPlusAnyoneCanPay] {
        let own = address(1, Network::Bitcoin);
        let why = refused(&question(&own, &signed(&[1], kind), &spent(&[1])));
        assert!(why.contains("does not commit to everything"), "{why}");
    }
}

#[test]
fn a_transaction_of_others_or_for_another_kind_of_address_is_refused() {
    let good = signed(&[2], TapSighashType::Default);
    let why = refused(&question(&address(1, Network::Bitcoin), &good, &spent(&[2])));
    assert!(why.contains("no input spends from"), "{why}");
    let transaction = consensus::encode::serialize_hex(&good);
    for (address, expected) in [
        ("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "not P2TR"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "not P2TR"),
        ("bc1p", "cannot be read"),
    ] {
        let why = refused(&line("bitcoin", address, &transaction, &prevouts(&spent(&[2]))));
        assert!(why.contains(expected), "{why}");
    }
    let upper = address(2, Network::Bitcoin).to_string().to_uppercase();
    assert!(refused(&line("bitcoin", &upper, &transaction, &prevouts(&spent(&[2])))).contains("one form"));
    let own = address(2, Network::Bitcoin).to_string();
    let trailing = format!("{transaction}00");
    assert!(refused(&line("bitcoin", &own, &trailing, &prevouts(&spent(&[2])))).contains("no serialised"));
    assert!(refused(&line("bitcoin", &own, "xx", &prevouts(&spent(&[2])))).contains("hexadecimal"));
}

#[test]
fn an_input_of_another_kind_is_refused_even_beside_a_good_one() {
    let (own, good) = (address(1, Network::Bitcoin), signed(&[2, 1], TapSighashType::Default));
    let mut spent = spent(&[2, 1]);
    spent[0].script_pubkey = ScriptBuf::new_p2wpkh(&::bitcoin::WPubkeyHash::from_byte_array([3; 20]));
    let why = refused(&question(&own, &good, &spent));
    assert!(why.contains("input 0: spends something other than P2TR"), "{why}");
}
