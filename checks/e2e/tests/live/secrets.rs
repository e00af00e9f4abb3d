//! The search for secrets: in everything that is said (logs at their most talkative, answers, the coordinator's
//! directory) none may be found; in the signers' own directories none that was erased.
//!
//! The true secrets are taken from copies of the signers' directories, before and after a refresh.

use crate::api::{Api, Ask};
use crate::cluster::{Cluster, Log, THE_COORDINATOR};
use crate::load::{Tally, sign};
use crate::people::{creation, renewal};
use perennial_autopsy::body::copy;
use perennial_autopsy::needles::{Needle, Search, scan};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use zeroize::Zeroizing;

const SIGNERS: [&str; 3] = ["a", "b", "c"];

#[test]
fn no_secret_is_said_and_none_that_was_erased_is_left() {
    let mut cluster = Cluster::logging(&SIGNERS, Log::Everything);
    let names = [("treasury", "ethereum"), ("vault", "bitcoin"), ("payroll", "solana")];
    cluster.api.complete(&creation(&names), &cluster.dana);
    let wallets = cluster.api.wallets();
    let mut answers = sign_all(&cluster.api, &wallets, 1);
    let old = store_needles(&cluster, "before");
    let ceremony = cluster.api.complete(&renewal(200), &cluster.dana);
    answers.push(ceremony.to_string());
    answers.extend(sign_all(&cluster.api, &cluster.api.wallets(), 2));
    answers.extend(everything_shown(&cluster.api));
    let new = store_needles(&cluster, "after");
    assert_core_dumps_are_off(&cluster);
    for who in SIGNERS.into_iter().chain([THE_COORDINATOR]) {
        assert_eq!(cluster.stop(who), Some(0), "{}", cluster.log(who));
    }

    // What is said, apart from the directories of those who keep secrets.
    let said = cluster.place().join("said");
    std::fs::create_dir(&said).expect("made");
    for who in SIGNERS.into_iter().chain([THE_COORDINATOR]) {
        let everything = if who == THE_COORDINATOR { " DEBUG " } else { "tuned: log debug" };
        assert!(cluster.log(who).contains(everything), "{who} was not asked to say all that it can");
        std::fs::copy(cluster.log_file(who), said.join(who)).expect("copied");
    }
    std::fs::write(said.join("answers"), answers.join("\n")).expect("written");
    let of_signers: Vec<Needle> = old.into_iter().chain(new).chain(key_needles(&cluster)).collect();
    let of_coordinator = coordinator_needles(&cluster);
    assert!(of_signers.len() > 60, "{} needles are too few to mean something", of_signers.len());
    assert_clean("what is said", &scan(&said, &of_signers).expect("searched"));
    assert_clean("what is said", &scan(&said, &of_coordinator).expect("searched"));
    let place = cluster.directory(THE_COORDINATOR);
    let token: Vec<Needle> = vec![token_needle(&cluster)];
    assert_clean("the coordinator, which keeps digests of tokens", &scan(&place, &token).expect("searched"));
    assert_clean("the coordinator", &scan(&place, &of_signers).expect("searched"));

    // What was erased, in the directories where it once was.
    let erased = read_needles(&cluster, "before");
    for signer in SIGNERS {
        let own = cluster.directory(signer);
        assert_clean(signer, &scan(&own, &erased).expect("searched"));
        // The search finds what is there: what the signer needs today.
        let today = scan(&own, &of_signers).expect("searched");
        assert!(today.hits.iter().any(|hit| hit.label.ends_with("wrapped")), "{signer}");
        assert!(today.hits.iter().any(|hit| hit.label.ends_with("identity.key")), "{signer}");
        assert_private(&own);
    }
    assert_private(&place);
}

fn assert_clean(place: &str, search: &Search) {
    println!("{place}: {} files, {} bytes, {} secrets found", search.files, search.bytes, search.hits.len());
    assert!(search.files > 0 && search.bytes > 0, "{place}: nothing was searched");
    assert_eq!(search.hits, [], "{place}");
}

fn sign_all(api: &Api, wallets: &BTreeMap<String, Value>, number: u32) -> Vec<String> {
    let signed = wallets.values().map(|wallet| sign(api, wallet, number, &mut Tally::default()));
    signed.map(|signed| signed.expect("signed").to_string()).collect()
}

