//! Two tenants of one coordinator: a client of one does not learn that there is the other.

use crate::api::{Answer, Api};
use crate::cluster::{ALL_SCOPES, Cluster};
use crate::load::{Tally, sign};
use crate::people::{LOOK, PATIENCE, creation};
use crate::transactions::payment;
use base64ct::{Base64, Encoding};
use perennial_model::encoding::{self, Digest};
use perennial_model::plan::{Action, Plan, PlannedWallet};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;

/// A plan for one wallet of a tenant.
fn creation_for(tenant: &str, wallet: &str) -> Value {
    let mut draft = creation(&[(wallet, "solana")]);
    draft["tenant"] = tenant.into();
    draft
}

/// A wallet of each of two tenants, and one of the second that waits for approval.
struct Tenants {
    cluster: Cluster,
    /// A client of the first.
    acme: Api,
    wallets: BTreeMap<String, Value>,
    /// Ceremonies of the second: one that is over, and one that is open.
    theirs: String,
    coming: String,
}

impl Tenants {
    fn new() -> Self {
        let cluster = Cluster::running(&["a", "b", "c"]);
        let all = &cluster.api;
        all.complete(&creation_for("acme", "ours"), &cluster.dana);
        let theirs = all.complete(&creation_for("globex", "theirs"), &cluster.dana);
        let theirs = theirs["ceremony"].as_str().expect("text").to_owned();
        let coming = all.submit(&all.draft(&creation_for("globex", "coming")));
        let wallets = all.wallets();
        let acme = all.with_token(Some(&cluster.add_client("acme-service", ALL_SCOPES, "acme")));
        Self { cluster, acme, wallets, theirs, coming }
    }

    fn get(&self, path: &str) -> Answer {
        self.acme.get(path).expect("it is up")
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.acme.post(path, body, Some("key")).expect("it is up")
    }

    fn payment(&self, wallet: &str, number: u32) -> Value {
        json!({"transaction": payment(&self.wallets[wallet], number).text})
    }
}

