//! From the journal back to where the loop was. What was asked and not answered is asked again.

use super::{Closed, Driver, Tuning, World};
use crate::driver::asking::Desk;
use crate::driver::decrees::Decrees;
use crate::driver::governing::Governed;
use crate::driver::probing::Bench;
use crate::driver::thefts::{Thefts, tenure_of_settlement};
use crate::journal::{Batch, Journal, Loaded, Recorded, Summary};
use crate::wallets::{HeadChange, Heads};
use perennial_model::encoding;
use perennial_model::governance::history::History;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Why the loop cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BootError<E> {
    /// The journal cannot be read.
    #[error("the journal cannot be read: {0}")]
    Journal(E),
    /// The journal holds what this version cannot have written. Restore it, or start the version that wrote it.
    #[error("line {line} of the journal does not belong there: {reason}")]
    Corrupt {
        /// Which of the loaded documents, from 0.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

impl<J: Journal, W: World> Driver<J, W> {
    /// Loads and replays the journal. The first [`Driver::settle`] asks for everything that is missing.
    ///
    /// # Errors
    /// [`BootError`], with what to do.
    pub fn boot(
        history: Arc<History>,
        tuning: Tuning,
        mut journal: J,
        world: W,
    ) -> Result<Self, BootError<J::Error>> {
        let loaded = journal.load().map_err(BootError::Journal)?;
        let mut driver = Self {
            journal,
            world,
            history,
            governed: Governed::default(),
            decrees: Decrees::default(),
            thefts: Thefts::default(),
            tuning,
            open: BTreeMap::new(),
            closed: BTreeMap::new(),
            heads: Heads::default(),
            inbox: VecDeque::new(),
            batch: Batch::default(),
            settled: super::Settled::default(),
            chunks_to_see: BTreeSet::new(),
            ceremonies_to_see: BTreeSet::new(),
            desk: Desk::default(),
            bench: Bench::default(),
            now_ms: 0,
        };
        for (line, document) in loaded.into_iter().enumerate() {
            driver.replay(document).map_err(|reason| BootError::Corrupt { line, reason })?;
            // What follows from old facts is known already, to the ledger and to everybody else.
            driver.batch = Batch::default();
            driver.settled = super::Settled::default();
        }
        driver.tick();
        Ok(driver)
    }

    fn replay(&mut self, document: Loaded) -> Result<(), String> {
        match document {
            Loaded::Line(bytes) => {
                let recorded: Recorded = encoding::decode(&bytes).map_err(|e| e.to_string())?;
                self.now_ms = recorded.at_ms;
                self.take_in(recorded).map_err(|e| e.to_string())
            }
            Loaded::Summary(bytes) => {
                let summary: Summary = encoding::decode(&bytes).map_err(|e| e.to_string())?;
                self.replay_summary(summary);
                Ok(())
            }
        }
    }

    fn replay_summary(&mut self, summary: Summary) {
        let has_generations = !summary.generations.is_empty();
        let tenures = summary
            .tenures
            .unwrap_or_else(|| summary.generations.iter().filter_map(tenure_of_settlement).collect());
        for settlement in summary.generations {
            self.change(HeadChange::Retired {
                generation: Arc::new(settlement.generation),
                activated_ms: settlement.activated_ms,
                at_ms: settlement.retired_ms,
            });
        }
        for left in summary.abandoned {
            self.change(HeadChange::Abandoned {
                epoch: left.epoch,
                wallets: left.wallets.into(),
                openers: left.openers.into(),
            });
        }
        let status = summary.status;
        let tenures = self.thefts.sharing_names(tenures);
        self.closed.insert(status.ceremony, Closed { status, has_generations, tenures });
    }
}
