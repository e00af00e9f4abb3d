//! The rules on imports: who may name whom, and what may never be reached.
//!
//! A wall stands for trust or for I/O. The one that matters: nothing on the coordinator's side can reach
//! `perennial-custody`, so nothing there can even name a share. The table of crates itself is in `tests/walls.rs`;
//! here are the rules that are applied to it.

use crate::Finding;
use crate::graph::{Declared, Graph, Kind, Package};

/// The feature of the core crates that holds planted mutants and the transparent test group.
pub const SIMULATION: &str = "simulation";

/// The only crates that may turn [`SIMULATION`] on; nothing may depend on them, for features unify.
pub const MAY_SIMULATE: [&str; 2] = ["perennial-sim", "perennial-fuzz"];

/// Which of our crates a crate may import directly.
#[derive(Debug, Clone, Copy)]
pub enum May {
    /// None of ours but these.
    Only(&'static [&'static str]),
    /// Any of ours but the crates that simulate.
    Anything,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Wall {
    /// The package.
    pub name: &'static str,
    /// What it may import, in its code and in its build script.
    pub may_import: May,
    /// Of ours, what it must not reach, not even through others.
    pub never_reaches: &'static [&'static str],
}

/// A crate without a row, and a row without a crate.
pub fn rows_match_crates(graph: &Graph, table: &[Wall]) -> Vec<Finding> {
    let unlisted = graph.members().filter(|package| !table.iter().any(|wall| wall.name == package.name));
    let missing = table.iter().filter(|wall| graph.member(wall.name).is_none());
    unlisted
        .map(|package| Finding::new(&package.name, "has no row in the table of walls"))
        .chain(
            missing.map(|wall| Finding::new(wall.name, "has a row in the table of walls and does not exist")),
        )
        .collect()
}

/// A manifest that names one of our crates which its row does not allow.
pub fn imports_follow_the_table(graph: &Graph, table: &[Wall]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for wall in table {
        for import in ours(graph, wall.name, &[Kind::Normal, Kind::Build]) {
            let allowed = match wall.may_import {
                May::Only(list) => list.contains(&import.name.as_str()),
                May::Anything => !MAY_SIMULATE.contains(&import.name.as_str()),
            };
            if !allowed {
                findings.push(Finding::new(wall.name, format!("may not import {}", import.name)));
            }
        }
    }
    findings
}

/// A crate that reaches, through whomever, one of ours which its row forbids.
pub fn closures_follow_the_table(graph: &Graph, table: &[Wall]) -> Vec<Finding> {
    table.iter().flat_map(|wall| reaches(graph, wall.name, wall.never_reaches)).collect()
}

/// Everything among `forbidden` that the crate `name` reaches. A pattern that ends in `*` stands for every name
/// with that beginning.
pub fn reaches(graph: &Graph, name: &str, forbidden: &[&str]) -> Vec<Finding> {
    let closure = graph.closure(name);
    let hits =
        closure.iter().filter(|(reached, _)| forbidden.iter().any(|pattern| matches(pattern, reached)));
    hits.map(|(reached, chain)| {
        Finding::new(name, format!("must never reach {reached}: {}", chain.join(" -> ")))
    })
    .collect()
}

/// A crate whose manifest names a forbidden package, for its code or for its build script.
pub fn imports(graph: &Graph, name: &str, forbidden: &[&str]) -> Vec<Finding> {
    let declared = graph.member(name).map(|package| package.declared.as_slice()).unwrap_or_default();
    declared
        .iter()
        .filter(|import| import.kind != Kind::Development)
        .filter(|import| forbidden.iter().any(|pattern| matches(pattern, &import.name)))
        .map(|import| Finding::new(name, format!("may not import {}", import.name)))
        .collect()
}

/// A core crate whose tests use anything beyond other core crates and `allowed`.
pub fn core_tests_stay_in_core(graph: &Graph, core: &[&str], allowed: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in core {
        let declared = graph.member(name).map(|package| package.declared.as_slice()).unwrap_or_default();
        let own: Vec<&str> =
            declared.iter().filter(|d| d.kind != Kind::Development).map(|d| d.name.as_str()).collect();
        for import in declared.iter().filter(|import| import.kind == Kind::Development) {
            let known = own.contains(&import.name.as_str()) || allowed.contains(&import.name.as_str());
            if !known && !core.contains(&import.name.as_str()) {
                findings.push(Finding::new(*name, format!("may not use {} in its tests", import.name)));
            }
        }
    }
    findings
}

/// A manifest outside of [`MAY_SIMULATE`] that turns [`SIMULATION`] on, forwards it, or depends on one that does.
///
/// Features unify inside one cargo invocation, so one such line would put the mutants into a daemon.
pub fn only_checks_simulate(graph: &Graph, core: &[&str]) -> Vec<Finding> {
    let outsiders = graph.members().filter(|package| !MAY_SIMULATE.contains(&package.name.as_str()));
    outsiders.flat_map(|package| simulates(package, core.contains(&package.name.as_str()))).collect()
}

fn simulates(package: &Package, is_core: bool) -> Vec<Finding> {
    let mut complaints = Vec::new();
    for import in &package.declared {
        if import.features.iter().any(|feature| feature == SIMULATION) {
            complaints.push(format!("turns on the feature {SIMULATION} of {}", import.name));
        }
        if MAY_SIMULATE.contains(&import.name.as_str()) {
            complaints.push(format!("depends on {}, which turns on the feature {SIMULATION}", import.name));
        }
    }
    for (feature, parts) in &package.features {
        let own = is_core && feature == SIMULATION;
        let forwards = |part: &&String| part.split('/').next_back() == Some(SIMULATION) && !own;
        for part in parts.iter().filter(forwards) {
            complaints.push(format!("its feature {feature} turns on {part}"));
        }
    }
    complaints.into_iter().map(|complaint| Finding::new(&package.name, complaint)).collect()
}

