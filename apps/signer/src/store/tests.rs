//! Tests of the store on a real disk, with real kills.

use super::*;
use crate::keys::{Keys, StoreExists};
use perennial_custody::keeper::{Keeper, Own};
use perennial_custody::keyslots::SLOT_BYTES;
use perennial_custody::pinned::Pinned;
use perennial_custody::signing::Desk;
use perennial_model::governance::SignerIdentity;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

#[path = "../../tests/daemon/dana.rs"]
mod dana;

const CACHE_BYTES: usize = 1 << 20;

fn owner(name: &str, fill: u8) -> Owner {
    Owner {
        signer: name.parse().expect("a name"),
        identity_key: IdentityKey::Ed25519([fill; 32]),
        wrapping_check: Digest([fill; 32]),
    }
}

fn open_a(directory: &Path) -> Stores {
    open(directory, &owner("a", 1), CACHE_BYTES).expect("this signer's own store")
}

fn refusal(directory: &Path, owner: &Owner) -> String {
    open(directory, owner, CACHE_BYTES).expect_err("refused").to_string()
}

fn put(table: Table, key: &str, value: &str) -> Write {
    Write { table, key: key.into(), value: Some(value.into()) }
}

fn slot(fill: u8) -> SlotBytes {
    SlotBytes([fill; SLOT_BYTES])
}

#[test]
fn what_was_saved_is_there_after_a_restart() {
    let place = tempfile::tempdir().expect("a directory");
    let mut stores = open_a(place.path());
    assert!(stores.keeper.all_slots().expect("slots").iter().all(|slot| *slot == SlotBytes::EMPTY));
    for table in Table::ALL {
        assert_eq!(stores.keeper.all(table).expect("empty"), []);
        let writes = [put(table, "one", "1"), put(table, "two", "2"), put(table, "three", "3")];
        stores.keeper.commit(&writes).expect("saved");
    }
    let delete = Write { table: Table::Chunk, key: b"two".to_vec(), value: None };
    stores.keeper.commit(&[delete, put(Table::Plan, "one", "new")]).expect("saved");
    stores.keeper.write_slots(&[(SlotIndex(3), slot(3)), (SlotIndex(4), slot(4))]).expect("written");
    stores.keeper.sync_slots().expect("durable");
    stores.sessions.commit(&[put(Table::Session, "s", "begun")]).expect("saved");
    drop(stores);

    let mut stores = open_a(place.path());
    let keys = |rows: Vec<Row>| rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys(stores.keeper.all(Table::Chunk).expect("read")), [&b"one"[..], b"three"]);
    assert_eq!(stores.keeper.read(Table::Plan, b"one").expect("read").as_deref(), Some(&b"new"[..]));
    assert_eq!(stores.keeper.read(Table::Plan, b"none").expect("read"), None);
    let slots = stores.keeper.read_slots(&[SlotIndex(4), SlotIndex(0)]).expect("read");
    assert_eq!(slots, [slot(4), SlotBytes::EMPTY]);
    assert_eq!(stores.sessions.all(Table::Session).expect("read").len(), 1);
    assert!(stores.sessions.sync_slots().is_err(), "the desk has no slots");
}

#[test]
fn an_erased_slot_is_zeros_on_disk_and_its_old_bytes_are_in_no_file() {
    let place = tempfile::tempdir().expect("a directory");
    let mut stores = open_a(place.path());
    let secret: Vec<u8> = (0..SLOT_BYTES as u8).map(|byte| byte ^ 0x5a).collect();
    let bytes = SlotBytes(secret.clone().try_into().expect("72 bytes"));
    let at = SlotIndex(17);
    let found = || {
        std::fs::read_dir(place.path())
            .expect("listed")
            .map(|entry| std::fs::read(entry.expect("an entry").path()).expect("read"))
            .any(|content| content.windows(16).any(|window| window == &secret[20..36]))
    };
    stores.keeper.write_slots(&[(at, bytes)]).expect("written");
    stores.keeper.sync_slots().expect("durable");
    assert!(found(), "the search works");
    stores.keeper.write_slots(&[(at, SlotBytes::EMPTY)]).expect("erased");
    stores.keeper.sync_slots().expect("durable");
    assert_eq!(stores.keeper.read_slots(&[at]).expect("read"), [SlotBytes::EMPTY]);
    assert!(!found());
}

