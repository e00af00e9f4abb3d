//! Golden values from BIP-86 and from the wallet vectors of BIP-341; what is refused; signing alone and with others.

use super::account::{holds, parsed};
use super::*;
use crate::sample::{Secp256k1Secret, bytes, path, public_key, wallet};
use crate::{Assembled, Signature, address, assemble, parse, verify};
use ::bitcoin::hashes::HashEngine;
use ::bitcoin::key::TweakedPublicKey;
use ::bitcoin::psbt::PsbtSighashType;
use ::bitcoin::taproot::{LeafVersion, TapNodeHash, TaprootBuilder};
use ::bitcoin::{
    Network, ScriptBuf, Sequence, TapSighash, Transaction, TxIn, Txid, Witness, XOnlyPublicKey, absolute,
    consensus, transaction,
};
use perennial_model::derivation::Path;
use perennial_model::group::Point;
use perennial_model::wallet::{Wallet, WalletKey};
use proptest::prelude::*;
use std::str::FromStr;

const CHAIN: Chain = Chain::Bitcoin;

const SECRET: Secp256k1Secret = Secp256k1Secret([3; 32]);
const STRANGER: Secp256k1Secret = Secp256k1Secret([4; 32]);

fn place() -> Path {
    path("m/0/0")
}

fn script_of(secret: &Secp256k1Secret) -> ScriptBuf {
    Account::new(&wallet(CHAIN), &secret.key(), &place()).expect("an account").script
}

fn output(script_pubkey: ScriptBuf, satoshi: u64) -> TxOut {
    TxOut { value: ::bitcoin::Amount::from_sat(satoshi), script_pubkey }
}

/// Spends these outputs and pays 1,000 to nobody in particular, the rest but 200 to the first.
fn psbt(spent: &[TxOut]) -> Psbt {
    let input = |index: usize| TxIn {
        previous_output: OutPoint { txid: Txid::from_byte_array([index as u8 + 1; 32]), vout: 7 },
        script_sig: ScriptBuf::new(),
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        witness: Witness::new(),
    };
    let total: u64 = spent.iter().map(|output| output.value.to_sat()).sum();
    let burnt = ScriptBuf::new_op_return([1, 2, 3]);
    let unsigned = Transaction {
        version: transaction::Version::TWO,
        lock_time: absolute::LockTime::ZERO,
        input: (0..spent.len()).map(input).collect(),
        output: vec![output(burnt, 1_000), output(spent[0].script_pubkey.clone(), total - 1_200)],
    };
    let mut psbt = Psbt::from_unsigned_tx(unsigned).expect("unsigned");
    for (input, spent) in psbt.inputs.iter_mut().zip(spent) {
        input.witness_utxo = Some(spent.clone());
    }
    psbt
}

/// A wallet's two inputs of 5,000 and 7,000.
fn two_own() -> Psbt {
    psbt(&[output(script_of(&SECRET), 5_000), output(script_of(&SECRET), 7_000)])
}

/// One input of the wallet and one of a stranger.
fn shared() -> Psbt {
    psbt(&[output(script_of(&SECRET), 5_000), output(script_of(&STRANGER), 7_000)])
}

fn read(psbt: &Psbt) -> crate::Transaction {
    parse(CHAIN, &psbt.serialize()).expect("a transaction")
}

fn sign(secret: &Secp256k1Secret, psbt: &Psbt) -> Result<Assembled, Error> {
    let (transaction, key) = (read(psbt), secret.key());
    let messages = transaction.messages(&wallet(CHAIN), &key, &place())?;
    let signatures: Vec<_> = messages.iter().map(|message| secret.taproot(&place(), message)).collect();
    verify(&wallet(CHAIN), &key, &place(), &transaction, &signatures)?;
    assemble(&wallet(CHAIN), &key, &place(), &transaction, &signatures)
}

/// Why reading, or signing for the wallet, is refused.
fn reason(psbt: &Psbt) -> String {
    match parse(CHAIN, &psbt.serialize()) {
        Err(error) => error.to_string(),
        Ok(transaction) => {
            let messages = transaction.messages(&wallet(CHAIN), &SECRET.key(), &place());
            messages.expect_err("it must be refused").to_string()
        }
    }
}