/// Whatever the API has to say, refusals as well.
fn everything_shown(api: &Api) -> Vec<String> {
    let ceremonies = api.look("/v1/ceremonies");
    let mut paths: Vec<String> = ["health", "governance", "signers", "wallets", "ceremonies", "openapi.json"]
        .iter()
        .chain(&["ledger/checkpoint", "ledger/entries", "wallets/nobody"])
        .map(|path| format!("/v1/{path}"))
        .collect();
    for ceremony in ceremonies["ceremonies"].as_array().expect("a list") {
        let id = ceremony["ceremony"].as_str().expect("text");
        paths.extend(["", "/plan", "/events"].map(|part| format!("/v1/ceremonies/{id}{part}")));
    }
    paths.push("/metrics".into());
    let mut shown: Vec<String> = paths.iter().map(|path| api.get(path).expect("an answer").text).collect();
    let bad = [json!({"transaction": "0x00"}), json!({"transaction": 7}), json!({"digest": "00"})];
    for (wallet, body) in ["treasury", "vault", "payroll"].into_iter().zip(bad) {
        let ask = Ask { media_type: Some("application/json"), key: None, body: body.to_string().into() };
        shown.push(api.send(&format!("/v1/wallets/{wallet}/sign"), &ask).expect("an answer").text);
    }
    shown
}

/// Copies the directories of all signers, and takes the secrets of their stores: shares, keys of slots, and slots as
/// they are wrapped.
fn store_needles(cluster: &Cluster, when: &str) -> Vec<Needle> {
    for signer in SIGNERS {
        copy(&cluster.directory(signer), &copied(cluster, when, signer)).expect("a whole copy");
    }
    read_needles(cluster, when)
}

fn read_needles(cluster: &Cluster, when: &str) -> Vec<Needle> {
    let bodies = SIGNERS.map(|signer| copied(cluster, when, signer));
    let of = |place: &std::path::PathBuf| {
        let body = perennial_autopsy::body::Body::read(place).expect("read before");
        Needle::all_of(&body).expect("long enough")
    };
    let needles: Vec<Needle> = bodies.iter().flat_map(of).collect();
    let shares = needles.iter().filter(|needle| needle.label.ends_with("share")).count();
    assert_eq!(shares, 9, "a share of three wallets at each of three signers");
    needles
}

fn copied(cluster: &Cluster, when: &str, signer: &str) -> std::path::PathBuf {
    cluster.place().join(format!("{when}-{signer}"))
}

/// The long-lived secrets of the signers, and the approver's.
fn key_needles(cluster: &Cluster) -> Vec<Needle> {
    let mut needles = vec![needle("dana's key", cluster.dana.seed.to_vec())];
    for signer in SIGNERS {
        let own = cluster.directory(signer);
        for file in ["identity.key", "wrapping.key"] {
            let secret = std::fs::read(own.join(file)).expect("a key");
            needles.push(needle(&format!("{signer} {file}"), secret));
        }
        needles.push(transport_needle(signer, &own.join("transport.key")));
    }
    needles
}

/// The coordinator's own secrets, which are in its directory and nowhere else.
fn coordinator_needles(cluster: &Cluster) -> Vec<Needle> {
    let own = cluster.directory(THE_COORDINATOR);
    let line = std::fs::read_to_string(own.join("ledger.key")).expect("a key");
    let whole = needle("ledger.key", line.trim().as_bytes().to_vec());
    vec![
        token_needle(cluster),
        transport_needle(THE_COORDINATOR, &own.join("identity").join("transport.key")),
        whole,
    ]
}

/// With what the operator comes to the API.
fn token_needle(cluster: &Cluster) -> Needle {
    let token = cluster.api.token().expect("the tests have one");
    needle("the operator's token", token.as_bytes().to_vec())
}

/// The seed of an Ed25519 key in PKCS #8 (RFC 8410): the 32 bytes after its inner header.
fn transport_needle(who: &str, path: &Path) -> Needle {
    let PrivateKeyDer::Pkcs8(der) = PrivateKeyDer::from_pem_file(path).expect("PEM") else {
        panic!("{} is not in PKCS #8", path.display());
    };
    let bytes = der.secret_pkcs8_der();
    let at = bytes.windows(4).position(|header| header == [0x04, 0x22, 0x04, 0x20]).expect("an Ed25519 key");
    needle(&format!("{who} transport.key"), bytes[at + 4..at + 36].to_vec())
}

fn needle(label: &str, bytes: Vec<u8>) -> Needle {
    Needle::new(label, Zeroizing::new(bytes)).expect("long enough")
}

/// Files are for their owner alone, directories too.
fn assert_private(place: &Path) {
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o7777;
    assert_eq!(mode(place), 0o700, "{}", place.display());
    for entry in std::fs::read_dir(place).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            assert_private(&path);
        } else {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }
}

fn assert_core_dumps_are_off(cluster: &Cluster) {
    for who in SIGNERS.into_iter().chain([THE_COORDINATOR]) {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", cluster.pid(who))).expect("limits");
        let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).expect("a limit");
        let values: Vec<&str> = core.split_whitespace().take(2).collect();
        assert_eq!(values, ["0", "0"], "{who}: {core}");
    }
}
