//! A bundle from a coordinator. What comes is put together and checked as an auditor would, before it is written.

use super::bundle::{About, Bundle, CHECKPOINT, GOVERNANCE, SUMMARY_HTML, SUMMARY_MD, entry_member};
use super::check::{Trust, concerns, facts_of};
use super::facts::Facts;
use super::summary;
use super::window::read_time;
use crate::api::Governance as SaidGovernance;
use crate::arguments;
use crate::client::{Client, understood};
use crate::failure::{Failure, Kind};
use crate::ledger::Shown;
use crate::operator::Operator;
use base64ct::{Base64, Encoding};
use getrandom::SysRng;
use perennial_ledger::Entry;
use perennial_model::approval::ApprovedPlan;
use perennial_model::certificate::Certificate;
use perennial_model::encoding::{self, Bytes, Digest};
use perennial_model::evidence::{ProvedEntry, read_subject};
use perennial_model::plan::Plan;
use perennial_model::share_set::ShareSet;
use perennial_model::theft::TheftReport;
use perennial_model::wallet::WalletId;
use rand_core::UnwrapErr;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long the coordinator lets what happened in ceremonies wait for more of its kind, before it enters all of it; and
/// time to do so.
const ENTERED_WITHIN: Duration = Duration::from_millis(200);
/// Epochs before a window whose signatures may still be in it: the one that serves, and the one before in an overlap.
const EPOCHS_BEFORE: usize = 2;

#[derive(Deserialize)]
struct Proved {
    entries: Vec<ProvedBody>,
    next: Option<u64>,
}

#[derive(Deserialize)]
struct ProvedBody {
    index: u64,
    entry: String,
    body: Option<String>,
    proof: Vec<String>,
}

#[derive(Deserialize)]
struct Chunks {
    chunks: Vec<ChunkBody>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct ChunkBody {
    root: String,
    leaves: String,
    share_sets: Vec<String>,
}

/// An entry that came.
struct Found {
    proved: ProvedEntry,
    entry: Entry,
    body: Option<Vec<u8>>,
}

/// What one attempt made.
struct Made {
    root: Vec<u8>,
    leaves: Vec<u8>,
    share_sets: Vec<Vec<u8>>,
}

struct Collector<'c> {
    client: &'c Client,
    bundle: Bundle,
    size: u64,
    /// The roots of the Activations that are in.
    roots: BTreeSet<Digest>,
}

/// Collects and checks.
pub fn collect(operator: &Operator, arguments: &arguments::Evidence) -> Result<(Bundle, Facts), Failure> {
    let about = about(operator, arguments)?;
    let mut collector = Collector::begin(&operator.client, about.clone())?;
    match &about {
        About::Wallet { wallet, from_ms, to_ms } => collector.wallet(wallet, *from_ms, *to_ms)?,
        About::Ceremony { plan } => collector.ceremony(plan)?,
    }
    collector.governance()?;
    let mut bundle = collector.bundle;
    let known = operator.cluster.history()?;
    let genesis = known.as_ref().map(|history| history.first_digest());
    let trust = Trust { genesis, known, ..Trust::default() };
    let facts = facts_of(&bundle, &trust, &mut UnwrapErr(SysRng)).map_err(|flaw| not_believed(&flaw))?;
    bundle.members.insert(SUMMARY_MD.into(), summary::markdown(&facts).into_bytes());
    bundle.members.insert(SUMMARY_HTML.into(), summary::html(&facts).into_bytes());
    Ok((bundle, facts))
}

/// A wallet, if there is one of that name, else a ceremony.
fn about(operator: &Operator, arguments: &arguments::Evidence) -> Result<About, Failure> {
    let time = |text: &Option<String>| {
        let read = text.as_deref().map(read_time).transpose();
        read.map_err(|error| Failure::usage(error, "give both ends of the window in UTC"))
    };
    let (from_ms, to_ms) = (time(&arguments.from)?, time(&arguments.to)?);
    if let Ok(wallet) = arguments.about.parse::<WalletId>()
        && operator.client.wallet(wallet.as_str()).is_ok()
    {
        return Ok(About::Wallet { wallet, from_ms, to_ms });
    }
    if from_ms.is_some() || to_ms.is_some() {
        return Err(Failure::usage(
            format!("there is no wallet {}", arguments.about),
            "a window of time is for wallets: `perennial wallet list` shows those that there are",
        ));
    }
    let plan = operator.client.find_ceremony(&arguments.about)?;
    let plan = plan.parse().map_err(|_| Failure::usage("this is no ceremony", "give its digest"))?;
    Ok(About::Ceremony { plan })
}

