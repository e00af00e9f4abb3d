//! Who imports whom, as cargo resolved it for this machine.
//!
//! Reads `cargo metadata` with the committed lock file and without the network, so the answer is the one that the
//! build uses. All features are on and are unified over the whole workspace: a closure may come out larger than that of
//! one crate built alone, never smaller. Refuses to guess: a document without the expected fields is an error.

use crate::Error;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::process::Command;

/// Which part of a crate needs a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The crate itself.
    Normal,
    /// Its build script.
    Build,
    /// Its tests, examples and benchmarks.
    Development,
}

/// One dependency as a manifest declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The name of the package, not the name it may be renamed to.
    pub name: String,
    /// Which part of the crate needs it.
    pub kind: Kind,
    /// The version requirement, `*` when none is given.
    pub requirement: String,
    /// The features that the manifest turns on.
    pub features: Vec<String>,
    /// Whether it is a folder of this repository.
    pub local: bool,
}

/// One package of the graph.
#[derive(Debug, Clone, Default)]
pub struct Package {
    /// The name in its manifest.
    pub name: String,
    /// The exact version.
    pub version: String,
    /// The licence expression (SPDX), where the manifest has one.
    pub licence: Option<String>,
    /// The registry or repository that it came from; `None` for a folder of this repository.
    pub source: Option<String>,
    /// The names of its binaries.
    pub binaries: Vec<String>,
    /// Its features, each with what it turns on.
    pub features: BTreeMap<String, Vec<String>>,
    /// Its manifest's dependencies.
    pub declared: Vec<Declared>,
}

/// The packages that a build of the workspace uses, and the edges between them.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    packages: BTreeMap<String, Package>,
    members: BTreeSet<String>,
    edges: BTreeMap<String, Vec<(String, Kind)>>,
}

impl Graph {
    /// Asks cargo about the workspace in `root`, for the machine that this runs on.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] when cargo fails (the lock file is stale, or a package was never downloaded);
    /// [`Error::Malformed`] when its answer lacks a field.
    pub fn read(root: &Path) -> Result<Self, Error> {
        let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let arguments = [
            "metadata",
            "--locked",
            "--offline",
            "--all-features",
            "--format-version",
            "1",
            "--filter-platform",
            &host,
        ];
        Self::parse(&cargo(root, &arguments)?)
    }

    /// Parses the answer of `cargo metadata --format-version 1`.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] when it is not JSON or lacks a field.
    pub fn parse(metadata: &str) -> Result<Self, Error> {
        let document: Value =
            serde_json::from_str(metadata).map_err(|cause| malformed(&cause.to_string()))?;
        let mut graph = Self::default();
        for package in list(&document, "packages")? {
            graph.packages.insert(text(package, "id")?, parse_package(package)?);
        }
        for member in list(&document, "workspace_members")? {
            graph.members.insert(member.as_str().ok_or_else(|| malformed("workspace_members"))?.to_owned());
        }
        for node in list(&document["resolve"], "nodes")? {
            let mut edges = Vec::new();
            for edge in list(node, "deps")? {
                for kind in list(edge, "dep_kinds")? {
                    edges.push((text(edge, "pkg")?, parse_kind(&kind["kind"])?));
                }
            }
            graph.edges.insert(text(node, "id")?, edges);
        }
        if graph.members.is_empty() {
            return Err(malformed("it has no workspace members"));
        }
        Ok(graph)
    }

    /// A made-up graph, as the tests of the rules need it: `members` are ours, everything else that an edge names
    /// is a package of the registry.
    pub fn planted(members: &[&str], edges: &[(&str, Kind, &str)]) -> Self {
        let mut graph = Self::default();
        let ends = edges.iter().flat_map(|(from, _, to)| [*from, *to]);
        for name in members.iter().copied().chain(ends) {
            let local = members.contains(&name);
            let source = (!local).then(|| "registry+https://github.com/rust-lang/crates.io-index".to_owned());
            let package = Package { name: name.to_owned(), source, ..Package::default() };
            graph.packages.insert(name.to_owned(), package);
        }
        graph.members = members.iter().map(|name| (*name).to_owned()).collect();
        for (from, kind, to) in edges {
            graph.edges.entry((*from).to_owned()).or_default().push(((*to).to_owned(), *kind));
            let declared = Declared {
                name: (*to).to_owned(),
                kind: *kind,
                requirement: "1".to_owned(),
                features: Vec::new(),
                local: members.contains(to),
            };
            graph.change(from, |package| package.declared.push(declared));
        }
        graph
    }

    /// Alters one package of a made-up graph.
    pub fn change(&mut self, name: &str, alter: impl FnOnce(&mut Package)) {
        if let Some(package) = self.packages.values_mut().find(|package| package.name == name) {
            alter(package);
        }
    }

    /// Every package, ours and other people's.
    pub fn packages(&self) -> impl Iterator<Item = &Package> {
        self.packages.values()
    }

