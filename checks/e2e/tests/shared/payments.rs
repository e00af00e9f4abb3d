//! Unsigned payments on Ethereum and Solana, built byte by byte; payments of different numbers are different.

/// EIP-1559: chain, nonce, fees, gas, receiver, value, no data, no access list.
pub fn ethereum(number: u32) -> Vec<u8> {
    let mut fields = Vec::new();
    for digits in [1, number, 1, 2_000_000_000, 21_000] {
        rlp(&mut fields, digits);
    }
    fields.push(0x80 + 20);
    fields.extend([0x11; 20]);
    rlp(&mut fields, 1_000_000);
    fields.extend([0x80, 0xc0]);
    let mut payload = vec![0x02, 0xc0 + u8::try_from(fields.len()).expect("fewer than 56")];
    payload.extend(fields);
    payload
}

/// A number in RLP: no leading zeros, and small ones stand for themselves.
fn rlp(fields: &mut Vec<u8>, number: u32) {
    let bytes = number.to_be_bytes();
    match &bytes[(number.leading_zeros() / 8) as usize..] {
        [small @ 0x01..=0x7f] => fields.push(*small),
        more => {
            fields.push(0x80 + more.len() as u8);
            fields.extend(more);
        }
    }
}

/// A legacy message: one signer, two read-write keys and the system program, one transfer.
pub fn solana(key: &[u8; 32], number: u32) -> Vec<u8> {
    let mut message = vec![1, 0, 1, 3];
    message.extend(key);
    message.extend([9; 32]);
    message.extend([0; 32]);
    message.extend([7; 28]);
    message.extend(number.to_be_bytes());
    message.extend([1, 2, 2, 0, 1, 12, 2, 0, 0, 0]);
    message.extend(5_000_u64.to_le_bytes());
    message
}
