//! What a coordinator can do with everything that it was given in good faith, and what signers say to it.

use crate::governance::name;
use crate::office::{Office, now_ms};
use crate::plans::{create, refresh};
use crate::signing::sign;
use crate::wallets::present;
use perennial_coordinator::mailbox::Lane;
use perennial_model::certificate::Certificate;
use perennial_model::committee::Committee;
use perennial_model::dealing::{Inputs, OneTimeKey, Opening};
use perennial_model::encoding::{self, Digest, Document};
use perennial_model::epoch::Epoch;
use perennial_model::identity::{Said, Signed};
use perennial_model::mail::{Reply, Request};
use perennial_model::plan::{Chunk, LiarTolerance, Plan, PlannedWallet};
use perennial_model::session::Blame;
use perennial_model::vote::{Vote, VoteKind};
use perennial_model::wallet::{Chain, Wallet, WalletId};
use perennial_signer::keys::Keys;
use perennial_workflow::Tuning;
use perennial_workflow::ceremony::status::Phase;
use std::cell::RefCell;
use std::rc::Rc;

const SIGNERS: [&str; 3] = ["a", "b", "c"];

/// Posts a request to one signer, and gives whom it blames and why, when it declines.
fn answer(office: &mut Office, signer: &str, request: &Request) -> (Blame, String) {
    office.declined.clear();
    tell(office, signer, request);
    office.until("the signer declines", |office| {
        let declined = office.declined.iter().find(|(by, _)| by.as_str() == signer)?;
        let Reply::Declined { blame, reason, .. } = &declined.1 else { return None };
        Some((blame.clone(), reason.clone()))
    })
}

/// Posts a request to one signer.
fn tell(office: &Office, signer: &str, request: &Request) {
    office.post(&name(signer), Lane::Ceremony, encoding::encode(request));
}

/// A document of a corrupt signer's own making.
fn signed<D: Document>(office: &Office, signer: &str, body: &D) -> Signed<D> {
    let keys = Keys::load(&office.places.directory(signer)).expect("its keys");
    Signed::new(&keys.into_use(name(signer)).0, body)
}

/// What corrupt holders open of a plan's first chunk and number, and the inputs with these dealers.
fn opened(
    office: &Office,
    plan: &Plan,
    dealers: [&str; 2],
    holders: [&str; 2],
) -> (Inputs, Vec<Signed<Opening>>) {
    let chunk = Chunk { plan: plan.digest(), epoch: Epoch::new(plan.rank, 1), first: 0, count: 1 };
    let key = |counterparty: &str| OneTimeKey { counterparty: name(counterparty), public: [7; 32] };
    let opening = Opening { chunk, keys: SIGNERS.map(key).to_vec() };
    let openings = holders.map(|holder| signed(office, holder, &opening)).to_vec();
    let said = |one: &Signed<Opening>| Said {
        signer: one.signer.clone(),
        body: opening.clone(),
        digest: one.body_digest(),
    };
    let said: Vec<Said<Opening>> = openings.iter().map(said).collect();
    (Inputs::new(chunk, dealers.map(name).to_vec(), &said), openings)
}

/// Two members open an attempt that no honest one would, and a third is asked to deal to them: it was never asked to
/// open, and holds the shares.
#[test]
fn whoever_was_not_asked_to_open_deals_for_no_plan_that_it_would_not_open() {
    let mut office = Office::running(&SIGNERS);
    let wallet: WalletId = name("treasury");
    office.complete(&create(&office.governance, 2, &[(wallet.clone(), Chain::Solana)], now_ms()));
    let sound = refresh(&office.governance, 2, &present(&office), 2, now_ms());
    let sound = Plan { liar_tolerance: LiarTolerance::WaivedUnsafe, ..sound };
    let others = Plan { tenant: name("globex"), ..sound.clone() };
    let later = Plan { not_before_ms: sound.not_before_ms + 60_000, nonce: Digest([9; 32]), ..sound };
    for (plan, blame, words) in
        [(others, Blame::Denied, "is another tenant's"), (later, Blame::Stale, "the plan begins later")]
    {
        let (inputs, openings) = opened(&office, &plan, ["a", "b"], ["b", "c"]);
        tell(&office, "a", &Request::Plan(Box::new(office.approved(&plan))));
        let (to_blame, reason) = answer(&mut office, "a", &Request::Commit { inputs, openings });
        assert_eq!(to_blame, blame, "{reason}");
        assert!(reason.contains(words), "{reason}");
    }
    assert_eq!(sign(&mut office, &wallet, 1).epoch.rank, 1);
}

