//! Signing load: for each wallet a caller that has one payment after another signed, asks again with the same
//! idempotency key until it is answered, and has every answer judged.

use crate::api::Api;
use crate::people::{LOOK, PATIENCE};
use crate::transactions::{judge, payment};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between an answer and the next payment of the same wallet.
const PAUSE: Duration = Duration::from_millis(60);

/// Callers at work.
pub struct Load {
    stop: Arc<AtomicBool>,
    callers: Vec<JoinHandle<Tally>>,
}

/// What came of a caller's requests.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Payments, each with a key of its own.
    pub asked: u32,
    /// Those that were signed, as the judge agrees.
    pub answered: u32,
    /// How often one was asked for again.
    pub repeated: u32,
    /// Answers that had been given before, when nobody heard them.
    pub replayed: u32,
    /// Sessions under the parent epoch after a failure under the new one.
    pub fallbacks: u64,
    /// What should not have been said.
    pub complaints: Vec<String>,
}

impl Load {
    pub fn begin(api: &Api, wallets: impl IntoIterator<Item = Value>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let callers = wallets.into_iter().map(|wallet| {
            let (api, stop) = (api.another(), Arc::clone(&stop));
            std::thread::spawn(move || call(&api, &wallet, &stop))
        });
        Self { callers: callers.collect(), stop }
    }

    /// Lets each caller finish what it asked for.
    pub fn end(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Tally::default();
        for caller in self.callers {
            let tally = caller.join().expect("a caller");
            all.asked += tally.asked;
            all.answered += tally.answered;
            all.repeated += tally.repeated;
            all.replayed += tally.replayed;
            all.fallbacks += tally.fallbacks;
            all.complaints.extend(tally.complaints);
        }
        all
    }
}

fn call(api: &Api, wallet: &Value, stop: &AtomicBool) -> Tally {
    let mut tally = Tally::default();
    while !stop.load(Ordering::Relaxed) {
        let number = tally.asked;
        tally.asked += 1;
        if let Err(complaint) = sign(api, wallet, number, &mut tally) {
            tally.complaints.push(format!("{}: {complaint}", wallet["id"]));
        }
        std::thread::sleep(PAUSE);
    }
    tally
}

/// Has one payment signed, whatever dies meanwhile. Gives the answer.
pub fn sign(api: &Api, wallet: &Value, number: u32, tally: &mut Tally) -> Result<Value, String> {
    let unsigned = payment(wallet, number);
    let id = wallet["id"].as_str().expect("text");
    let (path, key) = (format!("/v1/wallets/{id}/sign"), format!("{id}-{number}"));
    let begun = Instant::now();
    loop {
        match api.post(&path, &json!({"transaction": unsigned.text}), Some(&key)) {
            Ok(answer) if answer.status == 200 => {
                judge(wallet, &unsigned, &answer.body)?;
                tally.answered += 1;
                tally.replayed += u32::from(answer.replayed);
                tally.fallbacks += answer.body["fallbacks"].as_u64().unwrap_or_default();
                return Ok(answer.body);
            }
            Ok(answer) if answer.status < 500 => return Err(answer.text),
            other if begun.elapsed() > PATIENCE => return Err(format!("given up: {other:?}")),
            _ => tally.repeated += 1,
        }
        std::thread::sleep(LOOK);
    }
}
