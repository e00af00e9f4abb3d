//! Signing requests of these tests: a transaction of each chain, routed as the gateway routes them, and judged
//! by the public key alone.

use crate::cluster::PATIENCE;
use crate::office::{Office, now_ms};
use crate::payments::{ethereum, solana};
use base64ct::{Base64, Encoding};
use perennial_chain::{Assembled, Signature};
use perennial_coordinator::mailbox::Lane;
use perennial_model::committee::SignerId;
use perennial_model::derivation::Path;
use perennial_model::encoding::{self, Bytes};
use perennial_model::mail::Request;
use perennial_model::session::{SessionOutcome, SessionRequest};
use perennial_model::signature::RawSignature;
use perennial_model::wallet::{Chain, Scheme, Wallet, WalletId};
use perennial_workflow::route::{Failure, Next, Order};
use perennial_workflow::{Route, World};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use std::time::Instant;

/// A signed transaction and how it came about.
#[derive(Debug)]
pub struct SignedOne {
    pub epoch: perennial_model::epoch::Epoch,
    pub tries: u32,
    /// The session that made it, as each of its signers was asked.
    pub session: SessionRequest,
}

/// Has one transaction of the wallet signed, and checks it against the wallet's key.
pub fn sign(office: &mut Office, wallet: &WalletId, number: u8) -> SignedOne {
    let begun = Instant::now();
    let head = office.driver.heads().get(wallet).expect("a wallet that exists");
    let (description, key) = (head.wallet().clone(), head.key().clone());
    let transaction = unsigned(description.chain, key.public_key.as_bytes(), number);
    let order = Order { transaction: Bytes(transaction.clone()), path: Path::default() };
    let seen: Vec<SignerId> = office.signers.keys().cloned().collect();
    let mut rng = chance(office);
    let head = office.driver.heads().get(wallet).expect("a wallet that exists");
    let (mut route, mut request) = Route::begin(&head, order, &seen, now_ms(), &mut rng);
    ask(office, &request);
    let accepted = loop {
        assert!(begun.elapsed() < PATIENCE, "no signature: {:?}", route.session());
        office.turn();
        let Some(session) = route.session().copied() else { panic!("a route waits for a session") };
        let Some(at) = office.reports.iter().position(|(_, report)| report.session == session) else {
            continue;
        };
        let (from, report) = office.reports.remove(at);
        match report.outcome {
            SessionOutcome::Signed(signatures) => match route.accept(&session, signatures) {
                Ok(accepted) => break accepted,
                Err(_) => panic!("it is the route's own session"),
            },
            SessionOutcome::Failed { blame, reason } => {
                let failure = Failure::Reported { by: from, blame, reason };
                match route.failed(&session, failure, &seen, now_ms(), &mut rng) {
                    Next::Retry(again, next) => {
                        (route, request) = (again, *next);
                        ask(office, &request);
                    }
                    Next::Wait(again) => route = again,
                    Next::GiveUp(why) => panic!("{why}"),
                }
            }
        }
    };
    let parsed = perennial_chain::parse(description.chain, &transaction).expect("our own transaction");
    let signatures: Vec<Signature> =
        accepted.signatures.iter().map(|raw| in_scheme(&description, raw)).collect();
    let path = Path::default();
    let assembled = perennial_chain::assemble(&description, &key, &path, &parsed, &signatures);
    let Ok(Assembled::Complete { bytes, .. }) = assembled else { panic!("{assembled:?}") };
    let address = perennial_chain::address(&description, &key, &path).expect("a good key");
    let signed = match description.chain {
        Chain::Ethereum => format!("0x{}", hex::encode(&bytes)),
        _ => Base64::encode_string(&bytes),
    };
    let question = serde_json::json!({
        "chain": description.chain.name(), "address": address, "signed_transaction": signed
    });
    let verdict = perennial_referee::judge(question.to_string().as_bytes());
    assert!(verdict.ok, "{}", verdict.why);
    SignedOne { epoch: accepted.epoch, tries: accepted.tries, session: request }
}

fn in_scheme(wallet: &Wallet, raw: &RawSignature) -> Signature {
    match (wallet.chain.scheme(), raw.recovery_id) {
        (Scheme::Ed25519, None) => Signature::Ed25519(raw.bytes),
        (Scheme::Ecdsa, Some(recovery_id)) => Signature::Ecdsa { r_and_s: raw.bytes, recovery_id },
        other => panic!("{other:?} is not signed here"),
    }
}

/// Chance of its own, so that the office can go on with its own meanwhile.
fn chance(office: &mut Office) -> ChaCha20Rng {
    let mut seed = [0; 32];
    office.driver.world_mut().rng().fill_bytes(&mut seed);
    ChaCha20Rng::from_seed(seed)
}

fn ask(office: &mut Office, request: &SessionRequest) {
    let item = encoding::encode(&Request::Session(Box::new(request.clone())));
    for signer in &request.signers {
        office.post(signer, Lane::Signing, item.clone());
    }
}

/// A small payment of the wallet.
fn unsigned(chain: Chain, key: &[u8], number: u8) -> Vec<u8> {
    match chain {
        Chain::Solana => solana(key.try_into().expect("32 bytes"), number.into()),
        Chain::Ethereum => ethereum(number.into()),
        other => panic!("no transaction of {other} here"),
    }
}
