//! Chunk roots: what each certificate's root is over.

use super::story::Story;
use crate::evidence::bundle::document_member;
use crate::evidence::documents::{Documents, read};
use crate::evidence::flaw::{Check, Flaw};
use perennial_model::encoding::Digest;
use perennial_model::plan::Chunk;
use perennial_model::transcript::{ChunkRoot, read_leaf_list};
use std::collections::BTreeMap;

/// The leaves of each chunk that was activated, in the order of the chunk.
pub type Roots = BTreeMap<Chunk, Vec<Digest>>;

/// Opens the root of every Activation.
pub fn check_roots(story: &Story<'_>, documents: &mut Documents<'_>) -> Result<Roots, Flaw> {
    let mut roots = Roots::new();
    for (chunk, attempt) in story.attempts() {
        let Some(certificate) = attempt.certificate() else { continue };
        let member = document_member(&certificate.root);
        let refused =
            |member: &str, reason: String| Flaw::new(Check::Root, member, format!("{chunk}: {reason}"));
        let bytes = documents.named(&certificate.root);
        let bytes =
            bytes.ok_or_else(|| refused(&member, "the root that was voted for is not here".into()))?;
        let root: ChunkRoot = read(Check::Root, &member, bytes)?;
        if root.inputs != certificate.inputs.digest() {
            return Err(refused(&member, "it is over other inputs than those of the certificate".into()));
        }
        let member = document_member(&root.leaves);
        let list = documents.named(&root.leaves);
        let list = list.ok_or_else(|| refused(&member, "the list of its leaves is not here".into()))?;
        let leaves =
            read_leaf_list(list).ok_or_else(|| refused(&member, "it is no list of leaves".into()))?;
        if leaves.len() != chunk.count as usize {
            return Err(refused(
                &member,
                format!("it lists {} leaves for {} wallets", leaves.len(), chunk.count),
            ));
        }
        roots.insert(*chunk, leaves);
    }
    Ok(roots)
}