#[test]
fn addresses_are_those_of_bip_86() {
    // Account 0 of the test vectors.
    let account = "xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9QyrLprQ3VCECoY49y\
                   fdDEHGCtMMj92pReUsQ";
    let account = ::bitcoin::bip32::Xpub::from_str(account).expect("an extended key");
    let key = WalletKey {
        public_key: Point::from_bytes(&account.public_key.serialize()).expect("a point"),
        chain_code: perennial_model::encoding::Digest(account.chain_code.to_bytes()),
    };
    for (place, expected) in [
        ("m/0/0", "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr"),
        ("m/0/1", "bc1p4qhjn9zdvkux4e44uhx8tc55attvtyu358kutcqkudyccelu0was9fqzwh"),
        ("m/1/0", "bc1p3qkhfews2uk44qtvauqyr2ttdsw7svhkl9nkm9s9c3x4ax5h60wqwruhk7"),
    ] {
        assert_eq!(address(&wallet(CHAIN), &key, &path(place)).as_deref(), Ok(expected));
    }
}

#[test]
fn the_output_key_is_that_of_bip_341_whichever_the_parity_of_the_root() {
    let internal = "d6889cb081036e0faefa3a35157ad71086b123b2b144b649798b494c300a961d";
    let expected = "512053a1f6e454df1aa2776a2814a721372d6258050de330b3c6d10ee8f4e0dda343";
    for parity in ["02", "03"] {
        let key = public_key(&format!("{parity}{internal}"));
        let account = Account::new(&wallet(CHAIN), &key, &Path::default()).expect("an account");
        assert_eq!(hex::encode(account.script.as_bytes()), expected);
        for (chain, start) in [(Chain::BitcoinTest, "tb1p2wsldez"), (Chain::BitcoinRegtest, "bcrt1p2wsldez")]
        {
            let address = address(&wallet(chain), &key, &Path::default()).expect("an address");
            assert!(address.starts_with(start), "{address}");
        }
    }
}

/// The transaction of BIP-341's wallet vectors ("keyPathSpending"), and the outputs that it spends.
fn vector_of_bip_341() -> Unsigned {
    let raw = "02000000097de20cbff686da83a54981d2b9bab3586f4ca7e48f57f5b55963115f3b334e9c010000000000000000d7b7cab57b13\
               93ace2d064f4d4a2cb8af6def61273e127517d44759b6dafdd990000000000fffffffff8e1f583384333689228c5d28eac13366be0\
               82dc57441760d957275419a418420000000000fffffffff0689180aa63b30cb162a73c6d2a38b7eeda2a83ece74310fda0843ad604\
               853b0100000000feffffffaa5202bdf6d8ccd2ee0f0202afbbb7461d9264a25e5bfd3c5a52ee1239e0ba6c0000000000feffffff95\
               6149bdc66faa968eb2be2d2faa29718acbfe3941215893a2a3446d32acd050000000000000000000e664b9773b88c09c32cb70a2a3\
               e4da0ced63b7ba3b22f848531bbb1d5d5f4c94010000000000000000e9aa6b8e6c9de67619e6a3924ae25696bb7b694bb677a632a7\
               4ef7eadfd4eabf0000000000ffffffffa778eb6a263dc090464cd125c466b5a99667720b1c110468831d058aa1b82af10100000000\
               ffffffff0200ca9a3b000000001976a91406afd46bcdfd22ef94ac122aa11f241244a37ecc88ac807840cb0000000020ac9a87f559\
               4be208f8532db38cff670c450ed2fea8fcdefcc9a663f78bab962b0065cd1d";
    let spent = [
        ("512053a1f6e454df1aa2776a2814a721372d6258050de330b3c6d10ee8f4e0dda343", 420_000_000),
        ("5120147c9c57132f6e7ecddba9800bb0c4449251c92a1e60371ee77557b6620f3ea3", 462_000_000),
        ("76a914751e76e8199196d454941c45d1b3a323f1433bd688ac", 294_000_000),
        ("5120e4d810fd50586274face62b8a807eb9719cef49c04177cc6b76a9a4251d5450e", 504_000_000),
        ("512091b64d5324723a985170e4dc5a0f84c041804f2cd12660fa5dec09fc21783605", 630_000_000),
        ("00147dd65592d0ab2fe0d0257d571abf032cd9db93dc", 378_000_000),
        ("512075169f4001aa68f15bbed28b218df1d0a62cbbcf1188c6665110c293c907b831", 672_000_000),
        ("5120712447206d7a5238acc7ff53fbe94a3b64539ad291c7cdbc490b7577e4b17df5", 546_000_000),
        ("512077e30a5522dd9f894c3f8b8bd4c4b2cf82ca7da8a3ea6a239655c39c050ab220", 588_000_000),
    ];
    let raw: String = raw.split_whitespace().collect();
    let unsigned = consensus::deserialize(&hex::decode(raw).expect("digits")).expect("a transaction");
    let mut psbt = Psbt::from_unsigned_tx(unsigned).expect("unsigned");
    for (input, (script, satoshi)) in psbt.inputs.iter_mut().zip(spent) {
        input.witness_utxo = Some(output(hex::decode(script).expect("digits").into(), satoshi));
    }
    Unsigned::parse(CHAIN, &psbt.serialize()).expect("a transaction")
}