#[test]
fn a_store_from_another_signer_is_refused_with_both_names() {
    let place = tempfile::tempdir().expect("a directory");
    drop(open_a(place.path()));
    for other in [owner("b", 1), owner("a", 2), owner("b", 2)] {
        let text = refusal(place.path(), &other);
        assert!(text.contains("store from another signer") && text.contains("own directory"), "{text}");
        assert!(text.contains("`a`") && text.contains(&format!("`{}`", other.signer)), "{text}");
    }
    let wrapped = Owner { wrapping_check: Digest([9; 32]), ..owner("a", 1) };
    assert!(refusal(place.path(), &wrapped).contains("wrapping.key"));
    open_a(place.path());
}

#[test]
fn files_of_two_stores_are_never_mixed_and_a_lost_file_is_missed() {
    let place = tempfile::tempdir().expect("a directory");
    let (one, two) = (place.path().join("one"), place.path().join("two"));
    for directory in [&one, &two] {
        std::fs::create_dir(directory).expect("made");
        let mut stores = open_a(directory);
        stores.keeper.write_slots(&[(SlotIndex(0), slot(7))]).expect("written");
        stores.keeper.sync_slots().expect("durable");
    }
    let slots_of_one = std::fs::read(one.join(SLOTS_FILE)).expect("read");
    std::fs::copy(two.join(SLOTS_FILE), one.join(SLOTS_FILE)).expect("copied");
    let text = refusal(&one, &owner("a", 1));
    assert!(text.contains(SLOTS_FILE) && text.contains("other records"), "{text}");
    std::fs::write(one.join(SLOTS_FILE), [&slots_of_one[1..], &[0]].concat()).expect("spoilt");
    assert!(refusal(&one, &owner("a", 1)).contains("no key-slot file"));
    std::fs::remove_file(one.join(SLOTS_FILE)).expect("removed");
    assert!(refusal(&one, &owner("a", 1)).contains("is missing or empty"));
    std::fs::write(one.join(SLOTS_FILE), &slots_of_one).expect("put back");
    std::fs::set_permissions(one.join(SLOTS_FILE), std::fs::Permissions::from_mode(0o600)).expect("set");
    open_a(&one);

    std::fs::remove_file(two.join(RECORDS_FILE)).expect("removed");
    let text = refusal(&two, &owner("a", 1));
    assert!(text.contains(RECORDS_FILE) && text.contains("keys in slots.bin"), "{text}");
    let slots = std::fs::read(two.join(SLOTS_FILE)).expect("read");
    assert!(slots.windows(SLOT_BYTES).any(|window| window == [7; SLOT_BYTES]), "nothing was erased");
}

#[test]
fn a_making_that_was_cut_short_is_finished() {
    let place = tempfile::tempdir().expect("a directory");
    let slots = SlotFile::make(&place.path().join(SLOTS_FILE), &Digest([5; 32])).expect("made");
    drop(slots);
    drop(open_a(place.path()));
    assert!(matches!(
        SlotFile::find(&place.path().join(SLOTS_FILE)),
        Ok(Found::Slots(_, store)) if store == Digest([5; 32])
    ));
}

