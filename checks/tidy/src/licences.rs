//! The rules on other people's work: under which licence, and from where.
//!
//! The lists are those of `deny.toml`, read from there, so that the tool that checks it in depth and these tests
//! cannot disagree. Refuses a package without a licence expression.

use crate::graph::{Graph, Package};
use crate::repository::TextFile;
use crate::{Error, Finding};
use toml::{Table, Value};

/// The only place that packages may come from, as a lock file writes it.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What `deny.toml` allows and forbids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// Licences that are fine everywhere (SPDX identifiers).
    pub allowed: Vec<String>,
    /// Licences that are fine for one package each: package, licence.
    pub exceptions: Vec<(String, String)>,
    /// Packages that may not be used at all.
    pub banned: Vec<String>,
}

impl Terms {
    /// Reads the terms out of `deny.toml`.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] when it is not TOML or a list that is needed is missing or empty.
    pub fn parse(file: &TextFile) -> Result<Self, Error> {
        let malformed =
            |cause: &str| Error::Malformed { document: file.path.clone(), cause: cause.to_owned() };
        let document: Table = file.text.parse().map_err(|cause| malformed(&format!("{cause}")))?;
        let list = |section: &str, key: &str| -> Vec<Value> {
            let value = document.get(section).and_then(|section| section.get(key));
            value.and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let mut exceptions = Vec::new();
        for exception in list("licenses", "exceptions") {
            let package =
                text(&exception, "crate").ok_or_else(|| malformed("an exception without `crate`"))?;
            let allowed = exception.get("allow").and_then(Value::as_array).cloned().unwrap_or_default();
            exceptions.extend(strings(&allowed).into_iter().map(|licence| (package.clone(), licence)));
        }
        let terms = Self {
            allowed: strings(&list("licenses", "allow")),
            exceptions,
            banned: list("bans", "deny").iter().filter_map(|ban| text(ban, "crate")).collect(),
        };
        if terms.allowed.is_empty() || terms.banned.is_empty() {
            return Err(malformed("`licenses.allow` and `bans.deny` must list something"));
        }
        Ok(terms)
    }

    fn allows(&self, package: &Package, licence: &str) -> bool {
        let pair = (package.name.clone(), licence.to_owned());
        self.allowed.iter().any(|allowed| allowed == licence) || self.exceptions.contains(&pair)
    }
}

/// Packages whose licence is missing or not among the terms.
pub fn licences(graph: &Graph, terms: &Terms) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in graph.packages() {
        let place = format!("{} {}", package.name, package.version);
        match &package.licence {
            None => findings.push(Finding::new(place, "names no licence")),
            Some(expression) => match satisfied(expression, &|licence| terms.allows(package, licence)) {
                Some(true) => {}
                Some(false) => {
                    findings.push(Finding::new(place, format!("`{expression}` is not among the terms")));
                }
                None => findings.push(Finding::new(place, format!("`{expression}` cannot be read"))),
            },
        }
    }
    findings
}

/// Licences that the terms allow and no package needs: permission is not given in advance.
pub fn unneeded(graph: &Graph, terms: &Terms) -> Vec<Finding> {
    let needed = |licence: &str| {
        graph.packages().any(|package| {
            let without = |other: &str| other != licence && terms.allows(package, other);
            package.licence.as_deref().is_some_and(|text| satisfied(text, &without) == Some(false))
        })
    };
    let unused = terms.allowed.iter().filter(|licence| !needed(licence));
    unused.map(|licence| Finding::new("deny.toml", format!("no package needs `{licence}`"))).collect()
}

/// Packages that come from anywhere but the registry or this repository.
pub fn sources(graph: &Graph) -> Vec<Finding> {
    let foreign = graph.packages().filter(|package| package.source.as_deref().is_some_and(|s| s != REGISTRY));
    let inside =
        graph.packages().filter(|p| p.source.is_none() && !graph.members().any(|m| m.name == p.name));
    foreign
        .chain(inside)
        .map(|package| {
            let source = package.source.as_deref().unwrap_or("a folder that is no member of the workspace");
            Finding::new(&package.name, format!("comes from {source}"))
        })
        .collect()
}

/// Packages that the terms forbid, and dependencies of ours on any version whatever.
pub fn bans(graph: &Graph, terms: &Terms) -> Vec<Finding> {
    let banned = graph.packages().filter(|package| terms.banned.contains(&package.name));
    let mut findings: Vec<Finding> =
        banned.map(|package| Finding::new(&package.name, "is banned in deny.toml")).collect();
    for package in graph.members() {
        for import in package.declared.iter().filter(|import| !import.local && import.requirement == "*") {
            findings.push(Finding::new(&package.name, format!("takes any version of {}", import.name)));
        }
    }
    findings
}

