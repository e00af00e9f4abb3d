//! Who comes to the API: clients by their tokens or certificates, how often each may ask, and the file that names
//! them, read again whenever it has changed.
//!
//! What a client may do is decided in [`perennial_workflow::access`]. Nothing here waits: a request costs a look at the
//! file's metadata, one hash and one look into a table. A file that cannot be understood changes nothing and is
//! complained about; a client that is no longer in the file is refused from the next request on.

pub mod file;
pub mod token;

use crate::config;
use file::{ClientsFile, FileError, Listed, Proof, Version};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use perennial_daemon::identity::Pin;
use perennial_model::identity::ClientId;
use perennial_workflow::access::Client;
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use token::TokenDigest;

/// The most addresses whose failures are counted apart. Those beyond count together.
const ADDRESSES_MAX: usize = 10_000;
/// So long before its end a client is warned about in the log, in milliseconds: two weeks.
const ENDS_SOON_MS: u64 = 14 * 24 * 60 * 60 * 1000;

/// A client that is known, and how often it has asked lately.
pub struct Known {
    /// What it may do.
    pub client: Client,
    proof: Proof,
    quota: Quota,
    lately: DefaultDirectRateLimiter,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").field("client", &self.client).finish_non_exhaustive()
    }
}

/// What somebody shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shown<'a> {
    /// A token.
    Token(&'a str),
    /// A certificate whose key they have proved to hold.
    Certificate(Pin),
    /// Nothing.
    Nothing,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// They show nothing.
    #[error("no token and no certificate was shown")]
    ShowsNothing,
    /// They show what no client has, or no client has any more.
    #[error("no client has this token or certificate")]
    Unknown,
    /// Their time is over.
    #[error("the time of client {0} is over")]
    Expired(ClientId),
    /// A client asks too often.
    #[error("client {client} asks too often: at most {per_second} requests a second")]
    TooOften {
        /// Which one.
        client: ClientId,
        /// How often it may.
        per_second: u32,
        /// When it may again.
        wait: Duration,
    },
    /// Too many come from one address with nothing or the wrong thing.
    #[error("too many requests without the right credentials came from this address")]
    Knocking {
        /// When the next one is told more.
        wait: Duration,
    },
}

/// The clients. Clones are the same.
#[derive(Clone)]
pub struct Access(Arc<Shared>);

struct Shared {
    path: PathBuf,
    usual: Quota,
    /// Which file the table is from, or which one was refused.
    seen: Mutex<Seen>,
    table: RwLock<Arc<Table>>,
    knocks: DefaultKeyedRateLimiter<Address>,
    clock: DefaultClock,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("path", &self.0.path).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Seen {
    version: Option<Version>,
    trouble: Option<String>,
}

#[derive(Default)]
struct Table {
    by_token: HashMap<[u8; 8], Arc<Known>>,
    by_pin: HashMap<Pin, Arc<Known>>,
}

/// Where somebody comes from; a network of the sixth version is one place, since whoever has it has all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Address {
    Of(IpAddr),
    AnyOther,
}

impl Access {
    /// Reads the clients of this file; a file that is not there has none.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be used.
    pub fn open(path: PathBuf, limits: &config::Access, now_ms: u64) -> Result<Self, FileError> {
        let version = Version::of(&path)?;
        let listed = ClientsFile::read(&path)?;
        let per_minute = NonZeroU32::new(limits.failures_per_minute).unwrap_or(NonZeroU32::MIN);
        let usual = quota(limits.requests_per_second, limits.burst);
        let table = Table::of(listed, &Table::default(), usual);
        table.tell(now_ms);
        let shared = Shared {
            path,
            usual,
            seen: Mutex::new(Seen { version, trouble: None }),
            table: RwLock::new(Arc::new(table)),
            knocks: RateLimiter::keyed(Quota::per_minute(per_minute)),
            clock: DefaultClock::default(),
        };
        Ok(Self(Arc::new(shared)))
    }

    /// Who comes.
    ///
    /// Whoever shows the right thing is let in, whatever others at the same address do.
    ///
    /// # Errors
    /// [`NotAdmitted`].
    pub fn admit(&self, shown: Shown<'_>, from: IpAddr, now_ms: u64) -> Result<Arc<Known>, NotAdmitted> {
        self.look_at_file(now_ms);
        let table = self.table();
        let known = match shown {
            Shown::Token(text) => table.with_token(text).ok_or(NotAdmitted::Unknown),
            Shown::Certificate(pin) => table.by_pin.get(&pin).ok_or(NotAdmitted::Unknown),
            Shown::Nothing => Err(NotAdmitted::ShowsNothing),
        };
        let known = known.and_then(|known| match known.client.is_expired(now_ms) {
            true => Err(NotAdmitted::Expired(known.client.name.clone())),
            false => Ok(Arc::clone(known)),
        });
        let known = known.map_err(|refusal| self.knocked(from).unwrap_or(refusal))?;
        known.lately.check().map_err(|until| NotAdmitted::TooOften {
            client: known.client.name.clone(),
            per_second: per_second(&known.quota),
            wait: until.wait_time_from(self.0.clock.now()),
        })?;
        Ok(known)
    }