impl<'c> Collector<'c> {
    /// Begins with a checkpoint over everything that is in the ledger now, cosigned by as many as an auditor asks for.
    fn begin(client: &'c Client, about: About) -> Result<Self, Failure> {
        std::thread::sleep(ENTERED_WITHIN);
        let page = client.get("/v1/ledger/entries?limit=1")?;
        let size = page["size"].as_u64().unwrap_or(0);
        let shown = Shown::awaited(client, |shown| {
            shown.size >= size && shown.cosigners() > shown.witnesses.len() / 2
        })?;
        let members = BTreeMap::from([(CHECKPOINT.to_owned(), shown.checkpoint.into_bytes())]);
        let bundle = Bundle { about, ledger_key: shown.key, members };
        Ok(Self { client, bundle, size: shown.size, roots: BTreeSet::new() })
    }

    fn wallet(&mut self, wallet: &WalletId, from_ms: Option<u64>, to_ms: Option<u64>) -> Result<(), Failure> {
        let activations = self.entries(&format!("epochs:{wallet}"), None)?;
        let (from, to) = (from_ms.unwrap_or(0), to_ms.unwrap_or(u64::MAX));
        let before = activations.iter().take_while(|found| found.entry.time_ms <= from).count();
        let chosen = activations.iter().skip(before.saturating_sub(EPOCHS_BEFORE));
        let chosen = chosen.filter(|found| found.entry.time_ms <= to);
        let plans: BTreeSet<Digest> = chosen.filter_map(|found| plan_of(&found.entry)).collect();
        for plan in plans {
            let found = self.entries(&format!("plan:{plan}"), None)?;
            let place = found.iter().find_map(approved_plan).and_then(|plan| place_in(&plan, wallet));
            let concerns = |found: &Found| {
                let chunk = read_subject(found.entry.subject.as_str());
                chunk.is_none_or(|chunk| {
                    place.is_some_and(|place| (chunk.first..chunk.first + chunk.count).contains(&place))
                })
            };
            found.into_iter().filter(concerns).for_each(|found| self.add(found));
            for made in self.chunks(&plan, Some(wallet))? {
                self.add_made(made);
            }
        }
        let window = Some((from, to));
        self.entries(&format!("signatures:{wallet}"), window)?.into_iter().for_each(|found| self.add(found));
        self.thefts(wallet)
    }

    /// Every report about the wallet, whenever it came, and those that withdraw one of them.
    fn thefts(&mut self, wallet: &WalletId) -> Result<(), Failure> {
        let tenant = self.client.wallet(wallet.as_str())?.tenant;
        for about in ["thefts".to_owned(), format!("thefts:{tenant}")] {
            let mut ours = BTreeSet::new();
            for found in self.entries(&about, None)? {
                let report = found.body.as_ref().and_then(|body| encoding::decode::<TheftReport>(body).ok());
                if report.is_some_and(|report| concerns(&report, wallet, &ours)) {
                    ours.insert(Digest(found.entry.body.0));
                    self.add(found);
                }
            }
        }
        Ok(())
    }

    fn ceremony(&mut self, plan: &Digest) -> Result<(), Failure> {
        let found = self.entries(&format!("plan:{plan}"), None)?;
        if found.is_empty() {
            return Err(Failure::new(
                Kind::Refused,
                format!("the ledger says nothing of a ceremony {plan}"),
                "caller",
                "`perennial ceremony list` shows those that there are",
            ));
        }
        found.into_iter().for_each(|found| self.add(found));
        let mut parents = BTreeMap::new();
        for made in self.chunks(plan, None)? {
            for share_set in self.add_made(made) {
                // What cannot be read is refused when the whole is checked.
                let Ok(set) = encoding::decode::<ShareSet>(&share_set) else { continue };
                parents.extend(set.parent.map(|parent| (parent, set.wallet.id)));
            }
        }
        self.parents(plan, parents)
    }

    /// The share sets that others came of. Those of many wallets come of one plan, so it is asked about one wallet after
    /// the other only until all are found.
    fn parents(&mut self, plan: &Digest, mut missing: BTreeMap<Digest, WalletId>) -> Result<(), Failure> {
        let mut asked = BTreeSet::from([*plan]);
        while let Some((parent, wallet)) = missing.pop_first() {
            let activations = self.entries(&format!("epochs:{wallet}"), None)?;
            missing.insert(parent, wallet);
            let plans = activations.iter().rev().filter_map(|found| plan_of(&found.entry));
            for earlier in plans.collect::<Vec<_>>() {
                if !asked.insert(earlier) || !missing.contains_key(&parent) {
                    continue;
                }
                for share_set in self.chunks(&earlier, None)?.into_iter().flat_map(|made| made.share_sets) {
                    if missing.remove(&Digest::of(&share_set)).is_some() {
                        self.bundle.add_document(share_set);
                    }
                }
            }
            // Without one that is nowhere the bundle is refused when the whole is checked.
            missing.remove(&parent);
        }
        Ok(())
    }