fn ours<'a>(graph: &'a Graph, name: &str, kinds: &'a [Kind]) -> impl Iterator<Item = &'a Declared> {
    let declared = graph.member(name).map(|package| package.declared.as_slice()).unwrap_or_default();
    declared.iter().filter(move |import| import.local && kinds.contains(&import.kind))
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [Wall; 3] = [
        Wall { name: "desk", may_import: May::Only(&["words"]), never_reaches: &["vault"] },
        Wall { name: "words", may_import: May::Only(&[]), never_reaches: &["vault", "desk"] },
        Wall { name: "vault", may_import: May::Only(&["words"]), never_reaches: &["desk"] },
    ];
    const CRATES: [&str; 3] = ["desk", "words", "vault"];

    #[test]
    fn a_crate_without_a_row_and_a_row_without_a_crate_are_found() {
        let graph = Graph::planted(&["desk", "words", "newcomer"], &[]);
        let places: Vec<String> = rows_match_crates(&graph, &ROWS).into_iter().map(|f| f.place).collect();
        assert_eq!(places, ["newcomer", "vault"]);
        assert_eq!(rows_match_crates(&Graph::planted(&CRATES, &[]), &ROWS), []);
    }

    #[test]
    fn an_import_outside_the_table_is_found_in_code_and_in_a_build_script() {
        for kind in [Kind::Normal, Kind::Build] {
            let graph = Graph::planted(&CRATES, &[("desk", kind, "vault"), ("desk", kind, "words")]);
            assert_eq!(
                imports_follow_the_table(&graph, &ROWS),
                [Finding::new("desk", "may not import vault")]
            );
        }
        let graph = Graph::planted(&CRATES, &[("desk", Kind::Normal, "words")]);
        assert_eq!(imports_follow_the_table(&graph, &ROWS), []);
    }

    #[test]
    fn even_a_crate_that_may_import_anything_may_not_import_the_simulation() {
        let rows = [Wall { name: "bench", may_import: May::Anything, never_reaches: &[] }];
        let members = ["bench", "perennial-sim", "words"];
        let edges = [("bench", Kind::Normal, "perennial-sim"), ("bench", Kind::Normal, "words")];
        assert_eq!(imports_follow_the_table(&Graph::planted(&members, &edges), &rows).len(), 1);
    }

    #[test]
    fn a_forbidden_crate_is_found_behind_an_innocent_one() {
        let members = ["desk", "words", "vault", "innocent"];
        let edges = [("desk", Kind::Normal, "innocent"), ("innocent", Kind::Build, "vault")];
        let findings = closures_follow_the_table(&Graph::planted(&members, &edges), &ROWS);
        assert_eq!(findings, [Finding::new("desk", "must never reach vault: desk -> innocent -> vault")]);
    }

    #[test]
    fn a_web_framework_behind_another_package_is_found_and_a_similar_name_is_not() {
        let edges = [
            ("vault", Kind::Normal, "http-client"),
            ("http-client", Kind::Normal, "axum-core"),
            ("vault", Kind::Normal, "axiom"),
        ];
        let graph = Graph::planted(&CRATES, &edges);
        assert_eq!(reaches(&graph, "vault", &["axum*", "reqwest"]).len(), 1);
        assert_eq!(reaches(&graph, "vault", &["axum", "reqwest"]), []);
    }

    #[test]
    fn a_direct_import_is_found_and_an_indirect_one_left_to_the_closure() {
        let edges = [("vault", Kind::Normal, "getrandom"), ("words", Kind::Normal, "vault")];
        let graph = Graph::planted(&CRATES, &edges);
        assert_eq!(imports(&graph, "vault", &["getrandom"]).len(), 1);
        assert_eq!(imports(&graph, "words", &["getrandom"]), []);
    }

    #[test]
    fn tests_of_core_that_open_sockets_are_found() {
        let edges = [
            ("vault", Kind::Development, "tokio"),
            ("vault", Kind::Development, "proptest"),
            ("vault", Kind::Development, "words"),
        ];
        let findings = core_tests_stay_in_core(&Graph::planted(&CRATES, &edges), &CRATES, &["proptest"]);
        assert_eq!(findings, [Finding::new("vault", "may not use tokio in its tests")]);
    }

    #[test]
    fn simulation_in_a_daemon_is_found_by_whichever_way_it_comes_in() {
        let members = ["desk", "vault", "perennial-sim"];
        let clean = Graph::planted(&members, &[("perennial-sim", Kind::Normal, "vault")]);
        let mut turned_on = Graph::planted(&members, &[("desk", Kind::Development, "vault")]);
        turned_on.change("desk", |package| package.declared[0].features.push(SIMULATION.to_owned()));
        let mut forwarded = clean.clone();
        forwarded.change("desk", |package| {
            package.features.insert("extra".to_owned(), vec!["vault/simulation".to_owned()]);
        });
        let mut by_default = clean.clone();
        by_default.change("vault", |package| {
            package.features.insert("default".to_owned(), vec![SIMULATION.to_owned()]);
        });
        let linked = Graph::planted(&members, &[("desk", Kind::Normal, "perennial-sim")]);
        for graph in [turned_on, forwarded, by_default, linked] {
            assert_eq!(only_checks_simulate(&graph, &["vault"]).len(), 1);
        }
        let mut allowed = clean;
        allowed.change("perennial-sim", |package| package.declared[0].features.push(SIMULATION.to_owned()));
        allowed.change("vault", |package| {
            package.features.insert(SIMULATION.to_owned(), vec!["words/simulation".to_owned()]);
        });
        assert_eq!(only_checks_simulate(&allowed, &["vault"]), []);
    }
}
