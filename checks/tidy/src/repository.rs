//! Finds the files of this repository, as a contributor would commit them.
//!
//! Build products and files that git ignores are left out. Without git (an unpacked archive) the folders are
//! walked instead, so that no rule falls silent. Refuses to follow symbolic links.

use crate::Error;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

/// Folders that hold products of a build or of a run, never sources.
const PRODUCTS: [&str; 3] = [".git", "target", "corpus-found"];

/// One file of the repository that holds text.
#[derive(Debug, Clone)]
pub struct TextFile {
    /// Relative to the root of the repository, with `/` between the parts.
    pub path: String,
    /// The whole content.
    pub text: String,
}

impl TextFile {
    /// A file made up on the spot, as the tests of the rules need it.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// Whether this is Rust source.
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The parts of the path: folders first, the file name last.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.path.split('/')
    }

    /// Whether the file holds nothing but tests: it lives in a folder `tests`, or is called `tests.rs`.
    pub fn is_test(&self) -> bool {
        self.components().any(|part| part == "tests" || part == "tests.rs")
    }
}

/// The root folder of the repository whose tests run.
pub fn root() -> PathBuf {
    // Cargo says it at run time too. What was compiled in could name another copy that shares the build folder.
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    PathBuf::from(manifest).join("../..")
}

/// Every text file under `root`, sorted by path. Files that are not UTF-8 or hold a zero byte are not text.
///
/// # Errors
///
/// [`Error::Unreadable`] when a folder or a listed file cannot be read.
pub fn text_files(root: &Path) -> Result<Vec<TextFile>, Error> {
    let paths = match listed_by_git(root) {
        Some(paths) => paths,
        None => walked(root)?,
    };
    let mut files = Vec::new();
    for path in paths {
        let full = root.join(&path);
        if !full.is_file() || full.is_symlink() {
            continue;
        }
        let bytes = std::fs::read(&full).map_err(|cause| Error::Unreadable { path: full, cause })?;
        match String::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => files.push(TextFile { path, text }),
            _ => {}
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// What is committed or would be: tracked files and new ones that no ignore rule hides. `None` without git.
fn listed_by_git(root: &Path) -> Option<Vec<String>> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"];
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output().ok()?;
    if !output.status.success() {
        return None;
    }
    let names = String::from_utf8(output.stdout).ok()?;
    Some(names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// Every file below `root` outside of [`PRODUCTS`].
fn walked(root: &Path) -> Result<Vec<String>, Error> {
    let mut waiting = vec![PathBuf::new()];
    let mut found = Vec::new();
    while let Some(folder) = waiting.pop() {
        let full = root.join(&folder);
        let unreadable = |cause| Error::Unreadable { path: full.clone(), cause };
        for entry in std::fs::read_dir(&full).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let kind = entry.file_type().map_err(unreadable)?;
            let path = folder.join(entry.file_name());
            if kind.is_dir() && !PRODUCTS.iter().any(|product| entry.file_name() == *product) {
                waiting.push(path);
            } else if kind.is_file() {
                found.push(with_slashes(&path));
            }
        }
    }
    Ok(found)
}

fn with_slashes(path: &Path) -> String {
    let parts: Vec<_> = path
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_string_lossy()),
            _ => None,
        })
        .collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_that_the_rules_look_at_include_this_one() -> Result<(), Error> {
        let files = text_files(&root())?;
        assert!(files.iter().any(|file| file.path == "checks/tidy/src/repository.rs"));
        assert!(files.iter().any(|file| file.path == "Cargo.toml"));
        assert!(!files.iter().any(|file| file.path.starts_with("target/")));
        Ok(())
    }

    #[test]
    fn without_git_the_same_rust_sources_are_found() -> Result<(), Error> {
        let walked = walked(&root())?;
        for listed in listed_by_git(&root()).into_iter().flatten().filter(|path| path.ends_with(".rs")) {
            if root().join(&listed).is_file() {
                assert!(walked.contains(&listed), "{listed} is missed when git is absent");
            }
        }
        Ok(())
    }
}
