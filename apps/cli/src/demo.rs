//! `perennial demo`: a cluster of real processes signs real transactions at a steady rate while all of its shares
//! are replaced, several times in a row; then what became of the old shares is computed from copies of them.
//!
//! It decides nothing and knows no shortcut: it starts the daemons as anybody would, asks the coordinator's API,
//! approves with an SSH key, and has every signature judged by a program that shares no code with ours.

mod figures;
mod load;
mod referee;
mod report;
mod stage;
mod thief;
mod traffic;

use crate::api::{Ceremony, Signed, Wallet};
use crate::approve::{Approver, sign as sign_approval};
use crate::arguments::{Demo, Global};
use crate::ceremony::{self, follow};
use crate::client::{Client, understood};
use crate::failure::Failure;
use crate::key_file::ApproverKey;
use crate::operator::{Form, print};
use crate::refresh::milliseconds;
use crate::rendering::{ReadPlan, counted};
use crate::sign::{chain, fresh_key};
use crate::table::{Side, Table};
use figures::split;
use load::{Load, Outcome, Sample};
use perennial_model::wallet::Chain;
use referee::{Question, Referee};
use report::Report;
use serde_json::{Value, json};
use stage::{Afterwards, Stage};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::time::{Duration, Instant};
use thief::{Damage, Thief};
use traffic::Payer;

/// The most wallets: each has a file's worth of output.
const WALLETS_MAX: u32 = 10_000;
/// The most signatures a second that are asked for.
const RATE_MAX: f64 = 2_000.0;
/// The longest steady signing and the longest overlap, in seconds.
const SECONDS_MAX: f64 = 3_600.0;
/// The most refreshes.
const REFRESHES_MAX: u32 = 1_000;
/// The least overlap for damage: the damaged signer is away for a part of it, and requests have to meet it after.
const BREAK_OVERLAP_MIN: f64 = 2.0;
/// How often the daemons are looked at while there is nothing else to do.
const LOOK: Duration = Duration::from_millis(50);

/// Whether everything came out as it should.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It did.
    Good,
    /// It did not; the report says what.
    Bad,
}

/// Carries out the command.
pub fn run(global: &Global, options: &Demo) -> Result<Verdict, Failure> {
    check(global, options)?;
    let times = match options.refreshes {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    };
    print(&format!(
        "perennial demo: {} signers, any {} sign. Shares are replaced {times} while the wallets keep signing.\n",
        options.signers, options.threshold
    ));
    let afterwards = if options.keep { Afterwards::Stays } else { Afterwards::Ends };
    let stage = Stage::start(
        global.dir.as_deref(),
        options.signers,
        options.threshold,
        Form::of(global),
        afterwards,
    )?;
    let mut demo = Performance::begin(&stage, options)?;
    let report = demo.perform()?;
    print(&report.text());
    let verdict = if report.complaints().is_empty() { Verdict::Good } else { Verdict::Bad };
    match afterwards {
        Afterwards::Ends => stage.end(),
        Afterwards::Stays => {
            print(&how_to_go_on(&stage));
            stage.leave();
        }
    }
    if Form::of(global) == Form::Json {
        print(&format!("{}\n", report.to_json()));
    }
    Ok(verdict)
}

fn check(global: &Global, options: &Demo) -> Result<(), Failure> {
    let bad = |what: String, todo: String| Err(Failure::usage(what, todo));
    if global.api.is_some() {
        return bad(
            "the demo starts a coordinator of its own, on a free port".into(),
            "leave --api out".into(),
        );
    }
    if !(1..=WALLETS_MAX).contains(&options.wallets) {
        return bad(
            format!("--wallets {} is out of range", options.wallets),
            format!("give 1 to {WALLETS_MAX}"),
        );
    }
    if !(options.rate > 0.0 && options.rate <= RATE_MAX) {
        return bad(
            format!("--rate {} is out of range", options.rate),
            format!("give more than 0 and at most {RATE_MAX}"),
        );
    }
    if options.refreshes > REFRESHES_MAX {
        return bad(
            format!("--refreshes {} is out of range", options.refreshes),
            format!("give at most {REFRESHES_MAX}"),
        );
    }
    if options.break_new_epoch && (options.refreshes == 0 || options.overlap < BREAK_OVERLAP_MIN) {
        let todo = format!("give --refreshes 1 or more and --overlap {BREAK_OVERLAP_MIN} or more");
        return bad("--break-new-epoch needs a refresh with an overlap to fall back in".into(), todo);
    }
    if options.break_new_epoch && options.threshold >= options.signers {
        let todo = "give a --threshold below --signers";
        return bad("--break-new-epoch needs a signer that can be spared".into(), todo.into());
    }
    milliseconds("--seconds", options.seconds, SECONDS_MAX)?;
    milliseconds("--overlap", options.overlap, SECONDS_MAX)?;
    crate::init::signer_names(options.signers, options.threshold)?;
    Ok(())
}

