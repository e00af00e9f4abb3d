//! Which entries of the ledger are about what: a file of its own, so that nothing on the way of a signature waits for
//! it. It follows from the two others; if it does not fit the ledger, it is made anew.

use crate::ledger::{Ledger, LedgerReader, ReadEntry};
use crate::plan_reader::PlanReader;
use crate::store::{PAGE_BYTES, StoreError, StoreFile, migrations};
use perennial_ledger::entry::Content;
use perennial_ledger::tree::Tree;
use perennial_ledger::{Entry, NodeHash};
use perennial_model::encoding::{self, Digest};
use perennial_model::plan::{Plan, PlannedWallet};
use perennial_model::theft::TheftReport;
use perennial_model::wallet::{TenantId, WalletId};
use sqlx::SqliteConnection;
use sqlx::migrate::Migrator;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::sync::Mutex;

pub(crate) static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    migrations(&[("0001_mentions", include_str!("../../migrations/index/0001_mentions.sql"))])
});

/// How many entries are read, and indexed in one transaction.
const TOGETHER: u32 = 1000;
/// How often the index is compared with the ledger while nobody asks.
const LOOK: Duration = Duration::from_secs(10);
/// How far it may lag behind then: what is left is read when somebody asks.
const LAG: u64 = 20_000;
/// The only source.
const SOURCE: &str = "ledger";

/// What entries are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// Versions of governance.
    Governance,
    /// One ceremony, by its plan.
    Plan(Digest),
    /// Activations of epochs of one wallet.
    Epochs(WalletId),
    /// Signatures of one wallet.
    Signatures(WalletId),
    /// Reports of thefts for one tenant; none: for all of them.
    Thefts(Option<TenantId>),
}

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Only the first so many entries of the ledger.
    pub size: u64,
    /// Only after this place; none: from the first.
    pub after: Option<u64>,
    /// Only from this time, in milliseconds since 1970.
    pub from_ms: u64,
    /// Only up to this time.
    pub to_ms: u64,
}

/// An entry that was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mention {
    /// Its place.
    pub place: u64,
    /// The number of its note; 0 for a signature.
    pub note: i64,
}

/// How far the ledger is read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Indexed {
    size: u64,
    root: String,
    notes: i64,
}

/// The index.
#[derive(Debug)]
pub struct Index {
    file: StoreFile,
    ledger: LedgerReader,
    plans: PlanReader,
    written: Mutex<Option<Written>>,
}

#[derive(Debug)]
struct Written {
    connection: SqliteConnection,
    indexed: Indexed,
    /// The plan that was looked up last: entries of one plan stand together.
    plan: Option<(Digest, Arc<Plan>)>,
}

impl About {
    fn name(&self) -> String {
        match self {
            Self::Governance => "governance".into(),
            Self::Plan(plan) => format!("plan {plan}"),
            Self::Epochs(wallet) => format!("epochs {wallet}"),
            Self::Signatures(wallet) => format!("signatures {wallet}"),
            Self::Thefts(None) => "thefts".into(),
            Self::Thefts(Some(tenant)) => format!("thefts {tenant}"),
        }
    }
}

impl Index {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(file: StoreFile, ledger: LedgerReader, plans: PlanReader) -> Result<Self, StoreError> {
        file.prepare(&MIGRATIONS, PAGE_BYTES).await?;
        Ok(Self { file, ledger, plans, written: Mutex::new(None) })
    }

    /// What a damaged file comes to.
    pub fn damaged(&self, reason: impl Into<String>) -> StoreError {
        self.file.damaged(reason)
    }