#[test]
fn signature_hashes_and_signatures_are_those_of_bip_341() {
    let unsigned = vector_of_bip_341();
    let mut cache = SighashCache::new(&unsigned.psbt.unsigned_tx);
    // Of the vectors, those with a signature that commits to everything: input 3 with ALL, input 4 with DEFAULT.
    for (index, kind, hash, signature) in [
        (
            3,
            TapSighashType::All,
            "bf013ea93474aa67815b1b6cc441d23b64fa310911d991e713cd34c7f5d46669",
            "ff45f742a876139946a149ab4d9185574b98dc919d2eb6754f8abaa59d18b025637a3aa043b91817739554f4ed2026cf8022dbd8\
             3e351ce1fabc272841d2510a",
        ),
        (
            4,
            TapSighashType::Default,
            "4f900a0bae3f1446fd48490c2958b5a023228f01661cda3496a11da502a7f7ef",
            "b4010dd48a617db09926f729e79c33ae0b4e94b79f04a1ae93ede6315eb3669de185a17d2b0ac9ee09fd4c64b678a0b61a0a86fa\
             888a273c8511be83bfd6810f",
        ),
    ] {
        let made = unsigned.key_spend_hash(&mut cache, index, kind).expect("a hash");
        assert_eq!(hex::encode(made), hash);
        let key = XOnlyPublicKey::from_slice(&unsigned.spent[index].script_pubkey.as_bytes()[2..]);
        let key = TweakedPublicKey::dangerous_assume_tweaked(key.expect("a key"));
        let signature: String = signature.split_whitespace().collect();
        assert!(holds(&key, made, &parsed(&bytes(&signature))));
        assert!(!holds(&key, [0; 32], &parsed(&bytes(&signature))));
    }
}

#[test]
fn the_wallet_of_bip_341_is_asked_to_sign_its_input_and_no_other() {
    let unsigned = vector_of_bip_341();
    let key = public_key("02d6889cb081036e0faefa3a35157ad71086b123b2b144b649798b494c300a961d");
    let account = Account::new(&wallet(CHAIN), &key, &Path::default()).expect("an account");
    let messages = unsigned.messages(&account).expect("a message");
    assert_eq!(messages.iter().map(SigningMessage::input).collect::<Vec<_>>(), [Some(0)]);
    // The published digests of the vectors, put together as BIP-341 says for input 0 and DEFAULT.
    let message = "0000020000000065cd1d\
                   e3b33bb4ef3a52ad1fffb555c0d82828eb22737036eaeb02a235d82b909c4c3f\
                   58a6964a4f5f8f0b642ded0a8a553be7622a719da71d1f5befcefcdee8e0fde6\
                   23ad0f61ad2bca5ba6a7693f50fce988e17c3780bf2b1e720cfbb38fbdd52e21\
                   18959c7221ab5ce9e26c3cd67b22c24f8baa54bac281d8e6b05e400e6c3a957e\
                   a2e6dab7c1f0dcd297c8d61647fd17d821541ea69c3cc37dcbad7f90d4eb4bc5\
                   0000000000";
    let mut engine = TapSighash::engine();
    engine.input(&hex::decode(message).expect("digits"));
    assert_eq!(messages[0].as_bytes(), TapSighash::from_engine(engine).to_byte_array());
}

