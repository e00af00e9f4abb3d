//! Writes the files of attacks on approvals anew. `cargo run --release -p perennial-custody --example approval_attacks`

#[path = "../tests/approvals/changes.rs"]
mod changes;
#[path = "../tests/approvals/generate.rs"]
mod generate;
#[path = "../tests/approvals/passkeys.rs"]
mod passkeys;
#[path = "../../model/tests/shared/person.rs"]
mod person;
#[path = "../tests/approvals/plans.rs"]
mod plans;
#[path = "../tests/approvals/quorums.rs"]
mod quorums;
#[path = "../tests/approvals/scene.rs"]
mod scene;
#[path = "../tests/approvals/signatures.rs"]
mod signatures;
#[path = "../tests/approvals/signer.rs"]
#[allow(dead_code, reason = "the test also restarts signers and reads their disks")]
mod signer;
#[path = "../tests/approvals/table.rs"]
#[allow(dead_code, reason = "the test also reads what is written here")]
mod table;

fn main() -> std::io::Result<()> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/approvals");
    for (name, text) in generate::files() {
        let path = folder.join(name).with_extension("case");
        std::fs::write(&path, text)?;
        println!("{}", path.display());
    }
    Ok(())
}