/// What two problems say, apart from what was asked for.
fn without(answer: &Answer, asked: &str) -> (u16, String) {
    (answer.status, answer.text.replace(asked, "_"))
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

#[test]
fn what_is_another_tenants_is_answered_word_for_word_as_what_does_not_exist() {
    let tenants = Tenants::new();
    let (all, acme) = (&tenants.cluster.api, &tenants.acme);
    assert_eq!(acme.wallets().into_keys().collect::<Vec<_>>(), ["ours"]);
    for (path, field, own, whole) in
        [("/v1/wallets", "total", 1, 2), ("/v1/health", "wallets", 1, 2), ("/v1/ceremonies", "total", 1, 3)]
    {
        let shown = [acme, all].map(|api| number(&api.look(path)[field]));
        assert_eq!(shown, [own, whole], "{path}");
    }
    let transaction = tenants.payment("theirs", 1);
    assert_eq!(all.get("/v1/wallets/coming").expect("it is up").problem(), "wallet-not-ready");
    for wallet in ["theirs", "coming"] {
        let (there, nowhere) =
            (tenants.get(&format!("/v1/wallets/{wallet}")), tenants.get("/v1/wallets/nobody"));
        assert_eq!((there.status, without(&there, wallet)), (404, without(&nowhere, "nobody")));
        let there = tenants.post(&format!("/v1/wallets/{wallet}/sign"), &transaction);
        let nowhere = tenants.post("/v1/wallets/nobody/sign", &transaction);
        assert_eq!((there.status, without(&there, wallet)), (404, without(&nowhere, "nobody")));
    }
    let none = "0".repeat(64);
    for id in [&tenants.theirs, &tenants.coming] {
        for part in ["", "/plan", "/events"] {
            let there = tenants.get(&format!("/v1/ceremonies/{id}{part}"));
            let nowhere = tenants.get(&format!("/v1/ceremonies/{none}{part}"));
            assert_eq!((there.status, without(&there, id)), (404, without(&nowhere, &none)), "{part}");
        }
        let approval = json!({"person": "dana", "signature": "none"});
        let there = tenants.post(&format!("/v1/ceremonies/{id}/approvals"), &approval);
        let nowhere = tenants.post(&format!("/v1/ceremonies/{none}/approvals"), &approval);
        assert_eq!((there.status, without(&there, id)), (404, without(&nowhere, &none)));
    }
    let about_all = [tenants.get("/metrics"), tenants.post("/v1/governance", &json!({"approved": ""}))];
    assert_eq!(about_all.map(|answer| answer.problem().to_owned()), ["not-allowed"; 2]);
}

#[test]
fn nobody_plans_for_another_tenant_nor_with_its_wallets() {
    let tenants = Tenants::new();
    let all = &tenants.cluster.api;
    for tenant in ["globex", "nobody"] {
        let refused = tenants.post("/v1/plans/draft", &creation_for(tenant, "new"));
        assert!(refused.text.contains(&format!("governance knows no tenant {tenant}")), "{}", refused.text);
    }
    for wallet in ["theirs", "nobody"] {
        let draft = json!({"action": "refresh", "wallets": [wallet]});
        assert_eq!(tenants.post("/v1/plans/draft", &draft).problem(), "unknown-wallet");
    }
    // Plans that somebody else has made for them.
    let more = all.draft(&creation_for("globex", "more"));
    let renewal = all.draft(&json!({"action": "refresh", "wallets": ["theirs"]}));
    let mixed = Plan { tenant: "acme".parse().expect("a name"), ..renewal };
    for (plan, said) in [(more, "governance knows no tenant globex"), (mixed, "no wallet theirs")] {
        let body = json!({"plan": Base64::encode_string(&encoding::encode(&plan))});
        let refused = tenants.post("/v1/plans", &body);
        assert!(refused.problem() == "bad-plan" && refused.text.contains(said), "{}", refused.text);
    }
    // Nor does what is wrong otherwise tell one from the other.
    let own = tenants.acme.draft(&creation_for("acme", "new"));
    let said = |plan: Plan, asked: &str| {
        let body = json!({"plan": Base64::encode_string(&encoding::encode(&plan))});
        without(&tenants.post("/v1/plans", &body), asked)
    };
    for attempts in [0, own.attempts] {
        let [theirs, nobodys] = ["globex", "nobody"].map(|tenant| {
            let mut plan = Plan { tenant: tenant.parse().expect("a name"), attempts, ..own.clone() };
            if let [PlannedWallet::New(wallet)] = plan.wallets.as_mut_slice() {
                wallet.tenant = plan.tenant.clone();
            }
            said(plan, tenant)
        });
        assert_eq!(theirs, nobodys);
        let [theirs, nobodys] = ["theirs", "nobody"].map(|wallet| {
            let held = PlannedWallet::Held(wallet.parse().expect("a name"), Digest([1; 32]));
            said(Plan { action: Action::Refresh, wallets: vec![held], attempts, ..own.clone() }, wallet)
        });
        assert_eq!(theirs, nobodys);
        assert!(theirs.1.contains(if attempts == 0 { "count from 1" } else { "no wallet _" }), "{theirs:?}");
    }
    // All wallets of a plan are those that exist for whoever asks.
    let renewal = tenants.acme.draft(&json!({"action": "refresh", "wallets": ["*"]}));
    let named: Vec<&str> = renewal.wallets.iter().map(|wallet| wallet.id().as_str()).collect();
    assert_eq!(named, ["ours"]);
}

#[test]
fn one_key_names_two_requests_where_two_tenants_use_it_and_the_ledger_is_read_apart() {
    let tenants = Tenants::new();
    let (all, acme) = (&tenants.cluster.api, &tenants.acme);
    sign(acme, &tenants.wallets["ours"], 1, &mut Tally::default()).expect("signed");
    let theirs = tenants.payment("theirs", 1);
    let signed = all.post("/v1/wallets/theirs/sign", &theirs, Some("key")).expect("it is up");
    assert_eq!(signed.status, 200, "{}", signed.text);
    let signed = tenants.post("/v1/wallets/ours/sign", &tenants.payment("ours", 2));
    assert_eq!((signed.status, signed.replayed), (200, false), "{}", signed.text);
    let again = tenants.post("/v1/wallets/ours/sign", &tenants.payment("ours", 2));
    assert_eq!((again.status, again.replayed), (200, true), "{}", again.text);
    let other = tenants.post("/v1/wallets/ours/sign", &tenants.payment("ours", 3));
    assert_eq!(other.problem(), "idempotency-key-reused");
    assert!(other.text.contains("idempotency key key was used"), "{}", other.text);

    let [whole, part] = [all, acme].map(|api| api.look("/v1/ledger/entries?limit=1000"));
    let about = |entries: &Value, whom: &[&str]| {
        let all = entries["entries"].as_array().expect("a list").iter();
        all.filter(|entry| whom.iter().any(|whom| entry.to_string().contains(whom))).count()
    };
    let (of_them, of_us) = (["\"theirs\"", &tenants.theirs, &tenants.coming], ["\"ours\""]);
    assert!(about(&whole, &of_them) > 5 && about(&whole, &of_us) >= 2, "{whole}");
    assert_eq!(about(&part, &of_them), 0, "{part}");
    assert_eq!(about(&part, &of_us), about(&whole, &of_us));
    assert!(about(&part, &["governance-pinned"]) == 1 && part["next"] == whole["next"]);
}

#[test]
fn thefts_are_reported_and_seen_apart_and_nobody_withdraws_what_is_about_others() {
    let tenants = Tenants::new();
    let (all, acme) = (&tenants.cluster.api, &tenants.acme);
    let stolen = |more: Value| {
        let mut stolen = json!({"signer": "a", "from_ms": 1, "to_ms": 2, "certainty": "known"});
        stolen.as_object_mut().expect("fields").extend(more.as_object().expect("fields").clone());
        json!({"stolen": stolen, "text": "a disk is gone"})
    };
    let [there, nowhere] = ["theirs", "nobody"]
        .map(|wallet| (wallet, tenants.post("/v1/thefts", &stolen(json!({"wallets": [wallet]})))))
        .map(|(wallet, answer)| without(&answer, wallet));
    assert_eq!((there.0, &there), (404, &nowhere));
    let [there, nowhere] = ["globex", "nobody"]
        .map(|tenant| (tenant, tenants.post("/v1/thefts", &stolen(json!({"tenant": tenant})))))
        .map(|(tenant, answer)| without(&answer, tenant));
    assert_eq!((there.0, &there), (422, &nowhere));

    let own = tenants.post("/v1/thefts", &stolen(json!({})));
    assert_eq!(own.status, 200, "{}", own.text);
    let reported = |body: &Value| {
        let answer = all.post("/v1/thefts", body, None).expect("it is up");
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.body["digest"].as_str().expect("text").to_owned()
    };
    let theirs = reported(&stolen(json!({"wallets": ["theirs"]})));
    let everybodys = reported(&stolen(json!({})));
    let mixed = all.post("/v1/thefts", &stolen(json!({"wallets": ["ours", "theirs"]})), None);
    assert_eq!(mixed.expect("it is up").problem(), "bad-theft-report");
    let seen = |api: &Api| -> Vec<Value> {
        let thefts = api.look("/v1/thefts")["thefts"].as_array().expect("a list").clone();
        thefts.into_iter().map(|theft| theft["tenant"].clone()).collect()
    };
    assert_eq!(seen(all), [json!("acme"), json!("globex"), Value::Null]);
    assert_eq!(seen(acme), [json!("acme"), Value::Null]);
    for digest in [&theirs, &everybodys] {
        let refused = tenants.post("/v1/thefts", &json!({"withdraws": digest, "text": "not so"}));
        assert!(
            refused.problem() == "bad-theft-report" && refused.text.contains("no report"),
            "{}",
            refused.text
        );
    }
    let own = own.body["digest"].as_str().expect("text").to_owned();
    assert_eq!(tenants.post("/v1/thefts", &json!({"withdraws": own, "text": "not so"})).status, 200);
    let refused = tenants.get("/v1/evidence/entries?about=thefts:globex&size=1");
    assert!(refused.text.contains("governance knows no tenant globex"), "{}", refused.text);
    let entries = |api: &Api| {
        let page = api.look("/v1/ledger/entries?limit=1000");
        let all = page["entries"].as_array().expect("a list").clone();
        all.iter().filter(|entry| entry["kind"] == "theft-reported").count()
    };
    wait_until(|| entries(all) == 4);
    assert_eq!(entries(acme), 3);
}

/// The ledger takes over what happened a moment after it is answered.
fn wait_until(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it does not come to that");
        std::thread::sleep(LOOK);
    }
}