#[test]
fn a_wallets_inputs_are_signed_and_the_network_transaction_comes_out() {
    for kind in [None, Some(TapSighashType::Default), Some(TapSighashType::All)] {
        let mut psbt = two_own();
        psbt.inputs[1].sighash_type = kind.map(PsbtSighashType::from);
        let Ok(Assembled::Complete { bytes, id }) = sign(&SECRET, &psbt) else { panic!("nobody else signs") };
        let signed: Transaction = consensus::deserialize(&bytes).expect("a network transaction");
        assert_eq!(signed.compute_txid().to_string(), id);
        assert_eq!(id, psbt.unsigned_tx.compute_txid().to_string());
        let lengths: Vec<_> = signed.input.iter().map(|input| input.witness.size()).collect();
        let long = if kind == Some(TapSighashType::All) { 67 } else { 66 };
        assert_eq!(lengths, [66, long], "{kind:?}");
    }
}

#[test]
fn signatures_in_the_wrong_order_or_number_or_of_another_key_are_refused() {
    let (transaction, key, wallet) = (read(&two_own()), SECRET.key(), wallet(CHAIN));
    let messages = transaction.messages(&wallet, &key, &place()).expect("messages");
    let good: Vec<_> = messages.iter().map(|message| SECRET.taproot(&place(), message)).collect();
    let check = |signatures: &[Signature]| verify(&wallet, &key, &place(), &transaction, signatures);
    assert_eq!(check(&good), Ok(()));
    assert_eq!(check(&good[..1]), Err(Error::SignatureCount { expected: 2, got: 1 }));
    assert!(matches!(check(&[good[1], good[0]]), Err(Error::BadSignature { index: 0, .. })));
    let other = SECRET.taproot(&path("m/0/1"), &messages[1]);
    assert!(matches!(check(&[good[0], other]), Err(Error::BadSignature { index: 1, .. })));
    let ecdsa = SECRET.ecdsa(&place(), &messages[1]);
    assert!(matches!(check(&[good[0], ecdsa]), Err(Error::BadSignature { index: 1, .. })));
    for at in 0..64 {
        let mut changed = *good[0].as_bytes();
        changed[at] ^= 1;
        assert!(check(&[Signature::Taproot(changed), good[1]]).is_err());
        assert!(
            assemble(&wallet, &key, &place(), &transaction, &[Signature::Taproot(changed), good[1]]).is_err()
        );
    }
}

#[test]
fn with_inputs_of_others_the_psbt_goes_on_and_the_last_to_sign_finishes_it() {
    let Ok(Assembled::Partial { bytes, missing }) = sign(&SECRET, &shared()) else {
        panic!("input 1 is not ours")
    };
    assert_eq!(missing, ["input 1"]);
    let half = Psbt::deserialize(&bytes).expect("a PSBT");
    assert!(half.inputs[0].tap_key_sig.is_some() && half.inputs[1].tap_key_sig.is_none());
    assert!(reason(&half).contains("input 0 is already signed"));
    let Ok(Assembled::Complete { bytes, .. }) = sign(&STRANGER, &half) else { panic!("all have signed") };
    let signed: Transaction = consensus::deserialize(&bytes).expect("a network transaction");
    assert!(signed.input.iter().all(|input| input.witness.size() == 66));

    let mut tampered = half.clone();
    let sequence = &mut tampered.unsigned_tx.input[0].sequence;
    *sequence = Sequence::MAX;
    let error = sign(&STRANGER, &tampered).expect_err("the first signature is for another transaction");
    assert!(error.to_string().contains("input 0 came with does not hold"), "{error}");
}

