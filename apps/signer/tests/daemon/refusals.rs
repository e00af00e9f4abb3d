//! What the daemon does not start with: each with one line that says what to do, and an exit status.

use super::dana::{approved, first_governance};
use super::place::{Ended, NOBODYS_PIN, PROGRAM, Place, init, printed};
use perennial_model::governance::Governance;
use perennial_model::governance::history::ApprovedGovernance;
use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

#[test]
fn a_second_init_prints_the_same_and_replaces_nothing() {
    let place = tempfile::tempdir().expect("a directory");
    let directory = place.path().join("deep").join("a");
    let first = printed(&init(&directory, "a"));
    let files = ["identity.key", "wrapping.key", "transport.key", "transport.crt", "signer.toml"];
    let contents = || files.map(|name| std::fs::read(directory.join(name)).expect("there"));
    let before = contents();
    let second = printed(&init(&directory, "a"));
    assert_eq!((first.signer, first.identity_key), (second.signer, second.identity_key));
    assert_eq!(first.transport_pin, second.transport_pin);
    assert_eq!(before, contents());
    for name in files {
        let mode = std::fs::metadata(directory.join(name)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    Ended::of(init(&directory, "b")).complained(2, &["signer `a`", "not of `b`"]);
    Ended::of(init(&directory, "B!")).complained(2, &[]);
}

#[test]
fn an_unknown_setting_is_refused_by_name() {
    let place = Place::new(&["a"]);
    let good = format!("coordinator = \"127.0.0.1:9\"\ncoordinator_pin = \"{NOBODYS_PIN}\"\n");
    for (settings, word) in [
        (format!("{good}cordinator = 1\n"), "`cordinator`"),
        (format!("{good}[tune]\nlogs = \"info\"\n"), "`logs`"),
        (good.replace("coordinator_pin", "#"), "`coordinator_pin`"),
        (good.replace("127.0.0.1:9", "localhost"), "`coordinator`"),
        (good.replace("abab", "ABAB"), "`coordinator_pin`"),
        (format!("{good}signer = \"b\"\n"), "`b`"),
        ("coordinator = [".to_owned(), "signer.toml line 1"),
    ] {
        place.set("a", &settings);
        place.run("a").complained(2, &[word]);
    }
    std::fs::remove_file(place.directory("a").join("signer.toml")).expect("removed");
    place.run("a").complained(2, &["signer.toml is missing", "perennial-signer init"]);
}

#[test]
fn what_others_may_read_or_change_is_refused() {
    for (name, mode) in [
        ("", 0o750),
        ("identity.key", 0o640),
        ("wrapping.key", 0o604),
        ("transport.key", 0o644),
        ("signer.toml", 0o620),
        ("governance.cbor", 0o602),
    ] {
        let place = Place::new(&["a"]);
        set_permissions(place.directory("a").join(name), Permissions::from_mode(mode)).expect("widened");
        place.run("a").complained(2, &["open to others", "chmod"]);
    }
    for name in ["records.redb", "slots.bin", "sessions.redb"] {
        let place = Place::new(&["a"]);
        assert_eq!(place.start("a").signalled("TERM").0, Some(0));
        set_permissions(place.directory("a").join(name), Permissions::from_mode(0o644)).expect("widened");
        place.run("a").complained(2, &["open to others", name]);
    }
}

#[test]
fn a_store_from_another_signer_is_refused_with_both_names() {
    let place = Place::new(&["a", "b"]);
    for name in ["a", "b"] {
        assert_eq!(place.start(name).signalled("TERM").0, Some(0));
    }
    for file in ["records.redb", "slots.bin", "sessions.redb"] {
        std::fs::rename(place.directory("b").join(file), place.directory("a").join(file)).expect("moved");
    }
    place.run("a").complained(3, &["store from another signer", "`a`", "`b`", "own directory"]);
}

#[test]
fn a_signer_works_only_under_a_governance_that_knows_it_and_never_under_an_older_one() {
    let place = Place::new(&["a", "b"]);
    let first = place.governance.clone();

    let mut without = first.newest().signers.clone();
    without.remove(0);
    place.govern("a", &first_governance(without));
    place.run("a").complained(2, &["governance", "identity key", "its signers: b"]);
    let mut other_pin = first.newest().signers.clone();
    other_pin[0].transport_pin = other_pin[1].transport_pin;
    place.govern("a", &first_governance(other_pin));
    place.run("a").complained(2, &["transport pin", "transport.key"]);
    std::fs::write(place.directory("a").join("governance.cbor"), b"nonsense").expect("written");
    place.run("a").complained(2, &["governance.cbor"]);

    place.govern("a", &first);
    assert_eq!(place.start("a").signalled("TERM").0, Some(0));
    let next = |change: &str| Governance {
        version: 2,
        predecessor: Some(first.newest_digest()),
        initiator: change.parse().expect("a name"),
        ..first.newest().clone()
    };
    let mut unapproved = first.versions().clone();
    unapproved.0.push(ApprovedGovernance { governance: next("erin"), approvals: Vec::new() });
    place.write_governance("a", &unapproved);
    place.run("a").complained(2, &["governance.cbor", "0 of the 1 approvals of role operator"]);
    let mut second = first.clone();
    second.extend(approved(next("erin"))).expect("approved");
    place.govern("a", &second);
    assert_eq!(place.start("a").signalled("TERM").0, Some(0));
    // An older file does not make it forget the newer version.
    place.govern("a", &first);
    let (status, log) = place.start("a").signalled("TERM");
    assert_eq!(status, Some(0));
    assert!(log.contains("governance=2"), "{log}");
    let mut rival = first.clone();
    rival.extend(approved(next("frank"))).expect("approved");
    place.govern("a", &rival);
    place.run("a").complained(2, &["contradict each other", "version 2"]);
}

#[test]
fn two_daemons_on_one_directory_are_refused() {
    let place = Place::new(&["a"]);
    let running = place.start("a");
    let number = running.child.id().to_string();
    place.run("a").complained(5, &["in use by process", &number]);
    place.show("a").complained(5, &["in use by process", &number]);
    Ended::of(init(&place.directory("a"), "a")).complained(5, &["in use by process", &number]);
    assert_eq!(running.signalled("TERM").0, Some(0));
    assert_eq!(place.show("a").code, Some(0));
}

#[test]
fn a_lost_key_is_named() {
    let place = Place::new(&["a"]);
    assert_eq!(place.start("a").signalled("TERM").0, Some(0));
    std::fs::remove_file(place.directory("a").join("wrapping.key")).expect("removed");
    place.run("a").complained(2, &["wrapping.key is missing"]);
    Ended::of(init(&place.directory("a"), "a")).complained(2, &["wrapping.key is missing", "put it back"]);
    let help = Command::new(PROGRAM).arg("walk").output().expect("run");
    assert_eq!(help.status.code(), Some(2), "a wrong command line has the status of a wrong setting");
}
