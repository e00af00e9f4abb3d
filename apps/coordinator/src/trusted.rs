//! The governance that is in force, for everybody in this process who goes by it. It changes while the daemon runs.

use perennial_daemon::identity::Pin;
use perennial_model::committee::SignerId;
use perennial_model::encoding::{self, Digest};
use perennial_model::governance::Governance;
use perennial_model::governance::history::History;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// A governance and how it came to be.
#[derive(Debug, Clone)]
pub struct Trusted {
    /// Every version, with its approvals.
    pub history: Arc<History>,
    /// Everybody who is a signer, or was one and still has to erase, with the pin that the newest version gives them.
    pub signers: BTreeMap<String, (SignerId, Pin)>,
}

impl From<Arc<History>> for Trusted {
    fn from(history: Arc<History>) -> Self {
        let mut signers = BTreeMap::new();
        for version in &history.versions().0 {
            let governance = &version.governance;
            for known in &governance.signers {
                signers.insert(known.signer.to_string(), (known.signer.clone(), pin(&known.transport_pin)));
            }
        }
        Self { history, signers }
    }
}

impl Trusted {
    /// The version that is in force.
    pub fn governance(&self) -> &Governance {
        self.history.newest()
    }

    /// Its digest.
    pub fn digest(&self) -> Digest {
        self.history.newest_digest()
    }

    /// Its canonical bytes.
    pub fn document(&self) -> Vec<u8> {
        encoding::encode(self.governance())
    }

    /// Name and pin of each signer.
    pub fn pins(&self) -> BTreeMap<String, Pin> {
        self.signers.iter().map(|(name, (_, pin))| (name.clone(), *pin)).collect()
    }
}

/// Where the governance in force is found. Clones find the same.
#[derive(Debug, Clone)]
pub struct InForce(Arc<RwLock<Arc<Trusted>>>);

impl InForce {
    /// Begins with this one.
    pub fn new(trusted: Trusted) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(trusted))))
    }

    /// What is in force now.
    pub fn get(&self) -> Arc<Trusted> {
        // Whoever holds the lock does nothing that could panic.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another in force.
    pub fn set(&self, trusted: Trusted) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(trusted);
    }
}

/// A pin as the transport knows it.
fn pin(digest: &Digest) -> Pin {
    digest.to_string().parse().expect("a digest is written like a pin")
}
