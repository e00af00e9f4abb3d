//! Makes the attacks and their twins. The files in this folder hold what comes of it.

use crate::table::{File, write};
use crate::{changes, passkeys, plans, quorums, scene, signatures};
use perennial_model::encoding::encode;

/// The name of every file with what is in it.
pub fn files() -> Vec<(&'static str, String)> {
    let versions: Vec<_> = scene::versions().iter().map(encode).collect();
    let file = |cases| File { versions: versions.clone(), cases };
    vec![
        ("quorums", write("Too few people, the wrong ones, one for two.", &file(quorums::cases()))),
        (
            "signatures",
            write("SSH signatures over something else, or by somebody else.", &file(signatures::cases())),
        ),
        (
            "passkeys",
            write(
                "Passkeys that were used for something else, or by somebody else.",
                &file(passkeys::cases()),
            ),
        ),
        ("plans", write("Good plans at a wrong time, out of place, or again.", &file(plans::cases()))),
        ("changes", write("Changes of governance itself.", &file(changes::cases()))),
    ]
}
