//! The coordinator's journal in memory: a batch is appended whole or not at all, and a fuse makes an append fail.

use crate::disk::Landed;
use perennial_model::encoding::{self, Digest};
use perennial_model::plan::Chunk;
use perennial_workflow::ceremony::Fact;
use perennial_workflow::ceremony::batch::CeremonyFact;
use perennial_workflow::journal::{Batch, Journal, Loaded, Recorded};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The journal's store. It survives the process; every process gets a handle.
#[derive(Clone, Debug, Default)]
pub struct Log(Rc<RefCell<Kept>>);

#[derive(Clone, Debug, Default)]
struct Kept {
    closed_in_order: Vec<Digest>,
    summaries: BTreeMap<Digest, Vec<u8>>,
    closed: BTreeSet<Digest>,
    lines: Vec<(Digest, Vec<u8>)>,
    fuse: Option<Landed>,
    appends: u64,
}

/// The append did not come back. The process has to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AppendFailed;

impl std::fmt::Display for AppendFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the journal's disk failed during an append")
    }
}

impl Log {
    /// A copy of it as it is now, which knows nothing of what is appended later.
    pub fn copy(&self) -> Self {
        Self(Rc::new(RefCell::new(self.0.borrow().clone())))
    }

    /// Makes the next append fail, done or not done.
    pub fn set_fuse(&self, fuse: Option<Landed>) {
        self.0.borrow_mut().fuse = fuse;
    }

    /// Loses what was noted of an attempt since its dealers and holders were chosen, as a journal does that was put
    /// back from a copy. Nothing is lost of an attempt that is further than its votes.
    pub fn forget(&self, chunk: &Chunk) {
        let mut kept = self.0.borrow_mut();
        let of_chunk: Vec<(usize, Fact)> = kept
            .lines
            .iter()
            .enumerate()
            .filter(|(_, (ceremony, _))| *ceremony == chunk.plan)
            .filter_map(|(at, (_, bytes))| match encoding::decode::<Recorded>(bytes).ok()?.fact {
                CeremonyFact::Chunk(of, fact) if of == *chunk => Some((at, *fact)),
                _ => None,
            })
            .collect();
        let Some(fixed) = of_chunk.iter().position(|(_, fact)| matches!(fact, Fact::Fixed(_))) else {
            return;
        };
        let later = &of_chunk[fixed..];
        let is_early = |fact: &Fact| {
            matches!(
                fact,
                Fact::Fixed(_)
                    | Fact::Committed(_)
                    | Fact::Dealt(_)
                    | Fact::Transcribed(_)
                    | Fact::Prepared(_)
            )
        };
        if later.iter().all(|(_, fact)| is_early(fact)) {
            for (at, _) in later.iter().rev() {
                kept.lines.remove(*at);
            }
        }
    }

    /// Whether the fuse is still whole.
    pub fn has_fuse(&self) -> bool {
        self.0.borrow().fuse.is_some()
    }

    /// How many batches were appended.
    pub fn appends(&self) -> u64 {
        self.0.borrow().appends
    }
}

impl Kept {
    fn take(&mut self, batch: &Batch) {
        self.appends += 1;
        let open = batch.lines.iter().filter(|line| !self.closed.contains(&line.ceremony));
        let open: Vec<_> = open.map(|line| (line.ceremony, line.document.clone())).collect();
        self.lines.extend(open);
        for line in &batch.summaries {
            if self.closed.insert(line.ceremony) {
                self.closed_in_order.push(line.ceremony);
                self.lines.retain(|(ceremony, _)| *ceremony != line.ceremony);
            }
            self.summaries.insert(line.ceremony, line.document.clone());
        }
    }
}

impl Journal for Log {
    type Error = AppendFailed;

    fn append(&mut self, batch: &Batch) -> Result<(), AppendFailed> {
        let mut kept = self.0.borrow_mut();
        match kept.fuse.take() {
            Some(Landed::No) => return Err(AppendFailed),
            Some(Landed::Yes) => {
                kept.take(batch);
                return Err(AppendFailed);
            }
            None => kept.take(batch),
        }
        Ok(())
    }

    fn load(&mut self) -> Result<Vec<Loaded>, AppendFailed> {
        let kept = self.0.borrow();
        let summaries = kept.closed_in_order.iter().filter_map(|ceremony| kept.summaries.get(ceremony));
        let summaries = summaries.map(|bytes| Loaded::Summary(bytes.clone()));
        Ok(summaries.chain(kept.lines.iter().map(|(_, bytes)| Loaded::Line(bytes.clone()))).collect())
    }
}
