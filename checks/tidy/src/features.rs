//! The rule on features: the simulator is built of other people's crates as all packages that may not simulate are.
//!
//! The core's feature `simulation` keeps the two from being built in one call of cargo, and cargo unifies the features
//! of one call alone. A crate that has other features in the other call is compiled a second time. What cargo builds for
//! this machine and what it builds for its own macros are not told apart here.

use crate::graph::cargo;
use crate::walls::MAY_SIMULATE;
use crate::{Error, Finding};
use std::collections::BTreeSet;
use std::path::Path;

/// Crates with their features, each on a line, as cargo builds them for all packages that may not simulate.
///
/// # Errors
///
/// [`Error::Command`] when cargo fails.
pub fn shipped(root: &Path) -> Result<String, Error> {
    let [one, two] = MAY_SIMULATE;
    tree(root, &["--workspace", "--exclude", one, "--exclude", two])
}

/// The same for those that may.
///
/// # Errors
///
/// [`Error::Command`] when cargo fails.
pub fn simulating(root: &Path) -> Result<String, Error> {
    let [one, two] = MAY_SIMULATE;
    tree(root, &["-p", one, "-p", two])
}

fn tree(root: &Path, packages: &[&str]) -> Result<String, Error> {
    let shape = ["tree", "--locked", "--offline", "--prefix", "none", "--format", "{p} [{f}]"];
    cargo(root, &[&shape[..], packages].concat())
}

/// Other people's crates that both have, with other features.
pub fn compiled_twice(shipped: &str, simulating: &str) -> Vec<Finding> {
    let shipped: BTreeSet<&str> = shipped.lines().map(once).collect();
    let simulating: BTreeSet<&str> = simulating.lines().map(once).collect();
    let others = simulating.difference(&shipped).filter(|line| !line.starts_with("perennial"));
    let finding = |line: &&str| {
        let of_name = |other: &&str| other.split(" [").next() == line.split(" [").next();
        let elsewhere: Vec<&str> = shipped.iter().copied().filter(of_name).collect();
        let complaint = format!(
            "Without the simulator it is {elsewhere:?}: make the features in checks/sim/Cargo.toml the same, or drop it there."
        );
        (!elsewhere.is_empty()).then(|| Finding::new(*line, complaint))
    };
    others.filter_map(finding).collect()
}

/// A line without the mark that cargo puts behind what it has shown before.
fn once(line: &str) -> &str {
    line.strip_suffix(" (*)").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_with_other_features_is_found_and_ours_may_differ() {
        let shipped = "perennial-model v0.1.0 []\nlibc v0.2.1 [default,std]\nsyn v2.0.0 [full] (*)\n";
        let same = "perennial-model v0.1.0 [simulation]\nsyn v2.0.0 [full]\nlibc v0.2.1 [default,std] (*)\n";
        assert_eq!(compiled_twice(shipped, same), []);
        let findings = compiled_twice(shipped, "libc v0.2.1 []\nsyn v2.0.0 [full]\n");
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!(finding.place, "libc v0.2.1 []");
        assert!(finding.complaint.contains("libc v0.2.1 [default,std]"), "{}", finding.complaint);
        assert_eq!(compiled_twice(shipped, "ripemd v0.1.0 []\n"), [], "one that the simulator alone has");
    }
}