#[test]
fn looking_at_a_store_changes_no_byte_of_it() {
    let place = tempfile::tempdir().expect("a directory");
    assert!(look(place.path()).expect("looked").is_none());
    let mut stores = open_a(place.path());
    stores.keeper.commit(&[put(Table::Wallet, "w", "1")]).expect("saved");
    // As after a kill: the file says that it was not closed.
    let crashed = place.path().join("crashed");
    std::fs::create_dir(&crashed).expect("made");
    for name in [RECORDS_FILE, SLOTS_FILE, SESSIONS_FILE] {
        std::fs::copy(place.path().join(name), crashed.join(name)).expect("copied");
    }
    let before: Vec<_> = [RECORDS_FILE, SLOTS_FILE, SESSIONS_FILE]
        .map(|name| std::fs::read(crashed.join(name)).expect("read"))
        .into();
    let seen = look(&crashed).expect("looked").expect("a store");
    assert_eq!(seen.owner, owner("a", 1));
    assert_eq!(seen.of_keeper(Table::Wallet).expect("read"), [(b"w".to_vec(), b"1".to_vec())]);
    assert_eq!(seen.of_desk(Table::Session).expect("read"), []);
    let after: Vec<_> = [RECORDS_FILE, SLOTS_FILE, SESSIONS_FILE]
        .map(|name| std::fs::read(crashed.join(name)).expect("read"))
        .into();
    assert!(before == after);
}

#[test]
fn a_ban_of_the_desk_outlives_a_restart_and_reaches_the_keeper() {
    let place = tempfile::tempdir().expect("a directory");
    let own = || {
        let keys = Keys::make(place.path(), StoreExists::No).expect("keys");
        let known = |name: &str, key| SignerIdentity {
            signer: name.parse().expect("a name"),
            key,
            transport_pin: Digest::default(),
        };
        let signers = vec![known("a", keys.identity_key()), known("b", IdentityKey::Ed25519([1; 32]))];
        let governance = dana::first_governance(signers);
        let pinned = Pinned::new("a".parse().expect("a name"), governance).expect("names a");
        let (statements, wrapping) = keys.into_use("a".parse().expect("a name"));
        Own { identity: Arc::new(statements), wrapping: Arc::new(wrapping), pinned: Arc::new(pinned) }
    };
    let b: SignerId = "b".parse().expect("a name");
    let mut stores = open_a(place.path());
    stores.sessions.commit(&[put(Table::Ban, "b", "why")]).expect("saved");
    drop(stores);

    let Stores { mut keeper, mut sessions } = open_a(place.path());
    let mut desk = Desk::load(own(), &mut sessions).expect("loaded");
    assert!(desk.banned().eq([&b]));
    let saved =
        Keeper::load(own(), 1, &mut keeper).expect("loaded").save(&mut keeper, &mut desk).expect("saved");
    let _ = saved.keeper.exclude(&b).save(&mut keeper, &mut desk).expect("saved");
    drop((keeper, sessions));

    std::fs::remove_file(place.path().join(SESSIONS_FILE)).expect("removed");
    let Stores { mut keeper, mut sessions } = open_a(place.path());
    let mut desk = Desk::load(own(), &mut sessions).expect("loaded");
    assert_eq!(desk.banned().count(), 0);
    let _ = Keeper::load(own(), 1, &mut keeper).expect("loaded").save(&mut keeper, &mut desk).expect("saved");
    assert!(desk.banned().eq([&b]), "the keeper has it too");
}

/// How many records one commit of the killed process changes, in two tables.
const TOGETHER: usize = 60;
/// Set for the process that is killed.
const VICTIM: &str = "PERENNIAL_TEST_STORE_TO_KILL";

/// Set for it beside that if it is to write all its records anew again and again.
const PACKS: &str = "PERENNIAL_TEST_STORE_PACKS";

/// Not a test of its own: the process that is killed. It commits the next number to many records at once and
/// says so after each commit.
#[test]
fn victim() {
    let Some(directory) = std::env::var_os(VICTIM) else { return };
    let mut stores = open_a(Path::new(&directory));
    let last = stores.keeper.read(Table::Wallet, b"0").expect("read");
    let mut number: u64 =
        last.map_or(0, |bytes| String::from_utf8(bytes).expect("text").parse().expect("digits"));
    loop {
        number += 1;
        let value = number.to_string();
        let writes: Vec<Write> = (0..TOGETHER)
            .map(|at| put(if at % 2 == 0 { Table::Wallet } else { Table::Chunk }, &at.to_string(), &value))
            .collect();
        stores.keeper.commit(&writes).expect("saved");
        println!("\nsaved {number}");
        if number.is_multiple_of(16) && std::env::var_os(PACKS).is_some() {
            for value in [Some(vec![7; 6 << 20]), None] {
                let write = Write { table: Table::Dealing, key: b"large".to_vec(), value };
                stores.keeper.commit(&[write]).expect("saved");
            }
            println!("\npacks");
            stores.keeper.compact_if_sparse().expect("the disk answers").expect("worth it");
            println!("\npacked");
        }
    }
}

