//! One request, asked several times: the same key waits for the one that is under way, or gets what was released.

use super::answer::Repeated;
use super::order::Prepared;
use super::{Answer, Gateway, REPEAT_WITHIN_MS, SignError, locked};
use crate::ledger::Released;
use crate::world::now_ms;
use perennial_model::encoding::Digest;
use perennial_model::wallet::TenantId;
use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Mutex;
use tokio::sync::watch;

/// The most characters of a key.
const CHARACTERS_MAX: usize = 128;

/// A name that a caller gives to a request, so that it can ask again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

/// A text that is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an Idempotency-Key has 1 to {CHARACTERS_MAX} visible ASCII characters, such as a UUID")]
pub struct BadKey;

impl FromStr for IdempotencyKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let fits = (1..=CHARACTERS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(BadKey) }
    }
}

impl IdempotencyKey {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key among those of one tenant: what another tenant calls a request neither meets nor shows it.
    pub(super) fn of(self, tenant: &TenantId) -> Self {
        Self(format!("{tenant}/{}", self.0))
    }

    /// As the caller wrote a key of a tenant.
    fn as_written(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(_, written)| written)
    }
}

type Outcome = Option<Result<Answer, SignError>>;

/// Requests with a key that have no answer yet.
#[derive(Debug, Default)]
pub(super) struct UnderWay(Mutex<HashMap<IdempotencyKey, (Digest, watch::Receiver<Outcome>)>>);

enum Place {
    /// Nobody else is at it. Holds the place until it is dropped.
    Ours(watch::Sender<Outcome>),
    /// Somebody else is.
    Theirs(Digest, watch::Receiver<Outcome>),
}

impl Gateway {
    /// Signs under a key, if nothing was released for it yet.
    pub(super) async fn sign_once(
        &self,
        prepared: Prepared,
        key: IdempotencyKey,
    ) -> Result<Answer, SignError> {
        loop {
            match self.shared.under_way.take_place(&key, prepared.digest) {
                Place::Ours(outcome) => {
                    let answer = self.repeat_or_sign(prepared, key.clone()).await;
                    self.shared.under_way.leave(&key);
                    outcome.send_replace(Some(answer.clone()));
                    return answer;
                }
                Place::Theirs(digest, _) if digest != prepared.digest => {
                    return Err(SignError::KeyReused(key.as_written().to_owned()));
                }
                Place::Theirs(_, mut outcome) => {
                    if let Ok(answer) = outcome.wait_for(Option::is_some).await
                        && let Some(answer) = answer.clone()
                    {
                        return answer.map(|answer| Answer { repeated: Repeated::Yes, ..answer });
                    }
                    // It ended without an answer, which only a panic does. The place is free.
                    self.shared.under_way.leave(&key);
                }
            }
        }
    }

    async fn repeat_or_sign(&self, prepared: Prepared, key: IdempotencyKey) -> Result<Answer, SignError> {
        let since_ms = now_ms().saturating_sub(REPEAT_WITHIN_MS);
        let released = self.shared.released.released(&key.0, since_ms).await;
        match released.map_err(SignError::NotLookedUp)? {
            None => self.sign_with_room(prepared, Some(key)).await,
            Some(released) if released.request != prepared.digest.0 => {
                Err(SignError::KeyReused(key.as_written().to_owned()))
            }
            Some(Released { place, answer, .. }) => {
                let signed =
                    serde_json::from_slice(&answer).map_err(|error| SignError::Bug(error.to_string()))?;
                Ok(Answer { signed, ledger_index: place, repeated: Repeated::Yes })
            }
        }
    }
}

impl UnderWay {
    fn take_place(&self, key: &IdempotencyKey, digest: Digest) -> Place {
        let mut under_way = locked(&self.0);
        if let Some((digest, outcome)) = under_way.get(key) {
            return Place::Theirs(*digest, outcome.clone());
        }
        let (sender, receiver) = watch::channel(None);
        under_way.insert(key.clone(), (digest, receiver));
        Place::Ours(sender)
    }

    fn leave(&self, key: &IdempotencyKey) {
        locked(&self.0).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_visible_keys_are_keys() {
        for bad in ["", " ", "a b", "é", "a\n", &"x".repeat(129)] {
            assert!(bad.parse::<IdempotencyKey>().is_err(), "{bad:?}");
        }
        assert!("3f1c9d6e-7a2b".parse::<IdempotencyKey>().is_ok());
    }
}
