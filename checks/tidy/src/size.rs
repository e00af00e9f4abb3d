//! The rules on the shape of Rust files: short files, functions that fit a screen, names that say something.
//!
//! The limits are a budget for the reader. They have no exceptions, so there is no list of them to grow.

use crate::repository::TextFile;
use crate::rust_source::{self, Contents};
use crate::{Error, Finding};

/// The most lines that a Rust file may have.
pub const MOST_LINES_OF_A_FILE: usize = 500;

/// The most lines that a function may have, from its `fn` to its closing brace.
pub const MOST_LINES_OF_A_FUNCTION: usize = 70;

/// Words that say nothing about what a file is for.
const EMPTY_WORDS: [&str; 8] =
    ["util", "utils", "common", "helper", "helpers", "manager", "managers", "misc"];

/// Names that are empty as a whole, though fine as a part of a longer one.
const EMPTY_NAMES: [&str; 2] = ["data", "info"];

/// What may stand nowhere: it marks work that is not done, or a test that does not run.
const UNFINISHED: [&str; 3] = ["todo!", "unimplemented!", "#ignore"];

/// What may stand in tests only.
const ONLY_IN_TESTS: [&str; 2] = [".unwrap", ".unwrap_err"];

/// Everything in `file` that breaks a rule on shape.
///
/// # Errors
///
/// [`Error::Malformed`] when it is not Rust.
pub fn shape(file: &TextFile) -> Result<Vec<Finding>, Error> {
    let contents = rust_source::read(file)?;
    Ok([
        too_long(file),
        no_purpose(file),
        skipped_examples(file),
        empty_names(file, &contents),
        long_functions(file, &contents),
        unfinished(file, &contents),
    ]
    .concat())
}

fn too_long(file: &TextFile) -> Vec<Finding> {
    let lines = file.text.lines().count();
    if lines <= MOST_LINES_OF_A_FILE {
        return Vec::new();
    }
    vec![Finding::new(&file.path, format!("has {lines} lines, more than {MOST_LINES_OF_A_FILE}: divide it"))]
}

fn no_purpose(file: &TextFile) -> Vec<Finding> {
    if file.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![Finding::new(&file.path, "does not open with `//!` and what it is for")]
}

/// A documentation example that is marked as not to be compiled proves nothing.
fn skipped_examples(file: &TextFile) -> Vec<Finding> {
    let marked = file.text.lines().enumerate().filter(|(_, line)| {
        let trimmed = line.trim_start();
        let comment = trimmed.strip_prefix("///").or_else(|| trimmed.strip_prefix("//!"));
        let fence = comment.and_then(|comment| comment.trim_start().strip_prefix("```"));
        fence.is_some_and(|words| words.split(',').any(|word| word.trim() == "ignore"))
    });
    marked
        .map(|(index, _)| {
            Finding::new(format!("{}:{}", file.path, index + 1), "an example is marked `ignore`: let it run")
        })
        .collect()
}

fn empty_names(file: &TextFile, contents: &Contents) -> Vec<Finding> {
    let mut findings = Vec::new();
    for part in file.components() {
        let name = part.strip_suffix(".rs").unwrap_or(part);
        if part == "mod.rs" {
            findings.push(Finding::new(&file.path, "write `name.rs` beside the folder `name`, not `mod.rs`"));
        } else if is_empty(name) {
            findings.push(Finding::new(&file.path, format!("`{name}` says nothing: name what it does")));
        }
    }
    for used in &contents.uses {
        if let Some(module) = used.what.strip_prefix("mod ").filter(|module| is_empty(module)) {
            let place = format!("{}:{}", file.path, used.line);
            findings.push(Finding::new(place, format!("module `{module}` says nothing: name what it does")));
        }
    }
    findings
}

fn is_empty(name: &str) -> bool {
    EMPTY_NAMES.contains(&name) || name.split(['_', '-', '.']).any(|word| EMPTY_WORDS.contains(&word))
}

fn long_functions(file: &TextFile, contents: &Contents) -> Vec<Finding> {
    let long = contents.functions.iter().filter(|function| function.lines > MOST_LINES_OF_A_FUNCTION);
    long.map(|function| {
        let complaint = format!(
            "`{}` has {} lines, more than {MOST_LINES_OF_A_FUNCTION}: divide it",
            function.name, function.lines
        );
        Finding::new(format!("{}:{}", file.path, function.line), complaint)
    })
    .collect()
}

