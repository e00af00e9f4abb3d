//! Bad input at the API, as a table: what is sent, and what is answered. Every refusal is a problem document that
//! blames the caller and says what to do; nothing is released or kept because of it, and the wallets sign on.

use crate::api::{Answer, Ask};
use crate::cluster::Cluster;
use crate::governance::body;
use crate::load::{Tally, sign};
use crate::payments::{ethereum, solana};
use crate::people::creation;
use crate::transactions::{payment, psbt, script};
use base64ct::{Base64, Encoding};
use bitcoin::psbt::{Psbt, PsbtSighashType};
use bitcoin::sighash::TapSighashType;
use bitcoin::taproot::TapNodeHash;
use perennial_model::encoding;
use perennial_model::plan::PlannedWallet;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What is sent, and what has to be answered: status, kind of problem, and words of the detail.
struct Row {
    sent: &'static str,
    path: String,
    ask: Ask<'static>,
    status: u16,
    problem: &'static str,
    words: &'static str,
}

const UNREADABLE: (u16, &str) = (422, "unreadable-transaction");
const UNSUPPORTED: (u16, &str) = (422, "unsupported-transaction");
const NOT_OURS: (u16, &str) = (422, "nothing-to-sign");
const MALFORMED: (u16, &str) = (400, "malformed-request");

