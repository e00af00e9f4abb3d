//! Who is let in and who is not, and what a changed file does to that.

use super::file::{ClientsFile, Listed, Proof};
use super::token::Token;
use super::*;
use perennial_workflow::access::{Reach, Scope};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const NOW: u64 = 1_000_000;
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn listed(name: &str, proof: Proof) -> Listed {
    let client = Client {
        name: name.parse().expect("a name"),
        scopes: [Scope::Read].into(),
        reach: Reach::EveryTenant,
        expires_ms: NOW + 1,
    };
    Listed { client, proof, added_ms: 1, requests_per_second: None }
}

/// Adds a client with a token, and gives the token.
fn add(path: &Path, name: &str) -> Token {
    let token = Token::generate().expect("random");
    let new = listed(name, Proof::Token(token.digest()));
    put(path, new);
    token
}

fn put(path: &Path, new: Listed) {
    let added = ClientsFile::change(path, |all| {
        all.push(new);
        Ok(())
    });
    added.expect("written");
}

fn revoke(path: &Path, name: &str) {
    let revoked = ClientsFile::change(path, |all| {
        all.retain(|listed| listed.client.name.as_str() != name);
        Ok(())
    });
    revoked.expect("written");
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("clients.toml");
    (place, path)
}

fn open(path: &Path, limits: &config::Access) -> Access {
    Access::open(path.to_owned(), limits, NOW).expect("opened")
}

fn name_of(admitted: Result<Arc<Known>, NotAdmitted>) -> String {
    admitted.expect("let in").client.name.to_string()
}

#[test]
fn a_token_lets_its_client_in_until_it_is_revoked_or_over_and_no_other_token_does() {
    let (_place, path) = place();
    let access = open(&path, &config::Access::default());
    let shown = Token::generate().expect("random");
    let ask = |token: &Token, now_ms| access.admit(Shown::Token(token.reveal()), HERE, now_ms);
    assert_eq!(ask(&shown, NOW).expect_err("nobody is known"), NotAdmitted::Unknown);
    let (alice, bob) = (add(&path, "alice"), add(&path, "bob"));
    assert_eq!((name_of(ask(&alice, NOW)), name_of(ask(&bob, NOW))), ("alice".into(), "bob".into()));
    assert_eq!(ask(&shown, NOW).expect_err("a stranger"), NotAdmitted::Unknown);
    assert_eq!(access.admit(Shown::Nothing, HERE, NOW).expect_err("nothing"), NotAdmitted::ShowsNothing);
    assert!(matches!(ask(&alice, NOW + 1), Err(NotAdmitted::Expired(name)) if name.as_str() == "alice"));

    revoke(&path, "alice");
    assert_eq!(ask(&alice, NOW).expect_err("revoked"), NotAdmitted::Unknown);
    assert_eq!(name_of(ask(&bob, NOW)), "bob");
}

#[test]
fn a_certificate_lets_its_client_in_and_another_does_not() {
    let (_place, path) = place();
    let [own, other]: [Pin; 2] = ["ab", "cd"].map(|byte| byte.repeat(32).parse().expect("a pin"));
    let new = listed("carol", Proof::Certificate(own));
    put(&path, new);
    let access = open(&path, &config::Access::default());
    assert_eq!(name_of(access.admit(Shown::Certificate(own), HERE, NOW)), "carol");
    assert!(access.admit(Shown::Certificate(other), HERE, NOW).is_err());
}

#[test]
fn a_file_that_is_broken_or_gone_changes_nothing_and_says_so_until_it_is_put_right() {
    let (_place, path) = place();
    let alice = add(&path, "alice");
    let access = open(&path, &config::Access::default());
    let asks = || access.admit(Shown::Token(alice.reveal()), HERE, NOW);
    let sound = std::fs::read_to_string(&path).expect("there");
    for broken in [
        "nonsense".to_owned(),
        sound.replace("\"read\"", "\"reed\""),
        sound.replace("[\"*\"]", "[]"),
        sound.replace("alice", "Alice"),
        format!("{sound}{sound}"),
        sound.replace("token_sha256", "token"),
        sound.replace("scopes = [\"read\"]", "scopes = []"),
    ] {
        std::fs::write(&path, &broken).expect("written");
        assert_eq!(name_of(asks()), "alice", "{broken}");
        let trouble = access.trouble().unwrap_or_else(|| panic!("nothing is said of {broken}"));
        assert!(trouble.contains("clients.toml is refused"), "{trouble}");
        assert!(ClientsFile::change(&path, |_| Ok(())).is_err(), "{broken}");
    }
    std::fs::remove_file(&path).expect("removed");
    assert_eq!((name_of(asks()), access.trouble().is_some()), ("alice".into(), true));
    std::fs::write(&path, &sound).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("widened");
    assert_eq!(name_of(asks()), "alice");
    assert!(access.trouble().is_some_and(|trouble| trouble.contains("chmod 600")));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("narrowed");
    assert_eq!((name_of(asks()), access.trouble()), ("alice".into(), None));
}

#[test]
fn a_client_that_asks_too_often_waits_and_others_do_not_even_over_a_change_of_the_file() {
    let (_place, path) = place();
    let (alice, bob) = (add(&path, "alice"), add(&path, "bob"));
    let limits = config::Access { requests_per_second: 1, burst: 3, ..config::Access::default() };
    let access = open(&path, &limits);
    let ask = |token: &Token| access.admit(Shown::Token(token.reveal()), HERE, NOW);
    let admitted = (0..3).filter(|_| ask(&alice).is_ok()).count();
    assert_eq!(admitted, 3);
    add(&path, "carol");
    let refusal = ask(&alice).expect_err("too often");
    assert!(
        matches!(refusal, NotAdmitted::TooOften { per_second: 1, wait, .. } if !wait.is_zero()),
        "{refusal:?}"
    );
    assert_eq!(name_of(ask(&bob)), "bob");
}

#[test]
fn an_address_that_fails_often_is_told_to_wait_and_harms_nobody_there_who_shows_the_right_thing() {
    let (_place, path) = place();
    let alice = add(&path, "alice");
    let limits = config::Access { failures_per_minute: 2, ..config::Access::default() };
    let access = open(&path, &limits);
    let knock = |from| access.admit(Shown::Nothing, from, NOW).expect_err("nothing is shown");
    let told: Vec<bool> = (0..4).map(|_| knock(HERE) == NotAdmitted::ShowsNothing).collect();
    assert_eq!(told, [true, true, false, false]);
    assert!(matches!(knock(HERE), NotAdmitted::Knocking { .. }));
    assert_eq!(name_of(access.admit(Shown::Token(alice.reveal()), HERE, NOW)), "alice");
    let [one, neighbour, other] =
        ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"].map(|text| text.parse::<IpAddr>().expect("one"));
    assert_eq!([knock(one), knock(neighbour)], [NotAdmitted::ShowsNothing, NotAdmitted::ShowsNothing]);
    assert!(matches!(knock(one), NotAdmitted::Knocking { .. }));
    assert_eq!(knock(other), NotAdmitted::ShowsNothing);
}