/// Whether the expression (SPDX, or the older form with `/`) can be met with what `allowed` accepts. `None` when it
/// cannot be read.
fn satisfied(expression: &str, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let answer = either(&mut rest, allowed)?;
    rest.is_empty().then_some(answer)
}

fn either(words: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut answer = both(words, allowed)?;
    while take(words, "OR") {
        answer |= both(words, allowed)?;
    }
    Some(answer)
}

fn both(words: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut answer = single(words, allowed)?;
    while take(words, "AND") {
        answer &= single(words, allowed)?;
    }
    Some(answer)
}

fn single(words: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    if take(words, "(") {
        let answer = either(words, allowed)?;
        return take(words, ")").then_some(answer);
    }
    let (first, rest) = words.split_first().filter(|(word, _)| !["AND", "OR", "WITH", ")"].contains(word))?;
    *words = rest;
    if !take(words, "WITH") {
        return Some(allowed(first));
    }
    let (exception, rest) = words.split_first()?;
    *words = rest;
    Some(allowed(&format!("{first} WITH {exception}")))
}

fn take(words: &mut &[&str], word: &str) -> bool {
    let found = words.first() == Some(&word);
    if found {
        *words = &words[1..];
    }
    found
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn strings(values: &[Value]) -> Vec<String> {
    values.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Declared, Kind};

    fn terms() -> Terms {
        let text = "[licenses]\nallow = [\"MIT\", \"ISC\"]\nexceptions = [{ crate = \"runtime\", allow = [\"NCSA\"] }]\n\
                    [bans]\ndeny = [{ crate = \"openssl\" }]\n";
        Terms::parse(&TextFile::new("deny.toml", text)).expect("the sample is complete")
    }

    fn licensed(name: &str, licence: Option<&str>) -> Graph {
        let mut graph = Graph::planted(&["ours"], &[("ours", Kind::Normal, name)]);
        graph.change("ours", |package| package.licence = Some("MIT".to_owned()));
        graph.change(name, |package| package.licence = licence.map(str::to_owned));
        graph
    }

    #[test]
    fn a_licence_outside_the_terms_is_found() {
        for licence in
            [None, Some("AGPL-3.0"), Some("MIT AND GPL-3.0"), Some("NCSA"), Some("MIT OR"), Some("(MIT")]
        {
            assert_eq!(licences(&licensed("theirs", licence), &terms()).len(), 1, "{licence:?}");
        }
        for licence in ["MIT", "MIT/Apache-2.0", "GPL-3.0 OR (MIT AND ISC)", "Apache-2.0 WITH X OR ISC"] {
            assert_eq!(licences(&licensed("theirs", Some(licence)), &terms()), [], "{licence}");
        }
        assert_eq!(licences(&licensed("runtime", Some("MIT AND NCSA")), &terms()), []);
    }

    #[test]
    fn a_permission_that_nobody_needs_is_found() {
        assert_eq!(unneeded(&licensed("theirs", Some("MIT")), &terms()).len(), 1);
        assert_eq!(unneeded(&licensed("theirs", Some("ISC")), &terms()), []);
    }

    #[test]
    fn a_package_from_elsewhere_is_found() {
        let mut graph = licensed("theirs", Some("MIT"));
        assert_eq!(sources(&graph), []);
        graph.change("theirs", |package| package.source = Some("git+https://example.org/x".to_owned()));
        assert_eq!(sources(&graph).len(), 1);
        graph.change("theirs", |package| package.source = None);
        assert_eq!(sources(&graph).len(), 1);
    }

    #[test]
    fn a_banned_package_and_a_wildcard_are_found() {
        assert_eq!(bans(&licensed("openssl", Some("MIT")), &terms()).len(), 1);
        let mut graph = licensed("theirs", Some("MIT"));
        assert_eq!(bans(&graph, &terms()), []);
        graph.change("ours", |package| {
            package.declared = vec![Declared { requirement: "*".to_owned(), ..package.declared[0].clone() }];
        });
        assert_eq!(bans(&graph, &terms()).len(), 1);
    }

    #[test]
    fn terms_without_lists_are_refused() {
        assert!(Terms::parse(&TextFile::new("deny.toml", "[licenses]\nallow = []\n")).is_err());
        assert!(Terms::parse(&TextFile::new("deny.toml", "no toml")).is_err());
    }
}
