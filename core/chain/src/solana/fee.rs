//! The most that a message can cost: a fixed price for each signature that the network checks, and what is offered
//! for the compute budget.

use super::message::{Instruction, Key, Message};

/// What the network charges for one signature.
const LAMPORTS_PER_SIGNATURE: u64 = 5_000;

/// The compute units that one instruction gets if the message does not say.
const UNITS_PER_INSTRUCTION: u64 = 200_000;

/// The most compute units of one transaction.
const UNITS_MAX: u64 = 1_400_000;

/// `ComputeBudget111111111111111111111111111111`.
const COMPUTE_BUDGET: Key = [
    3, 6, 70, 111, 229, 33, 23, 50, 255, 236, 173, 186, 114, 195, 155, 231, 188, 140, 229, 187, 197, 247, 18,
    107, 44, 67, 155, 58, 64, 0, 0, 0,
];

/// The first byte of the compute-budget instruction that sets the most units.
const SET_UNIT_LIMIT: u8 = 2;

/// The first byte of the one that offers a price, in millionths of a lamport for each unit.
const SET_UNIT_PRICE: u8 = 3;

/// Programs whose first byte of data counts signatures that the network checks and charges for:
/// `Ed25519SigVerify111…`, `KeccakSecp256k11111…` and `Secp256r1SigVerify1111…`.
const SIGNATURE_PROGRAMS: [&str; 3] = [
    "Ed25519SigVerify111111111111111111111111111",
    "KeccakSecp256k11111111111111111111111111111",
    "Secp256r1SigVerify1111111111111111111111111",
];

/// The highest fee in lamports. A message that sets its budget twice, which the network refuses, is counted at the
/// higher of the two.
pub(super) fn at_most(message: &Message) -> u128 {
    let instructions = message.instructions();
    let signatures =
        message.signers().len() as u64 + instructions.iter().map(|i| checked(message, i)).sum::<u64>();
    let budget = || instructions.iter().filter(|i| message.program(i) == &COMPUTE_BUDGET);
    let limit = budget().filter_map(|i| asked::<4>(i, SET_UNIT_LIMIT)).max();
    let units = limit.unwrap_or(UNITS_PER_INSTRUCTION * instructions.len() as u64).min(UNITS_MAX);
    let price = budget().filter_map(|i| asked::<8>(i, SET_UNIT_PRICE)).max().unwrap_or(0);
    let offered = (u128::from(price) * u128::from(units)).div_ceil(1_000_000);
    u128::from(signatures * LAMPORTS_PER_SIGNATURE) + offered
}

/// The number of `BYTES` bytes that a compute-budget instruction of one kind carries.
fn asked<const BYTES: usize>(instruction: &Instruction, kind: u8) -> Option<u64> {
    let (first, rest) = instruction.data.split_first()?;
    let number = rest.first_chunk::<BYTES>()?;
    (*first == kind).then(|| number.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

fn checked(message: &Message, instruction: &Instruction) -> u64 {
    let program = super::base58(message.program(instruction));
    let counts = SIGNATURE_PROGRAMS.contains(&program.as_str());
    if counts { instruction.data.first().copied().unwrap_or(0).into() } else { 0 }
}
