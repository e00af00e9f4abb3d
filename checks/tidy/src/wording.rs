//! The rule on words: the repository speaks of the product alone.
//!
//! Text that names a folder of somebody's machine is wrong on every other, and text about how a change came to be
//! belongs in the history. This file is the only one that may hold the words it looks for.

use crate::Finding;
use crate::repository::TextFile;

/// The file that holds the list, and so is not read.
const THIS_FILE: &str = "checks/tidy/src/wording.rs";

/// Beginnings of folders that exist on one machine only.
const MACHINE_PATHS: [&str; 7] =
    ["/work/", "/tmp/bash", "/root/", "/home/", "/Users/", "/workspace/", "/builds/"];

/// Phrases about the making of the product, in small letters; each must stand as whole words.
const ABOUT_THE_MAKING: [&str; 12] = [
    "the issue says",
    "this issue",
    "see issue",
    "per the brief",
    "the brief says",
    "as instructed",
    "as requested",
    "subagent",
    "language model",
    "llm",
    "chatbot",
    "ai-generated",
];

/// Words that are forbidden in exactly these letters.
const EXACT: [&str; 2] = ["AI", "FIXME"];

/// Every line of `file` that speaks of something other than the product.
pub fn beside_the_product(file: &TextFile) -> Vec<Finding> {
    if file.path == THIS_FILE {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let place = || format!("{}:{}", file.path, index + 1);
        for path in MACHINE_PATHS.iter().filter(|path| line.contains(**path)) {
            findings.push(Finding::new(place(), format!("`{path}` is a folder of one machine")));
        }
        let small = line.to_lowercase();
        let phrases = ABOUT_THE_MAKING.iter().filter(|phrase| stands_alone(&small, phrase));
        for phrase in phrases.chain(EXACT.iter().filter(|word| stands_alone(line, word))) {
            findings.push(Finding::new(place(), format!("`{phrase}` does not speak of the product")));
        }
        if numbered_issue(&small) {
            findings.push(Finding::new(place(), "names an issue by number: say what it was about"));
        }
    }
    findings
}

/// Whether `phrase` occurs with no letter or digit directly before or after it.
fn stands_alone(line: &str, phrase: &str) -> bool {
    line.match_indices(phrase).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + phrase.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

/// Whether the line refers to an issue by its number.
fn numbered_issue(line: &str) -> bool {
    line.match_indices("issue ").any(|(start, word)| {
        let begins_a_word = !line[..start].ends_with(char::is_alphanumeric);
        let rest = line[start + word.len()..].trim_start_matches('#');
        begins_a_word && rest.starts_with(|first: char| first.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(text: &str) -> usize {
        beside_the_product(&TextFile::new("README.md", text)).len()
    }

    #[test]
    fn folders_of_one_machine_are_found() {
        for line in ["run /work/main/check", "written to /tmp/bash_jobs", "/home/dana/.ssh/id", "cd /root/x"]
        {
            assert_eq!(complaints(line), 1, "{line}");
        }
        assert_eq!(complaints("/var/lib/perennial and ~/.ssh and /v1/wallets and homework/of"), 0);
    }

    #[test]
    fn talk_about_the_making_is_found() {
        for line in
            ["as the issue says", "This issue adds", "closes issue #12", "an AI wrote it", "FIXME: later"]
        {
            assert_eq!(complaints(line), 1, "{line}");
        }
    }

    #[test]
    fn words_of_the_product_are_left_alone() {
        let text = "A signer answers in this session once. Shares are issued. FAIL. AID. They reissue 3 tickets.\n\
                    The operator's tool issues certificates.";
        assert_eq!(complaints(text), 0);
    }

    #[test]
    fn only_the_file_with_the_list_is_exempt() {
        assert_eq!(beside_the_product(&TextFile::new(THIS_FILE, "/work/")).len(), 0);
        assert_eq!(beside_the_product(&TextFile::new("checks/tidy/src/size.rs", "/work/")).len(), 1);
    }
}