    /// Why the file as it is now is not heeded; none if it is.
    pub fn trouble(&self) -> Option<String> {
        self.seen().trouble.clone()
    }

    /// How many clients there are.
    pub fn len(&self) -> usize {
        let table = self.table();
        table.by_token.len() + table.by_pin.len()
    }

    /// Whether there is no client.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes over the file if it is another one than the last time.
    fn look_at_file(&self, now_ms: u64) {
        let found = Version::of(&self.0.path);
        let mut seen = self.seen();
        if found.as_ref().is_ok_and(|version| *version == seen.version) {
            return;
        }
        // Also that of a file that will be refused, so that it is read once.
        seen.version = *found.as_ref().unwrap_or(&seen.version);
        let listed = found.and_then(|version| match version {
            None => Err(FileError::gone(&self.0.path)),
            Some(_) => ClientsFile::read(&self.0.path),
        });
        match listed {
            Ok(listed) => {
                let table = Table::of(listed, &self.table(), self.0.usual);
                table.tell(now_ms);
                *self.0.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
                seen.trouble = None;
            }
            Err(error) => {
                let trouble = error.to_string();
                if seen.trouble.as_ref() != Some(&trouble) {
                    tracing::error!("THE CLIENTS OF BEFORE STAY, nobody is revoked: {trouble}");
                }
                seen.trouble = Some(trouble);
            }
        }
    }

    /// Counts a failure. Gives what is said instead of its reason when there are too many.
    fn knocked(&self, from: IpAddr) -> Option<NotAdmitted> {
        let mut address = Address::of(from);
        if self.0.knocks.len() >= ADDRESSES_MAX {
            self.0.knocks.retain_recent();
            if self.0.knocks.len() >= ADDRESSES_MAX {
                address = Address::AnyOther;
            }
        }
        let until = self.0.knocks.check_key(&address).err()?;
        Some(NotAdmitted::Knocking { wait: until.wait_time_from(self.0.clock.now()) })
    }

    fn table(&self) -> Arc<Table> {
        // Whoever holds these locks does nothing that could panic.
        Arc::clone(&self.0.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// A client that was there before keeps count of what it has asked.
    fn of(listed: Vec<Listed>, before: &Self, usual: Quota) -> Self {
        let mut table = Self::default();
        for Listed { client, proof, requests_per_second, .. } in listed {
            let quota = requests_per_second.map_or(usual, |rate| quota(rate, rate.saturating_mul(2)));
            let known = match before.with_proof(&proof) {
                Some(known) if known.client == client && known.quota == quota => Arc::clone(known),
                _ => Arc::new(Known {
                    client,
                    proof: proof.clone(),
                    quota,
                    lately: RateLimiter::direct(quota),
                }),
            };
            match proof {
                Proof::Token(digest) => drop(table.by_token.insert(digest.beginning(), known)),
                Proof::Certificate(pin) => drop(table.by_pin.insert(pin, known)),
            }
        }
        table
    }

    /// The client with that token. The table is searched by eight bytes of the digest, which says nothing of the
    /// token; the whole digest is compared in constant time.
    fn with_token(&self, text: &str) -> Option<&Arc<Known>> {
        let digest = TokenDigest::of(text)?;
        self.by_token.get(&digest.beginning()).filter(|known| known.proof.is_token(&digest))
    }

    fn with_proof(&self, proof: &Proof) -> Option<&Arc<Known>> {
        match proof {
            Proof::Token(digest) => {
                self.by_token.get(&digest.beginning()).filter(|known| known.proof.is_token(digest))
            }
            Proof::Certificate(pin) => self.by_pin.get(pin),
        }
    }

    fn tell(&self, now_ms: u64) {
        let all = || self.by_token.values().chain(self.by_pin.values());
        match all().count() {
            0 => tracing::warn!("nobody may use the API; `perennial-coordinator client add` adds a client"),
            clients => tracing::info!(clients, "so many may use the API"),
        }
        for known in all() {
            let Client { name, expires_ms, .. } = &known.client;
            if known.client.is_expired(now_ms) {
                tracing::warn!(client = %name, "its time is over; `client revoke` removes it");
            } else if expires_ms.saturating_sub(now_ms) < ENDS_SOON_MS {
                let hours = (expires_ms - now_ms) / (60 * 60 * 1000);
                tracing::warn!(client = %name, "its time is over in {hours} hours; `client add` makes another");
            }
        }
    }
}

impl Address {
    fn of(address: IpAddr) -> Self {
        Self::Of(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        })
    }
}

fn quota(per_second: u32, burst: u32) -> Quota {
    let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(at_least_one(per_second)).allow_burst(at_least_one(burst))
}

fn per_second(quota: &Quota) -> u32 {
    let interval = quota.replenish_interval().as_secs_f64();
    if interval > 0.0 { (1.0 / interval).round() as u32 } else { u32::MAX }
}

#[cfg(test)]
mod tests;