#[test]
fn a_lie_about_an_amount_makes_a_signature_that_is_worth_nothing() {
    let honest = shared();
    let mut lying = honest.clone();
    lying.inputs[1].witness_utxo = Some(output(script_of(&STRANGER), 6_999));
    let hash = |psbt: &Psbt| {
        let messages = read(psbt).messages(&wallet(CHAIN), &SECRET.key(), &place()).expect("a message");
        messages[0].as_bytes().to_vec()
    };
    assert_ne!(hash(&honest), hash(&lying));
}

#[test]
fn anything_but_a_spend_by_key_of_this_address_is_refused_with_the_reason() {
    let foreign = |script: ScriptBuf| psbt(&[output(script, 5_000)]);
    let hash = ::bitcoin::WPubkeyHash::from_byte_array([1; 20]);
    assert!(reason(&foreign(ScriptBuf::new_p2wpkh(&hash))).contains("input 0 spends P2WPKH"));
    assert!(reason(&foreign(script_of(&STRANGER))).contains("P2TR of another address"));
    let change = |change: &dyn Fn(&mut Input)| {
        let mut psbt = two_own();
        change(&mut psbt.inputs[1]);
        reason(&psbt)
    };
    assert!(change(&|input| input.witness_utxo = None).contains("input 1 has no witness UTXO"));
    for kind in [
        TapSighashType::None,
        TapSighashType::Single,
        TapSighashType::AllPlusAnyoneCanPay,
        TapSighashType::NonePlusAnyoneCanPay,
        TapSighashType::SinglePlusAnyoneCanPay,
    ] {
        let reason = change(&|input| input.sighash_type = Some(kind.into()));
        assert!(reason.contains(&format!("input 1 asks for {kind}; only DEFAULT and ALL")), "{reason}");
    }
    let unknown = change(&|input| input.sighash_type = Some(PsbtSighashType::from_u32(0x1ff)));
    assert!(unknown.contains("unknown signature hash type"), "{unknown}");
    let root = TapNodeHash::from_byte_array([1; 32]);
    assert!(change(&|input| input.tap_merkle_root = Some(root)).contains("script path"));
    let script = ScriptBuf::new_op_return([1]);
    let internal = Account::new(&wallet(CHAIN), &STRANGER.key(), &place()).expect("an account").internal_key;
    let tree = TaprootBuilder::new().add_leaf(0, script.clone()).expect("a leaf");
    let tree = tree.finalize(&::bitcoin::secp256k1::Secp256k1::new(), internal).expect("a tree");
    let leaf = (script.clone(), LeafVersion::TapScript);
    let control = tree.control_block(&leaf).expect("a control block");
    let with_leaf = change(&|input| drop(input.tap_scripts.insert(control.clone(), leaf.clone())));
    assert!(with_leaf.contains("script path"));
    assert!(change(&|input| input.witness_script = Some(script.clone())).contains("witness script"));
    assert!(change(&|input| input.tap_internal_key = Some(internal)).contains("another internal key"));
    assert!(change(&|input| input.final_script_witness = Some(Witness::new())).contains("already signed"));
}

#[test]
fn a_transaction_that_cannot_be_is_refused() {
    let mut twice = two_own();
    twice.unsigned_tx.input[1].previous_output = twice.unsigned_tx.input[0].previous_output;
    assert!(reason(&twice).contains("spends one output twice"));
    let mut nothing = two_own();
    nothing.unsigned_tx.input[1].previous_output = OutPoint::null();
    assert!(reason(&nothing).contains("an output that is none"));
    let mut poor = two_own();
    poor.unsigned_tx.output[0].value = ::bitcoin::Amount::from_sat(12_001);
    assert!(reason(&poor).contains("it spends 0.00012000 BTC and pays out"), "{}", reason(&poor));
    for satoshi in [u64::MAX, 2_100_000_000_000_001] {
        let mut rich = two_own();
        rich.inputs[0].witness_utxo = Some(output(script_of(&SECRET), satoshi));
        assert!(reason(&rich).contains("more than there is bitcoin"));
    }
    let mut empty = two_own();
    (empty.unsigned_tx.output, empty.outputs) = (Vec::new(), Vec::new());
    assert!(reason(&empty).contains("no inputs or no outputs"));
    let many = vec![output(script_of(&SECRET), 5_000); SIGNED_INPUTS_MAX + 1];
    assert!(reason(&psbt(&many)).contains("65 inputs to sign"));
}