/// The demo while it runs.
struct Performance<'a> {
    stage: &'a Stage,
    options: &'a Demo,
    key: ApproverKey,
    approver: Approver,
    broken: Option<String>,
}

impl<'a> Performance<'a> {
    fn begin(stage: &'a Stage, options: &'a Demo) -> Result<Self, Failure> {
        let settings = stage.operator.cluster.settings()?;
        let key = ApproverKey::read(&stage.operator.cluster.directory.join(&settings.key))?;
        let approver = Approver::find(&stage.operator, &key, None)?;
        let (coordinator, signers) = stage.pids();
        let signers: Vec<String> = signers.iter().map(|(name, pid)| format!("{name} {pid}")).collect();
        print(&format!(
            "[start]  coordinator pid {coordinator} (holds no share); signers {}\n         files in {}{}\n",
            signers.join(", "),
            stage.directory().display(),
            if stage.is_passing() { ", removed at the end; --keep or --dir keeps them" } else { "" }
        ));
        Ok(Self { stage, options, key, approver, broken: None })
    }

    fn perform(&mut self) -> Result<Report, Failure> {
        let before = self.create()?;
        let place = self.stage.passing_directory()?;
        let operator = &self.stage.operator;
        let mut thief = Thief::new(place, &operator.cluster, &self.stage.signers, self.options.threshold);
        let payers = before.iter().map(payer).collect::<Result<Vec<_>, _>>()?;
        let referee = Referee::begin()?;
        let load = begin_load(&operator.client, &payers, &referee, self.options.rate)?;
        self.sign_steadily(&load)?;
        let mut refreshes = Vec::new();
        let mut first_refresh = None;
        for number in 1..=self.options.refreshes {
            thief.copy()?;
            first_refresh.get_or_insert_with(Instant::now);
            refreshes.push(self.refresh(number, &load)?);
        }
        let mut samples = load.end();
        let findings = referee.end()?;
        take_verdicts(&mut samples, findings);
        let after =
            before.iter().map(|wallet| operator.client.wallet(&wallet.id)).collect::<Result<_, _>>()?;
        // The damage is done in the first refresh: the copy before the second one has it, and the second heals it.
        let damage = match (&self.broken, self.options.refreshes) {
            (None, _) => Damage::None,
            (Some(_), 1) => Damage::Present,
            (Some(_), _) => Damage::Copied,
        };
        let proof = (self.options.refreshes > 0).then(|| thief.prove(damage)).transpose()?;
        let (steady, during) = split(&samples, first_refresh);
        Ok(Report {
            of_wallets: of_wallets(&samples, before.len()),
            before,
            after,
            steady,
            during,
            failures: reasons(&samples),
            refreshes,
            signers: self.stage.signers.len(),
            proof,
            broken: self.broken.take(),
        })
    }

    /// Makes the wallets.
    fn create(&self) -> Result<Vec<Wallet>, Failure> {
        let names: Vec<(String, Chain)> = (0..self.options.wallets).map(wallet_name).collect();
        let wallets: Vec<Value> =
            names.iter().map(|(id, chain)| json!({"id": id, "chain": chain.name()})).collect();
        let settings = self.stage.operator.cluster.settings()?;
        let draft = json!({
            "action": "create", "wallets": wallets, "tenant": settings.tenant,
            "threshold": self.options.threshold, "initiator": settings.initiator,
            "unsafe_ok": self.needs_waiver(),
        });
        let plan = self.approved(&draft)?;
        print(&format!(
            "[create] {}, approved by {} (SSH {})\n",
            counted(names.len(), "wallet"),
            settings.approver,
            short_fingerprint(&self.key.fingerprint())
        ));
        if self.needs_waiver() {
            print("         UNSAFE AGAINST LIARS, as approved: fewer than 2t-1 signers hold the shares\n");
        }
        follow(&self.stage.operator.client, &plan, |_, _| self.stage.check())?;
        let client = &self.stage.operator.client;
        let wallets: Vec<Wallet> = names.iter().map(|(id, _)| client.wallet(id)).collect::<Result<_, _>>()?;
        print(&addresses(&wallets));
        Ok(wallets)
    }