fn unfinished(file: &TextFile, contents: &Contents) -> Vec<Finding> {
    let mut findings = Vec::new();
    for used in &contents.uses {
        let place = format!("{}:{}", file.path, used.line);
        // An attribute may carry a reason: `#[ignore = "…"]`.
        let bare = used.what.split('=').next().unwrap_or_default();
        if UNFINISHED.contains(&bare) {
            findings.push(Finding::new(place, format!("`{bare}` marks something unfinished")));
        } else if ONLY_IN_TESTS.contains(&bare) && !used.in_test {
            findings.push(Finding::new(place, format!("`{bare}` outside of tests: return an error")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str, text: &str) -> Vec<String> {
        let file = TextFile::new(path, text);
        shape(&file).expect("the sample is Rust").into_iter().map(|finding| finding.complaint).collect()
    }

    fn only(path: &str, text: &str) -> String {
        let found = complaints(path, text);
        assert_eq!(found.len(), 1, "{path}: {found:?}");
        found.concat()
    }

    #[test]
    fn a_file_of_exactly_the_limit_passes_and_one_line_more_fails() {
        let full = format!("//! Purpose.\n{}", "const A: u8 = 1;\n".repeat(MOST_LINES_OF_A_FILE - 1));
        assert_eq!(complaints("core/model/src/wallet.rs", &full), [""; 0]);
        assert!(only("core/model/src/wallet.rs", &format!("{full}\n")).contains("501 lines"));
    }

    #[test]
    fn a_function_of_exactly_the_limit_passes_and_one_line_more_fails() {
        let of = |lines: usize| format!("//! Purpose.\nfn f() {{\n{}}}\n", "    g();\n".repeat(lines - 2));
        assert_eq!(complaints("src/a.rs", &of(MOST_LINES_OF_A_FUNCTION)), [""; 0]);
        assert!(only("src/a.rs", &of(MOST_LINES_OF_A_FUNCTION + 1)).contains("`f` has 71 lines"));
    }

    #[test]
    fn a_file_without_a_purpose_is_found() {
        assert!(only("src/a.rs", "fn f() {}\n").contains("does not open"));
        assert!(only("src/a.rs", "//!\nfn f() {}\n").contains("does not open"));
    }

    #[test]
    fn empty_names_are_found_as_path_components_and_inside_are_not() {
        for path in
            ["core/model/src/util.rs", "core/common/src/lib.rs", "src/share_manager.rs", "src/data.rs"]
        {
            assert!(only(path, "//! Purpose.\n").contains("says nothing"), "{path}");
        }
        assert!(only("src/share/mod.rs", "//! Purpose.\n").contains("mod.rs"));
        assert!(only("src/a.rs", "//! Purpose.\nmod helpers {}\n").contains("says nothing"));
        for path in ["src/uncommon.rs", "src/utility_bill.rs", "src/associated_data.rs"] {
            assert_eq!(complaints(path, "//! Purpose.\n"), [""; 0], "{path}");
        }
    }

    #[test]
    fn unfinished_work_is_found_in_tests_too() {
        for line in
            ["fn f() { todo!() }", "fn f() { unimplemented!(\"x\") }", "#[test]\n#[ignore]\nfn f() {}"]
        {
            let text = format!("//! Purpose.\n#[cfg(test)]\nmod tests {{ {line} }}\n");
            assert!(only("src/a.rs", &text).contains("unfinished"), "{line}");
        }
        assert!(
            only("src/a.rs", "//! Purpose.\n#[test]\n#[ignore = \"slow\"]\nfn f() {}\n").contains("#ignore")
        );
        assert!(only("src/a.rs", "//! Purpose.\n//! ```ignore\n//! ```\n").contains("let it run"));
    }

    #[test]
    fn unwrap_is_found_outside_of_tests_only() {
        let text = "//! Purpose.\nfn f() { g().unwrap(); }\n";
        assert!(only("src/a.rs", text).contains(".unwrap"));
        assert_eq!(complaints("checks/e2e/tests/a.rs", text), [""; 0]);
        assert_eq!(
            complaints("src/a.rs", "//! P.\n#[cfg(test)]\nmod tests { fn f() { g().unwrap() } }\n"),
            [""; 0]
        );
        assert_eq!(complaints("src/a.rs", "//! P.\nfn f() { g().unwrap_or_default(); }\n"), [""; 0]);
    }
}
