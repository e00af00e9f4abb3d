//! The time and chance of this signer. Everything that decides gets both as arguments.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{SystemTime, UNIX_EPOCH};

/// The system's time, which never goes back while this process runs. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    highest_ms: Arc<AtomicU64>,
}

impl Clock {
    /// The time in milliseconds since 1970. When the system's clock is set back, time stands still here until
    /// it is caught up.
    pub fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.not_before(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn not_before(&self, system_ms: u64) -> u64 {
        self.highest_ms.fetch_max(system_ms, Relaxed).max(system_ms)
    }
}

/// The operating system's generator, asked for every single number. Nothing of it is in this process, so a copy
/// of the process or of its virtual machine does not repeat a nonce.
pub type SystemRandom = getrandom::rand_core::UnwrapErr<getrandom::SysRng>;

/// The operating system's generator. The process ends if the system has no randomness to give.
pub fn system_random() -> SystemRandom {
    getrandom::rand_core::UnwrapErr(getrandom::SysRng)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_goes_back() {
        let clock = Clock::default();
        assert_eq!(clock.not_before(1_000), 1_000);
        assert_eq!(clock.clone().not_before(400), 1_000);
        assert_eq!(clock.not_before(1_001), 1_001);
        assert!(clock.now_ms() > 1_700_000_000_000);
    }
}