    /// Whether the committee is too small to be safe against liars, and so has to be approved as that.
    fn needs_waiver(&self) -> bool {
        u32::from(self.options.signers) + 1 < 2 * u32::from(self.options.threshold)
    }

    fn approved(&self, draft: &Value) -> Result<ReadPlan, Failure> {
        let operator = &self.stage.operator;
        let plan = operator.client.draft(draft)?;
        operator.client.submit(&plan)?;
        sign_approval(operator, &plan, &self.approver, &self.key)?;
        Ok(plan)
    }

    fn sign_steadily(&self, load: &Load) -> Result<(), Failure> {
        print(&format!(
            "[steady] {} signatures a second for {} s\n",
            self.options.rate, self.options.seconds
        ));
        let until = Instant::now() + Duration::from_secs_f64(self.options.seconds);
        while Instant::now() < until {
            self.stage.check()?;
            std::thread::sleep(LOOK.min(until.saturating_duration_since(Instant::now())));
        }
        if load.answered() == 0 && self.options.seconds >= 5.0 {
            return Err(Failure::local("no request was answered", "read the logs"));
        }
        Ok(())
    }

    /// Replaces all shares once.
    fn refresh(&mut self, number: u32, load: &Load) -> Result<Ceremony, Failure> {
        let client = &self.stage.operator.client;
        let initiator = &self.stage.operator.cluster.settings()?.initiator;
        let overlap_ms = milliseconds("--overlap", self.options.overlap, SECONDS_MAX)?;
        let draft = json!({
            "action": "refresh", "wallets": ["*"], "overlap_ms": overlap_ms, "initiator": initiator,
            "unsafe_ok": self.needs_waiver(),
        });
        let from = client.wallet(&wallet_name(0).0)?.epoch;
        let (begun, signed_before, failed_before) = (Instant::now(), load.answered(), load.failed());
        let plan = self.approved(&draft)?;
        let rank = plan.plan.rank;
        print(&format!(
            "[plan {number}] refresh, epoch {from} → {rank}.1, digest {} …; every signer checked the approval \
             itself\n  ",
            plan.digest.short()
        ));
        let (stage, options) = (self.stage, self.options);
        let broken = &mut self.broken;
        let done = follow(client, &plan, |ceremony, news| {
            stage.check()?;
            print(news);
            if ceremony::is_active(ceremony) && number == 1 && options.break_new_epoch && broken.is_none() {
                *broken = Some(break_share(stage)?);
            }
            Ok(())
        });
        let done = done.inspect_err(|_| print("\n"))?;
        let elapsed = begun.elapsed().as_secs_f64();
        print(&format!(
            "│ {:.1} sig/s, failed {}\n",
            (load.answered() - signed_before) as f64 / elapsed,
            load.failed() - failed_before
        ));
        if let Some(why) = load.latest_failure().filter(|_| load.failed() > failed_before) {
            print(&format!("  [failed] the latest: {why}\n"));
        }
        Ok(done)
    }
}

/// Damages one signer's new share of the first wallet on its disk while the signer is stopped.
fn break_share(stage: &Stage) -> Result<String, Failure> {
    // The last one: the proof combines the shares of the first ones.
    let signer = stage.signers.last().ok_or_else(|| Failure::local("there is no signer", "report this"))?;
    let wallet = wallet_name(0).0;
    stage.interrupt_signer(signer, |directory| {
        let arguments: [&OsStr; 5] =
            ["break".as_ref(), "--dir".as_ref(), directory.as_ref(), "--wallet".as_ref(), wallet.as_ref()];
        crate::process::run("perennial-autopsy", &arguments).map(drop)
    })?;
    print(&format!(
        "\n  [break] {signer}'s new share of {wallet} was damaged on its disk, {signer} started again\n  "
    ));
    Ok(signer.to_string())
}