    /// The crates of this repository.
    pub fn members(&self) -> impl Iterator<Item = &Package> {
        self.members.iter().filter_map(|id| self.packages.get(id))
    }

    /// The crate of this repository with this name.
    pub fn member(&self, name: &str) -> Option<&Package> {
        self.members().find(|package| package.name == name)
    }

    /// Everything that the crate `name` links or runs in its build scripts, directly or through others, each with
    /// the chain of names that leads there (`name` first). What only its tests need is left out.
    pub fn closure(&self, name: &str) -> BTreeMap<String, Vec<String>> {
        let mut chains: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let start = self.members.iter().find(|id| self.packages.get(*id).is_some_and(|p| p.name == name));
        let mut waiting: VecDeque<(&str, Vec<String>)> =
            start.map(|id| (id.as_str(), vec![name.to_owned()])).into_iter().collect();
        while let Some((id, chain)) = waiting.pop_front() {
            let edges = self.edges.get(id).map(Vec::as_slice).unwrap_or_default();
            for (target, kind) in edges {
                let Some(package) = self.packages.get(target) else { continue };
                if *kind == Kind::Development || !seen.insert(target) {
                    continue;
                }
                let mut longer = chain.clone();
                longer.push(package.name.clone());
                chains.entry(package.name.clone()).or_insert_with(|| longer.clone());
                waiting.push_back((target, longer));
            }
        }
        chains
    }
}

/// What cargo answers in `root`.
///
/// # Errors
///
/// [`Error::Command`] when it fails.
pub fn cargo(root: &Path, arguments: &[&str]) -> Result<String, Error> {
    let command = format!("cargo {}", arguments.join(" "));
    let output = Command::new("cargo")
        .args(arguments)
        .current_dir(root)
        .output()
        .map_err(|cause| Error::Command { command: command.clone(), cause: cause.to_string() })?;
    if !output.status.success() {
        let answer = String::from_utf8_lossy(&output.stderr);
        let cause = format!("{answer}(packages that were never downloaded come with `cargo fetch --locked`)");
        return Err(Error::Command { command, cause });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn parse_package(package: &Value) -> Result<Package, Error> {
    let mut declared = Vec::new();
    for dependency in list(package, "dependencies")? {
        declared.push(Declared {
            name: text(dependency, "name")?,
            kind: parse_kind(&dependency["kind"])?,
            requirement: text(dependency, "req")?,
            features: strings(&dependency["features"]),
            local: dependency["source"].is_null(),
        });
    }
    let targets = list(package, "targets")?;
    let is_binary = |target: &&Value| strings(&target["kind"]).iter().any(|kind| kind == "bin");
    let features = package["features"].as_object().ok_or_else(|| malformed("features"))?;
    Ok(Package {
        name: text(package, "name")?,
        version: text(package, "version")?,
        licence: package["license"].as_str().map(str::to_owned),
        source: package["source"].as_str().map(str::to_owned),
        binaries: targets.iter().filter(is_binary).filter_map(|t| text(t, "name").ok()).collect(),
        features: features.iter().map(|(name, parts)| (name.clone(), strings(parts))).collect(),
        declared,
    })
}

fn parse_kind(kind: &Value) -> Result<Kind, Error> {
    match kind.as_str() {
        None => Ok(Kind::Normal),
        Some("build") => Ok(Kind::Build),
        Some("dev") => Ok(Kind::Development),
        Some(other) => Err(malformed(&format!("unknown dependency kind {other}"))),
    }
}

fn list<'a>(value: &'a Value, field: &str) -> Result<&'a Vec<Value>, Error> {
    value[field].as_array().ok_or_else(|| malformed(&format!("no list `{field}`")))
}

fn text(value: &Value, field: &str) -> Result<String, Error> {
    Ok(value[field].as_str().ok_or_else(|| malformed(&format!("no text `{field}`")))?.to_owned())
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn malformed(cause: &str) -> Error {
    Error::Malformed { document: "the answer of `cargo metadata`".to_owned(), cause: cause.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closure_follows_normal_and_build_edges_and_says_by_which_way() {
        let edges = [
            ("ours", Kind::Normal, "first"),
            ("first", Kind::Build, "second"),
            ("ours", Kind::Development, "only-in-tests"),
        ];
        let closure = Graph::planted(&["ours"], &edges).closure("ours");
        assert_eq!(closure["second"], ["ours", "first", "second"]);
        assert!(!closure.contains_key("only-in-tests"));
    }

    #[test]
    fn an_answer_that_is_cut_short_is_refused() {
        assert!(matches!(Graph::parse("{\"packages\": []"), Err(Error::Malformed { .. })));
        assert!(matches!(Graph::parse("{\"packages\": []}"), Err(Error::Malformed { .. })));
    }

    #[test]
    fn cargo_answers_about_this_very_crate() -> Result<(), Error> {
        let graph = Graph::read(&crate::repository::root())?;
        assert!(graph.member("perennial-tidy").is_some());
        assert!(graph.closure("perennial-tidy").contains_key("serde_json"));
        Ok(())
    }
}
