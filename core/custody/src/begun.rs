//! Which sessions were begun lately. A session begins once; that it began is durable before its first message.
//!
//! A request carries its time, and none is taken that lies outside the window, so a name need be remembered
//! only for as long as the window lasts.

use crate::record::{delete, put};
use crate::store::{Store, StoreFailed, Table, Write};
use minicbor::{Decode, Encode};
use perennial_model::encoding::{self, Digest, Document};
use perennial_model::error::Error;
use perennial_model::planted;
use perennial_model::session::{SESSION_SKEW_MS_MAX, SessionRequest};
use std::collections::BTreeMap;

/// How many old names are forgotten with each new one.
const FORGOTTEN_AT_ONCE: usize = 4;

#[derive(Encode, Decode)]
struct SessionRecord {
    #[n(0)]
    asked_at_ms: u64,
    /// What was to be signed.
    #[n(1)]
    binding: Digest,
}

impl Document for SessionRecord {
    const KIND: &'static str = "session-record";
}

/// The sessions begun lately.
#[derive(Debug, Default)]
pub(crate) struct Begun {
    by_name: BTreeMap<Digest, u64>,
    by_time: BTreeMap<(u64, Digest), ()>,
}

impl Begun {
    /// Takes up what is on disk.
    pub(crate) fn read(store: &mut dyn Store) -> Result<Self, StoreFailed> {
        let mut begun = Self::default();
        for (key, bytes) in store.all(Table::Session)? {
            if let (Ok(name), Ok(record)) = (key.try_into(), encoding::decode::<SessionRecord>(&bytes)) {
                begun.insert(Digest(name), record.asked_at_ms);
            }
        }
        Ok(begun)
    }

    /// Enters a session that is about to begin; the changes are to be durable before its first message.
    ///
    /// # Errors
    /// `Stale` when its time is outside the window or its name was used before.
    pub(crate) fn admit(&mut self, now_ms: u64, request: &SessionRequest) -> Result<Vec<Write>, Error> {
        let apart_ms = now_ms.abs_diff(request.asked_at_ms);
        if apart_ms > SESSION_SKEW_MS_MAX {
            return Err(Error::stale(format!(
                "the session was asked for {apart_ms} ms away from this signer's clock; at most {SESSION_SKEW_MS_MAX} \
                 are taken: check the clocks"
            )));
        }
        if self.by_name.contains_key(&request.session) && !planted!(BeginSessionsAgain) {
            return Err(Error::stale("this session was begun before; a retry is a new session"));
        }
        let record = SessionRecord { asked_at_ms: request.asked_at_ms, binding: request.binding() };
        let mut writes = vec![put(Table::Session, request.session.0.to_vec(), &record)];
        let old = now_ms.saturating_sub(2 * SESSION_SKEW_MS_MAX);
        let past: Vec<(u64, Digest)> = self
            .by_time
            .range(..(old, Digest::default()))
            .take(FORGOTTEN_AT_ONCE)
            .map(|(at, ())| *at)
            .collect();
        for (time, name) in past {
            self.by_time.remove(&(time, name));
            self.by_name.remove(&name);
            writes.push(delete(Table::Session, name.0.to_vec()));
        }
        self.insert(request.session, request.asked_at_ms);
        Ok(writes)
    }

    fn insert(&mut self, name: Digest, asked_at_ms: u64) {
        self.by_name.insert(name, asked_at_ms);
        self.by_time.insert((asked_at_ms, name), ());
    }
}