    fn governance(&mut self) -> Result<(), Failure> {
        self.entries("governance", None)?.into_iter().for_each(|found| self.add(found));
        let said: SaidGovernance = understood(self.client.get("/v1/governance")?)?;
        let history = decoded(&said.history)?;
        self.bundle.members.insert(GOVERNANCE.into(), history);
        Ok(())
    }

    fn add(&mut self, found: Found) {
        let member = entry_member(found.proved.place);
        self.bundle.members.insert(member, encoding::encode(&found.proved));
        // A body that is missing is refused with its entry's name when the whole is checked.
        let Some(body) = found.body else { return };
        if found.entry.kind() == "activation"
            && let Ok(certificate) = encoding::decode::<Certificate>(&body)
        {
            self.roots.insert(certificate.root);
        }
        self.bundle.add_document(body);
    }

    /// Adds what an attempt made, if it was activated. Gives the share sets.
    fn add_made(&mut self, made: Made) -> Vec<Vec<u8>> {
        if !self.roots.contains(&Digest::of(&made.root)) {
            return Vec::new();
        }
        let documents = [made.root, made.leaves].into_iter().chain(made.share_sets.iter().cloned());
        documents.for_each(|document| _ = self.bundle.add_document(document));
        made.share_sets
    }

    fn entries(&self, about: &str, window: Option<(u64, u64)>) -> Result<Vec<Found>, Failure> {
        let (mut all, mut after) = (Vec::new(), None);
        let window = window.map_or(String::new(), |(from, to)| format!("&from_ms={from}&to_ms={to}"));
        loop {
            let on = after.map_or(String::new(), |after: u64| format!("&after={after}"));
            let path = format!("/v1/evidence/entries?about={about}&size={}{window}{on}", self.size);
            let page: Proved = understood(self.client.get(&path)?)?;
            for body in page.entries {
                all.push(body.read()?);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(all),
            }
        }
    }

    fn chunks(&self, plan: &Digest, wallet: Option<&WalletId>) -> Result<Vec<Made>, Failure> {
        let (mut all, mut after) = (Vec::new(), String::new());
        let wallet = wallet.map_or(String::new(), |wallet| format!("wallet={wallet}&"));
        loop {
            let path = format!("/v1/evidence/chunks/{plan}?{wallet}{after}");
            let page: Chunks = understood(self.client.get(path.trim_end_matches(['?', '&']))?)?;
            for body in page.chunks {
                let share_sets = body.share_sets.iter().map(|set| decoded(set)).collect::<Result<_, _>>()?;
                all.push(Made { root: decoded(&body.root)?, leaves: decoded(&body.leaves)?, share_sets });
            }
            match page.next {
                Some(next) => after = format!("after={next}"),
                None => return Ok(all),
            }
        }
    }
}

impl ProvedBody {
    fn read(self) -> Result<Found, Failure> {
        let bytes = decoded(&self.entry)?;
        let entry = Entry::from_bytes(&bytes).map_err(|error| unreadable(&error.to_string()))?;
        let proof = self.proof.iter().map(|hash| hash.parse()).collect::<Result<Vec<Digest>, _>>();
        let proof = proof.map_err(|error| unreadable(&error.to_string()))?;
        let body = self.body.map(|body| decoded(&body)).transpose()?;
        Ok(Found { proved: ProvedEntry { place: self.index, entry: Bytes(bytes), proof }, entry, body })
    }
}

fn plan_of(entry: &Entry) -> Option<Digest> {
    read_subject(entry.subject.as_str()).map(|chunk| chunk.plan)
}

fn approved_plan(found: &Found) -> Option<Plan> {
    let body = found.body.as_ref().filter(|_| found.entry.kind() == "plan-approved")?;
    encoding::decode::<ApprovedPlan>(body).ok().map(|approved| approved.plan)
}

fn place_in(plan: &Plan, wallet: &WalletId) -> Option<u32> {
    plan.wallets.iter().position(|planned| planned.id() == wallet).map(|at| at as u32)
}

fn decoded(text: &str) -> Result<Vec<u8>, Failure> {
    Base64::decode_vec(text).map_err(|error| unreadable(&error.to_string()))
}

fn unreadable(reason: &str) -> Failure {
    Failure::new(
        Kind::Broken,
        format!("what came cannot be read: {reason}"),
        "the coordinator, or the versions differ",
        "use programs of one release",
    )
}

fn not_believed(flaw: &super::flaw::Flaw) -> Failure {
    Failure::new(
        Kind::Broken,
        format!("what the coordinator gave out does not hold: {flaw}"),
        "the coordinator, or whoever had its files",
        "keep its directory as it is, and compare with an export of the ledger",
    )
}