fn row(
    sent: &'static str,
    path: &str,
    body: impl Into<Vec<u8>>,
    (status, problem): (u16, &'static str),
    words: &'static str,
) -> Row {
    let ask = Ask { media_type: Some("application/json"), key: None, body: body.into() };
    Row { sent, path: path.to_owned(), ask, status, problem, words }
}

/// A row for a transaction.
fn transaction(
    wallet: &str,
    sent: &'static str,
    text: String,
    answered: (u16, &'static str),
    words: &'static str,
) -> Row {
    let body = json!({"transaction": text}).to_string();
    row(sent, &format!("/v1/wallets/{wallet}/sign"), body, answered, words)
}

#[test]
fn bad_requests_are_refused_with_who_is_to_blame_and_what_to_do_and_nothing_is_released() {
    let cluster = Cluster::running(&["a", "b", "c"]);
    let wallets = [("treasury", "ethereum"), ("vault", "bitcoin"), ("payroll", "solana")];
    cluster.api.complete(&creation(&wallets), &cluster.dana);
    let wallets = cluster.api.wallets();
    let known = sign(&cluster.api, &wallets["treasury"], 1, &mut Tally::default()).expect("signed");
    let before = state(&cluster);
    let mut rows = ethereum_rows();
    rows.extend(bitcoin_rows(&wallets["vault"]));
    rows.extend(solana_rows(&wallets["payroll"]));
    rows.extend(form_rows(&wallets));
    rows.extend(plan_rows(&cluster));
    for row in &rows {
        let answer = cluster.api.send(&row.path, &row.ask).expect("an answer");
        println!("{:<58} {} {:<24} {}", row.sent, answer.status, answer.problem(), answer.body["detail"]);
        check(row, &answer);
    }
    assert_eq!(state(&cluster), before, "something was kept");
    let mut again = Tally::default();
    assert_eq!(sign(&cluster.api, &wallets["treasury"], 1, &mut again).expect("answered"), known);
    assert_eq!(again.replayed, 1);
    for wallet in wallets.values() {
        sign(&cluster.api, wallet, 2, &mut Tally::default()).expect("signed");
    }
}

fn check(row: &Row, answer: &Answer) {
    let sent = row.sent;
    assert_eq!((answer.status, answer.problem()), (row.status, row.problem), "{sent}: {}", answer.text);
    assert_eq!(answer.media_type, "application/problem+json", "{sent}");
    assert_eq!(answer.body["blame"], "caller", "{sent}: {}", answer.text);
    assert_eq!(answer.body["status"], row.status, "{sent}");
    for part in ["title", "detail", "action"] {
        assert!(answer.body[part].as_str().is_some_and(|text| text.len() > 5), "{sent}: {}", answer.text);
    }
    let detail = answer.body["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(row.words), "{sent}: `{}` is not in {detail}", row.words);
    assert!(detail.len() < 1_000, "{sent}: bodies do not belong into answers");
}

/// What must not change: the ledger and the ceremonies.
fn state(cluster: &Cluster) -> (Value, Value) {
    (cluster.api.look("/v1/ledger/entries?limit=1000"), cluster.api.look("/v1/ceremonies"))
}

fn ethereum_rows() -> Vec<Row> {
    let good = ethereum(7);
    let written = |bytes: &[u8]| format!("0x{}", hex::encode(bytes));
    let of_kind = |kind: u8| written(&[&[kind], &good[1..]].concat());
    let send = |sent, text, answered, words| transaction("treasury", sent, text, answered, words);
    vec![
        send("Ethereum: no hexadecimal digits", "0xzz".into(), UNREADABLE, "hexadecimal digits"),
        send("Ethereum: digits without 0x", hex::encode(&good), UNREADABLE, "0x"),
        send("Ethereum: nothing", "0x".into(), UNREADABLE, "empty"),
        send("Ethereum: cut short", written(&good[..good.len() - 1]), UNREADABLE, "type byte"),
        send("Ethereum: a byte too many", written(&[&good[..], &[0]].concat()), UNREADABLE, "after its end"),
        send("Ethereum: larger than any", written(&[2; 140_000]), UNREADABLE, "at most"),
        send("Ethereum: legacy", written(&good[1..]), UNSUPPORTED, "legacy"),
        send("Ethereum: access list (EIP-2930)", of_kind(1), UNSUPPORTED, "EIP-2930"),
        send("Ethereum: blobs (EIP-4844)", of_kind(3), UNSUPPORTED, "EIP-4844"),
        send("Ethereum: delegation (EIP-7702)", of_kind(4), UNSUPPORTED, "EIP-7702"),
        send("Ethereum: a bare digest", written(&[0x5a; 32]), UNSUPPORTED, "use type 2"),
    ]
}

fn bitcoin_rows(wallet: &Value) -> Vec<Row> {
    let own = script(wallet);
    let written = |psbt: &Psbt| Base64::encode_string(&psbt.serialize());
    let changed = |change: &dyn Fn(&mut Psbt)| {
        let (mut psbt, _) = psbt(&own, 7);
        change(&mut psbt);
        written(&psbt)
    };
    let good = psbt(&own, 7).0.serialize();
    let root: TapNodeHash = "5a".repeat(32).parse().expect("32 bytes");
    let by_script = changed(&|psbt| psbt.inputs[0].tap_merkle_root = Some(root));
    let partial = PsbtSighashType::from(TapSighashType::SinglePlusAnyoneCanPay);
    let part = changed(&|psbt| psbt.inputs[0].sighash_type = Some(partial));
    let unknown = changed(&|psbt| psbt.inputs[0].witness_utxo = None);
    let other = psbt(
        &bitcoin::ScriptBuf::new_p2wpkh(&bitcoin::WPubkeyHash::from_raw_hash(
            bitcoin::hashes::Hash::all_zeros(),
        )),
        7,
    );
    let send = |sent, text, answered, words| transaction("vault", sent, text, answered, words);
    vec![
        send("Bitcoin: no base64", "%%%".into(), UNREADABLE, "base64"),
        send("Bitcoin: no PSBT", Base64::encode_string(b"hello"), UNREADABLE, "no PSBT"),
        send("Bitcoin: cut short", Base64::encode_string(&good[..good.len() - 9]), UNREADABLE, "no PSBT"),
        send("Bitcoin: the spent output is not named", unknown, UNREADABLE, "witness UTXO"),
        send("Bitcoin: spends by script path", by_script, UNSUPPORTED, "script path"),
        send("Bitcoin: signs a part of it (SINGLE|ANYONECANPAY)", part, UNSUPPORTED, "commit to the whole"),
        send("Bitcoin: spends somebody else's output", written(&other.0), NOT_OURS, "P2WPKH"),
    ]
}

fn solana_rows(wallet: &Value) -> Vec<Row> {
    let mut key = [0; 32];
    hex::decode_to_slice(wallet["public_key"].as_str().expect("text"), &mut key).expect("32 bytes");
    let good = solana(&key, 7);
    let written = |bytes: &[u8]| Base64::encode_string(bytes);
    let send = |sent, text, answered, words| transaction("payroll", sent, text, answered, words);
    // Version 0 with a table that is named and looked nothing up in.
    let lookup = [&[0x80], &good[..], &[1], &[5; 32], &[0, 0]].concat();
    vec![
        send("Solana: no base64", "?".into(), UNREADABLE, "base64"),
        send("Solana: cut short", written(&good[..good.len() - 1]), UNREADABLE, "cut short"),
        send("Solana: a byte too many", written(&[&good[..], &[0]].concat()), UNREADABLE, "after its end"),
        send("Solana: a table in which nothing is looked up", written(&lookup), UNREADABLE, "nothing up"),
        send("Solana: version 1", written(&[&[0x81], &good[..]].concat()), UNSUPPORTED, "version 1"),
        send("Solana: somebody else pays", written(&solana(&[3; 32], 7)), NOT_OURS, "has nothing to sign"),
    ]
}

/// Requests that are wrong whatever the chain is.
fn form_rows(wallets: &BTreeMap<String, Value>) -> Vec<Row> {
    let path = "/v1/wallets/treasury/sign";
    let text = payment(&wallets["treasury"], 2).text;
    let good = json!({"transaction": text});
    let digest = json!({"digest": "5a".repeat(32)}).to_string();
    let derived = json!({"transaction": text, "path": "m/0'/0"}).to_string();
    let large = json!({"transaction": "0".repeat(500_000)}).to_string();
    let plain = Ask { media_type: Some("text/plain"), key: None, body: good.to_string().into() };
    let reused = Ask { key: Some("treasury-1"), ..json_of(&good) };
    let odd = Ask { key: Some("two words"), ..json_of(&good) };
    let with = |mut row: Row, ask| {
        row.ask = ask;
        row
    };
    let unknown_wallet = (404, "unknown-wallet");
    vec![
        transaction("nobody", "an unknown wallet", text.clone(), unknown_wallet, "no wallet nobody"),
        transaction("No%20Body", "a name that is none", text.clone(), MALFORMED, "cannot be read"),
        row("no JSON", path, "{", MALFORMED, "not as expected"),
        row("a digest in place of a transaction", path, digest, MALFORMED, "unknown field"),
        row("a hardened path", path, derived, (422, "bad-path"), "hardened"),
        row("an oversized body", path, large, (413, "too-large"), "larger than"),
        with(row("another media type", path, "", (415, "unsupported-media-type"), "text/plain"), plain),
        with(row("a used idempotency key", path, "", (422, "idempotency-key-reused"), "treasury-1"), reused),
        with(row("an idempotency key with a space", path, "", MALFORMED, "visible ASCII"), odd),
        row("a path that does not exist", "/v1/wallet", "{}", (404, "no-such-path"), "/v1/wallet"),
        row("a wrong method", "/v1/health", "{}", (405, "method-not-allowed"), "POST"),
    ]
}

fn json_of(body: &Value) -> Ask<'static> {
    Ask { media_type: Some("application/json"), key: None, body: body.to_string().into() }
}

/// Plans and approvals.
fn plan_rows(cluster: &Cluster) -> Vec<Row> {
    let plan = cluster.api.draft(&crate::people::renewal(0));
    let bytes = encoding::encode(&plan);
    let written = |bytes: &[u8]| json!({"plan": Base64::encode_string(bytes)}).to_string();
    // A byte of its label, and one of the share set that it starts from.
    let mut unlabelled = bytes.clone();
    unlabelled[4] ^= 1;
    let mut moved = plan.clone();
    if let PlannedWallet::Held(_, parent) = &mut moved.wallets[0] {
        parent.0[0] ^= 1;
    }
    let moved = written(&encoding::encode(&moved));
    let mut other = plan.clone();
    other.governance.0[0] ^= 1;
    let mut late = plan.clone();
    late.expiry_ms = 1;
    let other = written(&encoding::encode(&other));
    let late = written(&encoding::encode(&late));
    let open = cluster.api.look("/v1/ceremonies")["ceremonies"][0]["ceremony"].clone();
    let approvals = format!("/v1/ceremonies/{}/approvals", open.as_str().expect("text"));
    let unknown = format!("/v1/ceremonies/{}/approvals", "5a".repeat(32));
    let approval = cluster.dana.approves(&plan);
    let approves = |person: &str| body(person, &approval).to_string();
    let bad_plan = (422, "bad-plan");
    vec![
        row("a plan that is no base64", "/v1/plans", r#"{"plan":"%"}"#, MALFORMED, "base64"),
        row("a plan that is cut short", "/v1/plans", written(&bytes[..bytes.len() - 1]), bad_plan, "no plan"),
        row("a plan with a changed byte", "/v1/plans", written(&unlabelled), bad_plan, "no plan"),
        row("a plan from shares that nobody has", "/v1/plans", moved, (409, "stale"), "is not in use"),
        row("a plan under another governance", "/v1/plans", other, bad_plan, "governance"),
        row("a plan whose time is over", "/v1/plans", late, bad_plan, ""),
        row("an approval of nothing", &unknown, approves("dana"), (404, "unknown-ceremony"), "no ceremony"),
        row("an approval of another plan", &approvals, approves("dana"), (403, "approval-refused"), ""),
        row("an approval by a stranger", &approvals, approves("eve"), (403, "approval-refused"), ""),
        row(
            "a draft that names an unknown wallet",
            "/v1/plans/draft",
            r#"{"action":"refresh","wallets":["nobody"]}"#,
            (404, "unknown-wallet"),
            "nobody",
        ),
        row(
            "a plan that makes a wallet that exists",
            "/v1/plans",
            written(&encoding::encode(&cluster.api.draft(&creation(&[("treasury", "ethereum")])))),
            bad_plan,
            "treasury is taken",
        ),
    ]
}

#[test]
fn too_few_signers_are_blamed_by_name_and_the_same_request_is_signed_when_they_are_back() {
    let mut cluster = Cluster::running(&["a", "b", "c"]);
    cluster.api.complete(&creation(&[("payroll", "solana")]), &cluster.dana);
    let wallet = cluster.api.wallets().remove("payroll").expect("made");
    cluster.kill("b");
    cluster.kill("c");
    let body = json!({"transaction": payment(&wallet, 7).text});
    let answer = cluster.api.post("/v1/wallets/payroll/sign", &body, Some("payroll-7")).expect("an answer");
    assert_eq!((answer.status, answer.problem()), (504, "out-of-time"), "{}", answer.text);
    assert!(
        answer.body["blame"].as_str().is_some_and(|blame| blame.starts_with("signer ")),
        "{}",
        answer.text
    );
    assert!(answer.body["action"].as_str().is_some_and(|todo| todo.contains("Idempotency-Key")));
    cluster.start("b");
    let mut tally = Tally::default();
    sign(&cluster.api, &wallet, 7, &mut tally).expect("signed");
    assert_eq!(tally.replayed, 0, "it was released and not answered");
}
