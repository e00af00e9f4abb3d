//! The verifier that was written from `docs/formats.md` alone says the same of every bundle as this one.

use super::scene::Scene;
use super::tampering::{BROKEN, judge};
use super::twist::Twist;
use crate::evidence::bundle::{Bundle, SUMMARY_HTML, SUMMARY_MD};
use crate::evidence::flaw::Check;
use perennial_model::encoding;
use perennial_model::share_set::ShareSet;
use std::path::Path;
use std::process::{Command, Stdio};

/// A Python that has what the second verifier needs.
fn python() -> &'static str {
    let has_library = |python: &&str| {
        let asked =
            Command::new(python).args(["-c", "import cbor2, ecdsa, nacl"]).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    let python = ["python3", "/usr/bin/python3"].into_iter().find(has_library);
    python.expect("Python 3.11 with python3-cbor2, python3-ecdsa and python3-nacl: ./check installs it")
}

/// What the second verifier says.
fn second(bundle: &Path, genesis: &str) -> (bool, String) {
    let verifier = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../checks/verifier/verify.py");
    let output = Command::new(python()).arg(verifier).arg(bundle).args(["--governance", genesis]).output();
    let output = output.expect("run");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(!text.contains("Traceback"), "{text}");
    (output.status.success(), text)
}

#[test]
fn the_second_verifier_says_the_same_of_every_broken_rule() {
    let place = tempfile::tempdir().expect("a directory");
    let honest = [Twist::Nothing, Twist::LeftAfterActivation, Twist::UnderMandate];
    for twist in honest.into_iter().chain(BROKEN.map(|(twist, ..)| twist)) {
        let scene = Scene::of(twist);
        for (about, mut bundle) in [("wallet", scene.wallet()), ("ceremony", scene.ceremony_of_refresh())] {
            let verdict = judge(&bundle, scene.genesis());
            // Where no summary follows the other one needs some, since it looks whether there is one.
            for summary in [SUMMARY_MD, SUMMARY_HTML] {
                bundle.members.entry(summary.into()).or_default();
            }
            let path = place.path().join(about);
            std::fs::write(&path, bundle.to_bytes().expect("it fits")).expect("written");
            let (holds, text) = second(&path, &scene.genesis().to_string());
            assert_eq!(verdict.is_ok(), holds, "{twist:?}, {about}: {:?} and {text}", verdict.err());
        }
        assert!(
            honest.contains(&twist)
                || judge(&scene.wallet(), scene.genesis()).is_err()
                || judge(&scene.ceremony_of_refresh(), scene.genesis()).is_err()
        );
    }
}

/// An archive whose manifest says something else, written as it should be.
fn with_manifest(bundle: &Bundle, from: &str, to: &str) -> Vec<u8> {
    let bytes = bundle.to_bytes().expect("it fits");
    let text = bundle.manifest();
    assert!(text.matches(from).count() == 1, "{text}");
    crate::evidence::bundle::archive_of(&text.replace(from, to), &bundle.members).unwrap_or(bytes)
}

#[test]
fn both_refuse_a_window_that_is_no_time() {
    let scene = Scene::of(Twist::Nothing);
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("bundle");
    for to in ["-1", "18446744073709551616", "1.0", "true"] {
        let changed = with_manifest(&scene.wallet(), "\"to_ms\": null", &format!("\"to_ms\": {to}"));
        std::fs::write(&path, &changed).expect("written");
        let (holds, text) = second(&path, &scene.genesis().to_string());
        assert!(!holds && text.contains("manifest: manifest.json"), "{to}: {text}");
        let flaw = Bundle::from_bytes(&changed).expect_err("refused");
        assert_eq!(flaw.check, Check::Manifest, "{to}: {flaw}");
    }
}

/// That a key never changed shows where the one before stands beside the one after.
#[test]
fn both_refuse_a_share_set_whose_parent_was_taken_out() {
    let scene = Scene::of(Twist::Nothing);
    let mut bundle = scene.ceremony_of_refresh();
    let is_parent = |bytes: &[u8]| match encoding::decode::<ShareSet>(bytes) {
        Ok(set) => set.parent.is_none(),
        Err(_) => false,
    };
    let before = bundle.members.len();
    bundle.members.retain(|_, bytes| !is_parent(bytes));
    assert!(bundle.members.len() < before, "a ceremony's bundle has the parents of what it made");
    let flaw = judge(&bundle, scene.genesis()).expect_err("refused");
    assert_eq!(
        (flaw.check, flaw.to_string().contains("its parent is not here")),
        (Check::ShareSet, true),
        "{flaw}"
    );
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("bundle");
    std::fs::write(&path, bundle.to_bytes().expect("it fits")).expect("written");
    let (holds, text) = second(&path, &scene.genesis().to_string());
    assert!(!holds && text.contains("share-set") && text.contains("its parent here"), "{text}");
}