/// Starts the process that is killed, and kills it some time after it has said so many lines that begin with `word`.
/// Gives the last number that it saved, and how often it had packed.
fn kill(directory: &Path, packs: bool, word: &str, wanted: usize, after: Duration) -> (u64, usize) {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["store::tests::victim", "--exact", "--nocapture"]).env(VICTIM, directory);
    if packs {
        command.env(PACKS, "1");
    }
    let mut victim = command.stdout(Stdio::piped()).spawn().expect("started");
    let mut lines =
        BufReader::new(victim.stdout.take().expect("piped")).lines().map(|line| line.expect("text"));
    let (mut saved, mut packed, mut said) = (0, 0, 0);
    let mut look = |line: &str| {
        saved = line.strip_prefix("saved ").map_or(saved, |number| number.parse().expect("digits"));
        packed += usize::from(line == "packed");
        said += usize::from(line.starts_with(word));
        said == wanted
    };
    assert!(lines.any(|line| look(&line)), "it says so");
    std::thread::sleep(after);
    victim.kill().expect("killed");
    victim.wait().expect("dead");
    for line in lines {
        look(&line);
    }
    (saved, packed)
}

/// Everything of one commit is there, and that is the last one that was acknowledged, or a later one.
fn assert_whole(directory: &Path, acknowledged: u64) {
    let mut stores = open_a(directory);
    let rows = [Table::Wallet, Table::Chunk].map(|table| stores.keeper.all(table).expect("read")).concat();
    assert_eq!(rows.len(), TOGETHER);
    let first = rows[0].1.clone();
    assert!(rows.iter().all(|(_, value)| *value == first), "half of a commit is there");
    let found: u64 = String::from_utf8(first).expect("text").parse().expect("digits");
    assert!(found >= acknowledged, "{found} is there, but {acknowledged} was acknowledged");
}

#[test]
fn a_kill_in_the_middle_of_a_commit_leaves_all_of_it_or_nothing() {
    let place = tempfile::tempdir().expect("a directory");
    let mut acknowledged = 0;
    for wanted in [1, 2, 5, 3, 8, 1, 13, 4] {
        (acknowledged, _) = kill(place.path(), false, "saved ", wanted, Duration::ZERO);
        assert_whole(place.path(), acknowledged);
    }
    assert!(acknowledged > 20);
}

#[test]
fn a_kill_while_everything_is_written_anew_loses_nothing() {
    let place = tempfile::tempdir().expect("a directory");
    let mut packed = 0;
    for round in 0..12 {
        let (acknowledged, times) =
            kill(place.path(), true, "packs", 1 + round % 2, Duration::from_micros(400 * round as u64));
        packed += times;
        assert_whole(place.path(), acknowledged);
        let left = std::fs::read_dir(place.path()).expect("a directory").count();
        assert_eq!(left, 3, "what was half written anew is removed");
    }
    assert!(packed >= 6, "every other round packs once at least: {packed}");
}

#[test]
fn records_with_a_table_of_a_later_version_are_not_written_anew() {
    let place = tempfile::tempdir().expect("a directory");
    drop(open_a(place.path()));
    let later = redb::TableDefinition::<u64, u64>::new("later");
    let database = redb::Database::open(place.path().join(RECORDS_FILE)).expect("opened");
    let transaction = database.begin_write().expect("begun");
    transaction.open_table(later).expect("made").insert(1, 1).expect("inserted");
    transaction.commit().expect("committed");
    drop(database);
    let mut stores = open_a(place.path());
    for value in [Some(vec![7; 6 << 20]), None] {
        let write = Write { table: Table::Dealing, key: b"large".to_vec(), value };
        stores.keeper.commit(&[write]).expect("saved");
    }
    assert_eq!(stores.keeper.compact_if_sparse().expect("the disk answers"), None);
}