/// Two wallets are prepared together and the Activation is kept back. One of them is made under the next number alone, and
/// retired. Then the Activation comes: votes for the two together would be a Retirement of a key that nobody has.
#[test]
fn a_chunk_of_which_a_part_is_gone_is_never_served() {
    let mut office = Office::running(&SIGNERS);
    let kept_back = Rc::new(RefCell::new(None));
    let keep_back = Rc::clone(&kept_back);
    office.hold_back(move |request| {
        let activates = matches!(request, Request::Activate(_));
        activates.then(|| *keep_back.borrow_mut() = Some(request.clone())).is_some()
    });
    let wallets = [(name("treasury"), Chain::Solana), (name("payroll"), Chain::Solana)];
    let plan = create(&office.governance, 2, &wallets, now_ms());
    office.begin(&plan);
    office.until("something is activated", |_| kept_back.borrow().is_some().then_some(()));
    office.begin_anew(Tuning { chunk_wallets: 1, patience_ms: 1_000, ..Tuning::default() });
    office.hold_back(|request| matches!(request, Request::Open { chunk, .. } if chunk.first > 0));
    let ceremony = office.begin(&plan);
    office.reach(&ceremony, Phase::Retired);
    let activation = kept_back.borrow_mut().take().expect("it was kept back");
    for signer in SIGNERS {
        let (blame, reason) = answer(&mut office, signer, &activation);
        assert_eq!(blame, Blame::Stale, "{reason}");
        assert!(reason.contains("is retired"), "{reason}");
    }
}

/// Has another tenant's people make a wallet of this name with two corrupt signers alone, and gives its Retirement.
fn retired_elsewhere(office: &Office, wallet: &WalletId, rank: u32) -> [Request; 2] {
    let ours = create(&office.governance, 2, &[(wallet.clone(), Chain::Solana)], now_ms());
    let theirs = |planned: &PlannedWallet| match planned {
        PlannedWallet::New(wallet) => PlannedWallet::New(Wallet { tenant: name("globex"), ..wallet.clone() }),
        held => held.clone(),
    };
    let plan = Plan {
        tenant: name("globex"),
        wallets: ours.wallets.iter().map(theirs).collect(),
        rank,
        committee: Committee::first(2, &["b", "c"].map(name)).expect("a committee"),
        liar_tolerance: LiarTolerance::WaivedUnsafe,
        ..ours
    };
    let (inputs, _) = opened(office, &plan, ["b", "c"], ["b", "c"]);
    let root = Digest([3; 32]);
    let vote = Vote {
        kind: VoteKind::Keep,
        governance: plan.governance,
        chunk: inputs.chunk,
        inputs: inputs.digest(),
        root,
        possession: None,
    };
    let votes = ["b", "c"].map(|signer| signed(office, signer, &vote)).to_vec();
    let certificate = Certificate { kind: VoteKind::Keep, inputs, root, votes, probes: Vec::new() };
    [Request::Plan(Box::new(office.approved(&plan))), Request::Retire(Box::new(certificate))]
}

/// Another tenant has a wallet of the same name, with two corrupt signers of its own. A third one, which knows nothing of
/// it, believes their Retirement as far as it harms nobody: it uses up few numbers, erases no candidate, and makes no
/// wallet of the name one whose members have all kept their shares.
#[test]
fn what_another_tenant_retires_under_a_name_changes_nothing_for_ours() {
    let mut office = Office::running(&SIGNERS);
    let wallet: WalletId = name("treasury");
    for request in retired_elsewhere(&office, &wallet, 1) {
        tell(&office, "a", &request);
    }
    let [far, retired_far] = retired_elsewhere(&office, &wallet, 2_000_000);
    tell(&office, "a", &far);
    let (blame, reason) = answer(&mut office, "a", &retired_far);
    assert_eq!(blame, Blame::Denied, "{reason}");
    assert!(reason.contains("rank 2000000 is more than"), "{reason}");

    let prepared = Rc::new(RefCell::new(false));
    let seen = Rc::clone(&prepared);
    office.hold_back(move |request| {
        let activates = matches!(request, Request::Activate(_));
        *seen.borrow_mut() |= activates;
        activates
    });
    let plan = create(&office.governance, 2, &[(wallet.clone(), Chain::Solana)], now_ms());
    office.begin(&Plan { rank: 2, ..plan });
    office.until("the wallet is prepared", |_| prepared.borrow().then_some(()));
    let [above, retired_above] = retired_elsewhere(&office, &wallet, 3);
    tell(&office, "a", &above);
    let (blame, reason) = answer(&mut office, "a", &retired_above);
    assert_eq!(blame, Blame::Denied, "{reason}");
    assert!(reason.contains("is another tenant's"), "{reason}");

    office.hold_back(|request| matches!(request, Request::Retire(_)));
    office.until("all keep the wallet", |office| (!present(office).is_empty()).then_some(()));
    let plan = refresh(&office.governance, 2, &present(&office), 4, now_ms());
    let plan = Plan { liar_tolerance: LiarTolerance::WaivedUnsafe, ..plan };
    let (inputs, openings) = opened(&office, &plan, ["a", "b"], ["b", "c"]);
    tell(&office, "a", &Request::Plan(Box::new(office.approved(&plan))));
    let (blame, reason) = answer(&mut office, "a", &Request::Commit { inputs, openings });
    assert_eq!(blame, Blame::Stale, "{reason}");
    assert!(reason.contains("no Retirement of treasury has come here"), "{reason}");
}
