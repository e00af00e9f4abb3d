//! The rule on what core may name: no file, socket, thread, clock, environment, terminal or asynchronous code.
//!
//! Manifests cannot show this, since the standard library is always there; so the text is read. Time and randomness
//! are arguments, and I/O belongs to the apps. The rule covers unit tests too: what decides is tested without a world.

use crate::repository::TextFile;
use crate::{Error, Finding, rust_source};

/// Modules of the standard library that touch the world.
const MODULES: [&str; 8] = ["fs", "net", "thread", "env", "process", "os", "random", "*"];

/// Modules of which only a part does: named as a whole, the part is within reach.
const WHOLE_MODULES: [&str; 5] = ["std", "std::time", "std::time::*", "std::io", "std::io::*"];

/// Single items that do.
const ITEMS: [&str; 7] = [
    "std::time::SystemTime",
    "std::time::Instant",
    "std::time::UNIX_EPOCH",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "std::hash::RandomState",
];

/// Macros that print, and words that make code asynchronous.
const WORDS: [&str; 7] = ["print!", "println!", "eprint!", "eprintln!", "dbg!", "async", "await"];

/// Whether the rule speaks about this file: the sources of a core crate, without its integration tests.
pub fn applies_to(file: &TextFile) -> bool {
    let parts: Vec<&str> = file.components().collect();
    parts.first() == Some(&"core") && parts.get(2) == Some(&"src")
}

/// Every line of `file` that touches the world.
///
/// # Errors
///
/// [`Error::Malformed`] when it is not Rust.
pub fn touches_the_world(file: &TextFile) -> Result<Vec<Finding>, Error> {
    let uses = rust_source::read(file)?.uses;
    let forbidden = uses.into_iter().filter(|used| is_forbidden(&used.what));
    Ok(forbidden
        .map(|used| {
            let complaint = format!("core may not use `{}`: pass it in, or leave it to an app", used.what);
            Finding::new(format!("{}:{}", file.path, used.line), complaint)
        })
        .collect())
}

fn is_forbidden(what: &str) -> bool {
    // `use std::time::{self}` names the module like `use std::time`.
    let path = what.strip_suffix("::self").unwrap_or(what);
    let names = |item: &str| path.strip_prefix(item).is_some_and(|rest| rest.starts_with("::"));
    let module = path.strip_prefix("std::").and_then(|rest| rest.split("::").next());
    WORDS.contains(&path)
        || WHOLE_MODULES.contains(&path)
        || ITEMS.iter().any(|item| path == *item || names(item))
        || module.is_some_and(|module| MODULES.contains(&module))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(text: &str) -> usize {
        let file = TextFile::new("core/model/src/lib.rs", text);
        touches_the_world(&file).expect("the sample is Rust").len()
    }

    #[test]
    fn each_way_to_the_world_is_found() {
        for line in [
            "use std::fs;",
            "use std::{collections::BTreeMap, net::TcpStream};",
            "fn f() { std::thread::spawn(|| ()); }",
            "fn f() { let now = std::time::Instant::now(); }",
            "use std::time::{Duration, SystemTime};",
            "use std::time;",
            "use std::time::{self};",
            "use std as standard;",
            "use std::time::*;",
            "use std::*;",
            "fn f() { std::env::var(\"HOME\"); }",
            "fn f() { println!(\"{x}\"); }",
            "fn f() { let out = std::io::stdout(); }",
            "async fn f() {}",
            "#[cfg(test)]\nmod tests { use std::fs; }",
        ] {
            assert_eq!(complaints(line), 1, "{line}");
        }
    }

    #[test]
    fn what_only_computes_is_allowed() {
        let text = "use std::time::Duration;\nuse std::{fmt, collections::BTreeMap};\nuse std::io::Error;\n\
                    // std::fs\nfn f() { self.environment.net(); }";
        assert_eq!(complaints(text), 0);
    }

    #[test]
    fn the_rule_speaks_about_core_and_about_nothing_else() {
        assert!(applies_to(&TextFile::new("core/model/src/wallet.rs", "")));
        assert!(!applies_to(&TextFile::new("core/model/tests/vectors.rs", "")));
        assert!(!applies_to(&TextFile::new("apps/signer/src/store.rs", "")));
    }
}