    /// Follows the ledger for ever, at a distance.
    pub async fn follow(&self, ledger: &Ledger) {
        let mut every = tokio::time::interval(LOOK);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            let size = ledger.head().size;
            let read = self.written.lock().await.as_ref().map_or(0, |written| written.indexed.size);
            if size.saturating_sub(read) > LAG
                && let Err(error) = self.catch_up(size).await
            {
                tracing::warn!("the index of the ledger stays behind: {error}");
            }
        }
    }

    /// Entries about something, in the order of their places.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn mentioned(&self, about: &About, span: Span, limit: u32) -> Result<Vec<Mention>, StoreError> {
        self.catch_up(span.size).await?;
        let mut place = self.written.lock().await;
        let Some(mut written) = place.take() else { return Ok(Vec::new()) };
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let rows: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT place, note FROM mentions WHERE name = $1 AND place > $2 AND place < $3 \
             AND time_ms >= $4 AND time_ms <= $5 ORDER BY place LIMIT $6",
        )
        .bind(about.name())
        .bind(span.after.map_or(-1, number))
        .bind(number(span.size))
        .bind(number(span.from_ms))
        .bind(number(span.to_ms))
        .bind(i64::from(limit))
        .fetch_all(&mut written.connection)
        .await
        .map_err(|error| self.file.error(&error))?;
        *place = Some(written);
        Ok(rows.into_iter().map(|(place, note)| Mention { place: place as u64, note }).collect())
    }

    /// Reads the ledger up to a size. After an error the file is opened anew.
    async fn catch_up(&self, size: u64) -> Result<(), StoreError> {
        let mut place = self.written.lock().await;
        let mut written = match place.take() {
            Some(written) => written,
            None => self.begin().await?,
        };
        while written.indexed.size < size {
            let entries = self.ledger.entries(written.indexed.size, TOGETHER).await?;
            if entries.is_empty() {
                return Err(self.file.damaged(format!("the ledger has no entry {}", written.indexed.size)));
            }
            self.take_in(&mut written, &entries).await?;
            // Whoever shares this thread gets a turn.
            tokio::task::yield_now().await;
        }
        *place = Some(written);
        Ok(())
    }

    /// Opens the file, and empties it if it is of another ledger.
    async fn begin(&self) -> Result<Written, StoreError> {
        let failed = |error: sqlx::Error| self.file.error(&error);
        let mut connection = self.file.open().await?;
        let row: Option<(i64, String, i64)> =
            sqlx::query_as("SELECT size, root, notes FROM indexed WHERE source = $1")
                .bind(SOURCE)
                .fetch_optional(&mut connection)
                .await
                .map_err(failed)?;
        let known = row.map(|(size, root, notes)| Indexed { size: size as u64, root, notes });
        let fits = match &known {
            Some(known) => self.root(known.size).await.is_ok_and(|root| root == known.root),
            None => false,
        };
        if !fits {
            sqlx::query("DELETE FROM mentions").execute(&mut connection).await.map_err(failed)?;
        }
        let none = Indexed { size: 0, root: NodeHash::of_nothing().to_string(), notes: 0 };
        let indexed = known.filter(|_| fits).unwrap_or(none);
        Ok(Written { connection, indexed, plan: None })
    }

    /// The root of the ledger when it had so many entries.
    async fn root(&self, size: u64) -> Result<String, StoreError> {
        let damaged = |error: perennial_ledger::Error| self.file.damaged(error.to_string());
        let nodes = self.ledger.nodes(&Tree::open_needs(size).map_err(damaged)?).await?;
        Ok(Tree::open(size, &nodes).map_err(damaged)?.head().root.to_string())
    }

    async fn take_in(&self, written: &mut Written, entries: &[ReadEntry]) -> Result<(), StoreError> {
        let failed = |error: sqlx::Error| self.file.error(&error);
        let mut notes = written.indexed.notes;
        let mut mentions: Vec<(String, u64, u64, i64)> = Vec::with_capacity(entries.len());
        for read in entries {
            let entry = Entry::from_bytes(&read.entry).map_err(|error| self.damaged(error.to_string()))?;
            let note = match entry.content {
                Content::Signature(_) => 0,
                Content::Other(_) => {
                    notes += 1;
                    notes
                }
            };
            for about in self.about(&entry, note, &mut written.plan).await? {
                mentions.push((about.name(), read.place, entry.time_ms, note));
            }
        }
        let size = written.indexed.size + entries.len() as u64;
        let indexed = Indexed { size, root: self.root(size).await?, notes };
        let connection = &mut written.connection;
        sqlx::query("BEGIN").execute(&mut *connection).await.map_err(failed)?;
        for (name, place, time_ms, note) in mentions {
            sqlx::query("INSERT INTO mentions (name, place, time_ms, note) VALUES ($1, $2, $3, $4)")
                .bind(name)
                .bind(place as i64)
                .bind(i64::try_from(time_ms).unwrap_or(i64::MAX))
                .bind(note)
                .execute(&mut *connection)
                .await
                .map_err(failed)?;
        }
        sqlx::query(
            "INSERT INTO indexed (source, size, root, notes) VALUES ($1, $2, $3, $4) ON CONFLICT (source) \
             DO UPDATE SET size = excluded.size, root = excluded.root, notes = excluded.notes",
        )
        .bind(SOURCE)
        .bind(indexed.size as i64)
        .bind(&indexed.root)
        .bind(indexed.notes)
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
        sqlx::query("COMMIT").execute(&mut *connection).await.map_err(failed)?;
        written.indexed = indexed;
        Ok(())
    }

    /// Under which names an entry is looked for.
    async fn about(
        &self,
        entry: &Entry,
        note: i64,
        known: &mut Option<(Digest, Arc<Plan>)>,
    ) -> Result<Vec<About>, StoreError> {
        let subject = entry.subject.as_str();
        if let Content::Signature(signature) = &entry.content {
            return Ok(signature.wallet.as_str().parse().map(About::Signatures).into_iter().collect());
        }
        if entry.kind() == "governance-pinned" {
            return Ok(vec![About::Governance]);
        }
        if entry.kind() == "theft-reported" {
            let (_, body) = self.plans.note(note).await?;
            let report = body.and_then(|body| encoding::decode::<TheftReport>(&body).ok());
            return Ok(report.into_iter().map(|report| About::Thefts(report.tenant)).collect());
        }
        let Some(plan) = subject.split(' ').next().and_then(|word| word.parse().ok()) else {
            return Ok(Vec::new());
        };
        let mut all = vec![About::Plan(plan)];
        if entry.kind() == "activation" {
            if known.as_ref().is_none_or(|(digest, _)| *digest != plan) {
                let found = self.plans.plan(&plan).await?;
                *known = found.map(|approved| (plan, Arc::new(approved.plan)));
            }
            let wallets = known.iter().flat_map(|(_, plan)| wallets_in(plan, subject));
            all.extend(wallets.map(|wallet| About::Epochs(wallet.id().clone())));
        }
        Ok(all)
    }
}

/// The wallets of a plan in the chunk of this subject: plan, epoch, and the places as `first..end`.
fn wallets_in<'p>(plan: &'p Plan, subject: &str) -> &'p [PlannedWallet] {
    let places = subject.rsplit(' ').next().and_then(|places| places.split_once(".."));
    let range = places.and_then(|(first, end)| Some(first.parse().ok()?..end.parse().ok()?));
    range.and_then(|range: std::ops::Range<usize>| plan.wallets.get(range)).unwrap_or_default()
}
