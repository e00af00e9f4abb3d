//! A transaction of the main network, and the same one spoilt.

use super::{accepted, line, refused};

const SENDER: &str = "0xDD6B8b3dC6B7AD97db52F08a275FF4483e024CEa";

const FIELDS: &str = "0142843b9aca008504a817c80082ad62946069a6c32cf691f5982febae4faf8a6f3ab2f0f680b844a22cb465000000000\
                      0000000000000005eee75727d804a2b13038928d36f8b188945a57a000000000000000000000000000000000000000000\
                      0000000000000000000000c0";
const R: &str = "a0840cfc572845f5786e702984c2a582528cad4b49b2a10b9db1be7fca90058565";
const S: &str = "a025e7109ceb98168d95b09b18bbf6b685130e0562f233877d492b94eee0c5b6d1";
/// The order of the group minus `S`, which holds with the other parity.
const S_HIGH: &str = "a0da18ef631467e9726a4f64e744094979a7a0d783bd1518be76a6c99def708a70";

fn signed(fields: &str, parity: &str, r: &str, s: &str) -> String {
    let fields: String = [fields, parity, r, s].concat().split_whitespace().collect();
    format!("0x02f8{:02x}{fields}", fields.len() / 2)
}

pub(super) fn question() -> String {
    line("ethereum", SENDER, &signed(FIELDS, "80", R, S), &[])
}

#[test]
fn the_sender_of_a_transaction_of_the_main_network_is_recovered() {
    let why = accepted(&question());
    assert!(why.contains("0x0ec0b6a2df4d87424e5f6ad2a654e27aaeb7dac20ae9e8385cc09087ad532ee0"), "{why}");
}

#[test]
fn another_address_or_the_same_without_its_checksum_is_refused() {
    let asked = |address: &str| refused(&line("ethereum", address, &signed(FIELDS, "80", R, S), &[]));
    assert!(
        asked("0x6069a6C32cf691F5982FEbAe4fAf8a6f3AB2F0F6").contains(&format!("sent by {SENDER}, not by"))
    );
    assert!(asked(&SENDER.to_lowercase()).contains("not by"));
    assert!(asked(&SENDER[2..]).contains("not by"));
}

#[test]
fn a_spoilt_signature_or_transaction_is_refused() {
    let asked = |transaction: &str| refused(&line("ethereum", SENDER, transaction, &[]));
    assert!(asked(&signed(FIELDS, "01", R, S)).contains("not by"));
    assert!(asked(&signed(FIELDS, "01", R, S_HIGH)).contains("no sender"), "the higher s is refused (EIP-2)");
    assert!(asked(&signed(FIELDS, "02", R, S)).contains("no signed EIP-1559"));
    assert!(asked(&signed(&FIELDS.replacen("0142", "0143", 1), "80", R, S)).contains("not by"));
    assert!(asked(&signed(FIELDS, "80", R, "80")).contains("no sender"));
    let good = signed(FIELDS, "80", R, S);
    assert!(asked(&format!("{good}00")).contains("one form"));
    assert!(asked(&good[2..]).contains("0x"));
    assert!(asked(&good.replacen("0x02", "0x01", 1)).contains("type 2"));
    assert!(asked("0x").contains("type 2"));
    assert!(asked("0xzz").contains("hexadecimal"));
    for cut in (2..good.len()).step_by(2) {
        asked(&good[..cut]);
    }
}