#[test]
fn what_another_tenant_does_shows_in_no_number() {
    let mut tenants = Tenants::new();
    for signer in ["a", "b", "c"] {
        tenants.cluster.stop(signer);
    }
    let (all, acme) = (&tenants.cluster.api, &tenants.acme);
    let waits = acme.submit(&acme.draft(&creation_for("acme", "waits")));
    let last = || number(&acme.look(&format!("/v1/ceremonies/{waits}/events"))["number"]);
    let before = last();

    let mut draft = creation_for("globex", "late");
    (draft["expires_in_ms"], draft["activates_in_ms"]) = (1_500.into(), 1_500.into());
    let failed = all.begin_plan(&Plan { rank: 77, ..all.draft(&draft) }, &tenants.cluster.dana);
    let mut event = json!({"number": 0});
    while event["ceremony"]["stage"] != "done" {
        let since = number(&event["number"]);
        event = all.look(&format!("/v1/ceremonies/{failed}/events?since={since}&wait_ms=20000"));
        assert_eq!(event["changed"], true, "{event}");
    }
    assert_eq!(number(&event["ceremony"]["wallets_given_up"]), 1, "{event}");

    assert_eq!(last(), before, "it counts what others do");
    let rank = |api: &Api, wallet| api.draft(&creation_for("acme", wallet)).rank;
    assert_eq!((rank(all, "next"), rank(acme, "next")), (78, 1));
    // Names are one thing that tenants share: signers may have seen this one under that rank.
    assert_eq!(rank(acme, "late"), 78);
}