#[test]
fn the_whole_transaction_of_an_input_must_be_the_one_it_spends() {
    let origin = two_own().unsigned_tx;
    let mut psbt = two_own();
    let vout = 1;
    psbt.unsigned_tx.input[0].previous_output = OutPoint { txid: origin.compute_txid(), vout };
    psbt.inputs[0].non_witness_utxo = Some(origin.clone());
    psbt.inputs[0].witness_utxo = Some(origin.output[1].clone());
    assert!(matches!(sign(&SECRET, &psbt), Ok(Assembled::Complete { .. })));
    let mut other = psbt.clone();
    other.inputs[0].witness_utxo = Some(output(script_of(&SECRET), 10_801));
    assert!(reason(&other).contains("two different outputs"));
    let mut missing = psbt.clone();
    missing.inputs[0].witness_utxo = None;
    assert!(reason(&missing).contains("no witness UTXO"));
    let mut beyond = psbt.clone();
    beyond.unsigned_tx.input[0].previous_output.vout = 9;
    assert!(reason(&beyond).contains("its transaction lacks"));
    let mut strange = psbt;
    strange.unsigned_tx.input[0].previous_output.txid = Txid::from_byte_array([8; 32]);
    assert!(reason(&strange).contains("another transaction than it spends"));
}

#[test]
fn bytes_that_are_no_unsigned_psbt_are_refused() {
    let good = two_own().serialize();
    assert!(parse(CHAIN, &good).is_ok());
    for cut in 0..good.len() {
        assert!(parse(CHAIN, &good[..cut]).is_err(), "cut at {cut}");
    }
    let refused = |bytes: &[u8]| parse(CHAIN, bytes).expect_err("it must be refused").to_string();
    assert!(refused(&[good.as_slice(), &[0]].concat()).contains("1 bytes after its end"));
    assert!(refused(&[0; 32]).contains("no PSBT"), "a bare digest is no transaction");
    assert!(refused(&consensus::serialize(&two_own().unsigned_tx)).contains("no PSBT"));
    // The same with a global version field: key length 1, key 0xfb, four bytes little-endian.
    let versioned = |version: u8| [&good[..5], &[1, 0xfb, 4, version, 0, 0, 0], &good[5..]].concat();
    assert!(parse(CHAIN, &versioned(0)).is_ok());
    assert!(refused(&versioned(2)).contains("version"));
    assert!(matches!(parse(CHAIN, &vec![0; PSBT_BYTES_MAX + 1]), Err(Error::TooLarge { .. })));
}

#[test]
fn a_summary_names_inputs_outputs_and_the_exact_fee() {
    let summary = read(&two_own()).summary();
    let own = Address::from_script(&script_of(&SECRET), Network::Bitcoin).expect("an address");
    assert_eq!(
        summary.to_string(),
        format!(
            "bitcoin: spend 5000 satoshi from {own}, spend 7000 satoshi from {own}, \
             pay 1000 satoshi to script 6a03010203, pay 10800 satoshi to {own}; fee at most 200 satoshi"
        )
    );
}

#[test]
fn a_wallet_of_another_network_does_not_sign() {
    let wallet: Wallet = wallet(Chain::BitcoinTest);
    assert!(matches!(
        read(&two_own()).messages(&wallet, &SECRET.key(), &place()),
        Err(Error::OtherChain { .. })
    ));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(CHAIN, &noise);
        let _ = parse(CHAIN, &[b"psbt\xff", noise.as_slice()].concat());
    }

    #[test]
    fn no_changed_byte_makes_reading_or_signing_panic(at: usize, change in 1u8..) {
        let mut bytes = shared().serialize();
        let at = at % bytes.len();
        bytes[at] ^= change;
        if let Ok(transaction) = parse(CHAIN, &bytes) {
            let _ = transaction.summary().to_string();
            let _ = transaction.messages(&wallet(CHAIN), &SECRET.key(), &place());
        }
    }
}
