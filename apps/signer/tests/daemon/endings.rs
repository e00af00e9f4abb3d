//! How the daemon runs and ends: its files, its memory, signals, a full disk, kills.

use super::place::{Ended, PROGRAM, Place, Running};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// A user without rights.
const NOBODY: u32 = 65_534;

fn is_root(place: &Place) -> bool {
    std::fs::metadata(place.directory("a")).expect("there").uid() == 0
}

fn give_to_nobody(place: &Place) {
    let directory = place.directory("a");
    let parent = directory.parent().expect("inside a directory");
    std::fs::set_permissions(parent, std::fs::Permissions::from_mode(0o711)).expect("set");
    for entry in std::fs::read_dir(&directory).expect("listed") {
        std::os::unix::fs::chown(entry.expect("an entry").path(), Some(NOBODY), Some(NOBODY)).expect("given");
    }
    std::os::unix::fs::chown(&directory, Some(NOBODY), Some(NOBODY)).expect("given");
}

#[test]
fn every_file_is_private_and_the_memory_goes_into_no_core_file() {
    let place = Place::new(&["a"]);
    // What the system lets root read says little, so the daemon is an ordinary user's.
    let mut command = Command::new(PROGRAM);
    if is_root(&place) {
        give_to_nobody(&place);
        let program = place.directory("a").join("program");
        std::fs::copy(PROGRAM, &program).expect("copied");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("set");
        std::os::unix::fs::chown(&program, Some(NOBODY), Some(NOBODY)).expect("given");
        command = Command::new(program);
        command.uid(NOBODY).gid(NOBODY);
    }
    command.args(["run", "--dir"]).arg(place.directory("a"));
    let running = Running::started(command);

    let process = format!("/proc/{}", running.child.id());
    let limits = std::fs::read_to_string(format!("{process}/limits")).expect("read");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("listed");
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    // proc(5): the files of a process that is not dumpable belong to root.
    let owner = std::fs::metadata(format!("{process}/environ")).expect("there").uid();
    assert_eq!(owner, 0, "the process is dumpable");

    assert_eq!(running.signalled("INT").0, Some(0));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(place.directory("a")).expect("listed") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("text");
        let mode = entry.metadata().expect("there").permissions().mode() & 0o777;
        let setting = ["governance.cbor", "signer.toml", "program"].contains(&name.as_str());
        assert!(setting || mode == 0o600, "{name} {mode:o}");
        names.push(name);
    }
    for name in ["records.redb", "sessions.redb", "slots.bin", "lock", "identity.key", "wrapping.key"] {
        assert!(names.iter().any(|found| found == name), "{name} is not in {names:?}");
    }
}

#[test]
fn settings_are_printed_at_the_start_and_secrets_never() {
    let place = Place::new(&["a"]);
    let settings = std::fs::read_to_string(place.directory("a").join("signer.toml")).expect("read");
    place.set("a", &settings.replace("#log = \"info\"", "log = \"debug\""));
    let running = place.start("a");
    let (code, log) = running.signalled("TERM");
    assert_eq!(code, Some(0), "{log}");
    let key = &place.governance.newest().signers[0].transport_pin.to_string();
    for words in
        ["trusts signer=a", "coordinator=127.0.0.1:9", key, "tuned: log debug, tick_ms 100", "SIGTERM"]
    {
        assert!(log.contains(words), "`{words}` is not in: {log}");
    }
    for name in ["identity.key", "wrapping.key"] {
        let secret = std::fs::read(place.directory("a").join(name)).expect("read");
        assert!(!log.contains(&hex::encode(&secret)) && !log.contains(&format!("{secret:?}")), "{name}");
    }
    let pem = std::fs::read_to_string(place.directory("a").join("transport.key")).expect("read");
    let secret = pem.lines().nth(1).expect("a line of base64");
    assert!(!log.contains(secret));
}

#[test]
fn a_kill_at_any_time_leaves_a_directory_that_starts() {
    let place = Place::new(&["a"]);
    for _ in 0..5 {
        let (code, _) = place.start("a").signalled("KILL");
        assert_eq!(code, None);
    }
    let shown = place.show("a");
    assert_eq!(shown.code, Some(0), "{:?}", shown.complaints);
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).expect("one JSON object");
    assert_eq!((shown["signer"].as_str(), shown["slots"]["used"].as_u64()), (Some("a"), Some(0)));
    assert_eq!(shown["identity_key"].as_str().map(str::len), Some(64));
    assert_eq!(place.start("a").signalled("TERM").0, Some(0));
}

#[test]
fn a_full_disk_ends_the_signer_with_one_line_that_says_what_to_do() {
    let place = Place::new(&["a"]);
    // The shell counts in blocks of 512 bytes; the records need more than all of these.
    let run = "ulimit -f 100; exec \"$0\" run --dir \"$1\"";
    let output = Command::new("sh").args(["-c", run, PROGRAM]).arg(place.directory("a")).output();
    let ended = Ended::of(output.expect("run"));
    ended.complained(4, &["disk failed", "free or repair the disk, then start it again"]);
    // With room again, nothing stands in the way.
    assert_eq!(place.start("a").signalled("TERM").0, Some(0));
}