/// Has the payers' transfers signed in turn, and everything that is signed judged.
fn begin_load(client: &Client, payers: &[Payer], referee: &Referee, rate: f64) -> Result<Load, Failure> {
    let (client, payers) = (client.another()?, payers.to_vec());
    let run = fresh_key()?;
    let ask = referee.ask().ok_or_else(|| Failure::local("the referee has gone", "report this"))?;
    Load::begin(rate, move |number| {
        let payer = &payers[(number % payers.len() as u64) as usize];
        let sent = payer.transfer(number / payers.len() as u64).and_then(|transfer| {
            let key = format!("demo-{run}-{number}");
            let answer = client.sign(&payer.id, &transfer.written(payer.chain), None, &key)?;
            Ok((transfer, understood::<Signed>(answer)?))
        });
        match sent {
            Err(failure) => Outcome::Failed(failure.to_string()),
            Ok((transfer, signed)) => {
                let question = Question {
                    chain: payer.chain.name().to_owned(),
                    address: payer.address.clone(),
                    signed_transaction: signed.signed_transaction,
                    prevouts: transfer.prevouts,
                };
                match ask.send((number, question)) {
                    Ok(()) => Outcome::Signed { fallbacks: signed.fallbacks },
                    Err(_) => Outcome::Failed("the referee has gone".to_owned()),
                }
            }
        }
    })
}

/// A signature that the referee does not take is a failure.
fn take_verdicts(samples: &mut [Sample], findings: referee::Findings) {
    for (number, why) in findings.refused {
        if let Some(sample) = samples.iter_mut().find(|sample| sample.number == number) {
            sample.outcome = Outcome::Failed(format!("the referee does not take it: {why}"));
        }
    }
}

fn of_wallets(samples: &[Sample], wallets: usize) -> Vec<(usize, usize)> {
    let mut counts = vec![(0, 0); wallets];
    for sample in samples {
        let (signed, failed) = &mut counts[(sample.number % wallets as u64) as usize];
        match sample.outcome {
            Outcome::Signed { .. } => *signed += 1,
            Outcome::Failed(_) => *failed += 1,
        }
    }
    counts
}

/// A few of the reasons why requests failed.
fn reasons(samples: &[Sample]) -> Vec<String> {
    let failed = samples.iter().filter_map(|sample| match &sample.outcome {
        Outcome::Failed(why) => Some(why.clone()),
        Outcome::Signed { .. } => None,
    });
    failed.collect::<BTreeSet<_>>().into_iter().take(3).collect()
}

fn payer(wallet: &Wallet) -> Result<Payer, Failure> {
    let address = wallet.address.clone();
    let address = address.ok_or_else(|| Failure::local("a wallet without an address", "read the logs"))?;
    Ok(Payer { id: wallet.id.clone(), chain: chain(wallet)?, address })
}

/// The wallets have names that say something as long as there are any.
fn wallet_name(number: u32) -> (String, Chain) {
    let chain = [Chain::Ethereum, Chain::Bitcoin, Chain::Solana][(number % 3) as usize];
    let name = match number {
        0 => "treasury".to_owned(),
        1 => "vault".to_owned(),
        2 => "payroll".to_owned(),
        more => format!("wallet-{}", more + 1),
    };
    (name, chain)
}

fn addresses(wallets: &[Wallet]) -> String {
    const SHOWN_MAX: usize = 12;
    let mut table = Table::new([("wallet", Side::Left), ("chain", Side::Left), ("address", Side::Left)]);
    for wallet in wallets.iter().take(SHOWN_MAX) {
        let address = wallet.address.clone().unwrap_or_default();
        table.row([wallet.id.clone(), wallet.chain.clone(), address]);
    }
    let more = match wallets.len().saturating_sub(SHOWN_MAX) {
        0 => String::new(),
        more => format!("         and {more} more\n"),
    };
    format!("{}{more}", table.text(9))
}

/// `SHA256:9f4c…QeXo`
fn short_fingerprint(fingerprint: &str) -> String {
    let characters: Vec<char> = fingerprint.chars().collect();
    match characters.len() {
        0..=20 => fingerprint.to_owned(),
        long => characters[..11].iter().chain(['…'].iter()).chain(&characters[long - 4..]).collect(),
    }
}

/// What to type to go on with a cluster that stays.
fn how_to_go_on(stage: &Stage) -> String {
    let (coordinator, signers) = stage.pids();
    let pids: Vec<String> = std::iter::once(coordinator)
        .chain(signers.iter().map(|(_, pid)| *pid))
        .map(|pid| pid.to_string())
        .collect();
    let own = std::env::current_exe().map_or_else(|_| "perennial".into(), |path| path.display().to_string());
    format!(
        "\nThe cluster goes on. To use it:\n  cd {}\n  alias perennial={own}\n  perennial wallet list\n  perennial \
         sign treasury --to 0x7e57000000000000000000000000000000000001 --amount 1000 --nonce 7\n  perennial refresh \
         --all --overlap 3 --approve-with dana.key --wait\nTo end it:\n  kill {}\n",
        stage.directory().display(),
        pids.join(" ")
    )
}
