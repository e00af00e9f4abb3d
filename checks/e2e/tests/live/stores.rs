//! A signer's directory in which something is wrong, as a table: it is not started, says in one line what is wrong
//! and what to do, and works again as soon as its own files are back.

use crate::cluster::{Cluster, SIGNER};
use crate::load::{Tally, sign};
use crate::people::creation;
use std::fs::{Permissions, copy, remove_file, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// What the exit status says.
const SETUP: i32 = 2;
const WRONG_STORE: i32 = 3;
const ALREADY_RUNNING: i32 = 5;

/// What is wrong, what the exit status is, and words of the one line. The action gets the signer's own directory and
/// another signer's.
type Row = (&'static str, fn(&Path, &Path), i32, &'static str);

const ROWS: [Row; 9] = [
    (
        "another signer's records",
        |own, other| take("records.redb", own, other),
        WRONG_STORE,
        "from another signer",
    ),
    (
        "another signer's sessions",
        |own, other| take("sessions.redb", own, other),
        WRONG_STORE,
        "from another signer",
    ),
    (
        "another signer's key slots",
        |own, other| take("slots.bin", own, other),
        WRONG_STORE,
        "belongs to other records",
    ),
    (
        "another signer's wrapping key",
        |own, other| take("wrapping.key", own, other),
        WRONG_STORE,
        "another wrapping.key",
    ),
    (
        "another signer's identity",
        |own, other| take("identity.key", own, other),
        SETUP,
        "mend the one that is wrong",
    ),
    (
        "no key slots",
        |own, _| remove_file(own.join("slots.bin")).expect("removed"),
        WRONG_STORE,
        "is missing or empty",
    ),
    (
        "no records",
        |own, _| remove_file(own.join("records.redb")).expect("removed"),
        WRONG_STORE,
        "records that they",
    ),
    (
        "no wrapping key",
        |own, _| remove_file(own.join("wrapping.key")).expect("removed"),
        SETUP,
        "put the file back",
    ),
    ("a key that others may read", |own, _| open_to_all(&own.join("identity.key")), SETUP, "open to others"),
];

fn take(file: &str, own: &Path, other: &Path) {
    copy(other.join(file), own.join(file)).expect("copied");
}

fn open_to_all(path: &Path) {
    set_permissions(path, Permissions::from_mode(0o644)).expect("opened");
}

#[test]
fn a_signer_with_anything_that_is_not_its_own_does_not_start_and_loses_nothing() {
    let mut cluster = Cluster::running(&["a", "b", "c"]);
    cluster.api.complete(&creation(&[("treasury", "ethereum")]), &cluster.dana);
    let wallet = cluster.api.wallets().remove("treasury").expect("made");
    let (own, other) = (cluster.directory("a"), cluster.directory("b"));

    let (status, line) = refusal(&own);
    assert_eq!(status, Some(ALREADY_RUNNING), "{line}");
    assert!(line.contains(&format!("process {}", cluster.pid("a"))), "{line}");

    assert_eq!(cluster.stop("a"), Some(0));
    assert_eq!(cluster.stop("b"), Some(0));
    let kept = cluster.place().join("kept");
    copy_all(&own, &kept);
    for (wrong, spoil, expected, words) in ROWS {
        spoil(&own, &other);
        let (status, line) = refusal(&own);
        println!("{wrong:<32} {status:?} {line}");
        assert_eq!(status, Some(expected), "{wrong}: {line}");
        assert!(line.contains(words), "{wrong}: `{words}` is not in {line}");
        copy_all(&kept, &own);
    }

    cluster.start("a");
    cluster.wait_for_signer("a");
    // Of three signers `b` is away, so `a` has to take part.
    let signed = sign(&cluster.api, &wallet, 1, &mut Tally::default()).expect("signed");
    assert!(signed["signers"].as_array().is_some_and(|signers| signers.contains(&"a".into())), "{signed}");
}

/// The exit status of a signer that does not start, and its one line.
fn refusal(directory: &Path) -> (Option<i32>, String) {
    let output = Command::new(SIGNER).args(["run", "--dir"]).arg(directory).output().expect("run");
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("perennial-signer: ")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert_eq!(text.lines().last(), Some(lines[0]), "{text}");
    (output.status.code(), lines[0].to_owned())
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}