#[test]
fn records_that_cannot_be_written_anew_stay_as_they_are() {
    let place = tempfile::tempdir().expect("a directory");
    let mut stores = open_a(place.path());
    for value in [Some(vec![7; 6 << 20]), None] {
        let write = Write { table: Table::Dealing, key: b"large".to_vec(), value };
        stores.keeper.commit(&[write]).expect("saved");
    }
    // In place of a disk that is full: the name is taken.
    let taken = place.path().join("records.redb.new");
    std::fs::create_dir(&taken).expect("made");
    assert_eq!(stores.keeper.compact_if_sparse().expect("no reason to stop"), None);
    stores.keeper.commit(&[put(Table::Wallet, "kept", "1")]).expect("saved");
    drop(stores);
    let reason = refusal(place.path(), &owner("a", 1));
    assert!(reason.contains("opened its records") && reason.contains("directory"), "{reason}");
    std::fs::remove_dir(taken).expect("removed");
    assert_eq!(open_a(place.path()).keeper.all(Table::Wallet).expect("read").len(), 1);
}

#[test]
fn wallets_that_grew_and_shrank_are_packed_again_and_all_of_them_are_there() {
    let place = tempfile::tempdir().expect("a directory");
    let mut stores = open_a(place.path());
    let all = |bytes: usize| -> Vec<Write> {
        let wallet = |at: u32| Write {
            table: Table::Wallet,
            key: at.to_be_bytes().to_vec(),
            value: Some([at.to_be_bytes().as_slice(), &vec![7; bytes]].concat()),
        };
        (0..10_000).map(wallet).collect()
    };
    for bytes in [420, 840, 420, 840, 420] {
        stores.keeper.commit(&all(bytes)).expect("saved");
    }
    std::fs::write(place.path().join("records.redb.new"), "left by something else").expect("written");
    let compacted = stores.keeper.compact_if_sparse().expect("the disk answers").expect("worth it");
    assert!(compacted.after < 6 << 20 && compacted.before > 2 * compacted.after, "{compacted:?}");
    for again in all(420).into_iter().step_by(500) {
        stores.keeper.commit(&[again]).expect("saved");
    }
    assert_eq!(stores.keeper.compact_if_sparse().expect("the disk answers"), None, "it was done just now");
    drop(stores);
    let mut stores = open_a(place.path());
    let rows = stores.keeper.all(Table::Wallet).expect("read");
    let expected = all(420).into_iter().map(|write| (write.key, write.value.expect("a record")));
    assert!(rows.into_iter().eq(expected));
}

#[test]
fn records_that_are_mostly_free_space_are_made_smaller() {
    let place = tempfile::tempdir().expect("a directory");
    let mut stores = open_a(place.path());
    let big = |value: Option<Vec<u8>>| {
        (0..4_000_u32)
            .map(|at| Write { table: Table::Wallet, key: at.to_be_bytes().to_vec(), value: value.clone() })
            .collect::<Vec<_>>()
    };
    stores.keeper.commit(&big(Some(vec![7; 3_000]))).expect("saved");
    stores.keeper.commit(&big(None)).expect("deleted");
    stores.keeper.commit(&[put(Table::Wallet, "kept", "1")]).expect("saved");
    let compacted = stores.keeper.compact_if_sparse().expect("the disk answers").expect("worth it");
    assert!(compacted.before > 8 << 20 && compacted.after < 1 << 20, "{compacted:?}");
    assert_eq!(stores.keeper.compact_if_sparse().expect("the disk answers"), None);
    drop(stores);
    let mut stores = open_a(place.path());
    assert_eq!(stores.keeper.all(Table::Wallet).expect("read").len(), 1);
}
