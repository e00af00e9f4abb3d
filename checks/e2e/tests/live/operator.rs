//! The likeliest mistakes at the operator's tool, as a table: one line, who is to blame, what to do, and the exit
//! status that scripts look at.

use crate::cluster::{Cluster, OPERATOR};
use crate::governance::Dana;
use crate::people::{creation, renewal};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

const BROKEN: i32 = 1;
const USAGE: i32 = 2;
const REFUSED: i32 = 3;
const UNREACHABLE: i32 = 4;

#[test]
fn mistakes_at_the_operators_tool_are_one_line_that_says_what_to_do() {
    let cluster = Cluster::running(&["a", "b", "c"]);
    cluster.api.complete(&creation(&[("treasury", "ethereum")]), &cluster.dana);
    let plan = cluster.api.draft(&renewal(0));
    let waiting = cluster.api.submit(&plan);
    let place = cluster.place();
    settings(&cluster);
    let stranger = Dana::new(*b"the seed of a key nobody knows..");
    write(&place.join("stranger.key"), &stranger.key_file(), 0o600);
    write(&place.join("open.key"), &cluster.dana.key_file(), 0o644);
    write(&place.join("junk.txt"), "0x00ff\n", 0o600);
    let file = |name: &str| place.join(name).display().to_string();
    let (junk, missing, unknown, open) =
        (file("junk.txt"), file("missing.txt"), file("stranger.key"), file("open.key"));
    let nobody = "127.0.0.1:9";
    let rows: [(&[&str], i32, &str); 14] = [
        (&["wallet", "show", "nobody"], REFUSED, "no wallet nobody"),
        (&["wallet", "list", "--api", nobody], UNREACHABLE, "no answer from a coordinator"),
        (&["wallet", "list", "--api", "192.0.2.1:7700"], USAGE, "another machine"),
        (&["wallet", "create", "treasury", "--chain", "ethereum"], REFUSED, "treasury"),
        (&["wallet", "create", "Trea sury", "--chain", "ethereum"], USAGE, "Trea sury"),
        (&["wallet", "create", "new", "--chain", "dogecoin"], USAGE, "dogecoin"),
        (&["sign", "treasury"], USAGE, "nothing to sign"),
        (&["sign", "treasury", "--transaction", &missing], BROKEN, "missing.txt"),
        (&["sign", "treasury", "--transaction", &junk], REFUSED, "type 0x00"),
        (&["refresh", "nobody"], REFUSED, "nobody"),
        (&["approve", "5a5a5a5a"], REFUSED, "5a5a5a5a"),
        (&["approve", &waiting, "--yes", "--key", &unknown], USAGE, "is no approver's"),
        (&["approve", &waiting, "--yes", "--key", &open], BROKEN, "open to others"),
        (&["init"], USAGE, "holds a cluster already"),
    ];
    for (words, status, said) in rows {
        let output = Command::new(OPERATOR).args(words).arg("--dir").arg(place).stdin(Stdio::null()).output();
        let output = output.expect("run");
        let error = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = error.lines().filter(|line| line.starts_with("perennial: ")).collect();
        println!("{words:?}\n  {:?} {}", output.status.code(), error.trim());
        assert_eq!(output.status.code(), Some(status), "{words:?}: {error}");
        assert_eq!(lines.len(), 1, "{words:?}: {error}");
        for part in [said, " | to blame: ", " | what to do: "] {
            assert!(lines[0].contains(part), "{words:?}: `{part}` is not in {}", lines[0]);
        }
    }
}

/// What `perennial init` would have put there.
fn settings(cluster: &Cluster) {
    let place = cluster.place();
    let text = format!(
        "api = \"{}\"\ntenant = \"acme\"\ninitiator = \"operator\"\napprover = \"dana\"\nkey = \"dana.key\"\n\
         threshold = 2\n",
        cluster.api.address
    );
    write(&place.join("perennial.toml"), &text, 0o600);
    write(&place.join("dana.key"), &cluster.dana.key_file(), 0o600);
    std::fs::copy(cluster.directory("a").join("governance.cbor"), place.join("governance.cbor"))
        .expect("copied");
}

fn write(path: &Path, text: &str, mode: u32) {
    let file = OpenOptions::new().create_new(true).write(true).mode(mode).open(path);
    file.expect("made").write_all(text.as_bytes()).expect("written");
}
