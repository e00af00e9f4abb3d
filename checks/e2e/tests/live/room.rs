//! Disks that are really full: small file systems in memory, which only root may mount. The tests of limited files
//! hold for everybody; these show that a disk without room is the same thing to the daemons.

use crate::cluster::{Cluster, THE_COORDINATOR};
use crate::load::{Tally, sign};
use crate::people::{LOOK, PATIENCE, creation};
use crate::transactions::payment;
use serde_json::json;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// So many new wallets take more room than any daemon has in reserve.
const MANY: usize = 600;
/// In the form that mount(8) takes.
const SIZE: &str = "size=24m,mode=0700";

/// A file system over a directory, with what was in it.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// None where this process may not mount.
    fn over(at: &Path, passing: &Path) -> Option<Self> {
        copy_all(at, passing);
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "none"]).arg(at).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            return None;
        }
        copy_all(passing, at);
        Some(Self { at: at.to_owned() })
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut filler = File::create(self.filler()).expect("made");
        for size in [1 << 16, 1] {
            while filler.write_all(&vec![1; size]).is_ok() {}
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.filler()).expect("removed");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still works in it ends with the cluster.
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).output();
    }
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_all(&path, &target);
            std::fs::set_permissions(&target, path.metadata().expect("there").permissions()).expect("set");
        } else {
            std::fs::copy(path, target).expect("copied");
        }
    }
}

/// A cluster one of whose processes has a small disk; none where this process may not mount.
fn cluster_with_small_disk(who: &str) -> Option<(Cluster, SmallDisk)> {
    let mut cluster = Cluster::running(&["a", "b", "c"]);
    cluster.api.complete(&creation(&[("payroll", "solana")]), &cluster.dana);
    assert_eq!(cluster.stop(who), Some(0), "{}", cluster.log(who));
    let Some(disk) = SmallDisk::over(&cluster.directory(who), &cluster.place().join("kept")) else {
        println!("NOT RUN: only root may mount a small disk");
        return None;
    };
    cluster.start(who);
    cluster.wait_until_ready();
    Some((cluster, disk))
}

fn many() -> serde_json::Value {
    let names: Vec<String> =
        (0..MANY).map(|at| format!("one-of-many-wallets-with-a-long-name-{at}")).collect();
    let wallets: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "solana")).collect();
    creation(&wallets)
}

#[test]
fn a_signer_on_a_disk_without_room_stops_and_goes_on_when_there_is_room() {
    let Some((mut cluster, disk)) = cluster_with_small_disk("a") else { return };
    let wallet = cluster.api.wallets().remove("payroll").expect("made");
    disk.fill();
    let ceremony = cluster.api.begin(&many(), &cluster.dana);
    assert_eq!(cluster.wait_for_end("a"), Some(4), "{}", cluster.log("a"));
    let log = cluster.log("a");
    let last = log.lines().last().unwrap_or_default();
    assert!(last.contains("disk failed") && last.contains("No space left on device"), "{log}");
    sign(&cluster.api, &wallet, 1, &mut Tally::default()).expect("signed by the others");
    disk.make_room();
    cluster.start("a");
    let done = cluster.api.finish(&ceremony);
    assert_eq!(done["wallets_retired"], MANY);
    cluster.kill("c");
    sign(&cluster.api, &wallet, 2, &mut Tally::default()).expect("signed by the one that was full");
}

#[test]
fn a_coordinator_on_a_disk_without_room_says_so_and_goes_on_when_there_is_room() {
    let Some((mut cluster, disk)) = cluster_with_small_disk(THE_COORDINATOR) else { return };
    let wallet = cluster.api.wallets().remove("payroll").expect("made");
    let mut tally = Tally::default();
    sign(&cluster.api, &wallet, 0, &mut tally).expect("signed");
    disk.fill();
    // There may be room left in pages that are there already, and so for a few signatures.
    let begun = Instant::now();
    let mut number = 0;
    loop {
        number += 1;
        let (body, key) =
            (json!({"transaction": payment(&wallet, number).text}), format!("payroll-{number}"));
        let answer = cluster.api.post("/v1/wallets/payroll/sign", &body, Some(&key)).expect("it is up");
        if answer.status != 200 {
            assert_eq!((answer.status, answer.problem()), (503, "cannot-write"), "{}", answer.text);
            assert_eq!(answer.body["blame"], "coordinator", "{}", answer.text);
            assert!(answer.text.contains("full"), "{}", answer.text);
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "the disk is never full");
    }
    assert!(!cluster.has_ended(THE_COORDINATOR), "{}", cluster.log(THE_COORDINATOR));
    disk.make_room();
    for again in (0..=number).rev() {
        sign(&cluster.api, &wallet, again, &mut tally).expect("signed, or answered again");
    }
    assert_eq!(tally.replayed, number, "what was released before is lost, or what was withheld was not");
    let done = cluster.api.complete(&many(), &cluster.dana);
    assert_eq!(done["wallets_retired"], MANY);
    while !cluster.api.get("/v1/health").is_ok_and(|health| health.status == 200) {
        assert!(begun.elapsed() < 2 * PATIENCE, "{}", cluster.log(THE_COORDINATOR));
        std::thread::sleep(LOOK);
    }
    assert_eq!(cluster.stop(THE_COORDINATOR), Some(0), "{}", cluster.log(THE_COORDINATOR));
}
