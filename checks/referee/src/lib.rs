//! The independent judge of signed transactions: it links none of our crates, so a mistake in ours cannot hide here.
//!
//! A question is one line of JSON. All fields but `prevouts` are needed, and no others are allowed:
//!
//! ```json
//! {"chain":"ethereum","address":"0x…","signed_transaction":"0x02f8…"}
//! {"chain":"bitcoin","address":"bc1p…","signed_transaction":"0200…","prevouts":[{"script_pubkey":"5120…","amount":5000}]}
//! {"chain":"solana","address":"FVen…","signed_transaction":"AQ…"}
//! ```
//!
//! `chain` is `ethereum`, `bitcoin`, `bitcoin-test`, `bitcoin-regtest` or `solana`. `address` is the wallet's, in
//! its one usual form. `signed_transaction` is what the network would get: in hexadecimal digits after `0x` for
//! Ethereum, without for Bitcoin; in base64 with padding for Solana. `prevouts` lists for Bitcoin, in the order of
//! the inputs, the script (hexadecimal) and amount (satoshi) of the output that each spends.
//!
//! The answer is one line, `{"ok":true,"why":"…"}` or `{"ok":false,"why":"…"}`, written through at once. A line
//! that is no question is answered with `false`. The judge knows nothing about balances or nonces and asks nobody.

mod bitcoin;
mod ethereum;
mod solana;

use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Read, Write};

/// The longest line that is read, in bytes.
pub const LINE_BYTES_MAX: u64 = 4 << 20;

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    chain: String,
    address: String,
    signed_transaction: String,
    #[serde(default)]
    prevouts: Vec<Prevout>,
}

/// An output that a Bitcoin input spends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prevout {
    script_pubkey: String,
    amount: u64,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Whether the transaction is signed in full and by the key of the address.
    pub ok: bool,
    /// What was found.
    pub why: String,
}

/// Answers every line of `questions` until they end.
///
/// # Errors
/// What reading or writing answers; a line that is no question is no error.
pub fn serve(mut questions: impl BufRead, mut answers: impl Write) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if questions.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let verdict = if line.ends_with(b"\n") || (line.len() as u64) < LINE_BYTES_MAX {
            judge(&line)
        } else {
            questions.skip_until(b'\n')?;
            Verdict { ok: false, why: format!("a line of more than {LINE_BYTES_MAX} bytes") }
        };
        serde_json::to_writer(&mut answers, &verdict)?;
        answers.write_all(b"\n")?;
        answers.flush()?;
    }
}

/// Answers one question.
pub fn judge(line: &[u8]) -> Verdict {
    let found = serde_json::from_slice(line)
        .map_err(|error| format!("this is no question: {error}"))
        .and_then(|question: Question| match question.chain.as_str() {
            "ethereum" => ethereum::judge(&question),
            "bitcoin" | "bitcoin-test" | "bitcoin-regtest" => bitcoin::judge(&question),
            "solana" => solana::judge(&question),
            other => Err(format!("{other:?} is no chain that is judged here")),
        });
    match found {
        Ok(why) => Verdict { ok: true, why },
        Err(why) => Verdict { ok: false, why },
    }
}

/// Refuses outputs to be spent where there are none.
fn no_prevouts(question: &Question) -> Result<(), String> {
    if question.prevouts.is_empty() { Ok(()) } else { Err("prevouts are for bitcoin alone".to_owned()) }
}

#[cfg(test)]
mod tests;
